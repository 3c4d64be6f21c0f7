// Groups of parameters, each with its rule, rate and decay, and all that is remembered of them. Knows no model and no loop.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Training.Optimizers;

/// <summary>Parameters that change by one rule.</summary>
/// <param name="Parameters">The parameters.</param>
/// <param name="Rule">The rule.</param>
/// <param name="LearningRate">The highest learning rate; the schedule multiplies it.</param>
/// <param name="MatrixDecay">Weight decay of matrices.</param>
/// <param name="VectorDecay">Weight decay of norms and biases.</param>
public sealed record ParameterGroup(IReadOnlyList<TrainedParameter> Parameters, UpdateRule Rule, double LearningRate, double MatrixDecay,
    double VectorDecay = 0);

/// <summary>Changes all parameters of a model, a step at a time.</summary>
public sealed class Optimizer
{
    private readonly List<Slot> _slots = [];

    /// <summary>An optimiser that has made no step.</summary>
    /// <param name="groups">The groups; a parameter is in one of them only.</param>
    /// <exception cref="ArgumentException">A parameter is in two groups.</exception>
    public Optimizer(params IReadOnlyList<ParameterGroup> groups)
    {
        HashSet<string> names = [];
        foreach (ParameterGroup group in groups)
        {
            foreach (TrainedParameter parameter in group.Parameters)
            {
                if (!names.Add(parameter.Name))
                {
                    throw new ArgumentException($"{parameter.Name} is in two groups; each parameter belongs to one.", nameof(groups));
                }

                StateShape[] shapes = [.. group.Rule.StateOf(parameter)];
                _slots.Add(new Slot(group, parameter, shapes, [.. shapes.Select(shape => new Tensor(shape.Rows, shape.Columns))]));
            }
        }
    }

    /// <summary>Steps that were made.</summary>
    public long Steps { get; private set; }

    /// <summary>The parameters, in the order of their groups.</summary>
    public IEnumerable<TrainedParameter> Parameters => _slots.Select(slot => slot.Parameter);

    /// <summary>All that is remembered: tensors by names such as <c>m.blk.0.attn_q.weight</c>. They may be written to when a run goes on.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State =>
        _slots.SelectMany(slot => slot.Shapes.Zip(slot.State, (shape, tensor) => KeyValuePair.Create($"{shape.Name}.{slot.Parameter.Name}", tensor)));

    /// <summary>Bytes of <see cref="State"/>.</summary>
    public long StateBytes => State.Sum(state => sizeof(float) * (long)state.Value.Length);

    /// <summary>Changes all parameters by their gradients, and clears these.</summary>
    /// <param name="context">Lends its threads.</param>
    /// <param name="factor">What the schedule multiplies learning rates by.</param>
    /// <param name="gradientScale">What gradients are multiplied by first (<see cref="GradientClipping"/>).</param>
    public void Step(ComputeContext context, double factor, float gradientScale)
    {
        Steps++;
        foreach (Slot slot in _slots)
        {
            double decay = slot.Parameter.IsMatrix ? slot.Group.MatrixDecay : slot.Group.VectorDecay;
            slot.Group.Rule.Update(context, slot.Parameter, slot.State, new UpdateStep(Steps, slot.Group.LearningRate * factor, decay, gradientScale));
        }
    }

    /// <summary>Goes on as if <paramref name="steps"/> steps had been made; <see cref="State"/> is the caller's to fill.</summary>
    public void Resume(long steps) => Steps = steps;

    private sealed record Slot(ParameterGroup Group, TrainedParameter Parameter, StateShape[] Shapes, Tensor[] State);
}
