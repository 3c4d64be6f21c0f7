// Attention without a cache, for training and for encoders, forward and backward, by all threads. Knows no layers.
using System.Numerics.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>What a recorded attention is about.</summary>
/// <param name="Q">[T, H · E]</param>
/// <param name="K">[T, K · E]</param>
/// <param name="V">[T, K · E]</param>
/// <param name="Y">[T, H · E]</param>
/// <param name="LogSums">[T, H]: of each row and head, the logarithm of the sum of exponentials of its scores.</param>
/// <param name="Sequences">Which rows attend to each other.</param>
/// <param name="Shape">Heads and rules.</param>
internal sealed record RecordedAttention(Tensor Q, Tensor K, Tensor V, Tensor Y, Tensor LogSums, SequenceRows[] Sequences, AttentionShape Shape);

/// <summary>Attention in blocks of 96 rows and chunks of 192 positions, whose scores never leave the caches (Dao et al., arXiv 2205.14135).</summary>
/// <remarks>
/// Blocks and chunks lie at fixed places of a sequence. A row's output, and its gradient, sum over positions in their order; the gradient of a key or value sums over
/// heads, then rows in their order. That holds whether an item of the backward pass is all of a key-value head, or, where there are too few of these for the threads, a block of rows
/// (for dq) or a chunk of positions (for dk, dv; the weights are then computed twice): the same bits for any number of threads and any neighbours in the batch.
/// Keys and values are packed once for all items. With s = cap · tanh(z / cap), z = scale · q·k, p = exp(s - logSum):
/// dv = pᵀ dy, dp = dy vᵀ, ds = p (dp - Σ p dp), dz = ds (1 - (s / cap)²), dq = scale · dz k, dk = scale · dzᵀ q; and Σ p dp = dy · y.
/// </remarks>
internal sealed class FlashWork : SharedWork
{
    private const int Tile = ActivationTiles.WideTile;
    private const int Panel = FloatKernel.PanelRows;
    private const int Chunk = FlashKernel.ChunkPositions;
    private const int Block = FlashKernel.BlockRows;

    private readonly Tensor _keysAcross = new(), _valuesAcross = new(); // [kv head][positions / 32][E][32]: products with rows over E
    private readonly Tensor _keys = new(), _values = new(); // [kv head][E / 32][positions][32]: products with weights over positions
    private readonly List<Item> _items = [];
    private readonly List<int> _places = []; // of each sequence, its first position among positions in whole panels
    private RecordedAttention? _attention;
    private Tensor? _gradientY, _gradientQ, _gradientK, _gradientV, _means;
    private bool _isNewQ, _isNewK, _isNewV;
    private OpWorks? _works;
    private int _positions, _dim, _padded, _group;
    private Step _step;

    private enum Step
    {
        PackForward,
        Attend,
        PackBackward,
        FlowBack,
    }

    [Flags]
    private enum Wants
    {
        None = 0,
        Queries = 1,
        KeysAndValues = 2,
    }

    private readonly record struct Item(int Sequence, int FirstHead, int EndHead, int FirstBlock, int EndBlock, int FirstChunk, int EndChunk, Wants Wants);

    public void Forward(ComputeContext context, RecordedAttention attention)
    {
        Begin(context, attention);
        _keysAcross.Reshape(1, checked(_positions * _dim * attention.Shape.KvHeads));
        _values.Reshape(1, checked(_positions * _padded * attention.Shape.KvHeads));
        PlanChunks(Wants.None);
        Run(context, Step.PackForward);
        _items.Clear();
        for (int s = 0; s < attention.Sequences.Length; s++)
        {
            for (int block = Blocks(s) - 1; block >= 0; block--) // the last rows see most, so they come first
            {
                for (int head = 0; head < attention.Shape.Heads; head++)
                {
                    _items.Add(new Item(s, head, head + 1, block, block + 1, 0, int.MaxValue, Wants.None));
                }
            }
        }

        Run(context, Step.Attend);
        End();
    }

