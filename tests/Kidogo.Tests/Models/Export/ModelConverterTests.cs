// Conversions both ways: tensors come back byte for byte, and what a file knew comes back with them.
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Kidogo.TestSupport;
using Kidogo.Tests.Models.Files;

namespace Kidogo.Tests.Models.Export;

public sealed class ModelConverterTests
{
    [SharedTheory]
    [MemberData(nameof(GoldenDecoder.Names), MemberType = typeof(GoldenDecoder))]
    public void Convert_OfAFolderToGguf_ComputesTheSame(string name)
    {
        GoldenDecoder golden = new(name);
        using TestFolder folder = new();
        Convert(golden.Folder, folder["m.gguf"]);
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(folder["m.gguf"], context);
        golden.AssertEqual(1, GoldenDecoder.Score(loaded.Model, context, golden.Sequences[1]));
    }

    [SharedTheory]
    [MemberData(nameof(GoldenDecoder.Names), MemberType = typeof(GoldenDecoder))]
    public void Convert_OfAFolderToGgufAndBack_GivesTheFolderByteForByte(string name)
    {
        using TestFolder folder = new();
        string source = SharedFolder.PathOf("golden", "families", name);
        Convert(source, folder["m.gguf"]);
        Convert(folder["m.gguf"], folder["back"]);
        Assert.Equal(File.ReadAllBytes(Path.Combine(source, "config.json")), File.ReadAllBytes(folder["back/config.json"]));
        Assert.Equal(File.ReadAllBytes(Path.Combine(source, "model.safetensors")), File.ReadAllBytes(folder["back/model.safetensors"]));
    }

    [SharedTheory]
    [InlineData("gemma")]
    [InlineData("gpt2")]
    [InlineData("qwen2")]
    public void Convert_OfABFloat16FolderToGgufAndBack_GivesTheWeightsByteForByte(string name)
    {
        using TestFolder folder = new();
        Convert(SharedFolder.PathOf("golden", "families", name), folder["half"], "BF16");
        Convert(folder["half"], folder["m.gguf"]);
        Convert(folder["m.gguf"], folder["back"]);
        Assert.Equal(File.ReadAllBytes(folder["half/model.safetensors"]), File.ReadAllBytes(folder["back/model.safetensors"]));
        Assert.Equal(File.ReadAllBytes(folder["half/config.json"]), File.ReadAllBytes(folder["back/config.json"]));
    }

    [SharedTheory]
    [InlineData("llama")]
    [InlineData("qwen3")]
    [InlineData("gemma2")]
    public void Convert_OfGgufToAFolderAndBack_LosesNothing(string name)
    {
        using TestFolder folder = new();
        string source = SharedFolder.PathOf("golden", "families", name, "model.gguf");
        if (name == "gemma2")
        {
            // The reference's scale of scores is none that a GGUF file of its kind can say, so the folder is made from this program's own file.
            Convert(SharedFolder.PathOf("golden", "families", name), folder["own.gguf"]);
            source = folder["own.gguf"];
        }

        Convert(source, folder["middle"]);
        Convert(folder["middle"], folder["back.gguf"]);
        using GgufFile before = GgufFile.Open(source);
        using GgufFile after = GgufFile.Open(folder["back.gguf"]);
        Assert.Equal(before.Tensors.Select(tensor => tensor.Name).Order(), after.Tensors.Select(tensor => tensor.Name).Order());
        Assert.All(before.Tensors, tensor => Assert.Equal(tensor.Data.Read(0, (int)tensor.Data.Length), after.Find(tensor.Name)!.Data.Read(0, (int)tensor.Data.Length)));
        foreach (string key in before.Metadata.Keys.Where(key => !key.StartsWith("kidogo.", StringComparison.Ordinal)))
        {
            Assert.True(after.Metadata.Contains(key), $"{key} is lost.");
            Assert.Equal(before.Metadata.KindOf(key), after.Metadata.KindOf(key));
            Assert.Equal(before.Metadata.Describe(key, 1000, 1000), after.Metadata.Describe(key, 1000, 1000));
        }
    }

