// From a configuration to the metadata that GGUF files of most families share. Knows no family.
using Kidogo.Models.Files;

namespace Kidogo.Models.Families;

/// <summary>Writes what <see cref="GgufDefaults"/> reads.</summary>
internal static class GgufWriting
{
    /// <summary>Kidogo's own key for a scaling that GGUF has no name for; other programs then scale nothing, which is right up to the original context.</summary>
    public const string DynamicFactorKey = "kidogo.rope.dynamic_factor";

    /// <summary>The keys of a Llama-like model.</summary>
    public static void Set(GgufMetadata metadata, string architecture, DecoderConfig config)
    {
        string Key(string name) => $"{architecture}.{name}";
        LayerConfig layer = config.Layers[0];
        metadata.Set(Key("context_length"), (uint)config.ContextLength);
        metadata.Set(Key("vocab_size"), (uint)config.VocabSize);
        metadata.Set(Key("embedding_length"), (uint)config.HiddenSize);
        metadata.Set(Key("block_count"), (uint)config.NumLayers);
        PerLayer(metadata, Key("feed_forward_length"), config, each => each.IntermediateSize);
        PerLayer(metadata, Key("attention.head_count"), config, each => each.NumHeads);
        PerLayer(metadata, Key("attention.head_count_kv"), config, each => each.NumKvHeads);
        if (layer.HeadDim * layer.NumHeads != config.HiddenSize || config.Layers.Any(each => each.NumHeads != layer.NumHeads))
        {
            metadata.Set(Key("attention.key_length"), (uint)layer.HeadDim);
            metadata.Set(Key("attention.value_length"), (uint)layer.HeadDim);
        }

        metadata.Set(Key(config.Norm.Kind == NormKind.Rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon"), config.Norm.Epsilon);
        float usual = (float)(1 / Math.Sqrt(layer.HeadDim));
        if (layer.AttentionScale != usual)
        {
            metadata.Set(Key("attention.scale"), layer.AttentionScale);
        }

        int window = config.Layers.Max(each => each.SlidingWindow);
        if (window > 0)
        {
            metadata.Set(Key("attention.sliding_window"), (uint)window);
        }

        // Where layers have rotations of their own, the one without a window says most.
        RopeConfig? rope = config.Layers.OrderBy(each => each.SlidingWindow).Select(each => each.Rope).FirstOrDefault(each => each is not null);
        if (rope is not null)
        {
            SetRope(metadata, Key, rope);
        }
    }

    /// <summary>Which layers have a window, unless it is those that files without the key have.</summary>
    /// <param name="metadata">What is written.</param>
    /// <param name="architecture">The prefix.</param>
    /// <param name="config">The model.</param>
    /// <param name="usualPeriod">Every how many layers one has none where the key is absent.</param>
    public static void SetWindowPattern(GgufMetadata metadata, string architecture, DecoderConfig config, int usualPeriod)
    {
        bool[] windowed = [.. config.Layers.Select(layer => layer.SlidingWindow > 0)];
        if (windowed.Where((has, i) => has != ((i + 1) % usualPeriod != 0)).Any())
        {
            metadata.Set($"{architecture}.attention.sliding_window_pattern", windowed);
        }
    }

    /// <summary>The factors of a rotary scaling that GGUF keeps as tensors.</summary>
    public static IEnumerable<(string Name, float[] Values)> RopeTensors(DecoderConfig config)
    {
        RopeConfig? rope = config.Layers.OrderBy(layer => layer.SlidingWindow).Select(layer => layer.Rope).FirstOrDefault(each => each is not null);
        switch (rope?.Scaling)
        {
            case Llama3Scaling llama:
                yield return ("rope_freqs.weight", llama.Factors(rope));
                break;
            case FactorScaling factors:
                yield return ("rope_freqs.weight", [.. factors.Factors]);
                break;
            case LongRopeScaling longRope:
                yield return ("rope_factors_long.weight", [.. longRope.LongFactors]);
                yield return ("rope_factors_short.weight", [.. longRope.ShortFactors]);
                break;
        }
    }

    private static void PerLayer(GgufMetadata metadata, string key, DecoderConfig config, Func<LayerConfig, int> value)
    {
        int[] values = [.. config.Layers.Select(value)];
        if (Array.TrueForAll(values, each => each == values[0]))
        {
            metadata.Set(key, (uint)values[0]);
        }
        else
        {
            metadata.Set(key, values);
        }
    }

    private static void SetRope(GgufMetadata metadata, Func<string, string> key, RopeConfig rope)
    {
        metadata.Set(key("rope.dimension_count"), (uint)rope.RotaryDims);
        metadata.Set(key("rope.freq_base"), (float)rope.Theta);
        RopeScaling? scaling = rope.Scaling is FactorScaling factors ? factors.Inner : rope.Scaling;
        switch (scaling)
        {
            case null or Llama3Scaling:
                break;
            case LinearScaling linear:
                metadata.Set(key("rope.scaling.type"), "linear");
                metadata.Set(key("rope.scaling.factor"), (float)linear.Factor);
                break;
            case YarnScaling yarn when yarn.Truncate:
                SetYarn(metadata, key, yarn);
                break;
            case LongRopeScaling longRope:
                metadata.Set(key("rope.scaling.type"), "longrope");
                metadata.Set(key("rope.scaling.original_context_length"), (uint)longRope.OriginalContext);
                metadata.Set(key("rope.scaling.attn_factor"), (float)longRope.Attention);
                break;
            case DynamicNtkScaling dynamic:
                metadata.Set(DynamicFactorKey, (float)dynamic.Factor);
                break;
            default:
                throw new NotSupportedException($"GGUF files have no name for the model's rotary scaling, {scaling}.");
        }
    }

    private static void SetYarn(GgufMetadata metadata, Func<string, string> key, YarnScaling yarn)
    {
        metadata.Set(key("rope.scaling.type"), "yarn");
        metadata.Set(key("rope.scaling.factor"), (float)yarn.Factor);
        metadata.Set(key("rope.scaling.original_context_length"), (uint)yarn.OriginalContext);
        if (yarn.BetaFast != 32)
        {
            metadata.Set(key("rope.scaling.yarn_beta_fast"), (float)yarn.BetaFast);
        }

        if (yarn.BetaSlow != 1)
        {
            metadata.Set(key("rope.scaling.yarn_beta_slow"), (float)yarn.BetaSlow);
        }

        float own = (float)(yarn.AttentionFactor / YarnScaling.Sharpening(yarn.Factor, 1));
        if (own != 1)
        {
            metadata.Set(key("rope.scaling.attn_factor"), own);
        }
    }
}