    public void Backward(ComputeContext context, RecordedAttention attention)
    {
        Begin(context, attention);
        _gradientY = attention.Y.Gradient!;
        _gradientQ = attention.Q.NeedsGradient ? context.GradientOf(attention.Q, out _isNewQ) : null;
        _gradientK = attention.K.NeedsGradient ? context.GradientOf(attention.K, out _isNewK) : null;
        _gradientV = attention.V.NeedsGradient ? context.GradientOf(attention.V, out _isNewV) : null;
        _means = context.Rent(attention.LogSums.Rows, attention.LogSums.Columns);
        _keysAcross.Reshape(1, checked(_positions * _dim * attention.Shape.KvHeads));
        _valuesAcross.Reshape(1, checked(_positions * _dim * attention.Shape.KvHeads));
        _keys.Reshape(1, checked(_positions * _padded * attention.Shape.KvHeads));
        PlanChunks(Wants.None);
        Run(context, Step.PackBackward);

        Wants both = (_gradientQ is null ? Wants.None : Wants.Queries) | (_gradientK is null && _gradientV is null ? Wants.None : Wants.KeysAndValues);
        int wholes = attention.Sequences.Length * attention.Shape.KvHeads;
        int threads = context.Team.Threads;
        bool isSplit = both == (Wants.Queries | Wants.KeysAndValues) && (wholes + threads - 1) / threads * 5 * threads > 7 * wholes; // 5 products, or 3 and 4
        _items.Clear();
        if (!isSplit)
        {
            for (int s = 0; s < attention.Sequences.Length; s++)
            {
                for (int head = 0; head < attention.Shape.KvHeads; head++)
                {
                    _items.Add(new Item(s, head * _group, (head + 1) * _group, 0, Blocks(s), 0, Chunks(s), both));
                }
            }
        }
        else
        {
            PlanChunks(Wants.KeysAndValues);
            for (int s = 0; s < attention.Sequences.Length; s++)
            {
                for (int block = Blocks(s) - 1; block >= 0; block--)
                {
                    for (int head = 0; head < attention.Shape.Heads; head++)
                    {
                        _items.Add(new Item(s, head, head + 1, block, block + 1, 0, Chunks(s), Wants.Queries));
                    }
                }
            }
        }

        Run(context, Step.FlowBack);
        context.Return(_means);
        End();
    }

    public override void Do(int item, int worker)
    {
        switch (_step)
        {
            case Step.PackForward:
                PackAcross(_items[item], _attention!.K, _keysAcross);
                PackAlong(_items[item], _attention.V, _values);
                break;
            case Step.PackBackward:
                PackAcross(_items[item], _attention!.K, _keysAcross);
                PackAcross(_items[item], _attention.V, _valuesAcross);
                PackAlong(_items[item], _attention.K, _keys);
                FindMeans(_items[item]);
                break;
            case Step.Attend:
                Attend(_items[item], _works!.Scratch[worker]);
                break;
            default:
                FlowBack(_items[item], _works!.Scratch[worker]);
                break;
        }
    }

    private void Begin(ComputeContext context, RecordedAttention attention)
    {
        (_attention, _works) = (attention, context.Works);
        _dim = attention.Shape.HeadDim;
        _padded = AttentionKernel.PaddedHeadDim(_dim);
        _group = attention.Shape.Heads / attention.Shape.KvHeads;
        _positions = 0;
        _places.Clear();
        foreach (SequenceRows sequence in attention.Sequences)
        {
            _places.Add(_positions);
            _positions += (sequence.Rows + Panel - 1) / Panel * Panel;
        }
    }

    private void End()
    {
        (_attention, _works, _gradientY, _gradientQ, _gradientK, _gradientV, _means) = (null, null, null, null, null, null, null);
        _items.Clear();
    }

    private void Run(ComputeContext context, Step step)
    {
        _step = step;
        Items = _items.Count;
        context.Team.Run(this);
    }

    /// <summary>An item for each chunk of positions of each key-value head; for gradients the first chunks, which most rows see, come first.</summary>
    private void PlanChunks(Wants wants)
    {
        _items.Clear();
        for (int s = 0; s < _attention!.Sequences.Length; s++)
        {
            for (int chunk = 0; chunk < Chunks(s); chunk++)
            {
                for (int head = 0; head < _attention.Shape.KvHeads; head++)
                {
                    _items.Add(new Item(s, head * _group, (head + 1) * _group, _attention.Shape.SeesAll ? 0 : chunk * Chunk / Block, Blocks(s), chunk, chunk + 1, wants));
                }
            }
        }
    }

