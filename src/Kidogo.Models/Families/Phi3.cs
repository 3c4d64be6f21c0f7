// Phi-3, 3.5 and 4, the dense models.
using Kidogo.Models.Files;

namespace Kidogo.Models.Families;

/// <summary>Phi-3: Llama with fused projections, a window, and LongRoPE for long contexts (Abdin et al. 2024).</summary>
public sealed class Phi3 : ModelFamily
{
    /// <inheritdoc/>
    public override string Name => "Phi-3";

    /// <inheritdoc/>
    public override IReadOnlyList<string> GgufArchitectures => ["phi3"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceArchitectures => ["Phi3ForCausalLM"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceModelTypes => ["phi3"];

    /// <inheritdoc/>
    public override bool FusesQkv => true;

    /// <inheritdoc/>
    public override bool FusesGate => true;

    /// <inheritdoc/>
    protected override IReadOnlyDictionary<string, string> ModuleNames { get; } = With(LlamaNames, ("self_attn.qkv_proj", "attn_qkv"), ("mlp.gate_up_proj", "ffn_up"));

    /// <inheritdoc/>
    public override DecoderConfig ReadGguf(GgufModel model)
    {
        int window = GgufDefaults.Window(model);
        return base.ReadGguf(model).WithLayers((layer, _) => layer with { SlidingWindow = window });
    }

    /// <inheritdoc/>
    public override DecoderConfig ReadHuggingFace(JsonFields config)
    {
        int window = config.GetInt("sliding_window", 1, int.MaxValue, 0);
        HuggingFaceDefaults defaults = new() { Epsilon = 1e-5, ContextLength = 4096 };
        return HuggingFaceDefaults.Read(config, defaults).WithLayers((layer, _) => layer with { SlidingWindow = window, QkvBias = false, OutputBias = false });
    }

    /// <inheritdoc/>
    public override HuggingFaceConfig WriteHuggingFace(DecoderConfig config)
    {
        HuggingFaceConfig fields = HuggingFaceWriting.Fields(config, new HuggingFaceSpelling { AlwaysPartialRotary = true });
        int window = HuggingFaceWriting.Window(config);
        fields.SetOrNull("sliding_window", window == 0 ? null : window);
        if (config.Layers[0].Rope?.Scaling is LongRopeScaling scaling)
        {
            fields.Set("original_max_position_embeddings", scaling.OriginalContext);
        }

        return fields;
    }
}
