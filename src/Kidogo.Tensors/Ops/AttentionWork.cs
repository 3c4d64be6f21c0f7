// Splits attention among threads. Knows no layers.
using System.Numerics;
using System.Numerics.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>Attention as items that threads share, in three steps: append keys and values, attend, and where chunks were shared out, merge them.</summary>
/// <remarks>
/// An item of the second step is one key-value head and a block of rows, over all chunks in order; or, where rows are few and the cache is long, one head and one chunk,
/// whose results are merged in the order of chunks afterwards. Both compute the same chunk results and merge them in the same order: the same bits.
/// </remarks>
internal sealed class AttentionWork : SharedWork
{
    private const int RowsPerBlock = 48; // tokens that share one widening of a chunk's keys and values
    private const int AppendRowsPerItem = 64;

    private readonly List<SequenceRows> _sequences = [];
    private readonly List<int> _starts = [];
    private readonly List<Item> _items = [];
    private readonly Tensor _partials = new();
    private Tensor? _q, _k, _v, _y;
    private AttentionShape _shape;
    private OpWorks? _works;
    private Step _step;

    private enum Step
    {
        Append,
        Blocks,
        Chunks,
    }

    private readonly record struct Item(int Sequence, int Head, int FirstRow, int Rows, int Chunk, int Partial);

    public void Run(ComputeContext context, Tensor q, Tensor k, Tensor v, Tensor y, ReadOnlySpan<SequenceRows> sequences, in AttentionShape shape)
    {
        (_q, _k, _v, _y, _shape, _works) = (q, k, v, y, shape, context.Works);
        _sequences.Clear();
        _starts.Clear();
        foreach (SequenceRows sequence in sequences)
        {
            _sequences.Add(sequence);
            _starts.Add(sequence.Store!.Extend(sequence.Rows));
        }

        Append(context.Team, q.Rows);
        PlanBlocks();
        if (_items.Count < 2 * context.Team.Threads && q.Rows <= 4 * _sequences.Count)
        {
            int partials = PlanChunks();
            _partials.Reshape(1, (int)BitOperations.RoundUpToPowerOf2((uint)partials)); // grows seldom: a longer cache allocates nothing for most tokens
            _step = Step.Chunks;
            Items = _items.Count;
            context.Team.Run(this);
            MergeChunks();
        }
        else
        {
            _step = Step.Blocks;
            Items = _items.Count;
            context.Team.Run(this);
        }

        (_q, _k, _v, _y, _works) = (null, null, null, null, null);
        _sequences.Clear();
    }

    public override void Do(int item, int worker)
    {
        Item work = _items[item];
        KernelScratch scratch = _works!.Scratch[worker];
        switch (_step)
        {
            case Step.Append:
                AppendRows(work);
                break;
            case Step.Blocks:
                AttendBlock(work, scratch);
                break;
            default:
                AttendChunk(work, scratch);
                break;
        }
    }

    private void Append(WorkerTeam team, int rows)
    {
        _items.Clear();
        for (int s = 0; s < _sequences.Count; s++)
        {
            for (int row = 0; row < _sequences[s].Rows; row += AppendRowsPerItem)
            {
                _items.Add(new Item(s, 0, row, Math.Min(AppendRowsPerItem, _sequences[s].Rows - row), 0, 0));
            }
        }

        _step = Step.Append;
        Items = _items.Count;
        if (rows >= AppendRowsPerItem)
        {
            team.Run(this);
            return;
        }

        foreach (Item item in _items)
        {
            AppendRows(item);
        }
    }

    private void AppendRows(Item item)
    {
        SequenceRows sequence = _sequences[item.Sequence];
        int dim = _shape.HeadDim;
        for (int i = item.FirstRow; i < item.FirstRow + item.Rows; i++)
        {
            int position = _starts[item.Sequence] + i;
            KvPage page = sequence.Store!.Page(position);
            ReadOnlySpan<float> keys = _k!.Row(sequence.FirstRow + i);
            ReadOnlySpan<float> values = _v!.Row(sequence.FirstRow + i);
            for (int head = 0; head < _shape.KvHeads; head++)
            {
                page.Write(position % KvStore.PagePositions, head, keys.Slice(head * dim, dim), values.Slice(head * dim, dim));
            }
        }
    }

    private void PlanBlocks()
    {
        _items.Clear();
        for (int s = 0; s < _sequences.Count; s++)
        {
            for (int row = _sequences[s].Rows; row > 0; row -= RowsPerBlock) // the last rows see most, so they come first
            {
                int first = Math.Max(0, row - RowsPerBlock);
                for (int head = 0; head < _shape.KvHeads; head++)
                {
                    _items.Add(new Item(s, head, first, row - first, 0, 0));
                }
            }
        }
    }

