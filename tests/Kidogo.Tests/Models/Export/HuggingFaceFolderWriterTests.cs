// Folders that are written: the reference folders come out as they went in, and what cannot be said is refused.
using System.Text.Json;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Kidogo.TestSupport;
using Kidogo.Tests.Models.Files;

namespace Kidogo.Tests.Models.Export;

public sealed class HuggingFaceFolderWriterTests
{
    /// <summary>What training and other uses than running a decoder need; nothing here knows it.</summary>
    private static readonly string[] s_notOurs =
    [
        "attention_dropout", "initializer_range", "pretraining_tp", "transformers_version", "use_bidirectional_attention", "resid_pdrop", "embd_pdrop", "attn_pdrop", "classifier_dropout",
        "hidden_dropout", "add_cross_attention", "reorder_and_upcast_attn", "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj",
        "is_decoder", "no_rope_layer_interval", "original_max_position_embeddings",
    ];

    [SharedTheory]
    [MemberData(nameof(GoldenDecoder.Names), MemberType = typeof(GoldenDecoder))]
    public void Write_OfAReferenceFolder_GivesTheSameWeightsByteForByte(string name)
    {
        using TestFolder folder = new();
        string source = SharedFolder.PathOf("golden", "families", name);
        Copy(source, folder["out"]);
        Assert.Equal(File.ReadAllBytes(Path.Combine(source, "model.safetensors")), File.ReadAllBytes(folder["out/model.safetensors"]));
    }

