// Matrix products in float32 for training, by all threads. Knows no weights and no gradients.
using System.Runtime.InteropServices;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>C = A · B, or C + A · B: the three products of a linear layer (outputs, gradients of inputs, gradients of weights).</summary>
/// <remarks>
/// The left side is packed once by all threads as tiles [depth, 12]; the right side as panels [depth, 32], by whoever multiplies it, or, where several items use a panel, once too
/// (Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication"). The depth comes in blocks: a tile stays in the first-level cache while some panels pass from the second.
/// An output is acc = fma(a, b, acc) over the depth in its order, and goes on from memory between blocks: blocks, threads and the way the work is split never show in a bit,
/// and adding two products of half the depth each gives the bits of one.
/// </remarks>
internal sealed class ProductWork : SharedWork
{
    internal const int BlockDepth = 384;
    private const int Tile = ActivationTiles.WideTile;
    private const int PanelColumns = FloatKernel.PanelRows;
    private const int MostPanelsPerItem = 12; // 576 KiB stay in a second-level cache of 1 MiB while all tiles of an item pass
    private const int PanelsPerPack = 4; // whose rows are read together
    private const int MostParts = 64;
    internal const int MostPackedFloats = 4 << 20; // of each side: 16 MiB, whatever the sizes are

    // What splitting costs, in multiplications of a tile with a panel (4,608 cycles): reading a panel or a tile from the last-level cache, packing a panel,
    // and on average half an item a thread, for which the others wait.
    private const double PanelRead = 0.9, TileRead = 0.25, PanelPacked = 1.7, Unbalanced = 0.5;
    private const int MostOutputs = 4;

    private readonly Tensor _tiles = new(), _panels = new();
    private readonly ProductOperand[] _right = new ProductOperand[MostOutputs];
    private readonly Tensor?[] _outputs = new Tensor?[MostOutputs];
    private readonly int[] _firstGroup = new int[MostOutputs + 1];
    private ProductOperand _left;
    private OpWorks? _works;
    private Step _step;
    private int _count, _firstOutputRow;
    private int _firstRow, _rows, _tileCount; // the part of the left side's extent that is multiplied at once
    private int _start, _depth, _block; // the part of the depth that is packed, and its blocks
    private int _tilesPerPack, _tilePacks, _panelPacks, _panelsPerItem, _tilesPerItem, _groups, _panelCount;
    private bool _onto, _packsPanels;

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
            Plan(context.Team.Threads);
            int widest = Math.Max(_tileCount * Tile, _packsPanels ? _panelCount * PanelColumns : 0);
            int mostDepth = Math.Max(1, MostPackedFloats / widest / _block) * _block;
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
        if (_step == Step.Pack && item < _tilePacks)
        {
            PackTiles(item);
        }
        else if (_step == Step.Pack)
        {
            PackPanels(item - _tilePacks);
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
        _tilePacks = (_tileCount + _tilesPerPack - 1) / _tilesPerPack;
        Items = _tilePacks;
        if (_packsPanels)
        {
            _panels.Reshape(1, _panelCount * PanelColumns * _depth);
            _panelPacks = (_panelCount + PanelsPerPack - 1) / PanelsPerPack;
            Items += _panelPacks * ((_depth + _block - 1) / _block);
        }

        team.Run(this);
    }

    /// <summary>Decides which panels and tiles make an item. No bit depends on it.</summary>
    private void Plan(int threads)
    {
        _panelCount = 0;
        for (int i = 0; i < _count; i++)
        {
            _panelCount += Panels(i);
        }

        bool canSplit = (long)_panelCount * PanelColumns * _block <= MostPackedFloats; // otherwise there are items enough
        double least = double.MaxValue;
        for (int panels = MostPanelsPerItem; panels > 0; panels--)
        {
            int groups = 0;
            for (int i = 0; i < _count; i++)
            {
                groups += (Panels(i) + panels - 1) / panels;
            }

            for (int parts = 1; parts <= (canSplit ? Math.Min(MostParts, _tileCount) : 1); parts++)
            {
                int tiles = (_tileCount + parts - 1) / parts;
                int items = groups * ((_tileCount + tiles - 1) / tiles);
                double cost = (PanelRead / tiles) + (TileRead / panels) + (PanelPacked / (parts == 1 ? tiles : _tileCount)) + (threads == 1 ? 0 : Unbalanced * threads / items);
                if (cost < least)
                {
                    (least, _panelsPerItem, _tilesPerItem, _packsPanels) = (cost, panels, tiles, parts > 1);
                }
            }
        }

        _groups = 0;
        for (int i = 0; i < _count; i++)
        {
            _firstGroup[i] = _groups;
            _groups += (Panels(i) + _panelsPerItem - 1) / _panelsPerItem;
        }

        _firstGroup[_count] = _groups;
    }

