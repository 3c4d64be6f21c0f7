// The largest sizes that a model from a stranger may claim. Knows no format.
using Kidogo.Models.Files;

namespace Kidogo.Models;

/// <summary>Ranges of hyperparameters: far above any published model, low enough that no product of them overflows.</summary>
internal static class ConfigLimits
{
    public const int Layers = 1024;
    public const int Vocabulary = 4 * 1024 * 1024;
    public const int Hidden = 1024 * 1024;
    public const int Heads = 65_536;
    public const int HeadDim = 8192;
    public const int Intermediate = 8 * 1024 * 1024;
    public const int Context = 1 << 28;
    public const double Epsilon = 1;
    public const double Theta = 1e15;
    public const double Factor = 1e6;
    public const double Cap = 1e6;

    /// <summary>Checks what single values cannot show.</summary>
    /// <exception cref="ModelFormatException">The values do not belong together; the message says which.</exception>
    public static DecoderConfig Check(DecoderConfig config, string file)
    {
        Refuse(config.NumLayers is < 1 or > Layers, file, $"The model has {config.NumLayers} layers; expected 1 to {Layers}.");
        Refuse(config.VocabSize is < 1 or > Vocabulary, file, $"The vocabulary has {config.VocabSize} tokens; expected 1 to {Vocabulary}.");
        Refuse(config.HiddenSize is < 1 or > Hidden, file, $"The hidden size is {config.HiddenSize}; expected 1 to {Hidden}.");
        Refuse(config.TiedHead && config.HeadBias, file, "The head is the embedding and yet has a bias, which Kidogo runs for no model.");
        for (int i = 0; i < config.NumLayers; i++)
        {
            LayerConfig layer = config.Layers[i];
            Refuse(layer.NumHeads is < 1 or > Heads || layer.NumKvHeads < 1, file, $"Layer {i} has {layer.NumHeads} heads and {layer.NumKvHeads} key-value heads; expected 1 to {Heads}.");
            Refuse(layer.NumHeads % layer.NumKvHeads != 0, file, $"Layer {i} has {layer.NumHeads} heads, which {layer.NumKvHeads} key-value heads do not divide.");
            Refuse(layer.HeadDim is < 1 or > HeadDim, file, $"Layer {i} has heads of {layer.HeadDim} values; expected 1 to {HeadDim}.");
            Refuse((long)layer.NumHeads * layer.HeadDim > Hidden, file, $"Layer {i} has {layer.NumHeads} heads of {layer.HeadDim} values; together at most {Hidden} are accepted.");
            Refuse(layer.IntermediateSize is < 1 or > Intermediate, file, $"Layer {i} has a feed-forward of {layer.IntermediateSize} values; expected 1 to {Intermediate}.");
            if (layer.Rope is { } rope)
            {
                bool fits = rope.RotaryDims >= 2 && rope.RotaryDims <= layer.HeadDim && rope.RotaryDims % 2 == 0;
                Refuse(!fits, file, $"Layer {i} rotates {rope.RotaryDims} values of heads of {layer.HeadDim}; expected an even number from 2 to {layer.HeadDim}.");
                CheckFactors(rope, file);
            }
        }

        return config;
    }

    private static void CheckFactors(RopeConfig rope, string file)
    {
        switch (rope.Scaling)
        {
            case FactorScaling factors:
                CheckFactors(factors.Factors, rope, file);
                break;
            case LongRopeScaling factors:
                CheckFactors(factors.ShortFactors, rope, file);
                CheckFactors(factors.LongFactors, rope, file);
                break;
        }
    }

    private static void CheckFactors(IReadOnlyList<float> factors, RopeConfig rope, string file)
    {
        Refuse(factors.Count != rope.RotaryDims / 2, file, $"The rotary embedding has {factors.Count} scaling factors; expected {rope.RotaryDims / 2}, one for each pair of the {rope.RotaryDims} values that are rotated.");
        Refuse(factors.Any(factor => !(factor > 0) || float.IsInfinity(factor)), file, "A scaling factor of the rotary embedding is not above 0.");
    }

    private static void Refuse(bool wrong, string file, string problem)
    {
        if (wrong)
        {
            throw new ModelFormatException(file, -1, problem);
        }
    }
}
