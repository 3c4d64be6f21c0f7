// AdamW. Two float32 values are kept for each weight.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Training.Optimizers;

/// <summary>Adam with decay apart from the gradient (Loshchilov and Hutter, arXiv 1711.05101, algorithm 2).</summary>
/// <param name="Beta1">Share of the first moment that stays; 0 to below 1.</param>
/// <param name="Beta2">Share of the second moment that stays; 0 to below 1.</param>
/// <param name="Epsilon">Added to the root of the second moment; above 0.</param>
public sealed record AdamWOptions(double Beta1 = 0.9, double Beta2 = 0.95, double Epsilon = 1e-8);

/// <inheritdoc cref="AdamWOptions"/>
/// <param name="options">The constants.</param>
public sealed class AdamW(AdamWOptions options) : UpdateRule
{
    /// <inheritdoc/>
    public override IReadOnlyList<StateShape> StateOf(TrainedParameter parameter) => [StateShape.Like("m", parameter), StateShape.Like("v", parameter)];

    /// <inheritdoc/>
    public override void Update(ComputeContext context, TrainedParameter parameter, IReadOnlyList<Tensor> state, UpdateStep step) =>
        UpdateOps.AdamW(context, parameter.Values, state[0], state[1], step, options.Beta1, options.Beta2, options.Epsilon);
}