    [SharedTheory]
    [MemberData(nameof(GoldenDecoder.Names), MemberType = typeof(GoldenDecoder))]
    public void Write_OfAReferenceFolder_GivesTheSameFields(string name)
    {
        using TestFolder folder = new();
        string source = SharedFolder.PathOf("golden", "families", name);
        Copy(source, folder["out"]);
        using JsonDocument expected = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(source, "config.json")));
        using JsonDocument written = JsonDocument.Parse(File.ReadAllBytes(folder["out/config.json"]));
        foreach (JsonProperty field in expected.RootElement.EnumerateObject().Where(field => !s_notOurs.Contains(field.Name)))
        {
            Assert.True(written.RootElement.TryGetProperty(field.Name, out JsonElement value), $"{field.Name} is absent.");
            Assert.True(JsonElement.DeepEquals(field.Value, value), $"{field.Name} is {value.GetRawText()}; expected {field.Value.GetRawText()}.");
            Assert.Equal(field.Value.GetRawText().Contains('.', StringComparison.Ordinal), value.GetRawText().Contains('.', StringComparison.Ordinal)); // Python tells floats by it
        }
    }

    [SharedTheory]
    [InlineData("llama")]
    [InlineData("gemma2")]
    [InlineData("gpt-neox")]
    public void Write_WithAnEarlierConfig_KeepsItsOtherFields(string name)
    {
        using TestFolder folder = new();
        string source = SharedFolder.PathOf("golden", "families", name);
        Copy(source, folder["out"], keepConfig: true);
        using JsonDocument expected = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(source, "config.json")));
        using JsonDocument written = JsonDocument.Parse(File.ReadAllBytes(folder["out/config.json"]));
        Assert.True(JsonElement.DeepEquals(expected.RootElement, written.RootElement));
    }

    [SharedTheory]
    [InlineData("llama", "F16", "float16")]
    [InlineData("gpt2", "BF16", "bfloat16")]
    public void Write_InAnotherFormat_RoundsEveryTensor(string name, string format, string dtype)
    {
        using TestFolder folder = new();
        string source = SharedFolder.PathOf("golden", "families", name);
        Copy(source, folder["out"], format);
        using HuggingFaceFolder written = HuggingFaceFolder.Open(folder["out"]);
        using HuggingFaceFolder original = HuggingFaceFolder.Open(source);
        Assert.Equal(dtype, written.Config!.GetString("dtype"));
        foreach (StoredTensor tensor in original.Tensors)
        {
            float[] expected = StoredModelTensors.Of(tensor.Name, tensor).ReadFloats();
            StoredTensor found = written.Find(tensor.Name)!;
            float[] values = StoredModelTensors.Of(found.Name, found).ReadFloats();
            Assert.Equal(format, found.TypeName);
            Assert.All(expected, (value, i) => Assert.Equal(format == "F16" ? (float)(Half)value : RoundedToBFloat16(value), values[i]));
        }
    }

    [SharedFact]
    public void Write_OfRowsThatAreFilled_ComputesTheSameWhenLoaded()
    {
        GoldenDecoder golden = new("phi3");
        using TestFolder folder = new();
        using ModelHeader header = ModelHeader.Open(golden.Folder);
        ModelTensor[] apart = [.. Apart(header)];
        HuggingFaceFolderWriter.Write(folder["out"], new HuggingFaceFolderContent { Config = header.Config, Family = header.Family, Tensors = apart });
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(folder["out"], context);
        golden.AssertEqual(0, GoldenDecoder.Score(loaded.Model, context, golden.Sequences[0]));
    }

    [SharedFact]
    public void Write_OfLayersWithScalesOfTheirOwn_IsRefusedByNameAndLeavesNothing()
    {
        using TestFolder folder = new();
        using ModelHeader header = ModelHeader.Open(SharedFolder.PathOf("golden", "families", "llama"));
        DecoderConfig pruned = header.Config.WithLayers((layer, i) => i == 1 ? layer with { AttentionScale = 0.5f } : layer);
        string message = Assert.Throws<NotSupportedException>(() => HuggingFaceFolderWriter.Write(
            folder["out"], new HuggingFaceFolderContent { Config = pruned, Family = header.Family, Tensors = StoredModelTensors.Of(header) })).Message;
        Assert.Contains("layer 1", message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [SharedFact]
    public void Write_ThatIsStopped_LeavesNothing()
    {
        using TestFolder folder = new();
        using ModelHeader header = ModelHeader.Open(SharedFolder.PathOf("golden", "families", "llama"));
        HuggingFaceFolderContent content = new() { Config = header.Config, Family = header.Family, Tensors = StoredModelTensors.Of(header) };
        Assert.Throws<OperationCanceledException>(() => HuggingFaceFolderWriter.Write(folder["out"], content, progress =>
        {
            Assert.True(progress.Done <= progress.Total);
            throw new OperationCanceledException();
        }));
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [SharedFact]
    public void Write_OverAFolderWithOtherFiles_KeepsThem()
    {
        using TestFolder folder = new();
        folder.Write("out/log.jsonl", "kept");
        folder.Write("out/config.json", "old");
        Copy(SharedFolder.PathOf("golden", "families", "qwen2"), folder["out"]);
        Assert.Equal("kept", File.ReadAllText(folder["out/log.jsonl"]));
        using ModelHeader header = ModelHeader.Open(folder["out"]);
        Assert.Equal("Qwen2", header.Family.Name);
        Assert.Single(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [SharedFact]
    public void Write_OfAFileThatWasCutShortMeanwhile_SaysSo()
    {
        using TestFolder folder = new();
        foreach (string name in (string[])["config.json", "model.safetensors"])
        {
            folder.Write("in/" + name, File.ReadAllBytes(SharedFolder.PathOf("golden", "families", "llama", name)));
        }

        using ModelHeader header = ModelHeader.Open(folder["in"]);
        using (FileStream file = new(folder["in/model.safetensors"], FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            file.SetLength(file.Length - 1000);
        }

        HuggingFaceFolderContent content = new() { Config = header.Config, Family = header.Family, Tensors = StoredModelTensors.Of(header) };
        string message = Assert.Throws<EndOfStreamException>(() => HuggingFaceFolderWriter.Write(folder["out"], content)).Message;
        Assert.Contains("has become shorter", message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["out"]));
    }

    private static float RoundedToBFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return BitConverter.UInt32BitsToSingle((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000);
    }

    /// <summary>The tensors of a fused model as a trainer has them: apart, in float32, filled row by row.</summary>
    private static IEnumerable<ModelTensor> Apart(ModelHeader header)
    {
        TensorConventions conventions = new(RotaryLayout.HalfSplit, header.Config.Norm.UnitOffset, FusesQkv: false, FusesGate: false);
        foreach (ModelTensor tensor in new TensorArrangement(header.Config, StoredModelTensors.Of(header), conventions).Arrange())
        {
            float[] values = tensor.ReadFloats();
            yield return tensor.IsVector
                ? ModelTensor.Vector(tensor.Name, values)
                : ModelTensor.Matrix(tensor.Name, tensor.Rows, tensor.Columns, (row, destination) => values.AsSpan(row * tensor.Columns, tensor.Columns).CopyTo(destination));
        }
    }

    private static void Copy(string source, string target, string? format = null, bool keepConfig = false)
    {
        using ModelHeader header = ModelHeader.Open(source);
        JsonFields config = header.Folder!.RequireConfig();
        HuggingFaceFolderWriter.Write(target, new HuggingFaceFolderContent
        {
            Config = header.Config,
            Family = header.Family,
            Tensors = StoredModelTensors.Of(header),
            Format = format is null ? null : Kidogo.Tensors.Formats.WeightFormats.ForName(format),
            BosId = config.TryInt("bos_token_id", 0, int.MaxValue),
            EosIds = [config.GetInt("eos_token_id", 0, int.MaxValue)],
            PadId = config.TryInt("pad_token_id", 0, int.MaxValue),
            EarlierConfig = keepConfig ? File.ReadAllBytes(Path.Combine(source, "config.json")) : null,
        });
    }
}
