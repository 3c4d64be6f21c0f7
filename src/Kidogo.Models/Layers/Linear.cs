// A matrix and perhaps a bias. Knows no formats: the weight multiplies itself.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Layers;

/// <summary>y = x · Wᵀ + b. Derived classes may add to it (an adapter) or watch it (a calibration).</summary>
/// <param name="name">The slot.</param>
/// <param name="weight">[outputs, inputs]</param>
/// <param name="bias">[outputs], or null.</param>
public class Linear(string name, Weight weight, Tensor? bias) : Layer(name)
{
    /// <summary>[outputs, inputs]</summary>
    public Weight Weight => weight;

    /// <summary>[outputs], or null.</summary>
    public Tensor? Bias => bias;

    /// <inheritdoc/>
    public override long ParameterCount => ((long)weight.Rows * weight.Columns) + (bias?.Length ?? 0);

    /// <inheritdoc/>
    public override long MemoryBytes => weight.MemoryBytes + (sizeof(float) * (bias?.Length ?? 0L));

    /// <summary>Multiplies.</summary>
    /// <param name="context">The surroundings.</param>
    /// <param name="x">[T, inputs]</param>
    /// <returns>[T, outputs]</returns>
    public virtual Tensor Forward(ComputeContext context, Tensor x) => LinearOp.Apply(context, x, weight, bias);

    /// <summary>As <see cref="Forward(ComputeContext, Tensor)"/>, in the head, whose rounding nothing evens out.</summary>
    internal virtual Tensor ForwardAsHead(ComputeContext context, Tensor x) => IsPlain ? LinearOp.ApplyRefined(context, x, weight, bias) : Forward(context, x);

    /// <summary>Multiplies the same rows with two matrices: what can be shared of the work is.</summary>
    internal static (Tensor A, Tensor B) Forward(ComputeContext context, Tensor x, Linear a, Linear b)
    {
        if (!a.IsPlain || !b.IsPlain)
        {
            return (a.Forward(context, x), b.Forward(context, x));
        }

        Span<Tensor> outputs = [null!, null!];
        LinearOp.ApplyAll(context, x, [a.Weight, b.Weight], [a.Bias, b.Bias], outputs);
        return (outputs[0], outputs[1]);
    }

    /// <summary>Multiplies the same rows with three matrices.</summary>
    internal static (Tensor A, Tensor B, Tensor C) Forward(ComputeContext context, Tensor x, Linear a, Linear b, Linear c)
    {
        if (!a.IsPlain || !b.IsPlain || !c.IsPlain)
        {
            return (a.Forward(context, x), b.Forward(context, x), c.Forward(context, x));
        }

        Span<Tensor> outputs = [null!, null!, null!];
        LinearOp.ApplyAll(context, x, [a.Weight, b.Weight, c.Weight], [a.Bias, b.Bias, c.Bias], outputs);
        return (outputs[0], outputs[1], outputs[2]);
    }

    /// <summary>Whether <see cref="Forward(ComputeContext, Tensor)"/> is the one above.</summary>
    internal bool IsPlain => GetType() == typeof(Linear);
}
