// Folders of codes and scales: what is written, that every reader gives the same weights, and what is refused of a stranger's.
using System.Text.Json;
using Kidogo.Compression.Quantization;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats.Plain;
using Kidogo.TestSupport;
using Kidogo.Tests.Models;
using Kidogo.Tests.Models.Files;

namespace Kidogo.Tests.Compression;

public sealed class PlainQuantizerTests
{
    private const string Matrix = "model.layers.0.mlp.down_proj.weight";

    public static TheoryData<string> Names => [.. PlainFormats.All.Select(format => format.Name)];

    [SharedTheory]
    [MemberData(nameof(Names))]
    public void Run_AnyFormat_StoresWhatTheFormatMakesOfEachMatrixAndKeepsTheRest(string name)
    {
        PlainFormat format = PlainFormats.ForName(name)!;
        using TestFolder folder = new();
        string source = SharedFolder.PathOf("golden", "families", "llama");
        QuantizeReport report = Quantize(source, folder["q"], name);
        IReadOnlyDictionary<string, FixtureTensor> before = SafetensorsFixture.Read(Path.Combine(source, "model.safetensors")), after = SafetensorsFixture.Read(folder["q/model.safetensors"]);
        long bytes = 0;
        foreach ((string tensor, FixtureTensor stored) in before)
        {
            if (stored.Shape.Length == 1)
            {
                Assert.Equal((stored.DType, Convert.ToHexString(stored.Bytes)), (after[tensor].DType, Convert.ToHexString(after[tensor].Bytes)));
                continue;
            }

            foreach (StoredPart part in format.Encode(stored.As<float>(), (int)stored.Shape[0], (int)stored.Shape[1]))
            {
                FixtureTensor written = after[tensor + part.Suffix];
                Assert.Equal((part.DType, string.Join(',', part.Shape), Convert.ToHexString(part.Bytes)), (written.DType, string.Join(',', written.Shape), Convert.ToHexString(written.Bytes)));
                bytes += part.Bytes.Length;
            }
        }

        Assert.Equal(bytes, report.Tensors.Sum(tensor => tensor.Bytes));
        Assert.All(report.Tensors, tensor => Assert.Equal(name, tensor.Format));
        Assert.All(report.Tensors, tensor => Assert.InRange(tensor.RelativeError, 1e-4, 0.9));
        Assert.Equal(new DirectoryInfo(folder["q"]).EnumerateFiles().Sum(file => file.Length), report.Bytes);

        ModelSummary summary = ModelSummary.Read(folder["q"], 16, KvFormat.F16);
        Assert.Null(summary.Problem);
        Assert.Equal(before.Keys.Order(StringComparer.Ordinal), summary.Tensors.Select(tensor => tensor.Name).Order(StringComparer.Ordinal));
        TensorSummary one = summary.Tensors.Single(tensor => tensor.Name == Matrix);
        Assert.Equal((name, string.Join(',', before[Matrix].Shape)), (one.Format, string.Join(',', one.Shape)));
        Assert.Equal(after.Where(part => part.Key.StartsWith(Matrix, StringComparison.Ordinal)).Sum(part => part.Value.Bytes.Length), one.Bytes);
    }

    /// <summary>In float32, what is decoded while it is multiplied is what was decoded into a file before: fused matrices, inputs as rows, tied heads, all.</summary>
    [SharedTheory]
    [InlineData("llama", "int8-row")]
    [InlineData("qwen3", "nf4-double")]
    [InlineData("phi3", "codebook-3")]
    [InlineData("gpt2", "int8-row-zero-point")]
    [InlineData("gpt-neox", "binary-row")]
    [InlineData("gemma2", "float8-e4m3")]
    public void Load_PlainFolder_ComputesWhatItsDecodedFileDoesBitForBit(string family, string format)
    {
        GoldenDecoder golden = new(family);
        using TestFolder folder = new();
        Quantize(golden.Folder, folder["q"], format);
        using (ModelHeader header = ModelHeader.Open(folder["q"]))
        {
            ModelConverter.Convert(header, folder["decoded"]);
            ModelConverter.Convert(header, folder["decoded.gguf"]);
        }

        Assert.DoesNotContain("kidogo", File.ReadAllText(folder["decoded/config.json"]), StringComparison.Ordinal);
        using ModelHeader decoded = ModelHeader.Open(folder["decoded"]);
        Assert.DoesNotContain(decoded.Folder!.WeightMetadata.Keys, key => key.StartsWith("kidogo.", StringComparison.Ordinal));
        using ComputeContext context = ComputeContext.Inference(2, ComputePrecision.Exact);
        float[] expected = Score(folder["decoded"], context, golden);
        Assert.Equal(expected, Score(folder["q"], context, golden));
        using LoadedModel gguf = ModelLoader.Load(folder["decoded.gguf"], context);
        Assert.Equal(expected.Length, GoldenDecoder.Score(gguf.Model, context, golden.Sequences[0]).Length);

        // The fast way rounds activations to 8 bits where matrices are whole numbers.
        using ComputeContext fast = ComputeContext.Inference(2);
        float[] quick = Score(folder["q"], fast, golden);
        double error = 0, size = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            error += Math.Pow(quick[i] - expected[i], 2);
            size += Math.Pow(expected[i], 2);
        }

