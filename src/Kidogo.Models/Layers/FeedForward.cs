// The feed-forward of one layer, gated or plain.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Layers;

/// <summary>down(activation(gate(x)) · up(x)) (Shazeer 2020), or without a gate down(activation(up(x))).</summary>
public sealed class FeedForward
{
    private readonly Activation _activation;
    private Linear? _gate;
    private Linear _up;
    private Linear _down;

    internal FeedForward(Activation activation, Linear? gate, Linear up, Linear down)
    {
        _activation = activation;
        _gate = gate;
        _up = up;
        _down = down;
    }

    /// <summary>Computes.</summary>
    /// <param name="context">The surroundings.</param>
    /// <param name="x">[T, D]</param>
    /// <returns>[T, D]</returns>
    public Tensor Forward(ComputeContext context, Tensor x)
    {
        if (_gate is null)
        {
            return _down.Forward(context, ActivationOp.Apply(context, _up.Forward(context, x), _activation));
        }

        (Tensor gate, Tensor up) = Linear.Forward(context, x, _gate, _up);
        return _down.Forward(context, GatedOp.Apply(context, gate, up, _activation));
    }

    /// <summary>Visits the slots.</summary>
    internal void Visit(ISlotVisitor visitor)
    {
        if (_gate is not null)
        {
            visitor.Visit(ref _gate);
        }

        visitor.Visit(ref _up);
        visitor.Visit(ref _down);
    }
}
