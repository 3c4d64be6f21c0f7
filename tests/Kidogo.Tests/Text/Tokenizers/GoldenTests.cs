// Ids and texts of other implementations, met one by one.
using System.Text;
using System.Text.Json;
using Kidogo.Models.Files;
using Kidogo.TestSupport;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Tests.Text.Tokenizers;

public sealed class GoldenTests
{
    public static TheoryData<string> GgufVocabularies => ["bert-bge", "gpt-2", "llama-bpe", "llama-spm", "phi-3", "qwen2"];

    public static TheoryData<string> JsonVocabularies => ["hf-llama2", "hf-qwen3"];

    [SharedTheory]
    [MemberData(nameof(GgufVocabularies))]
    public void Encode_VocabularyOfGguf_GivesLlamaCppsIds(string name)
    {
        Tokenizer tokenizer = LoadGguf(name);
        string[] texts = Texts();
        int[][] expected = Read<int[][]>(SharedFolder.PathOf("golden", "tokenizers", name + ".ids.json"));
        Assert.Equal(expected.Length, texts.Length);
        for (int i = 0; i < texts.Length; i++)
        {
            Assert.True(expected[i].AsSpan().SequenceEqual(tokenizer.Encode(texts[i])), Describe(tokenizer, texts[i], expected[i]));
        }
    }

    [SharedTheory]
    [MemberData(nameof(JsonVocabularies))]
    public void Encode_VocabularyOfTokenizerJson_GivesItsIds(string name)
    {
        Tokenizer tokenizer = LoadJson(name);
        string[] texts = Texts();
        int[][] expected = Read<int[][]>(SharedFolder.PathOf("golden", "tokenizers", name, "ids.json"));
        for (int i = 0; i < texts.Length; i++)
        {
            int[] ids = tokenizer.Encode(texts[i], addSpecial: true, parseSpecial: true);
            Assert.True(expected[i].AsSpan().SequenceEqual(ids), Describe(tokenizer, texts[i], expected[i]));
        }
    }

    [SharedTheory]
    [MemberData(nameof(JsonVocabularies))]
    public void Decode_IdsOfTokenizerJson_GiveItsTexts(string name)
    {
        Tokenizer tokenizer = LoadJson(name);
        int[][] ids = Read<int[][]>(SharedFolder.PathOf("golden", "tokenizers", name, "ids.json"));
        string[] expected = Read<string[]>(SharedFolder.PathOf("golden", "tokenizers", name, "decoded.json"));
        for (int i = 0; i < ids.Length; i++)
        {
            Assert.Equal(expected[i], tokenizer.Decode(ids[i], skipSpecial: true));
            Assert.Equal(expected[i], Stream(tokenizer, ids[i]));
        }
    }

    [SharedTheory]
    [InlineData("gpt-2")]
    [InlineData("llama-bpe")]
    [InlineData("llama-spm")]
    [InlineData("phi-3")]
    [InlineData("qwen2")]
    public void DecodeBytes_IdsOfAText_AreTheText(string name)
    {
        Tokenizer tokenizer = LoadGguf(name);
        foreach (string text in Texts())
        {
            int[] ids = tokenizer.Encode(text);
            Assert.Equal(Encoding.UTF8.GetBytes(text), tokenizer.DecodeBytes(ids));
            Assert.Equal(text, Stream(tokenizer, ids));
            Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text, addSpecial: true), skipSpecial: true));
        }
    }

    [SharedFact]
    public void Encode_WikiTextWithSmolLM2_GivesTheStoredIds()
    {
        using GgufFile file = GgufFile.Open(SharedFolder.PathOf("models", "SmolLM2-135M-Instruct.Q4_1.gguf"));
        Tokenizer tokenizer = GgufTokenizer.Read(file.Metadata);
        string text = File.ReadAllText(SharedFolder.PathOf("corpora", "wikitext-2", "test.txt"));
        int[] expected = [.. File.ReadAllText(SharedFolder.PathOf("golden", "real", "wikitext-2-test.ids.txt")).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)];
        int[] ids = tokenizer.Encode(text);
        Assert.Equal(expected.Length, ids.AsSpan()[..Math.Min(ids.Length, expected.Length)].CommonPrefixLength(expected));
    }

    [SharedFact]
    public void Encode_SentencesWithMiniLM_GivesTheStoredIds()
    {
        string folder = SharedFolder.PathOf("models", "all-MiniLM-L6-v2");
        Tokenizer tokenizer = Tokenizer.FromJson(File.ReadAllBytes(Path.Combine(folder, "tokenizer.json")), File.ReadAllBytes(Path.Combine(folder, "tokenizer_config.json")));
        Assert.Equal([101, 7592, 2088, 999, 102], tokenizer.Encode("Hello world!", addSpecial: true));
        Assert.Equal("hello world!", tokenizer.Decode([101, 7592, 2088, 999, 102], skipSpecial: true));
    }

    private static Tokenizer LoadGguf(string name)
    {
        using GgufFile file = GgufFile.Open(SharedFolder.PathOf("golden", "tokenizers", name + ".gguf"));
        Tokenizer tokenizer = GgufTokenizer.Read(file.Metadata);
        Assert.Empty(tokenizer.Warnings);
        return tokenizer;
    }

    private static Tokenizer LoadJson(string name)
    {
        string folder = SharedFolder.PathOf("golden", "tokenizers", name);
        return Tokenizer.FromJson(File.ReadAllBytes(Path.Combine(folder, "tokenizer.json")), File.ReadAllBytes(Path.Combine(folder, "tokenizer_config.json")));
    }

    private static string Stream(Tokenizer tokenizer, int[] ids)
    {
        TokenStreamDecoder decoder = new(tokenizer);
        StringBuilder text = new();
        foreach (int id in ids)
        {
            text.Append(decoder.Append(id));
        }

        return text.Append(decoder.Flush()).ToString();
    }

    private static string[] Texts() => Read<string[]>(SharedFolder.PathOf("golden", "tokenizers", "texts.json"));

    private static T Read<T>(string path) => JsonSerializer.Deserialize<T>(File.ReadAllBytes(path))!;

    private static string Describe(Tokenizer tokenizer, string text, int[] expected) =>
        $"'{text}'\nexpected {string.Join(' ', expected)}\nbut was  {string.Join(' ', tokenizer.Encode(text))}";
}
