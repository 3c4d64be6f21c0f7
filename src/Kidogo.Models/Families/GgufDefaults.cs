// What GGUF files of most families have in common. Knows keys and tensor names, no family.
using Kidogo.Models.Files;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Families;

/// <summary>Reads a Llama-like configuration from GGUF metadata; biases and the tied head are read off the tensors that there are.</summary>
internal static class GgufDefaults
{
    /// <summary>Reads the configuration.</summary>
    /// <param name="model">The file.</param>
    /// <param name="layout">Which values of a head are rotated together.</param>
    /// <param name="rotary">Whether there is a rotary embedding at all.</param>
    public static DecoderConfig Read(GgufModel model, RotaryLayout layout, bool rotary = true)
    {
        if (model.HasKey("expert_count") && model.Int("expert_count", 0, int.MaxValue) > 0)
        {
            throw model.Metadata.Refuse(model.Key("expert_count"), "asks for a mixture of experts, which Kidogo does not run yet. Use a dense model.");
        }

        int layers = model.Int("block_count", 1, ConfigLimits.Layers);
        int hidden = model.Int("embedding_length", 1, ConfigLimits.Hidden);
        int context = model.Int("context_length", 1, ConfigLimits.Context);
        int[] heads = model.IntPerLayer("attention.head_count", layers, 1, ConfigLimits.Heads);
        int[] kvHeads = model.HasKey("attention.head_count_kv") ? model.IntPerLayer("attention.head_count_kv", layers, 1, ConfigLimits.Heads) : heads;
        int[] intermediate = model.IntPerLayer("feed_forward_length", layers, 1, ConfigLimits.Intermediate);
        int headDim = HeadDim(model, hidden, heads[0]);
        RopeConfig? rope = rotary ? ReadRope(model, layout, headDim, context) : null;
        LayerConfig[] all = new LayerConfig[layers];
        for (int i = 0; i < layers; i++)
        {
            all[i] = new LayerConfig
            {
                NumHeads = heads[i],
                NumKvHeads = kvHeads[i],
                HeadDim = headDim,
                IntermediateSize = intermediate[i],
                Rope = rope,
                AttentionScale = Scale(model, headDim),
                Activation = Activation.Silu,
                QkvBias = model.HasTensor(CanonicalNames.InLayer(i, "attn_q.bias")) || model.HasTensor(CanonicalNames.InLayer(i, "attn_qkv.bias")),
                OutputBias = model.HasTensor(CanonicalNames.InLayer(i, "attn_output.bias")),
                MlpBias = model.HasTensor(CanonicalNames.InLayer(i, "ffn_down.bias")),
            };
        }

        return new DecoderConfig
        {
            VocabSize = Vocabulary(model),
            HiddenSize = hidden,
            ContextLength = context,
            Layers = all,
            Norm = ReadNorm(model),
            TiedHead = !model.HasTensor("output.weight"),
            HeadBias = model.HasTensor("output.bias"),
        };
    }

    /// <summary>The window of a model whose layers all have it, or of those that a pattern names; 0 for none.</summary>
    public static int Window(GgufModel model, int whenAbsent = 0) => model.Int("attention.sliding_window", 0, int.MaxValue, whenAbsent);

    /// <summary>Which layers have a window: from a pattern in the file (true for each that has, or every n-th has none), else by <paramref name="every"/>.</summary>
    /// <param name="model">The file.</param>
    /// <param name="layers">Number of layers.</param>
    /// <param name="every">Every n-th layer has no window.</param>
    public static bool[] WindowedLayers(GgufModel model, int layers, int every)
    {
        string key = model.Key("attention.sliding_window_pattern");
        if (model.Metadata.KindOf(key) == MetadataKind.Array)
        {
            model.Metadata.TryGetBools(key, out bool[] pattern);
            return pattern.Length == layers ? pattern : throw model.Metadata.Refuse(key, $"holds {pattern.Length} values; expected one for each of the {layers} layers.");
        }

        int period = model.Int("attention.sliding_window_pattern", 1, int.MaxValue, every);
        return [.. Enumerable.Range(0, layers).Select(i => (i + 1) % period != 0)];
    }

    private static int Vocabulary(GgufModel model)
    {
        StoredTensor table = model.FindTensor("token_embd.weight")
            ?? throw new ModelFormatException(model.File, -1, "The tensor \"token_embd.weight\" is absent. The file may hold a vocabulary only, or be a later part of a model in several files; open the first.");
        return table.Rows is >= 1 and <= ConfigLimits.Vocabulary
            ? (int)table.Rows
            : throw new ModelFormatException(model.File, table.Data.Offset, $"The tensor \"token_embd.weight\" has {table.Rows} rows; expected 1 to {ConfigLimits.Vocabulary} tokens.");
    }

