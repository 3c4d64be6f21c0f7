// Qwen 3, the dense models.
using Kidogo.Models.Files;

namespace Kidogo.Models.Families;

/// <summary>Qwen 3: Llama with a norm over each head of queries and keys (Yang et al. 2025).</summary>
public sealed class Qwen3 : ModelFamily
{
    /// <inheritdoc/>
    public override string Name => "Qwen3";

    /// <inheritdoc/>
    public override IReadOnlyList<string> GgufArchitectures => ["qwen3"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceArchitectures => ["Qwen3ForCausalLM"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceModelTypes => ["qwen3"];

    /// <inheritdoc/>
    protected override IReadOnlyDictionary<string, string> ModuleNames { get; } = With(LlamaNames, ("self_attn.q_norm", "attn_q_norm"), ("self_attn.k_norm", "attn_k_norm"));

    /// <inheritdoc/>
    public override DecoderConfig ReadGguf(GgufModel model) => base.ReadGguf(model).WithLayers((layer, _) => layer with { QkNorm = QkNorm.PerHead });

    /// <inheritdoc/>
    public override DecoderConfig ReadHuggingFace(JsonFields config)
    {
        DecoderConfig decoder = HuggingFaceDefaults.Read(config, new HuggingFaceDefaults { HeadDim = 128, ContextLength = 32_768 });
        return HuggingFaceDefaults.WithUsedWindow(decoder, config).WithLayers((layer, _) => layer with { QkNorm = QkNorm.PerHead });
    }

    /// <inheritdoc/>
    public override HuggingFaceConfig WriteHuggingFace(DecoderConfig config)
    {
        HuggingFaceConfig fields = HuggingFaceWriting.Fields(config, new HuggingFaceSpelling { AlwaysHeadDim = true, AttentionBias = true });
        HuggingFaceWriting.SetUsedWindow(fields, config);
        return fields;
    }
}
