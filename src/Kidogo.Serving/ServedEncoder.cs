// An encoder that is served: a hosted encoder and what clients call it. Knows no requests and no shapes.
using Kidogo.Inference;
using Kidogo.Models.Encoders;
using Kidogo.Tensors;

namespace Kidogo.Serving;

/// <summary>A loaded encoder in a place of its own. For any number of threads.</summary>
public sealed class ServedEncoder : Served
{
    /// <summary>Starts to serve an encoder. It and the context belong to the result from now on.</summary>
    /// <param name="id">What clients call it.</param>
    /// <param name="loaded">The encoder.</param>
    /// <param name="context">What it computes with; for nobody else.</param>
    /// <param name="queueLength">Requests that may wait while another computes; one more is refused.</param>
    /// <exception cref="Kidogo.Models.Files.ModelFormatException">The folder has no vocabulary, or a malformed one.</exception>
    public ServedEncoder(string id, LoadedEncoder loaded, ComputeContext context, int queueLength = 64)
        : this(id, new HostedEncoder(loaded, context, queueLength), FactsOf(loaded))
    {
    }

    private ServedEncoder(string id, HostedEncoder hosted, ModelFacts facts)
        : base(id, hosted.Text)
    {
        Hosted = hosted;
        Facts = facts;
    }

    /// <inheritdoc/>
    public override ModelFacts Facts { get; }

    /// <summary>Computes.</summary>
    public HostedEncoder Hosted { get; }

    /// <summary>What is told of an encoder.</summary>
    public static ModelFacts FactsOf(LoadedEncoder loaded) =>
        new(loaded.Model.Config.VocabSize, loaded.MaxTokens, loaded.Model.Config.ContextLength, ParametersOf(loaded.Model.Config)) { Dimensions = loaded.Model.Config.HiddenSize };

    /// <inheritdoc/>
    public override void Dispose() => Hosted.Dispose();

    /// <summary>Weights and biases: the tables and their norm, and of each layer four matrices of attention, two of the feed-forward and two norms.</summary>
    private static long ParametersOf(EncoderConfig config)
    {
        long hidden = config.HiddenSize, inner = config.IntermediateSize;
        long tables = (config.VocabSize + (long)config.Positions + config.Types + 2) * hidden;
        return tables + (config.NumLayers * ((4 * hidden * (hidden + 1)) + (2 * hidden * inner) + inner + hidden + (4 * hidden)));
    }
}
