// What an optimiser is: how one parameter changes by its gradient, and what is remembered of it. Knows no schedule and no loop.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Training.Optimizers;

/// <summary>An algorithm that changes parameters, one at a time.</summary>
public abstract class UpdateRule
{
    /// <summary>Names and shapes of what is remembered of a parameter.</summary>
    /// <param name="parameter">The parameter.</param>
    public abstract IReadOnlyList<StateShape> StateOf(TrainedParameter parameter);

    /// <summary>Changes a parameter and clears its gradient.</summary>
    /// <param name="context">Lends its threads.</param>
    /// <param name="parameter">The parameter, with a gradient.</param>
    /// <param name="state">What is remembered of it, in the order of <see cref="StateOf"/>; zeros at first.</param>
    /// <param name="step">The numbers of this step.</param>
    public abstract void Update(ComputeContext context, TrainedParameter parameter, IReadOnlyList<Tensor> state, UpdateStep step);
}

/// <summary>A tensor that is remembered of a parameter.</summary>
/// <param name="Name">Its name, which precedes the parameter's in a checkpoint.</param>
/// <param name="Rows">Rows.</param>
/// <param name="Columns">Columns.</param>
public readonly record struct StateShape(string Name, int Rows, int Columns)
{
    /// <summary>A tensor of the shape of a parameter.</summary>
    internal static StateShape Like(string name, TrainedParameter parameter) => new(name, parameter.Values.Rows, parameter.Values.Columns);
}
