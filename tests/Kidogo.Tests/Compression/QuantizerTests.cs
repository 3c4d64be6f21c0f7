// Quantised files: what they hold, what loading as a format gives, and what is refused.
using Kidogo.Compression.Quantization;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;
using Kidogo.TestSupport;
using Kidogo.Tests.Models;
using Kidogo.Tests.Models.Files;

namespace Kidogo.Tests.Compression;

public sealed class QuantizerTests
{
    [SharedTheory]
    [InlineData("phi", "Q4_0")]
    [InlineData("gpt-neox", "Q4_K_M")]
    [InlineData("gemma2", "Q8_0")]
    public void Run_OfAFolder_EncodesEachRowAsTheFormatDoes(string name, string mix)
    {
        using TestFolder folder = new();
        string source = SharedFolder.PathOf("golden", "families", name);
        QuantizeReport report = Quantize(source, folder["q.gguf"], mix);
        using ModelHeader plain = ModelHeader.Open(source);
        using GgufFile written = GgufFile.Open(folder["q.gguf"]);
        foreach (ModelTensor tensor in GgufContent.Of(plain).Tensors)
        {
            StoredTensor stored = written.Find(tensor.Name)!;
            float[] weights = tensor.ReadFloats();
            byte[] expected = RoundToNearest.Encode(weights, tensor.Columns, [], stored.Format);
            Assert.Equal(expected, stored.Data.Read(0, expected.Length).ToArray());
            TensorOutcome outcome = report.Tensors.Single(each => each.Name == tensor.Name);
            Assert.Equal((stored.TypeName, stored.Data.Length), (outcome.Format, outcome.Bytes));
            Assert.Equal(stored.Format == FloatFormats.F32, outcome.RelativeError == 0);
        }

        Assert.Equal(new FileInfo(folder["q.gguf"]).Length, report.Bytes);
    }

    [SharedTheory]
    [InlineData("llama", "Q4_0")]
    [InlineData("llama-llama3", "Q8_0")]
    [InlineData("phi3", "BF16")]
    [InlineData("gpt-neox", "Q4_K_M")]
    [InlineData("gpt2", "Q8_0")]
    [InlineData("gemma3", "F16")]
    public void Open_AsAFormat_ComputesWhatTheQuantisedFileDoesBitForBit(string name, string mix)
    {
        GoldenDecoder golden = new(name);
        using TestFolder folder = new();
        Quantize(golden.Folder, folder["q.gguf"], mix);
        foreach (ComputePrecision precision in (ComputePrecision[])[ComputePrecision.Exact, ComputePrecision.Fast])
        {
            using ComputeContext context = ComputeContext.Inference(1, precision);
            using LoadedModel file = ModelLoader.Load(folder["q.gguf"], context);
            using LoadedModel memory = ModelLoader.Load(ModelInMemory.Open(ModelHeader.Open(golden.Folder), FormatMix.ForName(mix)!, threads: 2), context);
            Assert.Equal(GoldenDecoder.Score(file.Model, context, golden.Sequences[0]), GoldenDecoder.Score(memory.Model, context, golden.Sequences[0]));
        }
    }

    [SharedFact]
    public void Run_WithAnyNumberOfThreads_WritesTheSameFile()
    {
        using TestFolder folder = new();
        string source = SharedFolder.PathOf("golden", "families", "phi");
        Quantize(source, folder["1.gguf"], "Q5_K_M", threads: 1);
        Quantize(source, folder["3.gguf"], "Q5_K_M", threads: 3);
        Assert.Equal(File.ReadAllBytes(folder["1.gguf"]), File.ReadAllBytes(folder["3.gguf"]));
    }

    [SharedFact]
    public void Run_WithFormatsForSomeTensors_GivesThemThose()
    {
        using TestFolder folder = new();
        using ModelHeader header = ModelHeader.Open(SharedFolder.PathOf("golden", "families", "phi"));
        QuantizeOptions options = new()
        {
            Mix = FormatMix.ForName("Q4_0")!,
            Tensors = [("blk.*.ffn_down", WeightFormats.ForName("Q8_0")!), ("attn_q", WeightFormats.ForName("Q6_K")!)],
        };
        QuantizeReport report = Quantizer.Run(header, folder["q.gguf"], options);
        Assert.Equal("Q8_0", report.Tensors.Single(tensor => tensor.Name == "blk.1.ffn_down.weight").Format);
        Assert.Equal("Q8_0", report.Tensors.Single(tensor => tensor.Name == "blk.1.attn_q.weight").Format); // rows of 64 are no Q6_K blocks
        Assert.Equal("Q4_0", report.Tensors.Single(tensor => tensor.Name == "blk.1.attn_k.weight").Format);
        Assert.Contains(report.Remarks, remark => remark.Contains("no whole Q6_K blocks of 256", StringComparison.Ordinal) && remark.Contains("rows of 64", StringComparison.Ordinal));
    }

    [SharedFact]
    public void Run_OfAFileThatIsQuantised_SaysThatItIsRoundedTwice()
    {
        using TestFolder folder = new();
        Quantize(SharedFolder.PathOf("golden", "families", "phi"), folder["q8.gguf"], "Q8_0");
        QuantizeReport report = Quantize(folder["q8.gguf"], folder["q4.gguf"], "Q4_0");
        Assert.Contains(report.Remarks, remark => remark.Contains("rounded a second time", StringComparison.Ordinal));
    }

    [SharedTheory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Run_OfAWeightThatIsNotFinite_NamesTensorAndIndexAndLeavesNothing(float value)
    {
        using TestFolder folder = new();
        foreach (string file in (string[])["config.json", "model.safetensors"])
        {
            folder.Write("in/" + file, File.ReadAllBytes(SharedFolder.PathOf("golden", "families", "phi", file)));
        }

        using (SafetensorsFile weights = SafetensorsFile.Open(folder["in/model.safetensors"]))
        using (FileStream stream = new(folder["in/model.safetensors"], FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            stream.Position = weights.Find("model.layers.1.mlp.fc1.weight")!.Data.Offset + (100 * sizeof(float));
            stream.Write(BitConverter.GetBytes(value));
        }

        string message = Assert.Throws<ModelTensorException>(() => Quantize(folder["in"], folder["q.gguf"], "Q4_0")).Message;
        Assert.Contains("blk.1.ffn_up.weight", message, StringComparison.Ordinal);
        Assert.Contains("at index 100 (row 1, column 36)", message, StringComparison.Ordinal);
        Assert.Equal(["in"], Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName));
    }

    [SharedFact]
    public void Run_WithImportanceOfAnotherModel_IsRefused()
    {
        using TestFolder folder = new();
        using ModelHeader header = ModelHeader.Open(SharedFolder.PathOf("golden", "families", "phi"));
        QuantizeOptions options = new() { Mix = FormatMix.ForName("Q4_0")!, Importance = _ => new float[7] };
        Assert.Contains("of another model", Assert.Throws<NotSupportedException>(() => Quantizer.Run(header, folder["q.gguf"], options)).Message, StringComparison.Ordinal);
    }

    private static QuantizeReport Quantize(string source, string target, string mix, int threads = 1)
    {
        using ModelHeader header = ModelHeader.Open(source);
        return Quantizer.Run(header, target, new QuantizeOptions { Mix = FormatMix.ForName(mix)! }, new ModelWriteOptions { Threads = threads });
    }
}
