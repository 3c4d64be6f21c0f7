// Gemma 1.
using Kidogo.Models.Files;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Families;

/// <summary>Gemma: scaled embeddings, norms whose weight is an offset from 1, a gate of tanh GELU (Gemma Team 2024).</summary>
public sealed class Gemma : ModelFamily
{
    /// <inheritdoc/>
    public override string Name => "Gemma";

    /// <inheritdoc/>
    public override IReadOnlyList<string> GgufArchitectures => ["gemma"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceArchitectures => ["GemmaForCausalLM"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceModelTypes => ["gemma"];

    /// <inheritdoc/>
    public override DecoderConfig ReadGguf(GgufModel model) => Common(base.ReadGguf(model));

    /// <inheritdoc/>
    public override DecoderConfig ReadHuggingFace(JsonFields config)
    {
        HuggingFaceDefaults defaults = new() { HeadDim = 256, ContextLength = 8192, TiedHead = true, Activation = "gelu_pytorch_tanh" };
        return WithUnitOffset(Common(HuggingFaceDefaults.Read(config, defaults)));
    }

    /// <inheritdoc/>
    public override HuggingFaceConfig WriteHuggingFace(DecoderConfig config) => HuggingFaceWriting.Fields(config, new HuggingFaceSpelling { AlwaysHeadDim = true, AttentionBias = true });

    /// <summary>What all Gemmas do, whatever the file. Their first files name the exact GELU, but they were trained with the other one.</summary>
    internal static DecoderConfig Common(DecoderConfig decoder) =>
        (decoder with { EmbeddingScale = MathF.Sqrt(decoder.HiddenSize) }).WithLayers((layer, _) => layer with { Activation = Activation.GeluTanh });

    /// <summary>Hugging Face files store norms as offsets from 1; converters to GGUF have added the 1.</summary>
    internal static DecoderConfig WithUnitOffset(DecoderConfig decoder) => decoder with { Norm = decoder.Norm with { UnitOffset = true } };
}
