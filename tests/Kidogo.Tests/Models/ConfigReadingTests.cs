// Spellings of config.json through the years, and values from strangers.
using System.Text.Json.Nodes;
using Kidogo.Models;
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Tensors.Ops;
using Kidogo.TestSupport;
using Kidogo.Tests.Models.Files;

namespace Kidogo.Tests.Models;

public sealed class ConfigReadingTests
{
    private const string Small = """
        {"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_hidden_layers": 2, "vocab_size": 300, "max_position_embeddings": 4096}
        """;

    [SharedTheory]
    [MemberData(nameof(GoldenDecoder.Names), MemberType = typeof(GoldenDecoder))]
    public void Config_InTheOldSpelling_ReadsTheSame(string name)
    {
        string json = File.ReadAllText(SharedFolder.PathOf("golden", "families", name, "config.json"));
        JsonObject old = JsonNode.Parse(json)!.AsObject();
        Assert.Equal(Described(json), Described(Aged(old).ToJsonString()));
    }

    [Fact]
    public void Config_WithLittleInIt_TakesTheClassDefaults()
    {
        DecoderConfig config = Read(Small);
        LayerConfig layer = config.Layers[1];
        Assert.Equal((4, 4, 16), (layer.NumHeads, layer.NumKvHeads, layer.HeadDim));
        Assert.Equal(new RopeConfig(10_000, 16, RotaryLayout.HalfSplit), layer.Rope);
        Assert.Equal(new NormConfig(NormKind.Rms, 1e-6f), config.Norm);
        Assert.False(config.TiedHead);
    }

    [Fact]
    public void Counts_OfASmallModel_EqualThoseByHand()
    {
        // A layer: 4 · 64·64 + 3 · 64·96 = 34,816. The head and the embedding: 300·64 = 19,200 each. Five norms of 64.
        DecoderConfig config = Read(Small);
        Assert.Equal((2 * 34_816) + 19_200, config.MatrixParameterCount);
        Assert.Equal((2 * 34_816) + (2 * 19_200) + 320, config.ParameterCount);
        Assert.Equal((2 * 88_832) + (2 * 4 * 64 * 10), config.FlopsPerToken(10));
        Assert.Equal(2 * 2 * 64 * 2, config.KvBytesPerToken(2));
        DecoderConfig windowed = config.WithLayers((layer, i) => i == 0 ? layer with { SlidingWindow = 4 } : layer);
        Assert.Equal((2 * 88_832) + (4 * 64 * (10 + 4)), windowed.FlopsPerToken(10));
        Assert.Equal(2 * 64 * 2 * (10 + 4), windowed.KvBytes(10, 2));
    }

    [Theory]
    [InlineData("""{"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024, "beta_fast": 16, "truncate": false, "mscale": 1.0, "mscale_all_dim": 0.8}""")]
    [InlineData("""{"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024, "beta_fast": 16, "truncate": false, "mscale": 1.0, "mscale_all_dim": 0.8}""")]
    public void RopeScaling_Yarn_IsReadWhole(string scaling)
    {
        YarnScaling expected = new() { Factor = 4, OriginalContext = 1024, BetaFast = 16, Truncate = false, Mscale = 1, MscaleAllDim = 0.8 };
        Assert.Equal(expected, Read(With("rope_scaling", scaling)).Layers[0].Rope!.Scaling);
    }

    [Theory]
    [InlineData("longrope")]
    [InlineData("su")]
    public void RopeScaling_LongRope_TakesTheOriginalContextFromTheTop(string type)
    {
        string factors = string.Join(",", Enumerable.Repeat("2.5", 8));
        string json = With("rope_scaling", $$"""{"type": "{{type}}", "short_factor": [1,1,1,1,1,1,1,1], "long_factor": [{{factors}}]}""");
        json = json.Replace("\"vocab_size\"", "\"original_max_position_embeddings\": 128, \"vocab_size\"", StringComparison.Ordinal);
        LongRopeScaling scaling = Assert.IsType<LongRopeScaling>(Read(json).Layers[0].Rope!.Scaling);
        Assert.Equal(128, scaling.OriginalContext);
        Assert.Equal(2.5f, scaling.LongFactors[7]);
        Assert.Equal(Math.Sqrt(1 + (5.0 / 7)), scaling.Attention, 12);
    }