    private int Blocks(int sequence) => (_attention!.Sequences[sequence].Rows + Block - 1) / Block;

    private int Chunks(int sequence) => (_attention!.Sequences[sequence].Rows + Chunk - 1) / Chunk;

    /// <summary>Positions of an item's chunk as panels [E, 32].</summary>
    private void PackAcross(Item item, Tensor source, Tensor packed)
    {
        SequenceRows sequence = _attention!.Sequences[item.Sequence];
        ProductOperand operand = new(source, sequence.FirstRow, sequence.Rows, SumsOverRows: false);
        int head = item.FirstHead / _group;
        int end = Math.Min(item.EndChunk * Chunk, sequence.Rows);
        for (int position = item.FirstChunk * Chunk; position < end; position += Panel)
        {
            OperandPacking.Pack(operand, position, Panel, head * _dim, _dim, Across(packed, item.Sequence, head, position, 1));
        }
    }

    /// <summary>Panels of 32 positions from <paramref name="position"/> on. [panels, E, 32]</summary>
    private Span<float> Across(Tensor packed, int sequence, int head, int position, int panels) =>
        packed.Span.Slice(((head * _positions) + _places[sequence] + position) * _dim, panels * Panel * _dim);

    /// <summary>Positions of an item's chunk as parts of panels [positions, 32].</summary>
    private void PackAlong(Item item, Tensor source, Tensor packed)
    {
        SequenceRows sequence = _attention!.Sequences[item.Sequence];
        int head = item.FirstHead / _group;
        int position = item.FirstChunk * Chunk;
        int count = Math.Min(Chunk, sequence.Rows - position);
        for (int e = 0; e < _padded; e += Panel)
        {
            PackRows(source, sequence.FirstRow + position, count, head, e, Along(packed, item.Sequence, head, e, position, count));
        }
    }

    private void PackRows(Tensor source, int firstRow, int rows, int head, int e, Span<float> panel) =>
        OperandPacking.Pack(new ProductOperand(source, firstRow, rows, SumsOverRows: true), (head * _dim) + e, Panel, 0, rows, panel);

    /// <summary>[positions, 32]</summary>
    private Span<float> Along(Tensor packed, int sequence, int head, int e, int position, int positions)
    {
        int whole = (_attention!.Sequences[sequence].Rows + Panel - 1) / Panel * Panel;
        return packed.Span.Slice((((head * _positions) + _places[sequence]) * _padded) + (e * whole) + (position * Panel), positions * Panel);
    }

    /// <summary>Σ p dp of the item's rows, as dy · y: of all query heads of its key-value head.</summary>
    private void FindMeans(Item item)
    {
        SequenceRows sequence = _attention!.Sequences[item.Sequence];
        int first = item.FirstChunk * Chunk;
        for (int row = sequence.FirstRow + first; row < sequence.FirstRow + Math.Min(first + Chunk, sequence.Rows); row++)
        {
            for (int head = item.FirstHead; head < item.EndHead; head++)
            {
                _means!.Row(row)[head] = TensorPrimitives.Dot<float>(_gradientY!.Row(row).Slice(head * _dim, _dim), _attention.Y.Row(row).Slice(head * _dim, _dim));
            }
        }
    }

    /// <summary>Rows of a block as tiles [E, 12].</summary>
    private void PackTiles(Tensor source, SequenceRows sequence, int head, int firstRow, int rows, Span<float> tiles, float scale)
    {
        ProductOperand operand = new(source, sequence.FirstRow, sequence.Rows, SumsOverRows: false);
        for (int row = 0; row < rows; row += Tile)
        {
            OperandPacking.Pack(operand, firstRow + row, Tile, head * _dim, _dim, tiles.Slice(row * _dim, Tile * _dim));
        }

        if (scale != 1)
        {
            Span<float> used = tiles[..((rows + Tile - 1) / Tile * Tile * _dim)];
            TensorPrimitives.Multiply(used, scale, used);
        }
    }

    /// <summary>The first position that a row sees.</summary>
    private int Oldest(int row) => _attention!.Shape.Window > 0 ? Math.Max(0, row - _attention.Shape.Window + 1) : 0;

