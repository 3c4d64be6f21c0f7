// Llama 1 to 3.x, and what took its shape: TinyLlama, SmolLM2, and Mistral models in GGUF files.
using Kidogo.Models.Files;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Families;

/// <summary>Llama: RMS norms, rotary embedding, grouped-query attention, gated feed-forward (Touvron et al. 2023).</summary>
public sealed class Llama : ModelFamily
{
    private const string UnequalArchitecture = "deci";

    /// <inheritdoc/>
    public override string Name => "Llama";

    /// <inheritdoc/>
    /// <remarks>DeciLM's files hold a Llama whose layers have numbers of heads and widths of their own.</remarks>
    public override IReadOnlyList<string> GgufArchitectures => ["llama", UnequalArchitecture];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceArchitectures => ["LlamaForCausalLM"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceModelTypes => ["llama"];

    /// <inheritdoc/>
    /// <remarks>Converters reorder the rows of q and k so that neighbours rotate together.</remarks>
    public override RotaryLayout GgufRotaryLayout => RotaryLayout.Interleaved;

    /// <inheritdoc/>
    public override DecoderConfig ReadGguf(GgufModel model)
    {
        int window = GgufDefaults.Window(model); // files of Mistral's first model may have it
        return base.ReadGguf(model).WithLayers((layer, _) => layer with { SlidingWindow = window });
    }

    /// <inheritdoc/>
    /// <remarks>Only Mistral's can have windows.</remarks>
    public override ModelFamily ForHuggingFace(DecoderConfig config) => HuggingFaceWriting.Window(config) > 0 ? new Mistral() : this;

    /// <inheritdoc/>
    /// <remarks>llama.cpp reads one shape for all layers of a "llama", but one for each of a "deci", which is the same model otherwise.</remarks>
    public override string GgufArchitectureFor(DecoderConfig config) => ArchitectureFor(config);

    /// <summary>What a Llama calls itself in GGUF files, also where it is one of Mistral's.</summary>
    internal static string ArchitectureFor(DecoderConfig config) => config.HasEqualLayers || HuggingFaceWriting.Window(config) > 0 ? "llama" : UnequalArchitecture;

    /// <inheritdoc/>
    public override DecoderConfig ReadHuggingFace(JsonFields config) => HuggingFaceDefaults.Read(config, new HuggingFaceDefaults());
}
