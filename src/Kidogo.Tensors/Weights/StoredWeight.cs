// A weight that stays in its file and is decoded panel by panel whenever it is multiplied. Knows no packed layout.
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>Any stored format, multiplied in float32 straight from the mapped file: what a format means, and the form of those that have no packed layout.</summary>
internal sealed class StoredWeight(StoredMatrix stored) : PanelWeight(stored.Format, stored.Rows, stored.Columns)
{
    public override long MemoryBytes => 0;

    internal override ActivationForm Activations => ActivationForm.Float32;

    internal override int PanelRows => FloatKernel.PanelRows;

    public override void DecodeRow(int row, Span<float> destination) => stored.DecodeRow(row, destination);

    private protected override bool DecodesPanels => true;

    private protected override void BeginPanel(int panel, bool manyTokens, KernelScratch scratch)
    {
        Span<float> decoded = scratch.Panel(Columns * PanelRows);
        Span<float> row = scratch.Row(Columns);
        for (int r = 0; r < PanelRows; r++)
        {
            int index = (panel * PanelRows) + r;
            if (index < Rows)
            {
                stored.DecodeRow(index, row);
            }
            else
            {
                row.Clear();
            }

            PanelTransposition.WriteRow(row, decoded, r);
        }
    }

    private protected override void MultiplyTile(int panel, ReadOnlySpan<float> tile, int tokens, Span<float> y, int stride, KernelScratch scratch) =>
        FloatKernel.Multiply<InterleavedTile>(scratch.Panel(Columns * PanelRows), tile, tokens, y, stride);
}
