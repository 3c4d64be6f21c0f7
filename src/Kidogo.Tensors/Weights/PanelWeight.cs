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

    internal sealed override void Multiply(int panel, ActivationTiles x, int firstTile, int tiles, Tensor y, KernelScratch scratch)
    {
        int firstRow = panel * PanelRows;
        int rows = Math.Min(PanelRows, Rows - firstRow);
        BeginPanel(panel, x.Tile(firstTile).Count > 1 || tiles > 1, scratch);
        for (int i = firstTile; i < firstTile + tiles; i++)
        {
            (int firstToken, int tokens) = x.Tile(i);
            ReadOnlySpan<float> tile = x.TileValues(firstToken, tokens);
            if (rows == PanelRows)
            {
                MultiplyTile(panel, tile, tokens, y.Span[((firstToken * y.Columns) + firstRow)..], y.Columns, scratch);
                continue;
            }

            Span<float> outputs = scratch.Outputs(tokens * PanelRows); // the kernel writes whole panels, the tensor has no room for the missing rows
            MultiplyTile(panel, tile, tokens, outputs, PanelRows, scratch);
            for (int t = 0; t < tokens; t++)
            {
                outputs.Slice(t * PanelRows, rows).CopyTo(y.Row(firstToken + t)[firstRow..]);
            }
        }
    }

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
