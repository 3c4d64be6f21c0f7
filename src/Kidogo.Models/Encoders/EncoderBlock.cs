// One layer of an encoder.
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Encoders;

/// <summary>Attention over the whole text and a feed-forward, each with a norm after it is added.</summary>
/// <remarks>
/// <code>
///   x ─┬─ attention ─ + ─ norm ─┬─ feedForward ─ + ─ norm ─
///      └──────────────┘         └────────────────┘
/// </code>
/// </remarks>
internal sealed class EncoderBlock
{
    private readonly AttentionShape _shape;
    private readonly FeedForward _feedForward;
    private Linear _query, _key, _value, _output;
    private Norm _attentionNorm, _outputNorm;

    public EncoderBlock(AttentionShape shape, AttentionParts attention, FeedForward feedForward, Norm attentionNorm, Norm outputNorm)
    {
        _shape = shape;
        _feedForward = feedForward;
        (_query, _key, _value, _output) = (attention.Query, attention.Key, attention.Value, attention.Output);
        (_attentionNorm, _outputNorm) = (attentionNorm, outputNorm);
    }

    /// <summary>Computes the layer.</summary>
    /// <param name="context">The surroundings.</param>
    /// <param name="x">[T, D]</param>
    /// <param name="sequences">Which rows are of one text.</param>
    /// <returns>[T, D]</returns>
    public Tensor Forward(ComputeContext context, Tensor x, ReadOnlySpan<SequenceRows> sequences)
    {
        (Tensor q, Tensor k, Tensor v) = Linear.Forward(context, x, _query, _key, _value);
        Tensor attended = _output.Forward(context, AttentionOp.Apply(context, q, k, v, sequences, _shape));
        x = _attentionNorm.Forward(context, AddOp.Apply(context, x, attended));
        Tensor fed = _feedForward.Forward(context, x);
        return _outputNorm.Forward(context, AddOp.Apply(context, x, fed));
    }

    /// <summary>Visits the slots.</summary>
    public void Visit(ISlotVisitor visitor)
    {
        visitor.Visit(ref _query);
        visitor.Visit(ref _key);
        visitor.Visit(ref _value);
        visitor.Visit(ref _output);
        visitor.Visit(ref _attentionNorm);
        _feedForward.Visit(visitor);
        visitor.Visit(ref _outputNorm);
    }
}
