// Attention of one layer. Knows no families: what differs between them is in the configuration.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Layers;

/// <summary>Causal attention in which several query heads share a key and a value head (Ainslie et al. 2023).</summary>
/// <remarks>
/// <code>
///   x [T, D] ─┬─ q [T, H·E] ─ norm? ─ rotate? ─┐
///             ├─ k [T, K·E] ─ norm? ─ rotate? ─┼─ softmax(q·kᵀ · scale) · v ─ [T, H·E] ─ o ─ [T, D]
///             └─ v [T, K·E] ───────────────────┘      over the cache and the new rows
/// </code>
/// </remarks>
public sealed class GroupedQueryAttention
{
    private readonly int _index;
    private readonly int _headDim;
    private readonly AttentionShape _shape;
    private readonly RotaryEmbedding? _rotary;
    private Linear _query;
    private Linear _key;
    private Linear _value;
    private Linear _output;
    private Norm? _queryNorm;
    private Norm? _keyNorm;

    /// <summary>Joins the parts.</summary>
    /// <param name="index">The layer's number: which store of a cache is its own.</param>
    /// <param name="config">The layer.</param>
    /// <param name="parts">The projections and norms.</param>
    /// <param name="rotary">The rotation, or null.</param>
    internal GroupedQueryAttention(int index, LayerConfig config, AttentionParts parts, RotaryEmbedding? rotary)
    {
        _index = index;
        _headDim = config.HeadDim;
        _shape = new AttentionShape(config.NumHeads, config.NumKvHeads, config.HeadDim, config.AttentionScale, config.AttentionSoftcap, config.SlidingWindow);
        _rotary = rotary;
        _query = parts.Query;
        _key = parts.Key;
        _value = parts.Value;
        _output = parts.Output;
        _queryNorm = parts.QueryNorm;
        _keyNorm = parts.KeyNorm;
    }

    /// <summary>The rotation, or null.</summary>
    internal RotaryEmbedding? Rotary => _rotary;

    /// <summary>Attends.</summary>
    /// <param name="context">The surroundings.</param>
    /// <param name="x">[T, D]</param>
    /// <param name="batch">Which rows belong to which sequence, their positions and caches.</param>
    /// <returns>[T, D]</returns>
    public Tensor Forward(ComputeContext context, Tensor x, SequenceBatch batch)
    {
        (Tensor q, Tensor k, Tensor v) = Linear.Forward(context, x, _query, _key, _value);
        q = _queryNorm?.Forward(context, q) ?? q;
        k = _keyNorm?.Forward(context, k) ?? k;
        if (_rotary?.TableFor(batch.RotaryLength) is { } table)
        {
            q = RotaryOp.Apply(context, q, _headDim, table, batch.Positions);
            k = RotaryOp.Apply(context, k, _headDim, table, batch.Positions);
        }

        batch.Taps?.KeepAttention(context, batch, _index, q, k, v);
        Tensor mixed = AttentionOp.Apply(context, q, k, v, batch.RowsOfLayer(_index), _shape);
        return _output.Forward(context, mixed);
    }

    /// <summary>Visits the slots.</summary>
    internal void Visit(ISlotVisitor visitor)
    {
        visitor.Visit(ref _query);
        visitor.Visit(ref _key);
        visitor.Visit(ref _value);
        if (_queryNorm is not null && _keyNorm is not null)
        {
            visitor.Visit(ref _queryNorm);
            visitor.Visit(ref _keyNorm);
        }

        visitor.Visit(ref _output);
    }
}

/// <summary>The slots of an attention.</summary>
/// <param name="Query">[H·E, D]</param>
/// <param name="Key">[K·E, D]</param>
/// <param name="Value">[K·E, D]</param>
/// <param name="Output">[D, H·E]</param>
/// <param name="QueryNorm">Over each head, or null.</param>
/// <param name="KeyNorm">Over each head, or null.</param>
internal sealed record AttentionParts(Linear Query, Linear Key, Linear Value, Linear Output, Norm? QueryNorm, Norm? KeyNorm);
