// A parameter as optimisers see it: a name, values with a gradient, and what kind of thing it is. Knows no model.
using Kidogo.Tensors;

namespace Kidogo.Training.Optimizers;

/// <summary>What part a parameter plays.</summary>
public enum ParameterRole
{
    /// <summary>A vector: a norm's factors or a bias.</summary>
    Vector,

    /// <summary>A matrix inside a layer.</summary>
    HiddenMatrix,

    /// <summary>The embedding, learned positions, or the head.</summary>
    OuterMatrix,
}

/// <summary>One parameter.</summary>
/// <param name="Name">The canonical name, as in GGUF files.</param>
/// <param name="Values">[R, C]; a vector is one row.</param>
/// <param name="Role">What part it plays.</param>
public sealed record TrainedParameter(string Name, Tensor Values, ParameterRole Role)
{
    /// <summary>Whether it has two dimensions: then weights decay by default.</summary>
    public bool IsMatrix => Role != ParameterRole.Vector;
}
