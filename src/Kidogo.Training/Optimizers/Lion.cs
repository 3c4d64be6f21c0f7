// Lion. One float32 value is kept for each weight.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Training.Optimizers;

/// <summary>Every weight moves by the learning rate, in the direction of a blend of momentum and gradient (Chen et al., arXiv 2302.06675, algorithm
/// 2).</summary>
/// <param name="Beta1">Share of the momentum in the blend; 0 to below 1.</param>
/// <param name="Beta2">Share of the momentum that stays; 0 to below 1.</param>
public sealed record LionOptions(double Beta1 = 0.9, double Beta2 = 0.99);

/// <inheritdoc cref="LionOptions"/>
/// <param name="options">The constants.</param>
public sealed class Lion(LionOptions options) : UpdateRule
{
    /// <inheritdoc/>
    public override IReadOnlyList<StateShape> StateOf(TrainedParameter parameter) => [StateShape.Like("m", parameter)];

    /// <inheritdoc/>
    public override void Update(ComputeContext context, TrainedParameter parameter, IReadOnlyList<Tensor> state, UpdateStep step) =>
        UpdateOps.Lion(context, parameter.Values, state[0], step, options.Beta1, options.Beta2);
}
