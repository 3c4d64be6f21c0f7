// Real and reference files: what is in them is what their descriptions say.
using System.Text.Json;
using Kidogo.Models.Files;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Models.Files;

public sealed class GoldenFilesTests
{
    [SharedFact]
    public void Open_SmolLm2_IsWhatItsDescriptionSays()
    {
        using GgufFile file = GgufFile.Open(SharedFolder.PathOf("models", "SmolLM2-135M-Instruct.Q4_1.gguf"));
        Metadata metadata = file.Metadata;

        Assert.Equal(98_362_432, file.TotalBytes);
        Assert.Equal("llama", metadata.GetString("general.architecture"));
        Assert.Equal(30, metadata.GetInt("llama.block_count", 1, 1024));
        Assert.Equal(576, metadata.GetInt("llama.embedding_length", 1, 1 << 20));
        Assert.Equal(9, metadata.GetInt("llama.attention.head_count", 1, 1024));
        Assert.Equal(3, metadata.GetInt("llama.attention.head_count_kv", 1, 1024));
        Assert.Equal(1536, metadata.GetInt("llama.feed_forward_length", 1, 1 << 20));
        Assert.Equal(8192, metadata.GetInt("llama.context_length", 1, 1 << 30));
        Assert.Equal(100_000.0, metadata.GetFloat("llama.rope.freq_base", 1, 1e9));
        Assert.Equal("gpt2", metadata.GetString("tokenizer.ggml.model"));
        Assert.Equal("smollm", metadata.GetString("tokenizer.ggml.pre"));
        Assert.True(metadata.TryGetStrings("tokenizer.ggml.tokens", out Utf8Strings tokens));
        Assert.Equal(49_152, tokens.Count);
        Assert.Equal("<|im_end|>", tokens.Text(2));
        Assert.True(metadata.TryGetInts("tokenizer.ggml.token_type", out int[] types));
        Assert.Equal(49_152, types.Length);

        Assert.Equal(210, file.Tensors.Count(tensor => tensor.TypeName == "Q4_1"));
        StoredTensor embedding = file.Find("token_embd.weight")!;
        Assert.Equal("Q8_0", embedding.TypeName);
        Assert.Equal([49_152L, 576L], embedding.Shape);
        Assert.All(file.Tensors.Where(tensor => tensor.Name.EndsWith("norm.weight", StringComparison.Ordinal)), tensor => Assert.Equal("F32", tensor.TypeName));
        FileFuzz.ReadAll(FuzzKind.Gguf, file.Path, "");
    }

    [SharedFact]
    public void Open_MiniLm_IsWhatItsDescriptionSays()
    {
        using HuggingFaceFolder folder = HuggingFaceFolder.Open(SharedFolder.PathOf("models", "all-MiniLM-L6-v2"));

        Assert.Equal(104, folder.Tensors.Count);
        Assert.Equal(45_441_944, folder.TotalBytes);
        Assert.False(folder.Find("embeddings.position_ids")!.IsWeight);
        Assert.Equal([30_522L, 384L], folder.Find("embeddings.word_embeddings.weight")!.Shape);
        Assert.Equal(6, folder.RequireConfig().GetInt("num_hidden_layers", 1, 1024));
        Assert.NotNull(folder.FindFile("1_Pooling/config.json") ?? folder.FindFile("sentence_bert_config.json"));
    }

    [SharedFact]
    public void Open_EveryFamily_ReadsTheSameTensorsAsTheFixtureReader()
    {
        int folders = 0;
        foreach (string path in Directory.EnumerateDirectories(SharedFolder.PathOf("golden", "families")))
        {
            using HuggingFaceFolder folder = HuggingFaceFolder.Open(path);
            Assert.True(folder.RequireConfig().TryGetStrings("architectures", out _), path);
            IReadOnlyDictionary<string, FixtureTensor> expected = SafetensorsFixture.Read(Path.Combine(path, "model.safetensors"));
            Assert.Equal(expected.Count, folder.Tensors.Count);
            foreach (StoredTensor tensor in folder.Tensors)
            {
                Assert.Equal(expected[tensor.Name].Shape, tensor.Shape);
                Assert.Equal(expected[tensor.Name].DType, tensor.TypeName);
                Assert.True(tensor.Data.Read(0, (int)tensor.Data.Length).SequenceEqual(expected[tensor.Name].Bytes), $"{path} {tensor.Name}");
            }

            folders++;
        }

        Assert.True(folders >= 20, $"{folders} families were found.");
    }

    [SharedTheory]
    [InlineData("llama")]
    [InlineData("qwen3")]
    [InlineData("gemma2")]
    public void Open_FamilyAsGguf_HasTheShapesOfTheSafetensors(string family)
    {
        using GgufFile gguf = GgufFile.Open(SharedFolder.PathOf("golden", "families", family, "model.gguf"));
        using HuggingFaceFolder folder = HuggingFaceFolder.Open(SharedFolder.PathOf("golden", "families", family));

        Assert.Equal(folder.Tensors.Count, gguf.Tensors.Count);
        Assert.Equal(folder.Find("model.embed_tokens.weight")!.Shape, gguf.Find("token_embd.weight")!.Shape);
        Assert.Equal(folder.Find("model.layers.0.mlp.down_proj.weight")!.Shape, gguf.Find("blk.0.ffn_down.weight")!.Shape);
        Assert.Equal(folder.RequireConfig().GetInt("num_hidden_layers", 1, 1024), gguf.Metadata.GetInt($"{family}.block_count", 1, 1024));
    }

    [SharedFact]
    public void Open_EveryVocabulary_HasTokensAndNoTensors()
    {
        string[] files = Directory.GetFiles(SharedFolder.PathOf("golden", "tokenizers"), "*.gguf");
        Assert.NotEmpty(files);
        foreach (string path in files)
        {
            using GgufFile file = GgufFile.Open(path);
            Assert.Empty(file.Tensors);
            Assert.True(file.Metadata.TryGetStrings("tokenizer.ggml.tokens", out Utf8Strings tokens), path);
            Assert.True(tokens.Count > 1000, path);
            Assert.Equal(tokens.Count, file.Metadata.CountOf("tokenizer.ggml.token_type"));
            FileFuzz.ReadAll(FuzzKind.Gguf, path, "");
        }
    }

    [SharedFact]
    public void Open_EveryTokenizerFolder_Opens()
    {
        foreach (string path in Directory.EnumerateDirectories(SharedFolder.PathOf("golden", "tokenizers"), "hf-*"))
        {
            using HuggingFaceFolder folder = HuggingFaceFolder.Open(path);
            using Kidogo.Tensors.MappedFile tokenizer = folder.OpenTokenizerJson()!;
            Utf8JsonReader reader = new(tokenizer.Read(0, (int)tokenizer.Length));
            Assert.True(reader.Read());
        }
    }
}
