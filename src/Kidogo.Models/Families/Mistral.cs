// Mistral in Hugging Face folders; its GGUF files are Llama's.
using Kidogo.Models.Files;

namespace Kidogo.Models.Families;

/// <summary>Mistral: Llama whose layers may see a sliding window only (Jiang et al. 2023).</summary>
public sealed class Mistral : ModelFamily
{
    private const int WindowWhenAbsent = 4096;

    /// <inheritdoc/>
    public override string Name => "Mistral";

    /// <inheritdoc/>
    public override IReadOnlyList<string> GgufArchitectures => [];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceArchitectures => ["MistralForCausalLM"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceModelTypes => ["mistral"];

    /// <inheritdoc/>
    public override DecoderConfig ReadHuggingFace(JsonFields config)
    {
        DecoderConfig decoder = HuggingFaceDefaults.Read(config, new HuggingFaceDefaults { NumKvHeads = 8, ContextLength = 4096 * 32 });

        // An explicit null means no window; only a file that does not speak of it has the default one.
        int window = config.Mentions("sliding_window") ? config.GetInt("sliding_window", 1, int.MaxValue, 0) : WindowWhenAbsent;
        bool[] windowed = HuggingFaceDefaults.WindowedLayers(config, decoder.NumLayers, _ => true);
        return decoder.WithLayers((layer, i) => windowed[i] ? layer with { SlidingWindow = window } : layer);
    }

    /// <inheritdoc/>
    public override HuggingFaceConfig WriteHuggingFace(DecoderConfig config)
    {
        HuggingFaceConfig fields = HuggingFaceWriting.Fields(config, new HuggingFaceSpelling { AlwaysHeadDim = true });
        int window = HuggingFaceWriting.Window(config);
        fields.SetOrNull("sliding_window", window == 0 ? null : window);
        if (window > 0 && config.Layers.Any(layer => layer.SlidingWindow == 0))
        {
            fields.Set("layer_types", HuggingFaceWriting.LayerTypes(config));
        }

        return fields;
    }

    /// <inheritdoc/>
    public override string WrittenGgufArchitecture => "llama";

    /// <inheritdoc/>
    public override string GgufArchitectureFor(DecoderConfig config) => Llama.ArchitectureFor(config);
}
