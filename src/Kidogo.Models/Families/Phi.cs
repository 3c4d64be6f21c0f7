// Phi 1, 1.5 and 2.
using Kidogo.Models.Files;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Families;

/// <summary>Phi: one LayerNorm feeds attention and feed-forward side by side; rotation of a part of each head; biases everywhere (Gunasekar et al. 2023).</summary>
public sealed class Phi : ModelFamily
{
    /// <inheritdoc/>
    public override string Name => "Phi";

    /// <inheritdoc/>
    public override IReadOnlyList<string> GgufArchitectures => ["phi2"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceArchitectures => ["PhiForCausalLM"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceModelTypes => ["phi"];

    /// <inheritdoc/>
    protected override IReadOnlyDictionary<string, string> ModuleNames { get; } = With(
        LlamaNames,
        ("final_layernorm", "output_norm"),
        ("self_attn.dense", "attn_output"),
        ("mlp.fc1", "ffn_up"),
        ("mlp.fc2", "ffn_down"));

    /// <inheritdoc/>
    public override DecoderConfig ReadGguf(GgufModel model) =>
        base.ReadGguf(model).WithLayers((layer, _) => layer with { Activation = Activation.GeluTanh, Gated = false }) with { Residual = ResidualKind.ParallelOneNorm };

    /// <inheritdoc/>
    public override DecoderConfig ReadHuggingFace(JsonFields config)
    {
        if (config.GetBool("qk_layernorm", false))
        {
            throw config.Refuse("qk_layernorm", "is true; Kidogo runs no Phi with norms over queries and keys.");
        }

        HuggingFaceDefaults defaults = new() { Epsilon = 1e-5, EpsilonKey = "layer_norm_eps", NormKind = NormKind.Layer, PartialRotaryFactor = 0.5, Activation = "gelu_new" };
        return HuggingFaceDefaults.Read(config, defaults).WithLayers((layer, _) => layer with { Gated = false, QkvBias = true, OutputBias = true, MlpBias = true }) with
        {
            Residual = ResidualKind.ParallelOneNorm,
            HeadBias = true,
        };
    }

    /// <inheritdoc/>
    public override HuggingFaceConfig WriteHuggingFace(DecoderConfig config)
    {
        HuggingFaceConfig fields = HuggingFaceWriting.Fields(config, new HuggingFaceSpelling { EpsilonKey = "layer_norm_eps", GeluTanh = "gelu_new", AlwaysPartialRotary = true });
        fields.Set("qk_layernorm", false);
        return fields;
    }
}
