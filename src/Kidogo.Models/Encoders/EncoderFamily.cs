// The families of encoders: how their files name things. Contains no arithmetic.
using Kidogo.Models.Families;
using Kidogo.Models.Files;

namespace Kidogo.Models.Encoders;

/// <summary>A family of encoders.</summary>
/// <param name="Name">For people.</param>
/// <param name="ModelType">The value of <c>model_type</c>, and what the tensors' names begin with in files that have a head.</param>
/// <param name="Class">What the classes in <c>architectures</c> begin with.</param>
/// <param name="LayerPrefix">What names in layers begin with.</param>
/// <param name="Modules">From the names of modules to GGUF's.</param>
/// <param name="Read">Reads a config.json.</param>
internal sealed record EncoderFamily(
    string Name, string ModelType, string Class, string LayerPrefix, IReadOnlyDictionary<string, string> Modules, Func<JsonFields, EncoderConfig> Read)
{
    private static readonly Dictionary<string, string> s_bert = new()
    {
        ["embeddings.word_embeddings"] = "token_embd",
        ["embeddings.position_embeddings"] = "position_embd",
        ["embeddings.token_type_embeddings"] = "token_types",
        ["embeddings.LayerNorm"] = "token_embd_norm",
        ["attention.self.query"] = "attn_q",
        ["attention.self.key"] = "attn_k",
        ["attention.self.value"] = "attn_v",
        ["attention.output.dense"] = "attn_output",
        ["attention.output.LayerNorm"] = "attn_output_norm",
        ["intermediate.dense"] = "ffn_up",
        ["output.dense"] = "ffn_down",
        ["output.LayerNorm"] = "layer_output_norm",
    };

    private static readonly Dictionary<string, string> s_distilBert = new()
    {
        ["embeddings.word_embeddings"] = "token_embd",
        ["embeddings.position_embeddings"] = "position_embd",
        ["embeddings.LayerNorm"] = "token_embd_norm",
        ["attention.q_lin"] = "attn_q",
        ["attention.k_lin"] = "attn_k",
        ["attention.v_lin"] = "attn_v",
        ["attention.out_lin"] = "attn_output",
        ["sa_layer_norm"] = "attn_output_norm",
        ["ffn.lin1"] = "ffn_up",
        ["ffn.lin2"] = "ffn_down",
        ["output_layer_norm"] = "layer_output_norm",
    };

    /// <summary>All families, one line each.</summary>
    public static IReadOnlyList<EncoderFamily> All { get; } =
    [
        new("BERT", "bert", "Bert", "encoder.layer.", s_bert, config => ReadBert(config, isRoberta: false)),
        new("DistilBERT", "distilbert", "DistilBert", "transformer.layer.", s_distilBert, ReadDistilBert),
        new("RoBERTa", "roberta", "Roberta", "encoder.layer.", s_bert, config => ReadBert(config, isRoberta: true)),
        new("XLM-RoBERTa", "xlm-roberta", "XLMRoberta", "encoder.layer.", s_bert, config => ReadBert(config, isRoberta: true)),
    ];

    /// <summary>The family of a config.json; null where it is none of them.</summary>
    public static EncoderFamily? Of(JsonFields config)
    {
        string? type = config.TryGetString("model_type", out string said) ? said : null;
        string? named = config.TryGetStrings("architectures", out string[] classes) ? classes.FirstOrDefault() : null;
        return All.FirstOrDefault(family => type == family.ModelType) ?? (type is null && named is not null ? All.FirstOrDefault(family => named.StartsWith(family.Class, StringComparison.Ordinal)) : null);
    }

    /// <summary>From a tensor's name in the file to GGUF's; null for heads and buffers.</summary>
    public string? CanonicalName(string name)
    {
        string prefix = Name == "XLM-RoBERTa" ? "roberta." : $"{ModelType}.";
        string rest = name.StartsWith(prefix, StringComparison.Ordinal) ? name[prefix.Length..] : name;
        bool isInLayer = CanonicalNames.TrySplitNumber(rest, LayerPrefix, out int layer, out string inLayer);
        rest = isInLayer ? inLayer : rest;
        int dot = rest.LastIndexOf('.');
        string? canonical = dot > 0 && Modules.TryGetValue(rest[..dot], out string? module) ? module + OldNormSuffix(rest[dot..]) : isInLayer ? rest : null;
        return canonical is null || !isInLayer ? canonical : CanonicalNames.InLayer(layer, canonical);
    }

    // Checkpoints converted from TensorFlow call a norm's factor gamma and its bias beta.
    private static string OldNormSuffix(string suffix) => suffix switch { ".gamma" => ".weight", ".beta" => ".bias", _ => suffix };

    private static EncoderConfig ReadBert(JsonFields config, bool isRoberta)
    {
        if (config.TryGetString("position_embedding_type", out string positions) && positions != "absolute")
        {
            throw config.Refuse("position_embedding_type", $"is {ModelFormatException.Quote(positions)}; expected absolute, the only kind that Kidogo runs.");
        }

        return new EncoderConfig
        {
            VocabSize = config.GetInt("vocab_size", 1, ConfigLimits.Vocabulary),
            HiddenSize = config.GetInt("hidden_size", 1, ConfigLimits.Hidden),
            NumLayers = config.GetInt("num_hidden_layers", 1, ConfigLimits.Layers),
            NumHeads = config.GetInt("num_attention_heads", 1, ConfigLimits.Heads),
            IntermediateSize = config.GetInt("intermediate_size", 1, ConfigLimits.Intermediate),
            Positions = config.GetInt("max_position_embeddings", 1, ConfigLimits.Context, 512),
            PaddingId = isRoberta ? config.GetInt("pad_token_id", 0, ConfigLimits.Vocabulary, 1) : null,
            Types = config.GetInt("type_vocab_size", 0, ConfigLimits.Vocabulary, 2),
            NormEpsilon = (float)config.GetFloat("layer_norm_eps", 0, ConfigLimits.Epsilon, 1e-12),
            Activation = HuggingFaceDefaults.ReadActivation(config, "hidden_act", "gelu"),
        };
    }

    private static EncoderConfig ReadDistilBert(JsonFields config) => new()
    {
        VocabSize = config.GetInt("vocab_size", 1, ConfigLimits.Vocabulary),
        HiddenSize = config.GetInt("dim", 1, ConfigLimits.Hidden, 768),
        NumLayers = config.GetInt("n_layers", 1, ConfigLimits.Layers, 6),
        NumHeads = config.GetInt("n_heads", 1, ConfigLimits.Heads, 12),
        IntermediateSize = config.GetInt("hidden_dim", 1, ConfigLimits.Intermediate, 3072),
        Positions = config.GetInt("max_position_embeddings", 1, ConfigLimits.Context, 512),
        Types = 0,
        NormEpsilon = 1e-12f, // fixed in the published code
        Activation = HuggingFaceDefaults.ReadActivation(config, "activation", "gelu"),
    };
}
