// What all weights that are computed in panels of rows share. Knows no layout.
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>A weight whose kernel computes a panel of rows for a tile of tokens.</summary>
internal abstract class PanelWeight : Weight
{
    protected PanelWeight(WeightFormat format, int rows, int columns)
        : base(format, rows, columns)
    {
    }

    internal sealed override void Multiply(int firstPanel, int panels, ActivationTiles x, int firstTile, int tiles, Tensor y, KernelScratch scratch)
    {
        if (DecodesPanels)
        {
            for (int panel = firstPanel; panel < firstPanel + panels; panel++)
            {
                BeginPanel(panel, tiles > 1 || x.Tile(firstTile).Count > 1, scratch);
                for (int tile = firstTile; tile < firstTile + tiles; tile++)
                {
                    MultiplyTile(panel, x, tile, y, scratch);
                }
            }

            return;
        }

        // A tile of activations is larger than a panel of packed weights, so it is the tile that stays in the first-level cache.
        for (int tile = firstTile; tile < firstTile + tiles; tile++)
        {
            for (int panel = firstPanel; panel < firstPanel + panels; panel++)
            {
                MultiplyTile(panel, x, tile, y, scratch);
            }
        }
    }

    private void MultiplyTile(int panel, ActivationTiles x, int index, Tensor y, KernelScratch scratch)
    {
        int firstRow = panel * PanelRows;
        int rows = Math.Min(PanelRows, Rows - firstRow);
        (int firstToken, int tokens) = x.Tile(index);
        ReadOnlySpan<float> tile = x.TileValues(firstToken, tokens);
        if (rows == PanelRows)
        {
            MultiplyTile(panel, tile, tokens, y.Span[((firstToken * y.Columns) + firstRow)..], y.Columns, scratch);
            return;
        }

        Span<float> outputs = scratch.Outputs(tokens * PanelRows); // the kernel writes whole panels, the tensor has no room for the missing rows
        MultiplyTile(panel, tile, tokens, outputs, PanelRows, scratch);
        for (int t = 0; t < tokens; t++)
        {
            outputs.Slice(t * PanelRows, rows).CopyTo(y.Row(firstToken + t)[firstRow..]);
        }
    }

    /// <summary>Whether a panel is brought into another form before it is multiplied: then all tiles pass it before the next panel comes.</summary>
    private protected virtual bool DecodesPanels => false;

    /// <summary>Called once before the tiles of a panel: a form that decodes the panel does so here.</summary>
    /// <param name="panel">The panel.</param>
    /// <param name="manyTokens">Whether more than one token follows.</param>
    /// <param name="scratch">Buffers of the calling thread.</param>
    private protected virtual void BeginPanel(int panel, bool manyTokens, KernelScratch scratch)
    {
    }

    /// <summary>Computes one tile.</summary>
    private protected abstract void MultiplyTile(int panel, ReadOnlySpan<float> tile, int tokens, Span<float> y, int stride, KernelScratch scratch);
}
