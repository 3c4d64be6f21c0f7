// What config.json files of most families have in common, in the spelling of Transformers 5 and in the older ones. Knows no family.
using Kidogo.Models.Files;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Families;

/// <summary>What a family's configuration class takes for values that a config.json leaves out.</summary>
/// <remarks>Null: the file must have it.</remarks>
internal sealed record HuggingFaceDefaults
{
    public int? VocabSize { get; init; }

    public int? HiddenSize { get; init; }

    public int? IntermediateSize { get; init; }

    public int? NumLayers { get; init; }

    public int? NumHeads { get; init; }

    /// <summary>0: as many as heads.</summary>
    public int NumKvHeads { get; init; }

    /// <summary>0: the hidden size over the heads.</summary>
    public int HeadDim { get; init; }

    public int ContextLength { get; init; } = 2048;

    public double Epsilon { get; init; } = 1e-6;

    public double RopeTheta { get; init; } = 10_000;

    public double PartialRotaryFactor { get; init; } = 1;

    public bool TiedHead { get; init; }

    public string Activation { get; init; } = "silu";

    public string ActivationKey { get; init; } = "hidden_act";

    public string EpsilonKey { get; init; } = "rms_norm_eps";

    public NormKind NormKind { get; init; }

    /// <summary>Reads a Llama-like configuration.</summary>
    public static DecoderConfig Read(JsonFields config, HuggingFaceDefaults defaults)
    {
        int layers = config.Int("num_hidden_layers", 1, ConfigLimits.Layers, defaults.NumLayers);
        int hidden = config.Int("hidden_size", 1, ConfigLimits.Hidden, defaults.HiddenSize);
        int[] heads = config.IntPerLayer("num_attention_heads", layers, 1, ConfigLimits.Heads, defaults.NumHeads);
        int[] kvHeads = defaults.NumKvHeads == 0 && !config.Contains("num_key_value_heads") ? heads : config.IntPerLayer("num_key_value_heads", layers, 1, ConfigLimits.Heads, defaults.NumKvHeads);
        int[] intermediate = config.IntPerLayer("intermediate_size", layers, 1, ConfigLimits.Intermediate, defaults.IntermediateSize);
        int context = config.Int("max_position_embeddings", 1, ConfigLimits.Context, defaults.ContextLength);
        int headDim = config.TryInt("head_dim", 1, ConfigLimits.HeadDim) ?? (defaults.HeadDim != 0
            ? defaults.HeadDim
            : hidden % heads[0] == 0 ? hidden / heads[0] : throw config.Refuse("hidden_size", $"is {hidden}, which {heads[0]} heads do not divide, and no head_dim says how wide they are."));
        bool attentionBias = config.GetBool("attention_bias", false);
        LayerConfig layer = new()
        {
            NumHeads = heads[0],
            NumKvHeads = kvHeads[0],
            HeadDim = headDim,
            IntermediateSize = intermediate[0],
            Rope = HuggingFaceRope.Read(config, defaults.RopeTheta, defaults.PartialRotaryFactor, headDim, context),
            AttentionScale = (float)(1 / Math.Sqrt(headDim)),
            Activation = ReadActivation(config, defaults.ActivationKey, defaults.Activation),
            QkvBias = attentionBias,
            OutputBias = attentionBias,
            MlpBias = config.GetBool("mlp_bias", false),
        };
        return new DecoderConfig
        {
            VocabSize = config.Int("vocab_size", 1, ConfigLimits.Vocabulary, defaults.VocabSize),
            HiddenSize = hidden,
            ContextLength = context,
            Layers = [.. Enumerable.Range(0, layers).Select(i => layer with { NumHeads = heads[i], NumKvHeads = kvHeads[i], IntermediateSize = intermediate[i] })],
            Norm = new NormConfig(defaults.NormKind, (float)config.GetFloat(defaults.EpsilonKey, 0, ConfigLimits.Epsilon, defaults.Epsilon), Bias: defaults.NormKind == NormKind.Layer),
            TiedHead = config.GetBool("tie_word_embeddings", defaults.TiedHead),
        };
    }

    /// <summary>The activation of this key.</summary>
    public static Activation ReadActivation(JsonFields config, string key, string whenAbsent)
    {
        string name = config.GetString(key, whenAbsent);
        return name switch
        {
            "silu" or "swish" => Tensors.Ops.Activation.Silu,
            "gelu" or "gelu_python" => Tensors.Ops.Activation.GeluErf,
            "gelu_new" or "gelu_pytorch_tanh" or "gelu_fast" or "gelu_accurate" => Tensors.Ops.Activation.GeluTanh,
            "relu" => Tensors.Ops.Activation.Relu,
            "relu2" => Tensors.Ops.Activation.ReluSquared,
            _ => throw config.Refuse(key, $"is {ModelFormatException.Quote(name)}; expected silu, gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, relu or relu2."),
        };
    }

    /// <summary>Which layers have a window: from <c>layer_types</c>, else by <paramref name="whenAbsent"/>.</summary>
    /// <param name="config">The file.</param>
    /// <param name="layers">Number of layers.</param>
    /// <param name="whenAbsent">From a layer's index to whether it has one.</param>
    public static bool[] WindowedLayers(JsonFields config, int layers, Func<int, bool> whenAbsent)
    {
        if (!config.TryGetStrings("layer_types", out string[] types))
        {
            return [.. Enumerable.Range(0, layers).Select(whenAbsent)];
        }

        if (types.Length != layers)
        {
            throw config.Refuse("layer_types", $"has {types.Length} entries; expected one for each of the {layers} layers.");
        }

        string? unknown = types.FirstOrDefault(type => type is not ("sliding_attention" or "full_attention"));
        return unknown is null
            ? [.. types.Select(type => type == "sliding_attention")]
            : throw config.Refuse("layer_types", $"holds {ModelFormatException.Quote(unknown)}; expected sliding_attention or full_attention.");
    }

    /// <summary>The windows of Qwen and SmolLM3: with <c>use_sliding_window</c>, on the layers of <c>layer_types</c> or from <c>max_window_layers</c> on.</summary>
    public static DecoderConfig WithUsedWindow(DecoderConfig decoder, JsonFields config)
    {
        int window = config.GetBool("use_sliding_window", false) ? config.GetInt("sliding_window", 0, int.MaxValue, 0) : 0;
        if (window == 0)
        {
            return decoder;
        }

        int first = config.Int("max_window_layers", 0, int.MaxValue, 28);
        bool[] windowed = WindowedLayers(config, decoder.NumLayers, i => i >= first);
        return decoder.WithLayers((layer, i) => windowed[i] ? layer with { SlidingWindow = window } : layer);
    }
}
