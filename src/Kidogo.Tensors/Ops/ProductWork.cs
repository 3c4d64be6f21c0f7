// Matrix products in float32 for training, by all threads. Knows no weights and no gradients.
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>C = A · B, or C + A · B: the three products of a linear layer (outputs, gradients of inputs, gradients of weights).</summary>
/// <remarks>
/// The left side is packed once by all threads as tiles [depth, 12], the right side by whoever multiplies it as panels [depth, 32] (Goto and van de Geijn 2008,
/// "Anatomy of high-performance matrix multiplication"). The depth comes in blocks whose panel and tile stay in the first-level cache; some tiles and some panels together stay in the second.
/// An output is acc = fma(a, b, acc) over the depth in its order, and goes on from memory between blocks: blocks, threads and the way the work is split never show in a bit,
/// and adding two products of half the depth each gives the bits of one.
/// </remarks>
internal sealed class ProductWork : SharedWork
{
    internal const int BlockDepth = 384;
    private const int Tile = ActivationTiles.WideTile;
    private const int PanelColumns = FloatKernel.PanelRows;
    private const int TilesPerBlock = 20; // 240 rows of the left side and 6 panels of the right stay in a second-level cache of 1 MiB
    private const int MostPanelsPerItem = 6;
    private const int ItemsPerThread = 4; // enough that threads end together
    private const int FewestTilesPerItem = 10; // what packing a panel costs is divided among its tiles
    private const int MostPackedFloats = 4 << 20; // of the left side: 16 MiB, whatever the sizes are
    private const int MostOutputs = 4;

    private readonly Tensor _tiles = new();
    private readonly ProductOperand[] _right = new ProductOperand[MostOutputs];
    private readonly Tensor?[] _outputs = new Tensor?[MostOutputs];
    private readonly int[] _firstGroup = new int[MostOutputs + 1];
    private ProductOperand _left;
    private OpWorks? _works;
    private Step _step;
    private int _count, _firstOutputRow;
    private int _firstRow, _rows, _tileCount; // the part of the left side's extent that is packed
    private int _start, _depth, _block; // the part of the depth that is packed, and its blocks
    private int _tilesPerPack, _panelsPerItem, _tilesPerItem, _groups;
    private bool _onto;

    private enum Step
    {
        Pack,
        Multiply,
    }

    /// <summary>outputs_i[m, n] = Σ left[m, k] · right_i[k, n].</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="left">M outputs.</param>
    /// <param name="right">N_i outputs each; at most four.</param>
    /// <param name="outputs">[M, N_i] each, or more rows.</param>
    /// <param name="onto">Whether sums go on from what the outputs hold.</param>
    /// <param name="firstOutputRow">Where in the outputs the first row lies.</param>
    public void Run(ComputeContext context, in ProductOperand left, ReadOnlySpan<ProductOperand> right, ReadOnlySpan<Tensor> outputs, bool onto, int firstOutputRow = 0)
    {
        for (int i = 0; i < right.Length; i++)
        {
            if (right[i].Depth != left.Depth || outputs[i].Columns != right[i].Extent || outputs[i].Rows < firstOutputRow + left.Extent)
            {
                throw new ArgumentException($"A product of {left.Extent} x {left.Depth} and {right[i].Depth} x {right[i].Extent} does not fit outputs of {outputs[i].Rows} x {outputs[i].Columns} from row {firstOutputRow} on.");
            }

            if (left.Depth == 0 && !onto)
            {
                outputs[i].Span.Slice(firstOutputRow * outputs[i].Columns, left.Extent * outputs[i].Columns).Clear();
            }
        }

        if (left.Extent == 0 || left.Depth == 0)
        {
            return;
        }

        (_left, _count, _works, _firstOutputRow) = (left, right.Length, context.Works, firstOutputRow);
        right.CopyTo(_right);
        outputs.CopyTo(_outputs!);

        // Blocks of equal depth; as many of them as fit are packed at once, and the left side's extent is cut only where one block of it would not fit.
        int blocks = (left.Depth + BlockDepth - 1) / BlockDepth;
        _block = (left.Depth + blocks - 1) / blocks;
        int mostRows = Math.Max(Tile, MostPackedFloats / _block / Tile * Tile);
        for (_firstRow = 0; _firstRow < left.Extent; _firstRow += mostRows)
        {
            _rows = Math.Min(mostRows, left.Extent - _firstRow);
            _tileCount = (_rows + Tile - 1) / Tile;
            int mostDepth = Math.Max(1, MostPackedFloats / (_tileCount * Tile) / _block) * _block;
            for (_start = 0; _start < left.Depth; _start += mostDepth)
            {
                _depth = Math.Min(mostDepth, left.Depth - _start);
                _onto = onto || _start > 0;
                Pack(context.Team);
                Multiply(context.Team);
            }
        }

        Array.Clear(_right);
        Array.Clear(_outputs);
        (_left, _works) = (default, null);
    }

    public override void Do(int item, int worker)
    {
        if (_step == Step.Pack)
        {
            PackTiles(item);
        }
        else
        {
            MultiplyItem(item, _works!.Scratch[worker]);
        }
    }

