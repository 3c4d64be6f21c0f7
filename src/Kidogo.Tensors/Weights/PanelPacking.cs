// Packs the rows of a stored matrix in parallel. Knows no layout.
namespace Kidogo.Tensors;

/// <summary>Packs one row.</summary>
/// <param name="source">The row's stored bytes.</param>
/// <param name="row">Its number.</param>
internal delegate void RowPacker(ReadOnlySpan<byte> source, int row);

/// <summary>Walks over the rows of a stored matrix, panel by panel, with all threads; then lets go of the file's pages.</summary>
internal static class PanelPacking
{
    /// <summary>Packs all rows, then lets go of the file's pages.</summary>
    public static void Run(StoredMatrix stored, WorkerTeam team, int panelRows, RowPacker pack)
    {
        Visit(stored, team, panelRows, pack);
        stored.LetGo();
    }

    /// <summary>Looks at all rows.</summary>
    public static void Visit(StoredMatrix stored, WorkerTeam team, int panelRows, RowPacker look) =>
        team.Run(new Packing(stored, panelRows, look) { Items = (stored.Rows + panelRows - 1) / panelRows });

    private sealed class Packing(StoredMatrix stored, int panelRows, RowPacker pack) : SharedWork
    {
        public override void Do(int item, int worker)
        {
            for (int row = item * panelRows; row < Math.Min((item + 1) * panelRows, stored.Rows); row++)
            {
                pack(stored.RowBytes(row), row);
            }
        }
    }
}
