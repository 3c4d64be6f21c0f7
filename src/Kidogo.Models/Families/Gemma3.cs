// Gemma 3, its language part.
using Kidogo.Models.Files;

namespace Kidogo.Models.Families;

/// <summary>Gemma 3: Gemma 2 with norms over heads instead of soft-caps, and five layers with a window and a short rotary base to one without (Gemma Team 2025).</summary>
public sealed class Gemma3 : ModelFamily
{
    private const int FullLayerEvery = 6;
    private const double LocalTheta = 10_000;
    private const double GlobalTheta = 1_000_000;
    private const int LayersOf27B = 62;

    /// <inheritdoc/>
    public override string Name => "Gemma 3";

    /// <inheritdoc/>
    public override IReadOnlyList<string> GgufArchitectures => ["gemma3"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceArchitectures => ["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> HuggingFaceModelTypes => ["gemma3_text", "gemma3"];

    /// <inheritdoc/>
    protected override IReadOnlyDictionary<string, string> ModuleNames => Gemma2.PostNormNames;

    /// <inheritdoc/>
    /// <remarks>Files that also see images put the decoder under <c>language_model</c>, before or after <c>model</c>.</remarks>
    public override string? CanonicalName(string name)
    {
        const string Old = "language_model.";
        const string New = "model.language_model.";
        return name.StartsWith(New, StringComparison.Ordinal) ? base.CanonicalName(name[New.Length..])
            : base.CanonicalName(name.StartsWith(Old, StringComparison.Ordinal) ? name[Old.Length..] : name);
    }

    /// <inheritdoc/>
    public override DecoderConfig ReadGguf(GgufModel model)
    {
        DecoderConfig decoder = Gemma2.WithGgufScale(model, Gemma.Common(base.ReadGguf(model)), LayersOf27B);
        int window = GgufDefaults.Window(model);
        bool[] windowed = GgufDefaults.WindowedLayers(model, decoder.NumLayers, FullLayerEvery);
        double localTheta = model.Float("rope.freq_base_swa", 1e-3, ConfigLimits.Theta, LocalTheta);
        double globalTheta = model.Float("rope.freq_base", 1e-3, ConfigLimits.Theta, GlobalTheta);
        decoder = decoder.WithLayers((layer, _) => layer with { Rope = layer.Rope! with { Theta = globalTheta } });
        return WithWindows(decoder, windowed, window, localTheta, (float)model.Float("attn_logit_softcapping", 0, ConfigLimits.Cap, 0)) with
        {
            LogitSoftcap = (float)model.Float("final_logit_softcapping", 0, ConfigLimits.Cap, 0),
        };
    }

    /// <inheritdoc/>
    public override DecoderConfig ReadHuggingFace(JsonFields config)
    {
        JsonFields text = config.Section("text_config") ?? config;
        if (text.GetBool("use_bidirectional_attention", false))
        {
            throw text.Refuse("use_bidirectional_attention", "is true: the model is an encoder, not a decoder that writes text.");
        }

        DecoderConfig decoder = Gemma.WithUnitOffset(Gemma.Common(HuggingFaceDefaults.Read(text, Defaults)));
        float scale = (float)(1 / Math.Sqrt(text.GetFloat("query_pre_attn_scalar", 1e-9, 1e9, 256)));
        int window = text.GetInt("sliding_window", 1, int.MaxValue, text.Mentions("sliding_window") ? 0 : 4096);
        int every = text.GetInt("sliding_window_pattern", 1, int.MaxValue, text.GetInt("_sliding_window_pattern", 1, int.MaxValue, FullLayerEvery));
        bool[] windowed = HuggingFaceDefaults.WindowedLayers(text, decoder.NumLayers, i => (i + 1) % every != 0);
        (RopeConfig local, RopeConfig global) = ReadRopes(text, decoder);
        decoder = decoder.WithLayers((layer, i) => layer with
        {
            AttentionScale = scale,
            AttentionSoftcap = Gemma2.Cap(text, "attn_logit_softcapping", 0),
            Rope = windowed[i] ? local : global,
            SlidingWindow = windowed[i] ? window : 0,
            QkNorm = QkNorm.PerHead,
        });
        return decoder with { PostNorms = true, LogitSoftcap = Gemma2.Cap(text, "final_logit_softcapping", 0) };
    }

    /// <inheritdoc/>
    public override HuggingFaceConfig WriteHuggingFace(DecoderConfig config)
    {
        HuggingFaceConfig fields = HuggingFaceWriting.Fields(config, Gemma2.Spelling);
        Gemma2.SetCapsAndWindows(fields, config);
        LayerConfig? windowed = config.Layers.FirstOrDefault(layer => layer.SlidingWindow > 0);
        LayerConfig? full = config.Layers.FirstOrDefault(layer => layer.SlidingWindow == 0);
        HuggingFaceConfig rope = new();
        rope.Set("sliding_attention", HuggingFaceWriting.Rope((windowed ?? full)!.Rope!, config.Layers[0].HeadDim, config.ContextLength, alwaysPartial: false));
        rope.Set("full_attention", HuggingFaceWriting.Rope((full ?? windowed)!.Rope!, config.Layers[0].HeadDim, config.ContextLength, alwaysPartial: false));
        fields.Set("rope_parameters", rope);
        fields.Set("_sliding_window_pattern", FullLayerEvery);
        return fields;
    }

    /// <summary>The configuration class's own values: the text part of a file that also sees images states only what differs.</summary>
    private static HuggingFaceDefaults Defaults => new()
    {
        VocabSize = 262_208,
        HiddenSize = 2304,
        IntermediateSize = 9216,
        NumLayers = 26,
        NumHeads = 8,
        NumKvHeads = 4,
        HeadDim = 256,
        ContextLength = 131_072,
        RopeTheta = GlobalTheta,
        TiedHead = true,
        Activation = "gelu_pytorch_tanh",
        ActivationKey = "hidden_activation",
    };

    private static (RopeConfig Local, RopeConfig Global) ReadRopes(JsonFields text, DecoderConfig decoder)
    {
        int headDim = decoder.Layers[0].HeadDim;
        JsonFields? parameters = text.Section("rope_parameters");
        JsonFields? global = parameters?.Section("full_attention");
        JsonFields? local = parameters?.Section("sliding_attention");
        if (global is null && local is null)
        {
            // Before Transformers 5: the scaling is of the layers without a window alone.
            double theta = text.GetFloat("rope_local_base_freq", 1e-3, ConfigLimits.Theta, LocalTheta);
            return (HuggingFaceRope.Read(text, null, theta, 1, headDim, decoder.ContextLength), decoder.Layers[0].Rope!);
        }

        double globalTheta = global?.TryFloat("rope_theta", 1e-3, ConfigLimits.Theta) ?? GlobalTheta;
        double localTheta = local?.TryFloat("rope_theta", 1e-3, ConfigLimits.Theta) ?? LocalTheta;
        return (HuggingFaceRope.Read(text, local, localTheta, 1, headDim, decoder.ContextLength), HuggingFaceRope.Read(text, global, globalTheta, 1, headDim, decoder.ContextLength));
    }

    private static DecoderConfig WithWindows(DecoderConfig decoder, bool[] windowed, int window, double localTheta, float cap) => decoder.WithLayers((layer, i) => layer with
    {
        // Layers with a window keep their short rotation unscaled.
        Rope = windowed[i] ? layer.Rope! with { Theta = localTheta, Scaling = null } : layer.Rope,
        SlidingWindow = windowed[i] ? window : 0,
        AttentionSoftcap = cap,
        QkNorm = QkNorm.PerHead,
    }) with { PostNorms = true };

    /// <inheritdoc/>
    public override void WriteGguf(DecoderConfig config, GgufMetadata metadata)
    {
        base.WriteGguf(config, metadata);
        Gemma2.SetGguf(metadata, WrittenGgufArchitecture, config);
        GgufWriting.SetWindowPattern(metadata, WrittenGgufArchitecture, config, FullLayerEvery);
        if (config.Layers.FirstOrDefault(layer => layer.SlidingWindow > 0)?.Rope is { } local && local.Theta != LocalTheta)
        {
            metadata.Set($"{WrittenGgufArchitecture}.rope.freq_base_swa", (float)local.Theta);
        }
    }
}