    private static int HeadDim(GgufModel model, int hidden, int heads)
    {
        int headDim = model.HasKey("attention.key_length")
            ? model.Int("attention.key_length", 1, ConfigLimits.HeadDim)
            : hidden % heads == 0 ? hidden / heads : throw model.Metadata.Refuse(model.Key("embedding_length"), $"is {hidden}, which {heads} heads do not divide, and no attention.key_length says how wide they are.");
        int valueDim = model.Int("attention.value_length", 1, ConfigLimits.HeadDim, headDim);
        return valueDim == headDim
            ? headDim
            : throw model.Metadata.Refuse(model.Key("attention.value_length"), $"is {valueDim}; expected {headDim} as for keys. Kidogo runs no model whose values are of another width than its keys.");
    }

    private static float Scale(GgufModel model, int headDim) => (float)model.Float("attention.scale", 1e-9, 1e9, 1 / Math.Sqrt(headDim));

    private static NormConfig ReadNorm(GgufModel model)
    {
        bool isLayerNorm = model.HasKey("attention.layer_norm_epsilon") && !model.HasKey("attention.layer_norm_rms_epsilon");
        return isLayerNorm
            ? new NormConfig(NormKind.Layer, (float)model.Float("attention.layer_norm_epsilon", 0, ConfigLimits.Epsilon), Bias: model.HasTensor("output_norm.bias"))
            : new NormConfig(NormKind.Rms, (float)model.Float("attention.layer_norm_rms_epsilon", 0, ConfigLimits.Epsilon));
    }

    private static RopeConfig ReadRope(GgufModel model, RotaryLayout layout, int headDim, int context)
    {
        int dims = model.Int("rope.dimension_count", 2, ConfigLimits.HeadDim, headDim);
        if (dims > headDim || dims % 2 != 0)
        {
            throw model.Metadata.Refuse(model.Key("rope.dimension_count"), $"is {dims}; expected an even number from 2 to the head size {headDim}.");
        }

        double theta = model.Float("rope.freq_base", 1e-3, ConfigLimits.Theta, 10_000);
        RopeScaling? scaling = ReadScaling(model, dims, context);
        if (model.TryVector("rope_freqs.weight", dims / 2) is { } factors)
        {
            scaling = new FactorScaling(factors, scaling);
        }

        return new RopeConfig(theta, dims, layout, scaling);
    }

    private static RopeScaling? ReadScaling(GgufModel model, int dims, int context)
    {
        if (model.Metadata.Contains(GgufWriting.DynamicFactorKey))
        {
            return new DynamicNtkScaling(model.Metadata.GetFloat(GgufWriting.DynamicFactorKey, 1, ConfigLimits.Factor), context);
        }

        // The key before scaling had types.
        if (!model.HasKey("rope.scaling.type") && model.HasKey("rope.scale_linear"))
        {
            return Linear(model.Float("rope.scale_linear", 1e-6, ConfigLimits.Factor));
        }

        int original = model.Int("rope.scaling.original_context_length", 1, ConfigLimits.Context, context);
        float[]? longFactors = model.TryVector("rope_factors_long.weight", dims / 2);
        float[]? shortFactors = model.TryVector("rope_factors_short.weight", dims / 2);
        if (longFactors is not null && shortFactors is not null)
        {
            double attention = model.Float("rope.scaling.attn_factor", 1e-6, ConfigLimits.Factor, LongRopeScaling.AttentionFor((double)context / original, original));
            return new LongRopeScaling(shortFactors, longFactors, original, attention);
        }

        string type = model.Metadata.GetString(model.Key("rope.scaling.type"), "none");
        double factor = model.Float("rope.scaling.factor", 0, ConfigLimits.Factor, 1);
        return type switch
        {
            "none" => null,
            "linear" => Linear(factor),
            "yarn" => Yarn(model, factor, original),
            "longrope" => throw new ModelFormatException(model.File, -1, "The rotary scaling is longrope, but the tensors \"rope_factors_long.weight\" and \"rope_factors_short.weight\" are not both there."),
            _ => throw model.Metadata.Refuse(model.Key("rope.scaling.type"), $"is {ModelFormatException.Quote(type)}; expected none, linear, yarn or longrope."),
        };
    }

    private static LinearScaling? Linear(double factor) => factor is 0 or 1 ? null : new LinearScaling(factor);

    private static YarnScaling? Yarn(GgufModel model, double factor, int original)
    {
        if (factor is 0 or 1)
        {
            return null;
        }

        // GGUF's factors, of which there are two keys, multiply YaRN's own instead of taking its place.
        double given = model.Float("rope.scaling.attn_factor", 1e-6, ConfigLimits.Factor, 1) * model.Float("rope.scaling.yarn_attn_factor", 1e-6, ConfigLimits.Factor, 1);
        double attention = given * YarnScaling.Sharpening(factor, 1);
        return new YarnScaling
        {
            Factor = factor,
            OriginalContext = original,
            GivenAttentionFactor = attention,
            BetaFast = model.Float("rope.scaling.yarn_beta_fast", 1e-6, ConfigLimits.Factor, 32),
            BetaSlow = model.Float("rope.scaling.yarn_beta_slow", 1e-6, ConfigLimits.Factor, 1),
        };
    }
}
