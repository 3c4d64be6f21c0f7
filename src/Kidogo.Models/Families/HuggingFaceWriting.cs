// From a configuration to the fields that most families' config.json share, in the spelling of Transformers 5. Knows no family.
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Families;

/// <summary>What differs between families in how they say the same.</summary>
internal sealed record HuggingFaceSpelling
{
    public string ActivationKey { get; init; } = "hidden_act";

    public string EpsilonKey { get; init; } = "rms_norm_eps";

    /// <summary>What a tanh GELU is called.</summary>
    public string GeluTanh { get; init; } = "gelu_pytorch_tanh";

    /// <summary>Whether the head size is written even where it is the hidden size over the heads.</summary>
    public bool AlwaysHeadDim { get; init; }

    /// <summary>Whether there is a field for biases of attention.</summary>
    public bool AttentionBias { get; init; }

    /// <summary>Whether there is a field for biases of the feed-forward.</summary>
    public bool MlpBias { get; init; }

    /// <summary>Whether there is a field for key and value heads.</summary>
    public bool KvHeads { get; init; } = true;

    /// <summary>Whether the rotated part is written even where it is the whole head.</summary>
    public bool AlwaysPartialRotary { get; init; }
}

/// <summary>Writes the fields that <see cref="HuggingFaceDefaults"/> reads. What a family cannot say is found by whoever reads them back.</summary>
internal static class HuggingFaceWriting
{
    /// <summary>The fields of a Llama-like configuration.</summary>
    public static HuggingFaceConfig Fields(DecoderConfig config, HuggingFaceSpelling spelling)
    {
        LayerConfig layer = config.Layers[0];
        HuggingFaceConfig fields = new();
        fields.Set("vocab_size", config.VocabSize);
        fields.Set("hidden_size", config.HiddenSize);
        SetPerLayer(fields, "intermediate_size", config, each => each.IntermediateSize);
        fields.Set("num_hidden_layers", config.NumLayers);
        SetPerLayer(fields, "num_attention_heads", config, each => each.NumHeads);
        fields.Set("max_position_embeddings", config.ContextLength);
        fields.Set("tie_word_embeddings", config.TiedHead);
        fields.Set(spelling.ActivationKey, ActivationName(layer.Activation, spelling.GeluTanh));
        fields.Set(spelling.EpsilonKey, config.Norm.Epsilon);
        if (spelling.KvHeads || config.Layers.Any(each => each.NumKvHeads != each.NumHeads))
        {
            SetPerLayer(fields, "num_key_value_heads", config, each => each.NumKvHeads);
        }

        if (spelling.AlwaysHeadDim || layer.HeadDim * layer.NumHeads != config.HiddenSize || !config.HasEqualLayers)
        {
            fields.Set("head_dim", layer.HeadDim);
        }

        if (spelling.AttentionBias)
        {
            fields.Set("attention_bias", layer.QkvBias);
        }

        if (spelling.MlpBias)
        {
            fields.Set("mlp_bias", layer.MlpBias);
        }

        if (config.Layers.Select(each => each.Rope).FirstOrDefault(rope => rope is not null) is { } rope)
        {
            fields.Set("rope_parameters", Rope(rope, layer.HeadDim, config.ContextLength, spelling.AlwaysPartialRotary));
        }

        return fields;
    }

    /// <summary>A number that layers may differ in: one where all are alike, as all programs read it, else a list of one for each layer.</summary>
    public static void SetPerLayer(HuggingFaceConfig fields, string name, DecoderConfig config, Func<LayerConfig, int> value)
    {
        int[] values = [.. config.Layers.Select(value)];
        if (Array.TrueForAll(values, each => each == values[0]))
        {
            fields.Set(name, values[0]);
        }
        else
        {
            fields.Set(name, (IEnumerable<int>)values);
        }
    }

    /// <summary>The name of an activation.</summary>
    public static string ActivationName(Activation activation, string geluTanh) => activation switch
    {
        Activation.Silu => "silu",
        Activation.GeluErf => "gelu",
        Activation.GeluTanh => geluTanh,
        Activation.Relu => "relu",
        Activation.ReluSquared => "relu2",
        _ => throw new NotSupportedException($"Hugging Face's files have no name for the activation {activation}."),
    };

    /// <summary>The window of the layers that have one; 0 where none has.</summary>
    public static int Window(DecoderConfig config) => config.Layers.Max(layer => layer.SlidingWindow);

    /// <summary>The kind of each layer's attention.</summary>
    public static IEnumerable<string> LayerTypes(DecoderConfig config) => config.Layers.Select(layer => layer.SlidingWindow > 0 ? "sliding_attention" : "full_attention");

    /// <summary>The fields of Qwen and SmolLM3 about windows.</summary>
    public static void SetUsedWindow(HuggingFaceConfig fields, DecoderConfig config)
    {
        const int FirstWhenNone = 28;
        int window = Window(config);
        int first = Enumerable.Range(0, config.NumLayers).FirstOrDefault(i => config.Layers[i].SlidingWindow > 0, FirstWhenNone);
        fields.Set("use_sliding_window", window > 0);
        fields.SetOrNull("sliding_window", window > 0 ? window : null);
        fields.Set("max_window_layers", first);
        fields.Set("layer_types", LayerTypes(config));
    }