    private int PlanChunks()
    {
        _items.Clear();
        int partials = 0;
        int group = _shape.Heads / _shape.KvHeads;
        for (int s = 0; s < _sequences.Count; s++)
        {
            int rows = _sequences[s].Rows;
            if (rows == 0)
            {
                continue;
            }

            (int first, int end) = Chunks(s, 0, rows);
            for (int head = 0; head < _shape.KvHeads; head++)
            {
                for (int chunk = first; chunk < end; chunk++)
                {
                    _items.Add(new Item(s, head, 0, rows, chunk, partials));
                    partials += rows * group * AttentionKernel.StateLength(_shape.HeadDim);
                }
            }
        }

        return partials;
    }

    /// <summary>The chunks that some rows of a sequence see.</summary>
    private (int First, int End) Chunks(int sequence, int firstRow, int rows)
    {
        int first = _starts[sequence] + firstRow;
        int last = first + rows - 1;
        int oldest = _shape.Window > 0 ? Math.Max(0, first - _shape.Window + 1) : 0;
        return (oldest / AttentionKernel.ChunkPositions, (last / AttentionKernel.ChunkPositions) + 1);
    }

    private void AttendBlock(Item item, KernelScratch scratch)
    {
        int states = item.Rows * (_shape.Heads / _shape.KvHeads);
        int length = AttentionKernel.StateLength(_shape.HeadDim);
        Span<float> state = scratch.Outputs(states * length);
        for (int i = 0; i < states; i++)
        {
            AttentionKernel.Begin(state.Slice(i * length, length));
        }

        (int first, int end) = Chunks(item.Sequence, item.FirstRow, item.Rows);
        Buffers buffers = new(scratch, _shape, states);
        PackQueries(item, buffers);
        for (int chunk = first; chunk < end; chunk++)
        {
            AttendOne(item, chunk, buffers, state, merge: true);
        }

        Finish(item, state);
    }

    private void AttendChunk(Item item, KernelScratch scratch)
    {
        int states = item.Rows * (_shape.Heads / _shape.KvHeads);
        int length = AttentionKernel.StateLength(_shape.HeadDim);
        Buffers buffers = new(scratch, _shape, states);
        PackQueries(item, buffers);
        AttendOne(item, item.Chunk, buffers, _partials.Span.Slice(item.Partial, states * length), merge: false);
    }

    private void MergeChunks()
    {
        int length = AttentionKernel.StateLength(_shape.HeadDim);
        int group = _shape.Heads / _shape.KvHeads;
        Span<float> state = _works!.Scratch[0].Outputs(length);
        for (int i = 0; i < _items.Count;)
        {
            Item first = _items[i];
            int end = i;
            while (end < _items.Count && _items[end].Sequence == first.Sequence && _items[end].Head == first.Head)
            {
                end++;
            }

            for (int r = 0; r < first.Rows * group; r++)
            {
                AttentionKernel.Begin(state);
                for (int c = i; c < end; c++)
                {
                    Span<float> partial = _partials.Span.Slice(_items[c].Partial + (r * length), length);
                    AttentionKernel.Merge(state, partial[0], partial[1], partial[2..]);
                }

                AttentionKernel.Finish(state, Output(first, r));
            }

            i = end;
        }
    }

    /// <summary>Queries of an item as tiles [E, rows], multiplied with the scale; row r of the item is token r / group, head r % group of the group.</summary>
    private void PackQueries(Item item, Buffers buffers)
    {
        int dim = _shape.HeadDim;
        for (int tile = 0; tile < buffers.Rows;)
        {
            int width = buffers.TileWidth(tile);
            Span<float> packed = buffers.Queries.Slice(tile * dim, width * dim);
            for (int r = 0; r < width && width > 1; r += 4)
            {
                TileInterleaving.Fill(Query(item, buffers, tile + r), Query(item, buffers, tile + r + 1), Query(item, buffers, tile + r + 2), Query(item, buffers, tile + r + 3), packed[r..], width);
            }

            TensorPrimitives.Multiply(width > 1 ? packed : Query(item, buffers, tile), _shape.Scale, packed);
            tile += width;
        }
    }

    /// <summary>A query of an item; a tile that is short of rows repeats the last.</summary>
    private ReadOnlySpan<float> Query(Item item, Buffers buffers, int row)
    {
        int group = _shape.Heads / _shape.KvHeads;
        row = Math.Min(row, buffers.Rows - 1);
        return _q!.Row(_sequences[item.Sequence].FirstRow + item.FirstRow + (row / group)).Slice(((item.Head * group) + (row % group)) * _shape.HeadDim, _shape.HeadDim);
    }

