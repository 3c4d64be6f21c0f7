// adapter_config.json: what PEFT says of an adapter beside its weights. Knows no tensors.
using System.Text.Json;
using System.Text.RegularExpressions;
using Kidogo.Models.Files;

namespace Kidogo.Models.Adapters;

/// <summary>The fields of an adapter_config.json that say what its weights mean.</summary>
/// <param name="Rank">r</param>
/// <param name="Alpha">α</param>
/// <param name="IsRankStabilized">Whether the scale is α / √r (rsLoRA, arXiv 2312.03732) and not α / r.</param>
/// <param name="HasMagnitudes">Whether it is DoRA.</param>
internal sealed record PeftConfig(int Rank, double Alpha, bool IsRankStabilized, bool HasMagnitudes)
{
    public const string FileName = "adapter_config.json";
    private const int MaxBytes = 4 << 20;
    private const int MostRank = 65_536;
    private const int MostPatterns = 16_384;
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(200);

    // Fields that change what an adapter computes, and that nothing here does.
    private static readonly (string Field, string What)[] s_refused =
    [
        ("modules_to_save", "whole layers beside the adapter"), ("layer_replication", "layers that are repeated"), ("alora_invocation_tokens", "an adapter that begins at certain tokens (aLoRA)"),
        ("target_parameters", "parameters that are no linear layers"), ("trainable_token_indices", "embeddings of new tokens"), ("use_bdlora", "BD-LoRA"), ("arrow_config", "Arrow"), ("kasa_config", "KaSA"),
        ("monteclora_config", "MonteCLoRA"), ("velora_config", "VeLoRA"), ("lora_ga_config", "LoRA-GA"),
    ];

    /// <summary>Ranks of modules that have another, by a name or a pattern.</summary>
    public IReadOnlyList<KeyValuePair<string, int>> RankPattern { get; init; } = [];

    /// <summary>α of modules that have another.</summary>
    public IReadOnlyList<KeyValuePair<string, double>> AlphaPattern { get; init; } = [];

    /// <summary>What it calls its base; null for nothing.</summary>
    public string? BaseName { get; init; }

    /// <summary>Modules that are changed, by the end of their names.</summary>
    public IReadOnlyList<string> Targets { get; init; } = [];

    /// <summary>Whether linear layers are stored [inputs, outputs] (GPT-2's are).</summary>
    public bool IsInputMajor { get; init; }

    /// <exception cref="ModelFormatException">The file is malformed, or asks for what is not done here.</exception>
    public static PeftConfig Read(string path)
    {
        JsonFields fields = JsonFields.Load(path, MaxBytes);
        string type = fields.GetString("peft_type", "LORA");
        if (type != "LORA")
        {
            throw fields.Refuse("peft_type", $"is {ModelFormatException.Quote(type)}; only LORA is read (with use_rslora and use_dora).");
        }

        foreach ((string field, string what) in s_refused)
        {
            if (IsGiven(fields, field))
            {
                throw fields.Refuse(field, $"asks for {what}, which Kidogo does not read. Merge the adapter into its base with PEFT, and use the result.");
            }
        }

        if (fields.TryGetString("bias", out string bias) && bias != "none")
        {
            throw fields.Refuse("bias", $"is {ModelFormatException.Quote(bias)}; only \"none\" is read: biases would have to be replaced. Merge the adapter into its base with PEFT.");
        }

        foreach (string flag in (ReadOnlySpan<string>)["lora_bias", "use_qalora"])
        {
            if (fields.GetBool(flag, false))
            {
                throw fields.Refuse(flag, "is true, which Kidogo does not read. Merge the adapter into its base with PEFT, and use the result.");
            }
        }

        RefuseChangedBase(fields);
        return new PeftConfig(fields.GetInt("r", 1, MostRank, 8), fields.GetFloat("lora_alpha", -1e6, 1e6, 8), fields.GetBool("use_rslora", false), fields.GetBool("use_dora", false))
        {
            RankPattern = [.. Pattern(fields, "rank_pattern").Select(pair => KeyValuePair.Create(pair.Name, pair.Fields.GetInt(pair.Name, 1, MostRank)))],
            AlphaPattern = [.. Pattern(fields, "alpha_pattern").Select(pair => KeyValuePair.Create(pair.Name, pair.Fields.GetFloat(pair.Name, -1e6, 1e6)))],
            BaseName = fields.TryGetString("base_model_name_or_path", out string name) && name.Length > 0 ? name : null,
        };
    }

