// Adafactor. For a matrix a value is kept for each row and each column, not for each weight.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Training.Optimizers;

/// <summary>Second moments as an outer product, steps in proportion to the parameter's size (Shazeer and Stern, arXiv 1804.04235, algorithms 4 and 5), without
/// momentum.</summary>
/// <param name="DecayPower">β₂ = 1 - tᵖ with this power p; -1 to below 0.</param>
/// <param name="Threshold">The root mean square that an update is cut to; above 0.</param>
public sealed record AdafactorOptions(double DecayPower = -0.8, double Threshold = 1);

/// <inheritdoc cref="AdafactorOptions"/>
/// <param name="options">The constants.</param>
public sealed class Adafactor(AdafactorOptions options) : UpdateRule
{
    /// <inheritdoc/>
    public override IReadOnlyList<StateShape> StateOf(TrainedParameter parameter) => parameter.IsMatrix
        ? [new StateShape("rows", 1, parameter.Values.Rows), new StateShape("columns", 1, parameter.Values.Columns)]
        : [StateShape.Like("v", parameter)];

    /// <inheritdoc/>
    public override void Update(ComputeContext context, TrainedParameter parameter, IReadOnlyList<Tensor> state, UpdateStep step) =>
        FactoredUpdate.Apply(context, parameter.Values, state[0], state.Count > 1 ? state[1] : null, step, options.DecayPower, options.Threshold);
}
