// The how-to's example is the code that is compiled here, and it works.
using System.Text;
using Kidogo.Models;
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Kidogo.TestSupport;
using Kidogo.Tests.Models.Files;

namespace Kidogo.Tests.Models;

public sealed class ExampleFamilyTests
{
    private const string Config = """
        {"architectures": ["Starcoder2ForCausalLM"], "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 1, "vocab_size": 20,
         "max_position_embeddings": 64, "norm_epsilon": 1e-5, "sliding_window": 8, "use_bias": true}
        """;

    [Fact]
    public void HowTo_AddAModelFamily_ShowsTheCodeThatIsCompiled()
    {
        string page = Normalised(File.ReadAllText(Path.Combine(SharedFolder.RepositoryRoot, "docs", "how-to", "add-a-model-family.md")));
        string code = Normalised(File.ReadAllText(Path.Combine(SharedFolder.RepositoryRoot, "tests", "Kidogo.Tests", "Models", "ExampleFamily.cs")));
        Assert.Contains(code[code.IndexOf("public sealed class", StringComparison.Ordinal)..], page, StringComparison.Ordinal);
    }

    [Fact]
    public void ExampleFamily_FromAFolder_ComputesTheSameWholeAndTokenByToken()
    {
        using TestFolder folder = new();
        folder.Write("config.json", Config);
        folder.Write("model.safetensors", RandomCheckpoint());
        using HuggingFaceFolder opened = HuggingFaceFolder.Open(folder.Path);
        StarCoder2 family = new();
        DecoderConfig config = ConfigLimits.Check(family.ReadHuggingFace(opened.RequireConfig()), folder.Path);
        TensorSource source = new(folder.Path, opened.Tensors, family.CanonicalName, family.IsInputMajor, family.HuggingFaceFusedOrder);
        DecoderBuilder.Check(config, source);
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using DecoderModel model = new DecoderBuilder(config, source, context).Build(null);
        int[] ids = [.. Enumerable.Range(0, 20)];
        float[] whole = GoldenDecoder.Score(model, context, ids);
        Assert.Equal(whole, GoldenDecoder.ScoreInPieces(model, context, ids, 1));
        Assert.True(whole.Distinct().Count() > 300);
    }

    [Fact]
    public void Folder_WithWeightsBeyondItsLayers_IsRefusedWithBothNumbers()
    {
        using TestFolder folder = new();
        folder.Write("config.json", Config);
        folder.Write("model.safetensors", RandomCheckpoint("model.layers.3.input_layernorm"));
        using HuggingFaceFolder opened = HuggingFaceFolder.Open(folder.Path);
        StarCoder2 family = new();
        DecoderConfig config = family.ReadHuggingFace(opened.RequireConfig());
        TensorSource source = new(folder.Path, opened.Tensors, family.CanonicalName, family.IsInputMajor, family.HuggingFaceFusedOrder);
        string message = Assert.Throws<ModelFormatException>(() => DecoderBuilder.Check(config, source)).Message;
        Assert.Contains("weights for layer 3", message, StringComparison.Ordinal);
        Assert.Contains("speaks of 1 layers", message, StringComparison.Ordinal);
    }

    private static byte[] RandomCheckpoint(params string[] moreNorms)
    {
        const string Layer = "model.layers.0.";
        List<(string Name, int[] Shape)> tensors = [("model.embed_tokens.weight", [20, 32])];
        foreach ((string name, int rows, int columns) in (ReadOnlySpan<(string, int, int)>)
        [
            (Layer + "self_attn.q_proj", 32, 32), (Layer + "self_attn.k_proj", 16, 32), (Layer + "self_attn.v_proj", 16, 32), (Layer + "self_attn.o_proj", 32, 32),
            (Layer + "mlp.c_fc", 48, 32), (Layer + "mlp.c_proj", 32, 48),
        ])
        {
            tensors.Add((name + ".weight", [rows, columns]));
            tensors.Add((name + ".bias", [rows]));
        }

        foreach (string norm in (string[])[Layer + "input_layernorm", Layer + "post_attention_layernorm", "model.norm", .. moreNorms])
        {
            tensors.Add((norm + ".weight", [32]));
            tensors.Add((norm + ".bias", [32]));
        }

        Random random = new(1);
        StringBuilder header = new("{");
        List<byte> data = [];
        foreach ((string name, int[] shape) in tensors)
        {
            int start = data.Count;
            for (int i = 0; i < shape.Aggregate(1, (a, b) => a * b); i++)
            {
                data.AddRange(BitConverter.GetBytes((float)(random.NextDouble() - 0.5)));
            }

            header.Append(start == 0 ? "" : ",").Append('"').Append(name).Append("\":{\"dtype\":\"F32\",\"shape\":[").AppendJoin(',', shape).Append("],\"data_offsets\":[").Append(start).Append(',').Append(data.Count).Append("]}");
        }

        byte[] json = Encoding.UTF8.GetBytes(header.Append('}').ToString());
        return [.. BitConverter.GetBytes((ulong)json.Length), .. json, .. data];
    }

    private static string Normalised(string text) => text.Replace("\r\n", "\n", StringComparison.Ordinal);
}
