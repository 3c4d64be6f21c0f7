// What weights share that are multiplied with activations of 8 bits, in panels of rows. Knows no layout.
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>A weight whose kernel computes a packed panel of rows for a tile of tokens.</summary>
/// <param name="format">How it is stored.</param>
/// <param name="rows">Rows.</param>
/// <param name="columns">Columns.</param>
/// <param name="scalesOutputs">Whether <see cref="Scale"/> does anything.</param>
internal abstract class PackedPanelWeight(WeightFormat format, int rows, int columns, bool scalesOutputs) : Weight(format, rows, columns)
{
    internal sealed override ActivationForm Activations => ActivationForm.Int8;

    internal sealed override int PanelRows => PanelShape.Rows;

    internal sealed override void Multiply(int firstPanel, int panels, ActivationTiles x, int firstTile, int tiles, Tensor y, KernelScratch scratch)
    {
        // A panel stays in the nearest cache while all tiles pass it: few tokens then read the weights from memory once.
        for (int panel = firstPanel; panel < firstPanel + panels; panel++)
        {
            ReadOnlySpan<byte> expanded = tiles > 1 ? Expand(panel, scratch) : default;
            for (int tile = firstTile; tile < firstTile + tiles; tile++)
            {
                MultiplyTile(panel, expanded, x, tile, y, scratch);
            }
        }
    }

    private void MultiplyTile(int panel, ReadOnlySpan<byte> expanded, ActivationTiles x, int index, Tensor y, KernelScratch scratch)
    {
        int firstRow = panel * PanelRows;
        int rows = Math.Min(PanelRows, Rows - firstRow);
        (int firstToken, int tokens) = x.Tile(index);
        ReadOnlySpan<float> tile = x.TileValues(firstToken, tokens);
        if (rows == PanelRows)
        {
            MultiplyTile(panel, expanded, tile, tokens, y.Span[((firstToken * y.Columns) + firstRow)..], y.Columns);
            ScaleAll(y, firstToken, tokens, firstRow, rows);
            return;
        }

        Span<float> outputs = scratch.Outputs(tokens * PanelRows); // the kernel writes whole panels, the tensor has no room for the missing rows
        MultiplyTile(panel, expanded, tile, tokens, outputs, PanelRows);
        for (int t = 0; t < tokens; t++)
        {
            outputs.Slice(t * PanelRows, rows).CopyTo(y.Row(firstToken + t)[firstRow..]);
        }

        ScaleAll(y, firstToken, tokens, firstRow, rows);
    }

    private void ScaleAll(Tensor y, int firstToken, int tokens, int firstRow, int rows)
    {
        for (int t = 0; scalesOutputs && t < tokens; t++)
        {
            Scale(firstRow, y.Row(firstToken + t).Slice(firstRow, rows));
        }
    }

    /// <summary>Multiplies outputs with scales that the panels do not hold, where there are any.</summary>
    /// <param name="firstRow">The row of the first.</param>
    /// <param name="outputs">Outputs of one token.</param>
    private protected virtual void Scale(int firstRow, Span<float> outputs)
    {
    }

    /// <summary>Brings a panel into a form that several tiles multiply faster with; empty where there is none.</summary>
    private protected abstract ReadOnlySpan<byte> Expand(int panel, KernelScratch scratch);

    /// <summary>Computes one tile with a panel, or with its expanded form where that is not empty.</summary>
    private protected abstract void MultiplyTile(int panel, ReadOnlySpan<byte> expanded, ReadOnlySpan<float> tile, int tokens, Span<float> y, int stride);
}
