// Gemma 2.
using Kidogo.Models.Files;

namespace Kidogo.Models.Families;

/// <summary>Gemma 2: Gemma with soft-caps, norms before and after each part, and a window on every other layer (Gemma Team 2024).</summary>
public sealed class Gemma2 : ModelFamily
{
    private const double AttentionCap = 50;
    private const double LogitCap = 30;
    private const int WindowWhenAbsent = 4096;
    private const int LayersOf27B = 46;

    /// <inheritdoc/>
    public override string Name => "Gemma 2";

    /// <inheritdoc/>
    public override IReadOnlyList<string> GgufArchitectures => ["gemma2"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceArchitectures => ["Gemma2ForCausalLM"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceModelTypes => ["gemma2"];

    /// <inheritdoc/>
    protected override IReadOnlyDictionary<string, string> ModuleNames => PostNormNames;

    /// <summary>Gemma 2 and 3: what Llama calls the norm after attention is the one before the feed-forward there.</summary>
    internal static IReadOnlyDictionary<string, string> PostNormNames { get; } = With(
        LlamaNames,
        ("post_attention_layernorm", "post_attention_norm"),
        ("pre_feedforward_layernorm", "ffn_norm"),
        ("post_feedforward_layernorm", "post_ffw_norm"),
        ("self_attn.q_norm", "attn_q_norm"),
        ("self_attn.k_norm", "attn_k_norm"));

    /// <inheritdoc/>
    public override DecoderConfig ReadGguf(GgufModel model)
    {
        DecoderConfig decoder = Gemma.Common(base.ReadGguf(model));
        int window = GgufDefaults.Window(model, WindowWhenAbsent);
        float cap = (float)model.Float("attn_logit_softcapping", 0, ConfigLimits.Cap, AttentionCap);
        bool[] windowed = GgufDefaults.WindowedLayers(model, decoder.NumLayers, every: 2);
        return WithGgufScale(model, decoder, LayersOf27B).WithLayers((layer, i) => layer with { SlidingWindow = windowed[i] ? window : 0, AttentionSoftcap = cap }) with
        {
            PostNorms = true,
            LogitSoftcap = (float)model.Float("final_logit_softcapping", 0, ConfigLimits.Cap, LogitCap),
        };
    }

    /// <inheritdoc/>
    public override DecoderConfig ReadHuggingFace(JsonFields config)
    {
        HuggingFaceDefaults defaults = new() { HeadDim = 256, ContextLength = 8192, TiedHead = true, Activation = "gelu_pytorch_tanh", ActivationKey = "hidden_activation" };
        DecoderConfig decoder = Gemma.WithUnitOffset(Gemma.Common(HuggingFaceDefaults.Read(config, defaults)));
        int window = config.GetInt("sliding_window", 1, int.MaxValue, config.Mentions("sliding_window") ? 0 : WindowWhenAbsent);
        float cap = Cap(config, "attn_logit_softcapping", AttentionCap);
        float scale = (float)(1 / Math.Sqrt(config.GetFloat("query_pre_attn_scalar", 1e-9, 1e9, 256)));
        bool[] windowed = HuggingFaceDefaults.WindowedLayers(config, decoder.NumLayers, i => (i + 1) % 2 != 0);
        return decoder.WithLayers((layer, i) => layer with { SlidingWindow = windowed[i] ? window : 0, AttentionSoftcap = cap, AttentionScale = scale }) with
        {
            PostNorms = true,
            LogitSoftcap = Cap(config, "final_logit_softcapping", LogitCap),
        };
    }

    /// <inheritdoc/>
    public override HuggingFaceConfig WriteHuggingFace(DecoderConfig config)
    {
        HuggingFaceConfig fields = HuggingFaceWriting.Fields(config, Spelling);
        SetCapsAndWindows(fields, config);
        return fields;
    }

    /// <summary>How Gemma 2 and 3 spell what others have too.</summary>
    internal static HuggingFaceSpelling Spelling => new() { ActivationKey = "hidden_activation", AlwaysHeadDim = true, AttentionBias = true };

    /// <summary>The fields of Gemma 2 and 3 alone.</summary>
    internal static void SetCapsAndWindows(HuggingFaceConfig fields, DecoderConfig config)
    {
        LayerConfig layer = config.Layers[0];
        int window = HuggingFaceWriting.Window(config);
        fields.SetOrNull("attn_logit_softcapping", layer.AttentionSoftcap == 0 ? null : layer.AttentionSoftcap);
        fields.SetOrNull("final_logit_softcapping", config.LogitSoftcap == 0 ? null : config.LogitSoftcap);
        fields.SetOrNull("sliding_window", window == 0 ? null : window);
        fields.Set("layer_types", HuggingFaceWriting.LayerTypes(config));
        HuggingFaceWriting.SetScoreScalar(fields, layer.AttentionScale);
    }

    /// <summary>A cap that an explicit null turns off; 0 for none.</summary>
    internal static float Cap(JsonFields config, string name, double whenAbsent) =>
        (float)config.GetFloat(name, 0, ConfigLimits.Cap, config.Mentions(name) ? 0 : whenAbsent);

    /// <summary>GGUF files have no key for the scale of scores. It is that of the head size, but for one size of model, where it is that of the hidden size over the heads.</summary>
    internal static DecoderConfig WithGgufScale(GgufModel model, DecoderConfig decoder, int layersOfTheException) => model.HasKey("attention.scale") || decoder.NumLayers != layersOfTheException
        ? decoder
        : decoder.WithLayers((layer, _) => layer with { AttentionScale = (float)(1 / Math.Sqrt((double)decoder.HiddenSize / layer.NumHeads)) });

    /// <inheritdoc/>
    public override void WriteGguf(DecoderConfig config, GgufMetadata metadata)
    {
        base.WriteGguf(config, metadata);
        SetGguf(metadata, WrittenGgufArchitecture, config);
        GgufWriting.SetWindowPattern(metadata, WrittenGgufArchitecture, config, usualPeriod: 2);
    }

    /// <summary>The keys of Gemma 2 and 3 alone.</summary>
    internal static void SetGguf(GgufMetadata metadata, string architecture, DecoderConfig config)
    {
        // The size of heads is no quotient here, so converters write it always; a cap of 0 is none, but an absent one is Gemma 2's own.
        metadata.Set($"{architecture}.attention.key_length", (uint)config.Layers[0].HeadDim);
        metadata.Set($"{architecture}.attention.value_length", (uint)config.Layers[0].HeadDim);
        if (config.Layers[0].AttentionSoftcap > 0 || architecture == "gemma2")
        {
            metadata.Set($"{architecture}.attn_logit_softcapping", config.Layers[0].AttentionSoftcap);
        }

        if (config.LogitSoftcap > 0 || architecture == "gemma2")
        {
            metadata.Set($"{architecture}.final_logit_softcapping", config.LogitSoftcap);
        }
    }
}
