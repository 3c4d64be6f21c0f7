// How much each part of a model's structure matters: numbers only. Knows no criterion.
using Kidogo.Models;

namespace Kidogo.Compression.Pruning;

/// <summary>What parts of the structure are judged by.</summary>
public enum StructureCriterion
{
    /// <summary>What a part does to the text: of a neuron its activations times the weights that read them; of heads and channels their activations (<see cref="ActivationScores"/>).</summary>
    Activation,

    /// <summary>Activations alone, as Minitron has them (Muralidharan et al., arXiv 2407.14679, section 2.2).</summary>
    Minitron,

    /// <summary>Σ |gradient · weight| of a part (Molchanov et al., arXiv 1906.10771): what the loss would change by, to first order (<see cref="TaylorScores"/>).</summary>
    Taylor,

    /// <summary>Of heads |Σ output · gradient| (Michel et al., arXiv 1905.10650, equation 2); all else as <see cref="Taylor"/>.</summary>
    Gate,
}

/// <summary>The scores of a layer's parts. The lowest go first.</summary>
/// <param name="Neurons">[F]</param>
/// <param name="QueryHeads">[H]</param>
/// <param name="KvHeads">[K] Of key and value heads with their query heads.</param>
/// <param name="Layer">The layer as a whole.</param>
public sealed record LayerScores(double[] Neurons, double[] QueryHeads, double[] KvHeads, double Layer)
{
    /// <summary>[K] Of key and value heads without their query heads, where that is known.</summary>
    public double[] KeysAndValues { get; init; } = [];
}

/// <summary>The scores of a model's parts.</summary>
/// <param name="Layers">Layer by layer.</param>
/// <param name="Hidden">[D] Channels of the residual stream.</param>
public sealed record StructureScores(IReadOnlyList<LayerScores> Layers, double[] Hidden)
{
    /// <summary>Whether scores of different layers are of one measure, as losses are and sizes of activations are not.</summary>
    public bool AreComparable { get; init; }

    /// <summary>All parts of a model are worth the same: enough to see which shapes can be.</summary>
    public static StructureScores Equal(DecoderConfig config) => new(
        [.. config.Layers.Select(layer => new LayerScores(new double[layer.IntermediateSize], new double[layer.NumHeads], new double[layer.NumKvHeads], 0))], new double[config.HiddenSize]);
}
