// What weights share that are multiplied in float32: their columns come in blocks that stay in the caches. Knows no format.
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>A weight whose panels [C, 32] of float32 come in blocks of columns: lying there, widened or decoded.</summary>
/// <remarks>
/// A block of 512 columns is 64 KiB of a panel and 24 KiB of activations a tile. The blocks of some panels stay in the second-level cache while all tiles pass, and a tile stays in the first
/// while it meets these panels. Sums go on from block to block in the order of columns, so neither blocks nor panels show in the result.
/// </remarks>
internal abstract class FloatPanelWeight(WeightFormat format, int rows, int columns) : Weight(format, rows, columns)
{
    private const int BlockColumns = 512;
    private const int MostPanelsAtOnce = 4; // 256 KiB

    internal override ActivationForm Activations => ActivationForm.Float32;

    internal override int PanelRows => FloatKernel.PanelRows;

    /// <summary>How many panels a tile meets at once.</summary>
    private protected virtual int PanelsAtOnce => MostPanelsAtOnce;

    internal sealed override void Multiply(int firstPanel, int panels, ActivationTiles x, int firstTile, int tiles, Tensor y, KernelScratch scratch)
    {
        int end = firstPanel + panels;
        int whole = Math.Min(end, Rows / PanelRows); // the panels before this are not short of rows
        if (tiles == 1 && x.Tile(firstTile).Count == 1)
        {
            MultiplySingles(firstPanel, end, x, firstTile, y, scratch);
            return;
        }

        for (int panel = firstPanel; panel < whole; panel += PanelsAtOnce)
        {
            MultiplyBlocks(panel, Math.Min(PanelsAtOnce, whole - panel), x, firstTile, tiles, y.Span[(panel * PanelRows)..], y.Columns, scratch);
        }

        if (whole < end)
        {
            (int first, _) = x.Tile(firstTile);
            (int last, int lastCount) = x.Tile(firstTile + tiles - 1);
            Span<float> outputs = scratch.Outputs((last + lastCount) * PanelRows); // the kernel writes whole panels, the tensor has no room for the missing rows
            MultiplyBlocks(whole, 1, x, firstTile, tiles, outputs, PanelRows, scratch);
            int firstRow = whole * PanelRows;
            for (int t = first; t < last + lastCount; t++)
            {
                outputs.Slice(t * PanelRows, Rows - firstRow).CopyTo(y.Row(t)[firstRow..]);
            }
        }
    }

    /// <summary>Makes some columns of a panel ready, where they do not lie ready.</summary>
    /// <param name="panel">The panel.</param>
    /// <param name="firstColumn">The first column.</param>
    /// <param name="block">Receives them. [columns, 32]</param>
    /// <param name="scratch">Buffers of the calling thread, but for the one of panels.</param>
    private protected virtual void Decode(int panel, int firstColumn, Span<float> block, KernelScratch scratch)
    {
    }

    /// <summary>Some columns of a panel that lie ready; empty where they have to be decoded. [columns, 32]</summary>
    private protected virtual ReadOnlySpan<float> Lying(int panel, int firstColumn, int columns) => [];

    /// <summary>The outputs of a panel for one token.</summary>
    /// <param name="panel">The panel.</param>
    /// <param name="x">[C]</param>
    /// <param name="y">[32]</param>
    /// <param name="scratch">Buffers of the calling thread.</param>
    private protected virtual void MultiplySingle(int panel, ReadOnlySpan<float> x, Span<float> y, KernelScratch scratch)
    {
        ReadOnlySpan<float> lying = Lying(panel, 0, Columns);
        if (lying.IsEmpty)
        {
            Span<float> decoded = scratch.Panel(Columns * PanelRows);
            Decode(panel, 0, decoded, scratch);
            lying = decoded;
        }

        FloatKernel.Multiply<InterleavedTile>(lying, x, 1, y, PanelRows);
    }

    private void MultiplySingles(int firstPanel, int endPanel, ActivationTiles x, int tile, Tensor y, KernelScratch scratch)
    {
        (int token, _) = x.Tile(tile);
        for (int panel = firstPanel; panel < endPanel; panel++)
        {
            int firstRow = panel * PanelRows;
            int rows = Math.Min(PanelRows, Rows - firstRow);
            Span<float> outputs = rows == PanelRows ? y.Row(token).Slice(firstRow, rows) : scratch.Outputs(PanelRows);
            MultiplySingle(panel, x.TileValues(token, 1), outputs, scratch);
            if (rows < PanelRows)
            {
                outputs[..rows].CopyTo(y.Row(token)[firstRow..]);
            }
        }
    }

    private void MultiplyBlocks(int firstPanel, int panels, ActivationTiles x, int firstTile, int tiles, Span<float> y, int stride, KernelScratch scratch)
    {
        for (int column = 0; column < Columns; column += BlockColumns)
        {
            int columns = Math.Min(BlockColumns, Columns - column);
            bool isLying = !Lying(firstPanel, column, columns).IsEmpty;
            Span<float> blocks = isLying ? [] : scratch.Panel(panels * columns * PanelRows);
            for (int i = 0; i < panels && !isLying; i++)
            {
                Decode(firstPanel + i, column, blocks.Slice(i * columns * PanelRows, columns * PanelRows), scratch);
            }

            for (int tile = firstTile; tile < firstTile + tiles; tile++)
            {
                (int first, int count) = x.Tile(tile);
                ReadOnlySpan<float> values = x.TileValues(first, count).Slice(column * count, columns * count);
                for (int i = 0; i < panels; i++)
                {
                    ReadOnlySpan<float> block = isLying ? Lying(firstPanel + i, column, columns) : blocks.Slice(i * columns * PanelRows, columns * PanelRows);
                    FloatKernel.Multiply<InterleavedTile>(block, values, count, y[((first * stride) + (i * PanelRows))..], stride, onto: column > 0);
                }
            }
        }
    }
}