    private void AttendOne(Item item, int chunk, Buffers buffers, Span<float> state, bool merge)
    {
        int dim = _shape.HeadDim;
        int group = _shape.Heads / _shape.KvHeads;
        int length = AttentionKernel.StateLength(dim);
        int padded = AttentionKernel.PaddedHeadDim(dim);
        int start = chunk * AttentionKernel.ChunkPositions;
        int firstPosition = _starts[item.Sequence] + item.FirstRow;
        int positions = Math.Min(AttentionKernel.ChunkPositions, firstPosition + item.Rows - start);
        int groups = (positions + AttentionKernel.GroupPositions - 1) / AttentionKernel.GroupPositions;
        KvPage page = _sequences[item.Sequence].Store!.Page(start);
        ReadOnlySpan<float> keys = page.KeysOf(item.Head, groups, buffers.Keys);
        ReadOnlySpan<float> values = page.ValuesOf(item.Head, positions, buffers.Values);
        Span<float> maxima = stackalloc float[ActivationTiles.WideTile];
        Span<float> weightSums = stackalloc float[ActivationTiles.WideTile];
        for (int tile = 0; tile < buffers.Rows;)
        {
            int width = buffers.TileWidth(tile);
            int lastPosition = firstPosition + (Math.Min(tile + width, buffers.Rows) - 1) / group;
            int seen = Math.Min(positions, lastPosition + 1 - start);
            if (seen > 0)
            {
                int seenGroups = (seen + AttentionKernel.GroupPositions - 1) / AttentionKernel.GroupPositions;
                AttentionKernel.Score(buffers.Queries.Slice(tile * dim, width * dim), width, keys, dim, seenGroups, buffers.Scores);
                for (int r = 0; r < width; r++)
                {
                    int position = firstPosition + (Math.Min(tile + r, buffers.Rows - 1) / group);
                    int first = _shape.Window > 0 ? Math.Clamp(position - _shape.Window + 1 - start, 0, seen) : 0;
                    int end = Math.Clamp(position + 1 - start, first, seen);
                    Span<float> scores = buffers.Scores.Slice(r * AttentionKernel.ChunkPositions, AttentionKernel.ChunkPositions);
                    if (first == end)
                    {
                        scores[..(seenGroups * AttentionKernel.GroupPositions)].Clear();
                        (maxima[r], weightSums[r]) = (float.NegativeInfinity, 0);
                    }
                    else
                    {
                        weightSums[r] = AttentionKernel.Weigh(scores, first, end, seenGroups * AttentionKernel.GroupPositions, _shape.Softcap, out maxima[r]);
                    }
                }

                AttentionKernel.Mix(values, seen, buffers.Scores, width, buffers.Sums, padded);
            }

            for (int r = 0; r < Math.Min(width, buffers.Rows - tile); r++)
            {
                Span<float> target = state.Slice((tile + r) * length, length);
                if (merge && seen > 0)
                {
                    AttentionKernel.Merge(target, maxima[r], weightSums[r], buffers.Sums.Slice(r * padded, padded));
                }
                else if (!merge)
                {
                    AttentionKernel.Begin(target);
                    if (seen > 0)
                    {
                        (target[0], target[1]) = (maxima[r], weightSums[r]);
                        buffers.Sums.Slice(r * padded, padded).CopyTo(target[2..]);
                    }
                }
            }

            tile += width;
        }
    }

    private void Finish(Item item, ReadOnlySpan<float> state)
    {
        int length = AttentionKernel.StateLength(_shape.HeadDim);
        for (int r = 0; r < state.Length / length; r++)
        {
            AttentionKernel.Finish(state.Slice(r * length, length), Output(item, r));
        }
    }

    private Span<float> Output(Item item, int row)
    {
        int group = _shape.Heads / _shape.KvHeads;
        return _y!.Row(_sequences[item.Sequence].FirstRow + item.FirstRow + (row / group)).Slice(((item.Head * group) + (row % group)) * _shape.HeadDim, _shape.HeadDim);
    }

    /// <summary>One thread's buffers for an item.</summary>
    private readonly ref struct Buffers
    {
        public Buffers(KernelScratch scratch, in AttentionShape shape, int rows)
        {
            Rows = rows;
            int padded = AttentionKernel.PaddedHeadDim(shape.HeadDim);
            int queries = (rows + ActivationTiles.WideTile) * shape.HeadDim;
            const int Scored = ActivationTiles.WideTile * AttentionKernel.ChunkPositions;
            int sums = ActivationTiles.WideTile * padded;
            Span<float> all = scratch.Row(queries + Scored + sums);
            Queries = all[..queries];
            Scores = all.Slice(queries, Scored);
            Sums = all.Slice(queries + Scored, sums);
            int keys = AttentionKernel.ChunkPositions * shape.HeadDim;
            Span<float> panel = scratch.Panel(keys + (AttentionKernel.ChunkPositions * padded));
            Keys = panel[..keys];
            Values = panel[keys..];
        }

        public int Rows { get; }

        public Span<float> Queries { get; }

        public Span<float> Scores { get; }

        public Span<float> Sums { get; }

        public Span<float> Keys { get; }

        public Span<float> Values { get; }

        /// <summary>Width of the tile that begins at <paramref name="row"/>: 12 or 4, the last one padded, or 1 where there is a single row.</summary>
        public int TileWidth(int row)
        {
            int rest = Rows - row;
            return rest == 1 ? 1 : rest <= 2 * ActivationTiles.MiddleTile ? ActivationTiles.MiddleTile : ActivationTiles.WideTile;
        }
    }
}
