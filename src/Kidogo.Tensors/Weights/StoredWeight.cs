// A weight that stays in its file and is decoded panel by panel whenever it is multiplied. Knows no packed layout.
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>Any stored format, multiplied in float32 straight from the mapped file: what a format means, and the form of those that have no packed layout.</summary>
internal sealed class StoredWeight(StoredMatrix stored) : FloatPanelWeight(stored.Format, stored.Rows, stored.Columns)
{
    public override long MemoryBytes => 0;

    public override void DecodeRow(int row, Span<float> destination) => stored.DecodeRow(row, destination);

    internal override bool DecodesPanels => true;

    private protected override int PanelsAtOnce => 1; // rows are decoded whole, with the first block of a panel

    private protected override void Decode(int panel, int firstColumn, Span<float> block, KernelScratch scratch)
    {
        Span<float> rows = scratch.Row(PanelRows * Columns);
        if (firstColumn == 0)
        {
            int present = Math.Min(PanelRows, Rows - (panel * PanelRows));
            for (int r = 0; r < present; r++)
            {
                stored.DecodeRow((panel * PanelRows) + r, rows.Slice(r * Columns, Columns));
            }

            rows[(present * Columns)..].Clear();
        }

        PanelTransposition.Write(rows, Columns, firstColumn, block.Length / PanelRows, block);
    }
}