    /// <summary>What scores are divided by the root of, as an integer where that gives the scale exactly.</summary>
    public static void SetScoreScalar(HuggingFaceConfig fields, float scale)
    {
        double scalar = 1 / ((double)scale * scale);
        int whole = (int)Math.Round(scalar);
        if ((float)(1 / Math.Sqrt(whole)) == scale)
        {
            fields.Set("query_pre_attn_scalar", whole);
            return;
        }

        fields.Set("query_pre_attn_scalar", scalar);
    }

    /// <summary>A rotary embedding as an object.</summary>
    /// <param name="rope">The embedding.</param>
    /// <param name="headDim">Values of a head.</param>
    /// <param name="context">Positions that the model is made for.</param>
    /// <param name="alwaysPartial">Whether the rotated part is written even where it is the whole head.</param>
    public static HuggingFaceConfig Rope(RopeConfig rope, int headDim, int context, bool alwaysPartial)
    {
        HuggingFaceConfig fields = new();
        fields.Set("rope_theta", rope.Theta);
        if (alwaysPartial || rope.RotaryDims != headDim)
        {
            double part = (double)rope.RotaryDims / headDim;
            fields.Set("partial_rotary_factor", (int)(headDim * part) == rope.RotaryDims ? part : Math.BitIncrement(part));
        }

        fields.Set("rope_type", "default");
        if (rope.Scaling is { } scaling)
        {
            SetScaling(fields, scaling is FactorScaling factors ? Named(factors, rope, context) : scaling, context);
        }

        return fields;
    }

    private static void SetScaling(HuggingFaceConfig fields, RopeScaling scaling, int context)
    {
        switch (scaling)
        {
            case LinearScaling linear:
                fields.Set("rope_type", "linear");
                fields.Set("factor", linear.Factor);
                break;
            case DynamicNtkScaling dynamic:
                fields.Set("rope_type", "dynamic");
                fields.Set("factor", dynamic.Factor);
                break;
            case YarnScaling yarn:
                SetYarn(fields, yarn);
                break;
            case Llama3Scaling llama:
                fields.Set("rope_type", "llama3");
                fields.Set("factor", llama.Factor);
                fields.Set("low_freq_factor", llama.LowFrequencyFactor);
                fields.Set("high_freq_factor", llama.HighFrequencyFactor);
                fields.Set("original_max_position_embeddings", llama.OriginalContext);
                break;
            case LongRopeScaling longRope:
                fields.Set("rope_type", "longrope");
                fields.Set("short_factor", longRope.ShortFactors);
                fields.Set("long_factor", longRope.LongFactors);
                fields.Set("original_max_position_embeddings", longRope.OriginalContext);
                if (longRope.Attention != LongRopeScaling.AttentionFor((double)context / longRope.OriginalContext, longRope.OriginalContext))
                {
                    fields.Set("attention_factor", longRope.Attention);
                }

                break;
            default:
                throw new NotSupportedException($"Hugging Face's files have no name for the rotary scaling {scaling.GetType().Name}.");
        }
    }

    private static void SetYarn(HuggingFaceConfig fields, YarnScaling yarn)
    {
        fields.Set("rope_type", "yarn");
        fields.Set("factor", yarn.Factor);
        fields.Set("original_max_position_embeddings", yarn.OriginalContext);
        if (yarn.BetaFast != 32 || yarn.BetaSlow != 1)
        {
            fields.Set("beta_fast", yarn.BetaFast);
            fields.Set("beta_slow", yarn.BetaSlow);
        }

        if (!yarn.Truncate)
        {
            fields.Set("truncate", false);
        }

        if (yarn.GivenAttentionFactor is { } given && given != YarnScaling.Sharpening(yarn.Factor, 1))
        {
            fields.Set("attention_factor", given);
        }

        if (yarn.Mscale is { } mscale)
        {
            fields.Set("mscale", mscale);
        }

        if (yarn.MscaleAllDim is { } all)
        {
            fields.Set("mscale_all_dim", all);
        }
    }

    /// <summary>
    /// Factors without a name, as GGUF files have them: Llama 3's where its rule gives just these (the numbers of that rule are not in the file; those of the published models are tried), else
    /// a LongRoPE whose two sets are the same.
    /// </summary>
    private static RopeScaling Named(FactorScaling scaling, RopeConfig rope, int context)
    {
        if (scaling.Inner is not null)
        {
            throw new NotSupportedException("The model's rotary embedding has factors for each pair and another scaling beside, for which Hugging Face's files have no name.");
        }

        double factor = scaling.Factors[^1];
        for (int original = 16; original <= 1 << 20; original *= 2)
        {
            Llama3Scaling candidate = new(factor, 1, 4, original);
            if (factor >= 1 && IsSame(candidate.Factors(rope), scaling.Factors))
            {
                return candidate;
            }
        }

        return new LongRopeScaling(scaling.Factors, scaling.Factors, context, 1);
    }

    private static bool IsSame(float[] found, IReadOnlyList<float> expected)
    {
        const float Roundings = 1e-5f; // of converters that compute in float32
        return found.Length == expected.Count && !found.Where((factor, i) => MathF.Abs(factor - expected[i]) > Roundings * factor).Any();
    }
}