    [Fact]
    public void Gemma3_TextPartOfAModelThatSees_TakesTheClassDefaultsAndScalesFullLayersAlone()
    {
        DecoderConfig config = Read("""
            {"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
             "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024}, "vision_config": {"hidden_size": 1152}}
            """);
        Assert.Equal((34, 262_208, 8, 4, 256), (config.NumLayers, config.VocabSize, config.Layers[0].NumHeads, config.Layers[0].NumKvHeads, config.Layers[0].HeadDim));
        Assert.Equal(new RopeConfig(10_000, 256, RotaryLayout.HalfSplit), config.Layers[4].Rope);
        Assert.Equal(new RopeConfig(1_000_000, 256, RotaryLayout.HalfSplit, new LinearScaling(8)), config.Layers[5].Rope);
        Assert.Equal((1024, 0), (config.Layers[0].SlidingWindow, config.Layers[11].SlidingWindow));
        Assert.True(config.TiedHead);
        Gemma3 family = new();
        Assert.Equal("blk.7.attn_q_norm.weight", family.CanonicalName("language_model.model.layers.7.self_attn.q_norm.weight"));
        Assert.Equal("blk.7.attn_q_norm.weight", family.CanonicalName("model.language_model.layers.7.self_attn.q_norm.weight"));
        Assert.Null(family.CanonicalName("vision_tower.vision_model.encoder.layers.7.self_attn.q_proj.weight"));
    }