    /// <summary>r and the scale of a module.</summary>
    /// <param name="module">Its name in the model: <c>model.layers.0.self_attn.q_proj</c>.</param>
    public (int Rank, float Scale) Of(string module)
    {
        int rank = Match(RankPattern, module, Rank);
        double alpha = Match(AlphaPattern, module, Alpha);
        return (rank, (float)(alpha / (IsRankStabilized ? Math.Sqrt(rank) : rank)));
    }

    /// <summary>The file.</summary>
    public byte[] ToBytes()
    {
        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteStartObject("alpha_pattern");
            foreach ((string module, double alpha) in AlphaPattern)
            {
                WriteNumber(json, module, alpha);
            }

            json.WriteEndObject();
            json.WriteNull("auto_mapping");
            json.WriteString("base_model_name_or_path", BaseName);
            json.WriteString("bias", "none");
            json.WriteBoolean("fan_in_fan_out", IsInputMajor);
            json.WriteBoolean("inference_mode", true);
            json.WriteBoolean("init_lora_weights", true);
            json.WriteNull("layers_pattern");
            json.WriteNull("layers_to_transform");
            WriteNumber(json, "lora_alpha", Alpha);
            json.WriteNumber("lora_dropout", 0.0);
            json.WriteNull("modules_to_save");
            json.WriteString("peft_type", "LORA");
            json.WriteNumber("r", Rank);
            json.WriteStartObject("rank_pattern");
            foreach ((string module, int rank) in RankPattern)
            {
                json.WriteNumber(module, rank);
            }

            json.WriteEndObject();
            json.WriteNull("revision");
            json.WriteStartArray("target_modules");
            foreach (string target in Targets)
            {
                json.WriteStringValue(target);
            }

            json.WriteEndArray();
            json.WriteString("task_type", "CAUSAL_LM");
            json.WriteBoolean("use_dora", HasMagnitudes);
            json.WriteBoolean("use_rslora", IsRankStabilized);
            json.WriteEndObject();
        }

        return stream.ToArray();
    }

    private static void WriteNumber(Utf8JsonWriter json, string name, double value)
    {
        if (value == Math.Floor(value) && Math.Abs(value) < 1e9)
        {
            json.WriteNumber(name, (long)value);
        }
        else
        {
            json.WriteNumber(name, value);
        }
    }

    private static bool IsGiven(JsonFields fields, string name) => fields.KindOf(name) switch
    {
        JsonValueKind.Undefined or JsonValueKind.Null or JsonValueKind.False => false,
        JsonValueKind.Array => fields.Element.GetProperty(name).GetArrayLength() > 0,
        JsonValueKind.Object => fields.Element.GetProperty(name).EnumerateObject().Any(),
        _ => true,
    };

    /// <summary>Starts that change the base's own weights: PEFT finds them again from the base, which here stays as it is.</summary>
    private static void RefuseChangedBase(JsonFields fields)
    {
        if (fields.KindOf("init_lora_weights") != JsonValueKind.String)
        {
            return;
        }

        string start = fields.GetString("init_lora_weights");
        if (start.StartsWith("pissa", StringComparison.OrdinalIgnoreCase) || start.ToLowerInvariant() is "olora" or "corda" or "loftq" or "lora_ga")
        {
            throw fields.Refuse("init_lora_weights", $"is {ModelFormatException.Quote(start)}: the adapter belongs to a base that was changed when training began, not to the model as it is published. Convert it with PEFT's path_initial_model_for_weight_conversion.");
        }
    }

    private static IEnumerable<(string Name, JsonFields Fields)> Pattern(JsonFields fields, string name)
    {
        if (!fields.TryGetObject(name, out JsonFields pattern))
        {
            return [];
        }

        string[] names = [.. pattern.Names];
        return names.Length <= MostPatterns ? names.Select(each => (each, pattern)) : throw fields.Refuse(name, $"has {names.Length} entries; at most {MostPatterns} are read.");
    }

    // As PEFT: the first key that is the module's name, or its end after a dot; a key may be a regular expression.
    private static T Match<T>(IReadOnlyList<KeyValuePair<string, T>> pattern, string module, T usual)
    {
        foreach ((string key, T value) in pattern)
        {
            if (module == key || module.EndsWith($".{key}", StringComparison.Ordinal) || IsMatch(key, module))
            {
                return value;
            }
        }

        return usual;
    }

    private static bool IsMatch(string key, string module)
    {
        const int LongestKey = 256;
        if (key.Length > LongestKey || key.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.'))
        {
            return false; // a name, which was compared
        }

        try
        {
            return Regex.IsMatch(module, $@"^(.*\.)?({key})$", RegexOptions.CultureInvariant | RegexOptions.NonBacktracking, s_patience);
        }
        catch (Exception failure) when (failure is ArgumentException or NotSupportedException or RegexMatchTimeoutException)
        {
            return false;
        }
    }
}
