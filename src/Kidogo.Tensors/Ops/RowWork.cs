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
    private const int FewestRowsPerItem = 8;
    private const int ItemsPerThread = 16; // each item that is taken moves a cache line between processors: more than some rows cost
    private const int WorthSharing = 32 * 1024; // values; below this, waking the team costs more than it saves

    private IRowOperation? _operation;
    private int _rows, _rowsPerItem;

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
        _rowsPerItem = Math.Max(FewestRowsPerItem, rows / (team.Threads * ItemsPerThread));
        Items = (rows + _rowsPerItem - 1) / _rowsPerItem;
        team.Run(this);
        _operation = null;
    }

    public override void Do(int item, int worker)
    {
        IRowOperation operation = _operation!;
        int end = Math.Min((item + 1) * _rowsPerItem, _rows);
        for (int row = item * _rowsPerItem; row < end; row++)
        {
            operation.Do(row);
        }
    }
}

/// <summary>An operation on rows that also sums over them: a chunk of rows has a place of its own for its sums.</summary>
internal interface IChunkOperation
{
    /// <summary>Computes the rows from <paramref name="firstRow"/> to before <paramref name="endRow"/>, which are chunk <paramref name="chunk"/>.</summary>
    void Do(int chunk, int firstRow, int endRow);
}

/// <summary>Rows in chunks of a fixed size, so that sums over rows have one order whatever the number of threads: within a chunk, then chunk after chunk.</summary>
internal sealed class ChunkWork : SharedWork
{
    public const int RowsPerChunk = 32;

    private IChunkOperation? _operation;
    private int _rows;

    /// <summary>Chunks that a number of rows is cut into.</summary>
    public static int Count(int rows) => (rows + RowsPerChunk - 1) / RowsPerChunk;

    /// <summary>Does <paramref name="operation"/> for all chunks.</summary>
    public void Run(WorkerTeam team, IChunkOperation operation, int rows)
    {
        (_operation, _rows) = (operation, rows);
        Items = Count(rows);
        team.Run(this);
        _operation = null;
    }

    public override void Do(int item, int worker) => _operation!.Do(item, item * RowsPerChunk, Math.Min((item + 1) * RowsPerChunk, _rows));
}
