// GPT-NeoX: Pythia and its relatives.
using Kidogo.Models.Files;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Families;

/// <summary>GPT-NeoX: attention and feed-forward side by side behind two LayerNorms, rotation of a part of each head (Black et al. 2022).</summary>
public sealed class GptNeoX : ModelFamily
{
    private const double RotaryPart = 0.25;

    /// <inheritdoc/>
    public override string Name => "GPT-NeoX";

    /// <inheritdoc/>
    public override IReadOnlyList<string> GgufArchitectures => ["gptneox"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceArchitectures => ["GPTNeoXForCausalLM"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceModelTypes => ["gpt_neox"];

    /// <inheritdoc/>
    public override FusedOrder HuggingFaceFusedOrder => FusedOrder.PerHead;

    /// <inheritdoc/>
    public override bool FusesQkv => true;

    /// <inheritdoc/>
    protected override string HeadModule => "embed_out";

    /// <inheritdoc/>
    protected override string BasePrefix => "gpt_neox.";

    /// <inheritdoc/>
    protected override IReadOnlyDictionary<string, string> ModuleNames { get; } = new Dictionary<string, string>
    {
        ["embed_in"] = "token_embd",
        ["final_layer_norm"] = "output_norm",
        ["embed_out"] = "output",
        ["lm_head"] = "output",
        ["input_layernorm"] = "attn_norm",
        ["attention.query_key_value"] = "attn_qkv",
        ["attention.dense"] = "attn_output",
        ["post_attention_layernorm"] = "ffn_norm",
        ["mlp.dense_h_to_4h"] = "ffn_up",
        ["mlp.dense_4h_to_h"] = "ffn_down",
    };

    /// <inheritdoc/>
    /// <remarks>GGUF has no key for the activation: nearly all these models, Pythia's among them, were trained with the exact GELU.</remarks>
    public override DecoderConfig ReadGguf(GgufModel model) =>
        base.ReadGguf(model).WithLayers((layer, _) => layer with { Activation = Activation.GeluErf, Gated = false }) with
        {
            Residual = Residual(model.Metadata.GetBool(model.Key("use_parallel_residual"), true)),
        };

    /// <inheritdoc/>
    public override DecoderConfig ReadHuggingFace(JsonFields config)
    {
        HuggingFaceDefaults defaults = new()
        {
            Epsilon = 1e-5,
            EpsilonKey = "layer_norm_eps",
            NormKind = NormKind.Layer,
            Activation = "gelu",
            PartialRotaryFactor = config.GetFloat("rotary_pct", 0, 1, RotaryPart),
            RopeTheta = config.GetFloat("rotary_emb_base", 1e-3, ConfigLimits.Theta, 10_000),
        };
        bool attentionBias = config.GetBool("attention_bias", true);
        DecoderConfig decoder = HuggingFaceDefaults.Read(config, defaults);
        return decoder.WithLayers((layer, _) => layer with { Gated = false, QkvBias = attentionBias, OutputBias = attentionBias, MlpBias = true }) with
        {
            Residual = Residual(config.GetBool("use_parallel_residual", true)),
        };
    }

    /// <inheritdoc/>
    public override HuggingFaceConfig WriteHuggingFace(DecoderConfig config)
    {
        HuggingFaceSpelling spelling = new() { EpsilonKey = "layer_norm_eps", GeluTanh = "gelu_new", AttentionBias = true, KvHeads = false, AlwaysPartialRotary = true };
        HuggingFaceConfig fields = HuggingFaceWriting.Fields(config, spelling);
        fields.Set("use_parallel_residual", config.Residual == ResidualKind.ParallelTwoNorms);
        return fields;
    }

    private static ResidualKind Residual(bool parallel) => parallel ? ResidualKind.ParallelTwoNorms : ResidualKind.Sequential;

    /// <inheritdoc/>
    public override void WriteGguf(DecoderConfig config, GgufMetadata metadata)
    {
        base.WriteGguf(config, metadata);
        metadata.Set($"{WrittenGgufArchitecture}.use_parallel_residual", config.Residual == ResidualKind.ParallelTwoNorms);
    }
}