    private void PackTiles(int item)
    {
        int first = item * _tilesPerPack;
        int end = Math.Min(first + _tilesPerPack, _tileCount);
        for (int block = 0; block < _depth; block += _block)
        {
            int depth = Math.Min(_block, _depth - block);
            OperandPacking.PackSide(_left, _firstRow + (first * Tile), Tile, end - first, _start + block, depth, TileAt(block, depth, first, end - first));
        }
    }

    /// <summary>Packs some panels of the right sides, counted through all of them, for a block of the depth.</summary>
    private void PackPanels(int item)
    {
        int block = item / _panelPacks * _block, panel = item % _panelPacks * PanelsPerPack;
        int depth = Math.Min(_block, _depth - block);
        int end = Math.Min(panel + PanelsPerPack, _panelCount);
        for (int index = 0, before = 0; panel < end; before += Panels(index++))
        {
            int here = Math.Min(end, before + Panels(index)) - panel;
            if (here > 0)
            {
                OperandPacking.PackSide(_right[index], (panel - before) * PanelColumns, PanelColumns, here, _start + block, depth, PanelsAt(block, depth, panel, here));
                panel += here;
            }
        }
    }

    /// <summary>[panels, depth, 32]; the panels of a block of the depth lie one after the other.</summary>
    private Span<float> PanelsAt(int block, int depth, int panel, int panels) =>
        _panels.Span.Slice((block * _panelCount * PanelColumns) + (panel * PanelColumns * depth), panels * PanelColumns * depth);

    /// <summary>[depth, 12]; the tiles of a block of the depth lie one after the other.</summary>
    private Span<float> TileAt(int block, int depth, int tile, int tiles = 1) => _tiles.Span.Slice((block * _tileCount * Tile) + (tile * Tile * depth), tiles * Tile * depth);

    private void Multiply(WorkerTeam team)
    {
        _step = Step.Multiply;
        Items = _groups * ((_tileCount + _tilesPerItem - 1) / _tilesPerItem);
        team.Run(this);
    }

    private int Panels(int index) => (_right[index].Extent + PanelColumns - 1) / PanelColumns;

    private void MultiplyItem(int item, KernelScratch scratch)
    {
        int group = item % _groups;
        int index = 0, before = 0; // panels of the outputs before
        while (group >= _firstGroup[index + 1])
        {
            before += Panels(index++);
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
            Span<float> packed = _packsPanels ? PanelsAt(block, depth, before + firstPanel, panels) : scratch.Panel(panels * panelLength);
            if (!_packsPanels)
            {
                OperandPacking.PackSide(right, firstPanel * PanelColumns, PanelColumns, panels, _start + block, depth, packed);
            }

            for (int tile = firstTile; tile < endTile; tile++)
            {
                MultiplyPanels(_outputs[index]!, firstPanel * PanelColumns, packed, panels, block, depth, tile);
            }
        }
    }

    /// <summary>A tile with some panels: [panels, depth, 32].</summary>
    private void MultiplyPanels(Tensor output, int column, ReadOnlySpan<float> packed, int panels, int block, int depth, int tile)
    {
        bool onto = _onto || block > 0;
        ReadOnlySpan<float> values = TileAt(block, depth, tile);
        int panelLength = depth * PanelColumns;
        int stride = output.Columns;
        int row = tile * Tile;
        int rows = Math.Min(Tile, _rows - row);
        for (int panel = 0; panel < panels; panel++, column += PanelColumns)
        {
            int columns = Math.Min(PanelColumns, stride - column);
            Span<float> target = output.Span[(((_firstOutputRow + _firstRow + row) * stride) + column)..];
            if (onto && panel + 1 < panels)
            {
                CacheLines.Ask(ref MemoryMarshal.GetReference(target[PanelColumns..]), rows, stride, PanelColumns); // the sums that go on next
            }

            if (rows == Tile && columns == PanelColumns)
            {
                FloatKernel.Multiply<InterleavedTile>(packed.Slice(panel * panelLength, panelLength), values, Tile, target, stride, onto);
            }
            else
            {
                MultiplyEdge(packed.Slice(panel * panelLength, panelLength), values, target, stride, rows, columns, onto);
            }
        }
    }

    /// <summary>A tile or a panel that is short: its outputs have no room beside each other for those that are missing.</summary>
    private static void MultiplyEdge(ReadOnlySpan<float> panel, ReadOnlySpan<float> tile, Span<float> target, int stride, int rows, int columns, bool onto)
    {
        Span<float> edge = stackalloc float[Tile * PanelColumns];
        for (int r = 0; onto && r < rows; r++)
        {
            target.Slice(r * stride, columns).CopyTo(edge[(r * PanelColumns)..]);
        }

        FloatKernel.Multiply<InterleavedTile>(panel, tile, Tile, edge, PanelColumns, onto);
        for (int r = 0; r < rows; r++)
        {
            edge.Slice(r * PanelColumns, columns).CopyTo(target[(r * stride)..]);
        }
    }
}