    /// <summary>The position after the last one that a row sees.</summary>
    private int End(int row, in SequenceRows sequence) => _attention!.Shape.SeesAll ? sequence.Rows : row + 1;

    private void Attend(Item item, KernelScratch scratch)
    {
        RecordedAttention attention = _attention!;
        SequenceRows sequence = attention.Sequences[item.Sequence];
        int head = item.FirstHead;
        int firstRow = item.FirstBlock * Block;
        int rows = Math.Min(Block, sequence.Rows - firstRow);
        Span<float> buffer = scratch.Row((Block * (_dim + _padded + 2)) + (Tile * Chunk));
        Span<float> queries = buffer[..(Block * _dim)], sums = buffer.Slice(Block * _dim, Block * _padded), scores = buffer.Slice(Block * (_dim + _padded), Tile * Chunk);
        Span<float> maxima = buffer.Slice((Block * (_dim + _padded)) + (Tile * Chunk), Block), weights = buffer[^Block..];
        PackTiles(attention.Q, sequence, head, firstRow, rows, queries, attention.Shape.Scale);
        sums.Clear();
        weights.Clear();
        maxima.Fill(float.NegativeInfinity);
        for (int start = Oldest(firstRow) / Chunk * Chunk; start < End(firstRow + rows - 1, sequence); start += Chunk)
        {
            for (int row = 0; row < rows; row += Tile)
            {
                int last = firstRow + Math.Min(row + Tile, rows) - 1;
                int seen = Math.Min(Chunk, End(last, sequence) - start);
                if (seen <= 0 || Oldest(firstRow + row) >= start + Chunk)
                {
                    continue;
                }

                Score(queries.Slice(row * _dim, Tile * _dim), _keysAcross, item.Sequence, head / _group, start, seen, scores);
                int padded = (seen + Panel - 1) / Panel * Panel;
                for (int r = row; r <= last - firstRow; r++)
                {
                    int first = Math.Clamp(Oldest(firstRow + r) - start, 0, seen), end = Math.Clamp(End(firstRow + r, sequence) - start, first, seen);
                    Span<float> line = scores.Slice((r - row) * Chunk, padded);
                    if (first == end)
                    {
                        line.Clear();
                        continue;
                    }

                    float correction = FlashKernel.Weigh(line, first, end, attention.Shape.Softcap, ref maxima[r], ref weights[r]);
                    if (correction != 1)
                    {
                        Span<float> sum = sums.Slice(r * _padded, _padded);
                        TensorPrimitives.Multiply(sum, correction, sum);
                    }
                }

                for (int e = 0; e < _padded; e += Panel)
                {
                    FloatKernel.Multiply<WeightRows>(Along(_values, item.Sequence, head / _group, e, start, seen), scores, Tile, sums[((row * _padded) + e)..], _padded, onto: true);
                }
            }
        }

        for (int r = 0; r < rows; r++)
        {
            int row = sequence.FirstRow + firstRow + r;
            attention.LogSums.Row(row)[head] = maxima[r] + MathF.Log(weights[r]);
            TensorPrimitives.Divide(sums.Slice(r * _padded, _dim), weights[r], attention.Y.Row(row).Slice(head * _dim, _dim));
        }
    }

    /// <summary>Products of a tile of rows [E, 12] with the positions of a chunk that it sees: [12, 192].</summary>
    private void Score(ReadOnlySpan<float> tile, Tensor across, int sequence, int kvHead, int start, int seen, Span<float> scores)
    {
        for (int p = 0; p < seen; p += Panel)
        {
            FloatKernel.Multiply<InterleavedTile>(Across(across, sequence, kvHead, start + p, 1), tile, Tile, scores[p..], Chunk);
        }
    }