    [Theory]
    [InlineData("num_hidden_layers", "0")]
    [InlineData("num_hidden_layers", "1025")]
    [InlineData("num_hidden_layers", "\"two\"")]
    [InlineData("num_attention_heads", "0")]
    [InlineData("num_attention_heads", "-4")]
    [InlineData("num_attention_heads", "5")]
    [InlineData("num_key_value_heads", "3")]
    [InlineData("num_key_value_heads", "0")]
    [InlineData("head_dim", "2147483647")]
    [InlineData("head_dim", "7")]
    [InlineData("hidden_size", "1e12")]
    [InlineData("hidden_size", "9223372036854775807")]
    [InlineData("intermediate_size", "0")]
    [InlineData("vocab_size", "4194305")]
    [InlineData("max_position_embeddings", "0")]
    [InlineData("rms_norm_eps", "-1")]
    [InlineData("rope_theta", "0")]
    [InlineData("hidden_act", "\"softplus\"")]
    [InlineData("rope_scaling", "{\"type\": \"spiral\"}")]
    [InlineData("rope_scaling", "{\"type\": \"linear\", \"factor\": 0}")]
    [InlineData("rope_scaling", "{\"type\": \"longrope\", \"short_factor\": [1], \"long_factor\": [1]}")]
    [InlineData("rope_scaling", "{\"type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, \"high_freq_factor\": 4, \"original_max_position_embeddings\": 64}")]
    [InlineData("rope_scaling", "{\"type\": \"yarn\"}")]
    [InlineData("rope_scaling", "{\"type\": \"yarn\", \"factor\": 0.5}")]
    [InlineData("rope_scaling", "7")]
    [InlineData("partial_rotary_factor", "0.01")]
    public void Config_WithAValueOutOfRange_IsRefusedByName(string field, string value)
    {
        ModelFormatException refusal = Assert.Throws<ModelFormatException>(() => Read(With(field, value)));
        Assert.Contains("config.json", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Architecture_ThatIsUnknown_IsRefusedWithTheNearestAndTheList()
    {
        string message = Assert.Throws<ModelFormatException>(() => ModelFamilies.ForGguf("qwen3moe", "x.gguf")).Message;
        Assert.Contains("\"qwen3moe\"", message, StringComparison.Ordinal);
        Assert.Contains("The nearest is qwen3.", message, StringComparison.Ordinal);
        Assert.All(ModelFamilies.All.SelectMany(family => family.GgufArchitectures), name => Assert.Contains(name, message, StringComparison.Ordinal));
        message = Assert.Throws<ModelFormatException>(() => ModelFamilies.ForHuggingFace(["Gemma3nForCausalLM"], "gemma3n", "config.json")).Message;
        Assert.Contains("The nearest is Gemma3ForCausalLM.", message, StringComparison.Ordinal);
        Assert.Throws<ModelFormatException>(() => ModelFamilies.ForHuggingFace([], null, "config.json"));
        Assert.IsType<Phi3>(ModelFamilies.ForHuggingFace([], "phi3", "config.json"));
    }

    [Fact]
    public void Families_NamesInTheTable_AreDistinct()
    {
        string[] gguf = [.. ModelFamilies.All.SelectMany(family => family.GgufArchitectures)];
        string[] classes = [.. ModelFamilies.All.SelectMany(family => family.HuggingFaceArchitectures)];
        Assert.Equal(gguf.Length, gguf.Distinct().Count());
        Assert.Equal(classes.Length, classes.Distinct().Count());
        Assert.All(ModelFamilies.All, family => Assert.NotEmpty(family.HuggingFaceModelTypes));
    }

    private static string With(string field, string value)
    {
        JsonObject json = JsonNode.Parse(Small)!.AsObject();
        json[field] = JsonNode.Parse(value);
        return json.ToJsonString();
    }

    private static DecoderConfig Read(string json)
    {
        using TestFolder folder = new();
        JsonFields fields = JsonFields.Load(folder.Write("config.json", json), 1 << 20);
        string[] classes = fields.TryGetStrings("architectures", out string[] names) ? names : [];
        return ConfigLimits.Check(ModelFamilies.ForHuggingFace(classes, null, fields.File).ReadHuggingFace(fields), fields.File);
    }

    private static string Described(string json)
    {
        DecoderConfig config = Read(json);
        return $"{config with { Layers = [] }}\n{string.Join('\n', config.Layers)}";
    }

    /// <summary>The same settings as files before Transformers 5 had them.</summary>
    private static JsonObject Aged(JsonObject json)
    {
        if (json["dtype"] is { } dtype)
        {
            json["torch_dtype"] = dtype.DeepClone();
            json.Remove("dtype");
        }

        if (json["rope_parameters"] is not JsonObject rope)
        {
            return json;
        }

        json.Remove("rope_parameters");
        bool isNeoX = json["model_type"]!.GetValue<string>() == "gpt_neox";
        if (rope["full_attention"] is JsonObject full)
        {
            json["rope_theta"] = full["rope_theta"]!.DeepClone();
            json["rope_local_base_freq"] = rope["sliding_attention"]!["rope_theta"]!.DeepClone();
            json["sliding_window_pattern"] = 3;
            json.Remove("layer_types");
            json.Remove("_sliding_window_pattern");
            return json;
        }

        json[isNeoX ? "rotary_emb_base" : "rope_theta"] = rope["rope_theta"]!.DeepClone();
        if (rope["partial_rotary_factor"] is { } part)
        {
            json[isNeoX ? "rotary_pct" : "partial_rotary_factor"] = part.DeepClone();
        }

        string type = rope["rope_type"]!.GetValue<string>();
        json["rope_scaling"] = null;
        if (type != "default")
        {
            JsonObject scaling = rope.DeepClone().AsObject();
            scaling.Remove("rope_theta");
            scaling.Remove("rope_type");
            scaling["type"] = type;
            json["rope_scaling"] = scaling;
        }

        json.Remove("layer_types");
        return json;
    }
}