    private void Pack(WorkerTeam team)
    {
        _tiles.Reshape(1, _tileCount * Tile * _depth);
        _step = Step.Pack;
        _tilesPerPack = _left.SumsOverRows ? 16 : 4;
        Items = (_tileCount + _tilesPerPack - 1) / _tilesPerPack;
        team.Run(this);
    }

    private void PackTiles(int item)
    {
        int first = item * _tilesPerPack;
        int end = Math.Min(first + _tilesPerPack, _tileCount);
        bool isWhole = _left.SumsOverRows && _firstRow + (end * Tile) <= _left.Extent;
        for (int block = 0; block < _depth; block += _block)
        {
            int depth = Math.Min(_block, _depth - block);
            if (isWhole)
            {
                OperandPacking.PackWholeTiles(_left, _firstRow + (first * Tile), end - first, _start + block, depth, TileAt(block, depth, first, end - first));
                continue;
            }

            for (int tile = first; tile < end; tile++)
            {
                OperandPacking.Pack(_left, _firstRow + (tile * Tile), Tile, _start + block, depth, TileAt(block, depth, tile));
            }
        }
    }

    /// <summary>[depth, 12]; the tiles of a block of the depth lie one after the other.</summary>
    private Span<float> TileAt(int block, int depth, int tile, int tiles = 1) => _tiles.Span.Slice((block * _tileCount * Tile) + (tile * Tile * depth), tiles * Tile * depth);

    private void Multiply(WorkerTeam team)
    {
        int panels = 0;
        for (int i = 0; i < _count; i++)
        {
            panels += Panels(i);
        }

        int wanted = team.Threads == 1 ? 1 : team.Threads * ItemsPerThread;
        _panelsPerItem = Math.Clamp(panels / wanted, 1, MostPanelsPerItem);
        _groups = 0;
        for (int i = 0; i < _count; i++)
        {
            _firstGroup[i] = _groups;
            _groups += (Panels(i) + _panelsPerItem - 1) / _panelsPerItem;
        }

        _firstGroup[_count] = _groups;
        int parts = Math.Clamp((wanted + _groups - 1) / _groups, 1, Math.Max(1, _tileCount / FewestTilesPerItem));
        _tilesPerItem = (_tileCount + parts - 1) / parts;
        _step = Step.Multiply;
        Items = _groups * ((_tileCount + _tilesPerItem - 1) / _tilesPerItem);
        team.Run(this);
    }

    private int Panels(int index) => (_right[index].Extent + PanelColumns - 1) / PanelColumns;

    private void MultiplyItem(int item, KernelScratch scratch)
    {
        int group = item % _groups;
        int index = 0;
        while (group >= _firstGroup[index + 1])
        {
            index++;
        }

        int firstTile = item / _groups * _tilesPerItem;
        int endTile = Math.Min(firstTile + _tilesPerItem, _tileCount);
        int firstPanel = (group - _firstGroup[index]) * _panelsPerItem;
        int panels = Math.Min(_panelsPerItem, Panels(index) - firstPanel);
        ref readonly ProductOperand right = ref _right[index];
        for (int block = 0; block < _depth; block += _block)
        {
            int depth = Math.Min(_block, _depth - block);
            int panelLength = depth * PanelColumns;
            Span<float> packed = scratch.Panel(panels * panelLength);
            for (int panel = 0; panel < panels; panel++)
            {
                OperandPacking.Pack(right, (firstPanel + panel) * PanelColumns, PanelColumns, _start + block, depth, packed.Slice(panel * panelLength, panelLength));
            }

            bool onto = _onto || block > 0;
            for (int tile = firstTile; tile < endTile; tile += TilesPerBlock)
            {
                int tiles = Math.Min(TilesPerBlock, endTile - tile);
                for (int panel = 0; panel < panels; panel++)
                {
                    MultiplyPanel(_outputs[index]!, (firstPanel + panel) * PanelColumns, packed.Slice(panel * panelLength, panelLength), block, depth, tile, tiles, onto);
                }
            }
        }
    }

    private void MultiplyPanel(Tensor output, int column, ReadOnlySpan<float> panel, int block, int depth, int firstTile, int tiles, bool onto)
    {
        int stride = output.Columns;
        int columns = Math.Min(PanelColumns, stride - column);
        Span<float> edge = stackalloc float[Tile * PanelColumns]; // outputs of a tile or panel that is short
        for (int tile = firstTile; tile < firstTile + tiles; tile++)
        {
            ReadOnlySpan<float> values = TileAt(block, depth, tile);
            int row = tile * Tile;
            int rows = Math.Min(Tile, _rows - row);
            Span<float> target = output.Span[(((_firstOutputRow + _firstRow + row) * stride) + column)..];
            if (rows == Tile && columns == PanelColumns)
            {
                FloatKernel.Multiply<InterleavedTile>(panel, values, Tile, target, stride, onto);
                continue;
            }

            for (int r = 0; onto && r < rows; r++)
            {
                target.Slice(r * stride, columns).CopyTo(edge[(r * PanelColumns)..]);
            }

            FloatKernel.Multiply<InterleavedTile>(panel, values, Tile, edge, PanelColumns, onto);
            for (int r = 0; r < rows; r++)
            {
                edge.Slice(r * PanelColumns, columns).CopyTo(target[(r * stride)..]);
            }
        }
    }
}
