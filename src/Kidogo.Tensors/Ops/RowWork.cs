// Runs an operation that treats rows alone over many rows with all threads. Knows no operation.
namespace Kidogo.Tensors.Ops;

/// <summary>An operation on rows of one, two or three tensors.</summary>
internal interface IRowOperation
{
    /// <summary>Computes row <paramref name="row"/>.</summary>
    void Do(int row);
}

/// <summary>Rows in groups, shared by the team where there is enough to do.</summary>
internal sealed class RowWork : SharedWork
{
    private const int RowsPerItem = 8;
    private const int WorthSharing = 32 * 1024; // values; below this, waking the team costs more than it saves

    private IRowOperation? _operation;
    private int _rows;

    /// <summary>Does <paramref name="operation"/> for all rows.</summary>
    public void Run(WorkerTeam team, IRowOperation operation, int rows, int columns)
    {
        if ((long)rows * columns < WorthSharing)
        {
            for (int row = 0; row < rows; row++)
            {
                operation.Do(row);
            }

            return;
        }

        _operation = operation;
        _rows = rows;
        Items = (rows + RowsPerItem - 1) / RowsPerItem;
        team.Run(this);
        _operation = null;
    }

    public override void Do(int item, int worker)
    {
        for (int row = item * RowsPerItem; row < Math.Min((item + 1) * RowsPerItem, _rows); row++)
        {
            _operation!.Do(row);
        }
    }
}
