// Norms over rows, or over each head of a row.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Layers;

/// <summary>Brings rows to a common size before they are used.</summary>
/// <param name="name">The slot.</param>
public abstract class Norm(string name) : Layer(name)
{
    /// <summary>Normalises.</summary>
    /// <param name="context">The surroundings.</param>
    /// <param name="x">[T, D]</param>
    /// <returns>[T, D]</returns>
    public abstract Tensor Forward(ComputeContext context, Tensor x);

    /// <summary>The norm that a configuration asks for.</summary>
    internal static Norm Create(string name, NormConfig config, Tensor weight, Tensor? bias, int groupSize = 0) => config.Kind == NormKind.Rms
        ? new RmsNorm(name, weight, config.Epsilon, config.UnitOffset, groupSize)
        : new LayerNorm(name, weight, bias, config.Epsilon);
}

/// <summary>y = x / √(mean(x²) + ε) · w, or · (1 + w).</summary>
/// <param name="name">The slot.</param>
/// <param name="weight">[D], or [group size].</param>
/// <param name="epsilon">ε</param>
/// <param name="unitOffset">Whether the factor is 1 + w.</param>
/// <param name="groupSize">Columns that are normalised together, all with the same weight; 0 for whole rows.</param>
public sealed class RmsNorm(string name, Tensor weight, float epsilon, bool unitOffset, int groupSize = 0) : Norm(name)
{
    /// <summary>[D], or [group size].</summary>
    public Tensor Weight => weight;

    /// <inheritdoc/>
    public override long ParameterCount => weight.Length;

    /// <inheritdoc/>
    public override long MemoryBytes => sizeof(float) * (long)weight.Length;

    /// <inheritdoc/>
    public override Tensor Forward(ComputeContext context, Tensor x) => RmsNormOp.Apply(context, x, weight, epsilon, unitOffset, groupSize);
}

/// <summary>y = (x − mean(x)) / √(variance(x) + ε) · w + b.</summary>
/// <param name="name">The slot.</param>
/// <param name="weight">[D]</param>
/// <param name="bias">[D], or null.</param>
/// <param name="epsilon">ε</param>
public sealed class LayerNorm(string name, Tensor weight, Tensor? bias, float epsilon) : Norm(name)
{
    /// <summary>[D]</summary>
    public Tensor Weight => weight;

    /// <summary>[D], or null.</summary>
    public Tensor? Bias => bias;

    /// <inheritdoc/>
    public override long ParameterCount => weight.Length + (bias?.Length ?? 0);

    /// <inheritdoc/>
    public override long MemoryBytes => sizeof(float) * ParameterCount;

    /// <inheritdoc/>
    public override Tensor Forward(ComputeContext context, Tensor x) => LayerNormOp.Apply(context, x, weight, bias, epsilon);
}
