// Weights that stay in their file and are decoded panel by panel whenever they are multiplied. Knows no packed layout.
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>A weight whose rows are decoded from the mapped file and multiplied in float32: what a format means, and the form of those that have no packed layout.</summary>
internal abstract class DecodedWeight(WeightFormat format, int rows, int columns) : FloatPanelWeight(format, rows, columns)
{
    public override long MemoryBytes => 0;

    internal sealed override bool DecodesPanels => true;

    private protected sealed override int PanelsAtOnce => 1; // rows are decoded whole, with the first block of a panel

    private protected sealed override void Decode(int panel, int firstColumn, Span<float> block, KernelScratch scratch)
    {
        Span<float> rows = scratch.Row(PanelRows * Columns);
        if (firstColumn == 0)
        {
            int present = Math.Min(PanelRows, Rows - (panel * PanelRows));
            for (int r = 0; r < present; r++)
            {
                DecodeRow((panel * PanelRows) + r, rows.Slice(r * Columns, Columns));
            }

            rows[(present * Columns)..].Clear();
        }

        PanelTransposition.Write(rows, Columns, firstColumn, block.Length / PanelRows, block);
    }
}

/// <summary>Any stored format.</summary>
internal sealed class StoredWeight(StoredMatrix stored) : DecodedWeight(stored.Format, stored.Rows, stored.Columns)
{
    public override void DecodeRow(int row, Span<float> destination) => stored.DecodeRow(row, destination);
}

/// <summary>Codes with scales beside them.</summary>
internal sealed class PlainWeight(PlainMatrix matrix) : DecodedWeight(WeightFormats.ForName("F32")!, matrix.Rows, matrix.Columns)
{
    public override void DecodeRow(int row, Span<float> destination) => matrix.DecodeRow(row, destination);
}