    private void FlowBack(Item item, KernelScratch scratch)
    {
        SequenceRows sequence = _attention!.Sequences[item.Sequence];
        bool wantsKv = (item.Wants & Wants.KeysAndValues) != 0;
        int places = wantsKv ? (Math.Min(item.EndChunk * Chunk, sequence.Rows) - (item.FirstChunk * Chunk) + Tile - 1) / Tile * Tile : 0;
        Span<float> sums = scratch.Outputs(2 * places * _padded);
        Span<float> keySums = sums[..(places * _padded)], valueSums = sums[(places * _padded)..];
        sums.Clear();
        Buffers buffers = new(scratch, _dim, _padded);
        for (int head = item.FirstHead; head < item.EndHead; head++)
        {
            for (int block = item.FirstBlock; block < item.EndBlock; block++)
            {
                FlowBackBlock(item, head, block * Block, buffers, keySums, valueSums);
            }
        }

        if (wantsKv)
        {
            int kvHead = item.FirstHead / _group;
            int count = Math.Min(places, sequence.Rows - (item.FirstChunk * Chunk));
            Write(keySums, _gradientK, _isNewK, sequence.FirstRow + (item.FirstChunk * Chunk), count, kvHead);
            Write(valueSums, _gradientV, _isNewV, sequence.FirstRow + (item.FirstChunk * Chunk), count, kvHead);
        }
    }

    private void FlowBackBlock(Item item, int head, int firstRow, in Buffers buffers, Span<float> keySums, Span<float> valueSums)
    {
        RecordedAttention attention = _attention!;
        SequenceRows sequence = attention.Sequences[item.Sequence];
        int rows = Math.Min(Block, sequence.Rows - firstRow);
        int firstChunk = Math.Max(item.FirstChunk, Oldest(firstRow) / Chunk);
        int endChunk = Math.Min(item.EndChunk, ((End(firstRow + rows - 1, sequence) - 1) / Chunk) + 1);
        if (firstChunk >= endChunk)
        {
            return;
        }

        bool wantsQueries = (item.Wants & Wants.Queries) != 0, wantsKv = (item.Wants & Wants.KeysAndValues) != 0;
        PackTiles(attention.Q, sequence, head, firstRow, rows, buffers.QueryTiles, attention.Shape.Scale);
        PackTiles(_gradientY!, sequence, head, firstRow, rows, buffers.GradientTiles, 1);
        for (int e = 0; wantsKv && e < _padded; e += Panel)
        {
            PackRows(attention.Q, sequence.FirstRow + firstRow, rows, head, e, buffers.Queries.Slice(e * Block, rows * Panel));
            PackRows(_gradientY!, sequence.FirstRow + firstRow, rows, head, e, buffers.Gradients.Slice(e * Block, rows * Panel));
        }

        buffers.Sums.Clear();
        for (int chunk = firstChunk; chunk < endChunk; chunk++)
        {
            int start = chunk * Chunk;
            for (int row = 0; row < rows; row += Tile)
            {
                WeighTile(item.Sequence, sequence, head, firstRow, row, rows, start, buffers, wantsQueries);
            }

            if (wantsKv)
            {
                int place = (start - (item.FirstChunk * Chunk)) * _padded;
                AddToPositions(sequence, firstRow, rows, start, buffers.Weights, buffers.Gradients, valueSums[place..]);
                AddToPositions(sequence, firstRow, rows, start, buffers.Changes, buffers.Queries, keySums[place..]);
            }
        }

        if (wantsQueries)
        {
            Write(buffers.Sums, _gradientQ, _isNewQ, sequence.FirstRow + firstRow, rows, head);
        }
    }