    [SharedTheory]
    [InlineData("hf-llama2")]
    [InlineData("hf-qwen3")]
    public void Convert_OfAFolderWithATokenizer_TokenisesTheSame(string name)
    {
        using TestFolder folder = new();
        string vocabulary = SharedFolder.PathOf("golden", "tokenizers", name);
        using ModelText original = ModelText.Open(vocabulary);
        GgufMetadata metadata = new();
        metadata.Set("general.architecture", "llama");
        using HuggingFaceFolder source = HuggingFaceFolder.Open(vocabulary);
        Assert.Null(GgufVocabulary.Set(metadata, source, 0));
        using (NewFile file = NewFile.Create(folder["v.gguf"]))
        {
            GgufWriter.Write(file.Stream, metadata, []);
            file.Commit();
        }

        using ModelText written = ModelText.Open(folder["v.gguf"]);
        Assert.Equal(original.Tokenizer.VocabularySize, written.Tokenizer.VocabularySize);
        Assert.Equal(original.Tokenizer.EosId, written.Tokenizer.EosId);
        string text = string.Join('\n', File.ReadAllLines(SharedFolder.PathOf("golden", "tokenizers", "README.md")));
        Assert.Equal(original.Tokenizer.Encode(text, addSpecial: true), written.Tokenizer.Encode(text, addSpecial: true));
    }

    [SharedTheory]
    [InlineData("gpt-2")]
    [InlineData("qwen2")]
    [InlineData("llama-bpe")]
    [InlineData("llama-spm")]
    public void TokenizerJson_OfAGgufVocabulary_TokenisesTheSame(string name)
    {
        using GgufFile file = GgufFile.Open(SharedFolder.PathOf("golden", "tokenizers", name + ".gguf"));
        Kidogo.Text.Tokenizers.Tokenizer original = GgufTokenizer.Read(file.Metadata);
        Kidogo.Text.Tokenizers.Tokenizer written = Kidogo.Text.Tokenizers.Tokenizer.FromJson(Kidogo.Text.Tokenizers.TokenizerExchange.ToJson(GgufTokenizer.Describe(file.Metadata)));
        Assert.Null(Kidogo.Text.Tokenizers.TokenizerExchange.Difference(original, written));
        string text = File.ReadAllText(SharedFolder.PathOf("golden", "tokenizers", "README.md"));
        Assert.Equal(original.Encode(text, addSpecial: true), written.Encode(text, addSpecial: true));
    }

    [SharedFact]
    public void Convert_ToF16OfAWeightThatIsTooLarge_NamesTensorAndIndexAndLeavesNothing()
    {
        using TestFolder folder = new();
        string source = CopyOf(folder, "llama", 70_000f);
        string message = Assert.Throws<ModelTensorException>(() => Convert(source, folder["m.gguf"], "F16")).Message;
        Assert.Contains("output.weight", message, StringComparison.Ordinal);
        Assert.Contains("at index 3 ", message, StringComparison.Ordinal);
        Assert.Equal(["in"], Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName));
    }

    [SharedFact]
    public void Convert_IntoAFolderThatIsNotEmpty_IsRefused()
    {
        using TestFolder folder = new();
        folder.Write("out/notes.txt", "mine");
        Assert.Throws<IOException>(() => Convert(SharedFolder.PathOf("golden", "families", "llama"), folder["out"]));
        Assert.Equal(["notes.txt"], Directory.EnumerateFileSystemEntries(folder["out"]).Select(Path.GetFileName));
    }

    /// <summary>A reference folder, with another value at index 3 of its head.</summary>
    private static string CopyOf(TestFolder folder, string name, float value)
    {
        foreach (string file in (string[])["config.json", "model.safetensors"])
        {
            folder.Write("in/" + file, File.ReadAllBytes(SharedFolder.PathOf("golden", "families", name, file)));
        }

        using SafetensorsFile weights = SafetensorsFile.Open(folder["in/model.safetensors"]);
        long at = weights.Find("lm_head.weight")!.Data.Offset + (3 * sizeof(float));
        using FileStream stream = new(folder["in/model.safetensors"], FileMode.Open, FileAccess.Write, FileShare.ReadWrite) { Position = at };
        stream.Write(BitConverter.GetBytes(value));
        return folder["in"];
    }

    private static void Convert(string source, string target, string? format = null)
    {
        using ModelHeader header = ModelHeader.Open(source);
        ModelConverter.Convert(header, target, format is null ? null : Kidogo.Tensors.Formats.WeightFormats.ForName(format));
    }
}
