// Attention of several sequences: causal over their caches, or over themselves alone. Knows no layers and no positions beyond a sequence's own.
namespace Kidogo.Tensors.Ops;

/// <summary>The rows of one sequence in a batch.</summary>
/// <param name="FirstRow">The sequence's first row in the batch.</param>
/// <param name="Rows">Its rows: consecutive positions after those that its store holds.</param>
/// <param name="Store">Its cached keys and values of this layer; null in training and in encoders, where a sequence is its rows alone.</param>
public readonly record struct SequenceRows(int FirstRow, int Rows, KvStore? Store)
{
    /// <summary>Sequences without a store that lie one after the other.</summary>
    /// <param name="lengths">Rows of each.</param>
    public static SequenceRows[] OneAfterTheOther(IEnumerable<int> lengths)
    {
        int row = 0;
        List<SequenceRows> rows = [];
        foreach (int length in lengths)
        {
            rows.Add(new SequenceRows(row, length, null));
            row += length;
        }

        return [.. rows];
    }

    /// <summary>A copy of sequences that all lie within some rows.</summary>
    /// <exception cref="ArgumentException">One does not.</exception>
    internal static SequenceRows[] Within(int rows, ReadOnlySpan<SequenceRows> sequences)
    {
        SequenceRows[] parts = sequences.ToArray();
        return Array.Exists(parts, part => part.FirstRow < 0 || part.Rows < 0 || part.FirstRow + part.Rows > rows)
            ? throw new ArgumentException($"A sequence lies outside the {rows} rows.", nameof(sequences)) : parts;
    }
}

/// <summary>The shape and rules of attention in a layer.</summary>
/// <param name="Heads">H: query heads.</param>
/// <param name="KvHeads">K: heads of keys and values; H is a multiple. Head h reads h / (H / K).</param>
/// <param name="HeadDim">E</param>
/// <param name="Scale">Scores are multiplied with this, usually 1 / √E.</param>
/// <param name="Softcap">Scores become cap · tanh(score / cap); 0 for none.</param>
/// <param name="Window">A position sees itself and Window - 1 before it; 0 for all.</param>
/// <param name="SeesAll">Whether a position also sees those after it, as in encoders; with a window of 0, and without a cache.</param>
public readonly record struct AttentionShape(int Heads, int KvHeads, int HeadDim, float Scale, float Softcap, int Window, bool SeesAll = false);

/// <summary>Softmax attention (Vaswani et al., arXiv 1706.03762, section 3.2) with grouped heads (Ainslie et al., arXiv 2305.13245).</summary>
public static class AttentionOp
{
    /// <summary>Appends the new keys and values to each sequence's store and attends over all it holds; in training each row attends over its own sequence's rows up to itself, in an encoder over all of them.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="q">[T, H · E]</param>
    /// <param name="k">[T, K · E]</param>
    /// <param name="v">[T, K · E]</param>
    /// <param name="sequences">Which rows belong to which store: one after the other, all rows.</param>
    /// <param name="shape">The layer's shape and rules.</param>
    /// <returns>[T, H · E]</returns>
    public static Tensor Apply(ComputeContext context, Tensor q, Tensor k, Tensor v, ReadOnlySpan<SequenceRows> sequences, in AttentionShape shape)
    {
        if (shape.KvHeads < 1 || shape.Heads % shape.KvHeads != 0 || q.Columns != shape.Heads * shape.HeadDim || k.Columns != shape.KvHeads * shape.HeadDim || v.Columns != k.Columns || k.Rows != q.Rows || v.Rows != q.Rows)
        {
            throw new ArgumentException($"Queries {q.Rows} x {q.Columns}, keys {k.Rows} x {k.Columns} and values {v.Rows} x {v.Columns} do not fit {shape}.", nameof(q));
        }

        if (shape.SeesAll && shape.Window != 0)
        {
            throw new ArgumentException($"A window of {shape.Window} positions before each does not fit attention that sees all; expected 0.", nameof(shape));
        }

        bool hasNoCache = context.IsTraining || shape.SeesAll;
        int covered = 0;
        foreach ((int firstRow, int rows, KvStore? store) in sequences)
        {
            if (firstRow != covered || rows < 0 || rows > q.Rows - covered)
            {
                throw new ArgumentException($"A sequence of {rows} rows from row {firstRow} on does not follow the {covered} of {q.Rows} rows before it.", nameof(sequences));
            }

            if (store is null != hasNoCache)
            {
                throw new ArgumentException(hasNoCache
                    ? "Attention reads no cache in training, since no gradient flows into one, nor where positions see all: give sequences without a store."
                    : "Causal attention outside training needs a store for each sequence.", nameof(sequences));
            }

            if (store is not null && (store.KvHeads != shape.KvHeads || store.HeadDim != shape.HeadDim || (store.Window > 0 && (shape.Window == 0 || shape.Window > store.Window))))
            {
                throw new ArgumentException($"A store of {store.KvHeads} heads of {store.HeadDim} values that keeps a window of {store.Window} (0: all) does not fit {shape}.", nameof(sequences));
            }

            covered += rows;
        }

        if (covered != q.Rows)
        {
            throw new ArgumentException($"The sequences have {covered} rows, the queries {q.Rows}.", nameof(sequences));
        }

        Tensor y = context.Rent(q.Rows, q.Columns);
        if (hasNoCache)
        {
            RecordedAttention attention = new(q, k, v, y, context.Rent(q.Rows, shape.Heads), sequences.ToArray(), shape);
            context.Works.Flash.Forward(context, attention);
            context.Store(y);
            if (context.Records(q, k, v))
            {
                Record(context, attention);
            }

            return y;
        }

        context.Works.Attention.Run(context, q, k, v, y, sequences, shape);
        return y;
    }

    private static void Record(ComputeContext context, RecordedAttention attention) => context.Record(attention.Y, () => context.Works.Flash.Backward(context, attention));
}
