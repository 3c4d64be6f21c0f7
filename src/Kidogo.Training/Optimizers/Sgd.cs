// Gradient descent, with momentum and Nesterov's look ahead where asked. One float32 value is kept for each weight, none without momentum.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Training.Optimizers;

/// <summary>Stochastic gradient descent (momentum as in PyTorch: b ← μ b + g, w ← w - rate · b). Decay is added to the gradient.</summary>
/// <param name="Momentum">Share of the velocity that stays; 0 to below 1.</param>
/// <param name="Nesterov">Whether to look ahead by the momentum (Sutskever et al. 2013); needs momentum.</param>
public sealed record SgdOptions(double Momentum = 0.9, bool Nesterov = false);

/// <inheritdoc cref="SgdOptions"/>
/// <param name="options">The constants.</param>
public sealed class Sgd(SgdOptions options) : UpdateRule
{
    /// <inheritdoc/>
    public override IReadOnlyList<StateShape> StateOf(TrainedParameter parameter) => options.Momentum == 0 ? [] : [StateShape.Like("velocity", parameter)];

    /// <inheritdoc/>
    public override void Update(ComputeContext context, TrainedParameter parameter, IReadOnlyList<Tensor> state, UpdateStep step) =>
        UpdateOps.Descend(context, parameter.Values, state.Count == 0 ? null : state[0], step, options.Momentum, options.Nesterov);
}
