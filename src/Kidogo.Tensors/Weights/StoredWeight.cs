// Weights that are decoded panel by panel whenever they are multiplied. Knows no packed layout.
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>A weight that has nothing but its rows: they are decoded to float32 when a panel of them is multiplied.</summary>
internal abstract class DecodedPanelWeight(WeightFormat format, int rows, int columns) : FloatPanelWeight(format, rows, columns)
{
    internal override bool DecodesPanels => true;

    private protected override void BeginPanel(int panel, KernelScratch scratch)
    {
        Span<float> rows = scratch.Row(PanelRows * Columns);
        int present = Math.Min(PanelRows, Rows - (panel * PanelRows));
        for (int r = 0; r < present; r++)
        {
            DecodeRow((panel * PanelRows) + r, rows.Slice(r * Columns, Columns));
        }

        rows[(present * Columns)..].Clear();
    }

    private protected override ReadOnlySpan<float> Block(int panel, int firstColumn, int columns, KernelScratch scratch)
    {
        Span<float> block = scratch.Panel(columns * PanelRows);
        PanelTransposition.Write(scratch.Row(PanelRows * Columns), Columns, firstColumn, columns, block);
        return block;
    }
}

/// <summary>Any stored format, multiplied in float32 straight from the mapped file: what a format means, and the form of those that have no packed layout.</summary>
internal sealed class StoredWeight(StoredMatrix stored) : DecodedPanelWeight(stored.Format, stored.Rows, stored.Columns)
{
    public override long MemoryBytes => 0;

    public override void DecodeRow(int row, Span<float> destination) => stored.DecodeRow(row, destination);
}
