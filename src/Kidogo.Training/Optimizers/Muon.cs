// Muon, for matrices inside layers. One float32 value is kept for each weight.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Training.Optimizers;

/// <summary>The momentum of a matrix, made orthogonal by five Newton-Schulz iterations (Jordan et al. 2024). The iterations are in float32.</summary>
/// <param name="Momentum">Share of the momentum that stays; 0 to below 1.</param>
public sealed record MuonOptions(double Momentum = 0.95);

/// <inheritdoc cref="MuonOptions"/>
/// <param name="options">The constants.</param>
public sealed class Muon(MuonOptions options) : UpdateRule
{
    private readonly Dictionary<(int Rows, int Columns), Tensor> _directions = []; // blocks are alike: a few shapes

    /// <inheritdoc/>
    public override IReadOnlyList<StateShape> StateOf(TrainedParameter parameter) => parameter.IsMatrix
        ? [StateShape.Like("momentum", parameter)]
        : throw new ArgumentException($"{parameter.Name} is a vector: Muon changes matrices only. Put vectors into a group of another optimiser.",
            nameof(parameter));

    /// <inheritdoc/>
    public override void Update(ComputeContext context, TrainedParameter parameter, IReadOnlyList<Tensor> state, UpdateStep step)
    {
        Tensor w = parameter.Values;
        if (!_directions.TryGetValue((w.Rows, w.Columns), out Tensor? direction))
        {
            _directions.Add((w.Rows, w.Columns), direction = new Tensor(w.Rows, w.Columns));
        }

        UpdateOps.Blend(context, w, state[0], direction, step, options.Momentum);
        Orthogonalization.Apply(context, direction);
        double shape = Math.Sqrt(Math.Max(1, (double)w.Rows / w.Columns));
        UpdateOps.Follow(context, w, 1 - (step.LearningRate * step.Decay), step.LearningRate * shape, direction);
    }
}
