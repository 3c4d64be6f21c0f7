// Packs the rows of a stored matrix in parallel. Knows no layout.
namespace Kidogo.Tensors;

/// <summary>Packs one row.</summary>
/// <param name="source">The row's stored bytes.</param>
/// <param name="row">Its number.</param>
internal delegate void RowPacker(ReadOnlySpan<byte> source, int row);

/// <summary>Walks over the rows of a stored matrix, panel by panel, with all threads; then lets go of the file's pages.</summary>
internal static class PanelPacking
{
    public static void Run(StoredMatrix stored, WorkerTeam team, int panelRows, RowPacker pack)
    {
        team.Run(new Packing(stored, panelRows, pack) { Items = (stored.Rows + panelRows - 1) / panelRows });
        stored.LetGo();
    }

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
