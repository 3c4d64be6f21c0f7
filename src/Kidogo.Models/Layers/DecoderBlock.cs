// One layer of a decoder: attention and feed-forward around the residual stream.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Layers;

/// <summary>One layer. The residual stream x runs through; what attention and feed-forward give is added to it.</summary>
/// <remarks>
/// <code>
///   sequential          x ─┬─ norm ─ attention ─ norm? ─ + ─┬─ norm ─ feedForward ─ norm? ─ + ─
///                          └─────────────────────────────┘  └────────────────────────────┘
///   parallel            x ─┬─ norm ── attention ─── + ─
///                          ├─ norm ── feedForward ──┤        (one norm may serve both)
///                          └────────────────────────┘
/// </code>
/// </remarks>
public sealed class DecoderBlock
{
    private readonly ResidualKind _residual;
    private readonly GroupedQueryAttention _attention;
    private readonly FeedForward _feedForward;
    private Norm _attentionNorm;
    private Norm? _feedForwardNorm;
    private Norm? _postAttentionNorm;
    private Norm? _postFeedForwardNorm;

    internal DecoderBlock(ResidualKind residual, GroupedQueryAttention attention, FeedForward feedForward, BlockNorms norms)
    {
        _residual = residual;
        _attention = attention;
        _feedForward = feedForward;
        _attentionNorm = norms.Attention;
        _feedForwardNorm = norms.FeedForward;
        _postAttentionNorm = norms.PostAttention;
        _postFeedForwardNorm = norms.PostFeedForward;
    }

    /// <summary>The rotation of queries and keys, or null.</summary>
    internal RotaryEmbedding? Rotary => _attention.Rotary;

    /// <summary>Computes the layer.</summary>
    /// <param name="context">The surroundings.</param>
    /// <param name="x">The residual stream [T, D], rented before anything else of this layer.</param>
    /// <param name="batch">Which rows belong to which sequence, their positions and caches.</param>
    /// <returns>The residual stream after the layer [T, D].</returns>
    public Tensor Forward(ComputeContext context, Tensor x, SequenceBatch batch)
    {
        int mark = context.Mark();
        Tensor normed = _attentionNorm.Forward(context, x);
        Tensor attended = _attention.Forward(context, normed, batch);
        attended = _postAttentionNorm?.Forward(context, attended) ?? attended;
        if (_residual == ResidualKind.Sequential)
        {
            x = AddOp.Apply(context, x, attended);
            context.ReleaseTo(mark); // the feed-forward uses the same buffers
            normed = _feedForwardNorm!.Forward(context, x);
        }
        else if (_residual == ResidualKind.ParallelTwoNorms)
        {
            normed = _feedForwardNorm!.Forward(context, x);
        }

        Tensor fed = _feedForward.Forward(context, normed);
        fed = _postFeedForwardNorm?.Forward(context, fed) ?? fed;
        if (_residual != ResidualKind.Sequential)
        {
            x = AddOp.Apply(context, x, attended);
        }

        x = AddOp.Apply(context, x, fed);
        context.ReleaseTo(mark);
        return x;
    }

    /// <summary>Visits the slots.</summary>
    internal void Visit(ISlotVisitor visitor)
    {
        visitor.Visit(ref _attentionNorm);
        _attention.Visit(visitor);
        VisitNorm(ref _postAttentionNorm, visitor);
        VisitNorm(ref _feedForwardNorm, visitor);
        _feedForward.Visit(visitor);
        VisitNorm(ref _postFeedForwardNorm, visitor);
    }

    private static void VisitNorm(ref Norm? norm, ISlotVisitor visitor)
    {
        if (norm is not null)
        {
            visitor.Visit(ref norm);
        }
    }
}

/// <summary>The norms of a layer.</summary>
/// <param name="Attention">Before attention.</param>
/// <param name="FeedForward">Before the feed-forward; null where that uses the one before attention.</param>
/// <param name="PostAttention">After attention, or null.</param>
/// <param name="PostFeedForward">After the feed-forward, or null.</param>
internal sealed record BlockNorms(Norm Attention, Norm? FeedForward, Norm? PostAttention, Norm? PostFeedForward);
