// GPT-2.
using Kidogo.Models.Files;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Families;

/// <summary>GPT-2: learned positions, LayerNorms, biases everywhere, a plain feed-forward (Radford et al. 2019).</summary>
public sealed class Gpt2 : ModelFamily
{
    /// <inheritdoc/>
    public override string Name => "GPT-2";

    /// <inheritdoc/>
    public override IReadOnlyList<string> GgufArchitectures => ["gpt2"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceArchitectures => ["GPT2LMHeadModel"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceModelTypes => ["gpt2"];

    /// <inheritdoc/>
    public override bool FusesQkv => true;

    /// <inheritdoc/>
    protected override string BasePrefix => "transformer.";

    /// <inheritdoc/>
    protected override string LayerPrefix => "h.";

    /// <inheritdoc/>
    protected override IReadOnlyDictionary<string, string> ModuleNames { get; } = new Dictionary<string, string>
    {
        ["wte"] = "token_embd",
        ["wpe"] = "position_embd",
        ["ln_f"] = "output_norm",
        ["lm_head"] = "output",
        ["ln_1"] = "attn_norm",
        ["attn.c_attn"] = "attn_qkv",
        ["attn.c_proj"] = "attn_output",
        ["ln_2"] = "ffn_norm",
        ["mlp.c_fc"] = "ffn_up",
        ["mlp.c_proj"] = "ffn_down",
    };

    /// <inheritdoc/>
    /// <remarks>Its "Conv1D" is a linear layer whose matrix is stored the other way round; converters to GGUF have turned it.</remarks>
    public override bool IsInputMajor(string canonicalName) =>
        CanonicalNames.TrySplitLayer(canonicalName, out _, out string rest) && rest is "attn_qkv.weight" or "attn_output.weight" or "ffn_up.weight" or "ffn_down.weight";

    /// <inheritdoc/>
    public override DecoderConfig ReadGguf(GgufModel model)
    {
        DecoderConfig decoder = GgufDefaults.Read(model, GgufRotaryLayout, rotary: false);
        return decoder.WithLayers((layer, _) => layer with { Activation = Activation.GeluTanh, Gated = false }) with { LearnedPositions = decoder.ContextLength };
    }

    /// <inheritdoc/>
    public override DecoderConfig ReadHuggingFace(JsonFields config)
    {
        int layers = config.GetInt("n_layer", 1, ConfigLimits.Layers);
        int hidden = config.GetInt("n_embd", 1, ConfigLimits.Hidden);
        int[] heads = config.IntPerLayer("n_head", layers, 1, ConfigLimits.Heads, null);
        int[] inner = config.IntPerLayer("n_inner", layers, 1, ConfigLimits.Intermediate, 4 * hidden);
        int context = config.GetInt("n_positions", 1, ConfigLimits.Context, config.GetInt("n_ctx", 1, ConfigLimits.Context, 1024));
        int headDim = config.TryInt("head_dim", 1, ConfigLimits.HeadDim)
            ?? (hidden % heads[0] == 0 ? hidden / heads[0] : throw config.Refuse("n_embd", $"is {hidden}, which {heads[0]} heads do not divide."));

        bool byLayer = config.GetBool("scale_attn_by_inverse_layer_idx", false);
        double scale = config.GetBool("scale_attn_weights", true) ? 1 / Math.Sqrt(headDim) : 1;
        LayerConfig layer = new()
        {
            NumHeads = heads[0],
            NumKvHeads = heads[0],
            HeadDim = headDim,
            IntermediateSize = inner[0],
            AttentionScale = (float)scale,
            Activation = HuggingFaceDefaults.ReadActivation(config, "activation_function", "gelu_new"),
            Gated = false,
            QkvBias = true,
            OutputBias = true,
            MlpBias = true,
        };
        DecoderConfig decoder = new()
        {
            VocabSize = config.GetInt("vocab_size", 1, ConfigLimits.Vocabulary),
            HiddenSize = hidden,
            ContextLength = context,
            Layers = [.. Enumerable.Range(0, layers).Select(i => layer with { NumHeads = heads[i], NumKvHeads = heads[i], IntermediateSize = inner[i] })],
            Norm = new NormConfig(NormKind.Layer, (float)config.GetFloat("layer_norm_epsilon", 0, ConfigLimits.Epsilon, 1e-5), Bias: true),
            LearnedPositions = context,
            TiedHead = config.GetBool("tie_word_embeddings", true),
        };
        return byLayer ? decoder.WithLayers((each, i) => each with { AttentionScale = (float)(scale / (i + 1)) }) : decoder;
    }

    /// <inheritdoc/>
    public override HuggingFaceConfig WriteHuggingFace(DecoderConfig config)
    {
        LayerConfig layer = config.Layers[0];
        HuggingFaceConfig fields = new();
        fields.Set("vocab_size", config.VocabSize);
        fields.Set("n_embd", config.HiddenSize);
        HuggingFaceWriting.SetPerLayer(fields, "n_head", config, each => each.NumHeads);
        fields.Set("n_layer", config.NumLayers);
        fields.Set("n_positions", config.ContextLength);
        if (config.Layers.All(each => each.IntermediateSize == 4 * config.HiddenSize))
        {
            fields.SetNull("n_inner");
        }
        else
        {
            HuggingFaceWriting.SetPerLayer(fields, "n_inner", config, each => each.IntermediateSize);
        }

        if (layer.HeadDim * layer.NumHeads != config.HiddenSize || !config.HasEqualLayers)
        {
            fields.Set("head_dim", layer.HeadDim); // a field of Kidogo's own: published models have none
        }

        fields.Set("activation_function", HuggingFaceWriting.ActivationName(layer.Activation, "gelu_new"));
        fields.Set("layer_norm_epsilon", config.Norm.Epsilon);
        fields.Set("scale_attn_weights", layer.HeadDim == 1 || layer.AttentionScale != 1);
        fields.Set("scale_attn_by_inverse_layer_idx", config.Layers.Any(each => each.AttentionScale != layer.AttentionScale));
        fields.Set("tie_word_embeddings", config.TiedHead);
        return fields;
    }
}