        Assert.InRange(Math.Sqrt(error / size), 0, 0.05);
    }

    [SharedFact]
    public void Run_TensorPattern_GivesThoseTheirFormat()
    {
        using TestFolder folder = new();
        using ModelHeader header = ModelHeader.Open(SharedFolder.PathOf("golden", "families", "llama"));
        QuantizeReport report = PlainQuantizer.Run(header, folder["q"], PlainFormats.ForName("int8-row")!, [("ffn_down", PlainFormats.ForName("nf4")!)]);
        Assert.All(report.Tensors, tensor => Assert.Equal(tensor.Name.Contains("ffn_down", StringComparison.Ordinal) ? "nf4" : "int8-row", tensor.Format));
        Assert.Contains(report.Tensors, tensor => tensor.Format == "nf4");
        using ComputeContext context = ComputeContext.Inference(1);
        using LoadedModel loaded = ModelLoader.Load(folder["q"], context);
    }

    /// <summary>What a model is said to need in memory is what its weights take.</summary>
    [SharedTheory]
    [MemberData(nameof(Names))]
    public void Estimate_PlainFolder_CountsThePackedForms(string name)
    {
        using TestFolder folder = new();
        Quantize(SharedFolder.PathOf("golden", "families", "llama"), folder["q"], name);
        using ComputeContext context = ComputeContext.Inference(1);
        using ModelHeader header = ModelHeader.Open(folder["q"]);
        using LoadedModel loaded = ModelLoader.Load(header, context);
        long packed = loaded.Model.Slots().Sum(slot => slot switch
        {
            Kidogo.Models.Layers.Linear linear => linear.Weight.MemoryBytes,
            Kidogo.Models.Layers.TokenEmbedding embedding => embedding.Weight.MemoryBytes,
            _ => 0,
        });
        Assert.InRange(header.Estimate(16).WeightBytes, packed, packed + header.WeightBytes); // decoded ones count with what they take in the file
    }

    [SharedFact]
    public void Open_DamagedFolder_IsRefusedByName()
    {
        using TestFolder folder = new();
        Quantize(SharedFolder.PathOf("golden", "families", "llama"), folder["q"], "int8-row-zero-point");
        FixtureTensor codes = SafetensorsFixture.Read(folder["q/model.safetensors"])[Matrix];
        (long rows, long columns) = (codes.Shape[0], codes.Shape[1]);
        Refused(folder, "is incomplete", tensors => tensors.Remove(Matrix + "_scale"));
        Refused(folder, "is incomplete", tensors => tensors.Remove(Matrix + "_zero_point"));
        Refused(folder, "…_scale", tensors => tensors[Matrix + "_scale"] = new FixtureTensor("F32", [1, 1], new byte[4]));
        Refused(folder, "…_scale", tensors => tensors[Matrix + "_scale"] = new FixtureTensor("I32", [rows, 1], new byte[4 * rows]));
        Refused(folder, "bytes of U8", tensors => tensors[Matrix] = new FixtureTensor("U8", [rows, columns - 1], new byte[rows * (columns - 1)]));
        Refused(folder, "bytes of I8", tensors => tensors[Matrix] = codes with { DType = "I8" });
        Refused(folder, "has the format \"int8\"", change: metadata => metadata["kidogo.format." + Matrix] = "int8");
        Refused(folder, "expected ROWS,COLUMNS", change: metadata => metadata.Remove("kidogo.shape." + Matrix));
        foreach (string shape in (string[])["", "4", "4,4,4", "-1,64", "0,64", "99999999999,64", " 64,64", "64,6e1", $"{rows},{columns},"])
        {
            Refused(folder, "expected ROWS,COLUMNS", change: metadata => metadata["kidogo.shape." + Matrix] = shape);
        }

        Refused(folder, $"{columns},{rows}", change: metadata => metadata["kidogo.shape." + Matrix] = $"{columns},{rows}", problem: "bytes of F32");
        Refused(folder, "2147483647", change: metadata => metadata["kidogo.shape." + Matrix] = "2147483647,2147483647", problem: "cannot be put together");
        Refused(folder, "no_such_tensor", change: metadata => (metadata["kidogo.format.no_such_tensor"], metadata["kidogo.shape.no_such_tensor"]) = ("nf4", "4,4"));
        Refused(folder, "shares a tensor", change: metadata =>
        {
            metadata["kidogo.format." + Matrix + "_zero_point"] = "ternary";
            metadata["kidogo.shape." + Matrix + "_zero_point"] = $"{rows},4";
        }, tensors: tensors => tensors[Matrix + "_zero_point_scale"] = new FixtureTensor("F32", [1], new byte[4]));
    }

    [SharedTheory]
    [InlineData("int8-row", "_scale")]
    [InlineData("nf4-double", "_scale_scale")]
    [InlineData("codebook-4", "_centres")]
    public void Load_ScaleThatIsNoNumber_NamesTheTensor(string format, string suffix)
    {
        using TestFolder folder = new();
        Quantize(SharedFolder.PathOf("golden", "families", "llama"), folder["q"], format);
        Rewrite(folder["q/model.safetensors"], tensors => BitConverter.TryWriteBytes(tensors[Matrix + suffix].Bytes, float.NaN));
        using ComputeContext context = ComputeContext.Inference(1);
        string message = Assert.Throws<ModelFormatException>(() => ModelLoader.Load(folder["q"], context)).Message;
        Assert.Contains($"\"{Matrix}\"", message, StringComparison.Ordinal);
        Assert.Contains(suffix, message, StringComparison.Ordinal);
        using ModelHeader header = ModelHeader.Open(folder["q"]);
        Assert.Throws<ModelFormatException>(() => ModelConverter.Convert(header, folder["out.gguf"]));
        Assert.False(File.Exists(folder["out.gguf"]));
    }

    [SharedFact]
    public void Run_WeightThatIsNoNumber_NamesItAndLeavesNothing()
    {
        using TestFolder folder = new();
        string source = SharedFolder.PathOf("golden", "families", "llama");
        folder.Write("in/config.json", File.ReadAllBytes(Path.Combine(source, "config.json")));
        folder.Write("in/model.safetensors", File.ReadAllBytes(Path.Combine(source, "model.safetensors")));
        Rewrite(folder["in/model.safetensors"], tensors => BitConverter.TryWriteBytes(tensors[Matrix].Bytes.AsSpan(20), float.NaN));
        string message = Assert.Throws<ModelTensorException>(() => Quantize(folder["in"], folder["q"], "int8-row")).Message;
        Assert.Contains("blk.0.ffn_down.weight has NaN at index 5 ", message, StringComparison.Ordinal);
        Assert.Equal(["in"], Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName));
    }

    [SharedFact]
    public void Open_FolderOfAnotherMethod_IsStillRefused()
    {
        using TestFolder folder = new();
        Quantize(SharedFolder.PathOf("golden", "families", "llama"), folder["q"], "int8-row");
        string config = File.ReadAllText(folder["q/config.json"]);
        Assert.Equal("kidogo", JsonDocument.Parse(config).RootElement.GetProperty("quantization_config").GetProperty("quant_method").GetString());
        File.WriteAllText(folder["q/config.json"], config.Replace("\"kidogo\"", "\"gptq\"", StringComparison.Ordinal));
        Assert.Throws<ModelFormatException>(() => ModelHeader.Open(folder["q"]));
    }

    private static QuantizeReport Quantize(string source, string path, string format)
    {
        using ModelHeader header = ModelHeader.Open(source);
        return PlainQuantizer.Run(header, path, PlainFormats.ForName(format)!, [], new ModelWriteOptions());
    }

    private static float[] Score(string path, ComputeContext context, GoldenDecoder golden)
    {
        using LoadedModel loaded = ModelLoader.Load(path, context);
        return GoldenDecoder.Score(loaded.Model, context, golden.Sequences[0]);
    }

    private static void Refused(TestFolder folder, string message, Action<Dictionary<string, FixtureTensor>>? tensors = null, Action<Dictionary<string, string>>? change = null, string? problem = null)
    {
        string path = folder["q/model.safetensors"];
        byte[] good = File.ReadAllBytes(path);
        Rewrite(path, tensors, change);
        string said = Assert.Throws<ModelFormatException>(() => ModelHeader.Open(folder["q"])).Message;
        Assert.Contains(problem ?? message, said, StringComparison.Ordinal);
        File.WriteAllBytes(path, good);
        ModelHeader.Open(folder["q"]).Dispose();
    }

    private static void Rewrite(string path, Action<Dictionary<string, FixtureTensor>>? tensors, Action<Dictionary<string, string>>? change = null)
    {
        Dictionary<string, FixtureTensor> all = SafetensorsFixture.Read(path).ToDictionary();
        Dictionary<string, string> metadata;
        using (SafetensorsFile file = SafetensorsFile.Open(path))
        {
            metadata = file.Metadata.ToDictionary();
        }

        tensors?.Invoke(all);
        change?.Invoke(metadata);
        using FileStream stream = File.Create(path);
        SafetensorsWriter.Write(stream, all.Select(tensor => TensorToWrite.Of(tensor.Key, tensor.Value.Shape, tensor.Value.DType, tensor.Value.Bytes)), metadata);
    }
}
