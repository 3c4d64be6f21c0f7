// A linear slot that is watched from outside. Knows not what is done with what it sees.
using Kidogo.Models.Layers;
using Kidogo.Tensors;

namespace Kidogo.Compression.Calibration;

/// <summary>Shows what goes into a slot, and calls through, or gives zeros where nobody will look at what comes out.</summary>
/// <param name="inner">What is in the slot.</param>
/// <param name="seen">Called with the inputs [T, C], before anything is computed; null: nobody looks.</param>
/// <param name="computes">Whether to call through.</param>
internal sealed class ObservedLinear(Linear inner, Action<ComputeContext, Tensor>? seen, bool computes) : Linear(inner.Name, inner.Weight, inner.Bias)
{
    /// <inheritdoc/>
    public override Tensor Forward(ComputeContext context, Tensor x)
    {
        seen?.Invoke(context, x);
        if (computes)
        {
            return inner.Forward(context, x);
        }

        Tensor y = context.Rent(x.Rows, inner.Weight.Rows);
        y.Span.Clear();
        return y;
    }
}
