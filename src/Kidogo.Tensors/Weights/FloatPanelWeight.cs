// What weights share that are multiplied in float32: their columns come in blocks that stay in the caches. Knows no format.
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>A weight whose panels [C, 32] of float32 come in blocks of columns: lying there, widened or decoded.</summary>
/// <remarks>
/// A block of 512 columns is 64 KiB of weights and 24 KiB of activations a tile: the one stays in the second-level cache while all tiles pass, the other in the first.
/// Sums go on from block to block in the order of columns, so the blocks do not show in the result.
/// </remarks>
internal abstract class FloatPanelWeight(WeightFormat format, int rows, int columns) : Weight(format, rows, columns)
{
    private const int BlockColumns = 512;

    internal override ActivationForm Activations => ActivationForm.Float32;

    internal override int PanelRows => FloatKernel.PanelRows;

    internal sealed override void Multiply(int firstPanel, int panels, ActivationTiles x, int firstTile, int tiles, Tensor y, KernelScratch scratch)
    {
        bool isSingle = tiles == 1 && x.Tile(firstTile).Count == 1;
        for (int panel = firstPanel; panel < firstPanel + panels; panel++)
        {
            int firstRow = panel * PanelRows;
            int rows = Math.Min(PanelRows, Rows - firstRow);
            if (isSingle)
            {
                (int token, _) = x.Tile(firstTile);
                if (rows == PanelRows)
                {
                    MultiplySingle(panel, x.TileValues(token, 1), y.Row(token).Slice(firstRow, rows), scratch);
                }
                else
                {
                    Span<float> outputs = scratch.Outputs(PanelRows); // the kernel writes whole panels, the tensor has no room for the missing rows
                    MultiplySingle(panel, x.TileValues(token, 1), outputs, scratch);
                    outputs[..rows].CopyTo(y.Row(token)[firstRow..]);
                }

                continue;
            }

            BeginPanel(panel, scratch);
            if (rows == PanelRows)
            {
                MultiplyBlocks(panel, x, firstTile, tiles, y.Span[firstRow..], y.Columns, scratch);
                continue;
            }

            (int first, _) = x.Tile(firstTile);
            (int last, int lastCount) = x.Tile(firstTile + tiles - 1);
            Span<float> whole = scratch.Outputs((last + lastCount) * PanelRows);
            MultiplyBlocks(panel, x, firstTile, tiles, whole, PanelRows, scratch);
            for (int t = first; t < last + lastCount; t++)
            {
                whole.Slice(t * PanelRows, rows).CopyTo(y.Row(t)[firstRow..]);
            }
        }
    }

    /// <summary>Called once before the blocks of a panel.</summary>
    private protected virtual void BeginPanel(int panel, KernelScratch scratch)
    {
    }

    /// <summary>Some columns of a panel. [columns, 32]</summary>
    private protected abstract ReadOnlySpan<float> Block(int panel, int firstColumn, int columns, KernelScratch scratch);

    /// <summary>The outputs of a panel for one token.</summary>
    /// <param name="panel">The panel.</param>
    /// <param name="x">[C]</param>
    /// <param name="y">[32]</param>
    /// <param name="scratch">Buffers of the calling thread.</param>
    private protected virtual void MultiplySingle(int panel, ReadOnlySpan<float> x, Span<float> y, KernelScratch scratch)
    {
        BeginPanel(panel, scratch);
        FloatKernel.Multiply<InterleavedTile>(Block(panel, 0, Columns, scratch), x, 1, y, PanelRows);
    }

    private void MultiplyBlocks(int panel, ActivationTiles x, int firstTile, int tiles, Span<float> y, int stride, KernelScratch scratch)
    {
        for (int column = 0; column < Columns; column += BlockColumns)
        {
            int columns = Math.Min(BlockColumns, Columns - column);
            ReadOnlySpan<float> block = Block(panel, column, columns, scratch);
            for (int tile = firstTile; tile < firstTile + tiles; tile++)
            {
                (int first, int count) = x.Tile(tile);
                ReadOnlySpan<float> values = x.TileValues(first, count).Slice(column * count, columns * count);
                FloatKernel.Multiply<InterleavedTile>(block, values, count, y[(first * stride)..], stride, onto: column > 0);
            }
        }
    }
}