    /// <summary>Weights of a tile of rows over a chunk, the gradients of its scores, and what these add to the gradients of its queries.</summary>
    private void WeighTile(int index, SequenceRows sequence, int head, int firstRow, int row, int rows, int start, in Buffers buffers, bool wantsQueries)
    {
        RecordedAttention attention = _attention!;
        int last = firstRow + Math.Min(row + Tile, rows) - 1;
        int seen = Math.Min(Chunk, End(last, sequence) - start);
        Span<float> weights = buffers.Weights.Slice(row * Chunk, Tile * Chunk), changes = buffers.Changes.Slice(row * Chunk, Tile * Chunk);
        if (seen <= 0)
        {
            return; // nobody looks at rows before the chunk
        }

        if (Oldest(firstRow + row) >= start + Chunk)
        {
            weights.Clear();
            changes.Clear();
            return;
        }

        Score(buffers.QueryTiles.Slice(row * _dim, Tile * _dim), _keysAcross, index, head / _group, start, seen, weights);
        Score(buffers.GradientTiles.Slice(row * _dim, Tile * _dim), _valuesAcross, index, head / _group, start, seen, changes);
        int padded = (seen + Panel - 1) / Panel * Panel;
        for (int r = row; r <= last - firstRow; r++)
        {
            int place = sequence.FirstRow + firstRow + r;
            int first = Math.Clamp(Oldest(firstRow + r) - start, 0, seen), end = Math.Clamp(End(firstRow + r, sequence) - start, first, seen);
            Span<float> line = weights.Slice((r - row) * Chunk, padded);
            if (attention.Shape.Softcap != 0)
            {
                FlashKernel.Cap(line, attention.Shape.Softcap);
            }

            FlashKernel.FlowBack(
                line, changes.Slice((r - row) * Chunk, padded), first, end, attention.LogSums.Row(place)[head], _means!.Row(place)[head], attention.Shape.Softcap, attention.Shape.Scale);
        }

        for (int e = 0; wantsQueries && e < _padded; e += Panel)
        {
            FloatKernel.Multiply<WeightRows>(Along(_keys, index, head / _group, e, start, seen), changes, Tile, buffers.Sums[((row * _padded) + e)..], _padded, onto: true);
        }
    }

    /// <summary>Adds Σ over rows of weight · row's vector to positions of a chunk.</summary>
    private void AddToPositions(in SequenceRows sequence, int firstRow, int rows, int start, ReadOnlySpan<float> weights, ReadOnlySpan<float> vectors, Span<float> sums)
    {
        int positions = Math.Min(Chunk, End(firstRow + rows - 1, sequence) - start);
        for (int e = 0; e < _padded; e += Panel)
        {
            for (int p = 0; p < positions; p += Tile)
            {
                int skipped = _attention!.Shape.SeesAll ? 0 : Math.Max(0, start + p - firstRow); // rows before the position do not see it; a multiple of 12, as all three are
                FloatKernel.Multiply<WeightColumns>(
                    vectors.Slice((e * Block) + (skipped * Panel), (rows - skipped) * Panel), weights[((skipped * Chunk) + p)..], Tile, sums[((p * _padded) + e)..], _padded, onto: true);
            }
        }
    }

    private void Write(ReadOnlySpan<float> sums, Tensor? gradient, bool isNew, int firstRow, int rows, int head)
    {
        for (int r = 0; gradient is not null && r < rows; r++)
        {
            Span<float> target = gradient.Row(firstRow + r).Slice(head * _dim, _dim);
            ReadOnlySpan<float> sum = sums.Slice(r * _padded, _dim);
            if (isNew)
            {
                sum.CopyTo(target);
            }
            else
            {
                TensorPrimitives.Add(target, sum, target);
            }
        }
    }

    /// <summary>One thread's buffers for a block of rows in the backward pass.</summary>
    private readonly ref struct Buffers
    {
        public Buffers(KernelScratch scratch, int dim, int padded)
        {
            Span<float> all = scratch.Row(Block * ((2 * dim) + (3 * padded) + (2 * Chunk)));
            QueryTiles = all[..(Block * dim)];
            GradientTiles = all.Slice(Block * dim, Block * dim);
            all = all[(2 * Block * dim)..];
            Queries = all[..(Block * padded)];
            Gradients = all.Slice(Block * padded, Block * padded);
            Sums = all.Slice(2 * Block * padded, Block * padded);
            all = all[(3 * Block * padded)..];
            Weights = all[..(Block * Chunk)];
            Changes = all[(Block * Chunk)..];
        }

        /// <summary>[rows / 12, E, 12], scaled.</summary>
        public Span<float> QueryTiles { get; }

        /// <summary>Of the output. [rows / 12, E, 12]</summary>
        public Span<float> GradientTiles { get; }

        /// <summary>[E / 32, 96, 32]</summary>
        public Span<float> Queries { get; }

        /// <summary>Of the output. [E / 32, 96, 32]</summary>
        public Span<float> Gradients { get; }

        /// <summary>Of the queries. [96, E]</summary>
        public Span<float> Sums { get; }

        /// <summary>[96, 192]</summary>
        public Span<float> Weights { get; }

        /// <summary>Gradients of the scores. [96, 192]</summary>
        public Span<float> Changes { get; }
    }
}
