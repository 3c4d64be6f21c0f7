// Encoders give the states and vectors that Transformers and sentence-transformers give, whatever else is in the pass.
using System.Runtime.InteropServices;
using System.Text.Json;
using Kidogo.Inference;
using Kidogo.Models;
using Kidogo.Models.Encoders;
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Encoders;

public sealed class EncoderTests
{
    /// <summary>The reference's own statement; see its README.</summary>
    private const float AbsoluteTolerance = 1e-4f, RelativeTolerance = 1e-4f;

    [SharedTheory]
    [InlineData("bert")]
    [InlineData("distilbert")]
    [InlineData("roberta")]
    [InlineData("bert-classify")]
    [InlineData("distilbert-classify")]
    [InlineData("roberta-classify")]
    public void Forward_GoldenFamilies_GivesTheirStatesAndMeans(string family)
    {
        string folder = SharedFolder.PathOf("golden", "families", family);
        using JsonDocument tokens = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "tokens.json")));
        int[][] ids = Rows(tokens, "input_ids"), mask = Rows(tokens, "attention_mask");
        int[][]? types = tokens.RootElement.TryGetProperty("token_type_ids", out _) ? Rows(tokens, "token_type_ids") : null;
        int[] lengths = [.. mask.Select(row => row.Sum())];
        int[] flat = [.. ids.SelectMany((row, i) => row.Take(lengths[i]))];
        int[] kinds = types is null ? [] : [.. types.SelectMany((row, i) => row.Take(lengths[i]))];
        float[] expected = Floats(folder, "last_hidden_state.f32"), means = Floats(folder, "embedding.f32");

        using ComputeContext context = ComputeContext.Inference(2);
        using LoadedEncoder encoder = LoadedEncoder.Load(folder, context);
        Tensor states = encoder.Model.Forward(context, flat, lengths, kinds);
        int width = encoder.Model.Config.HiddenSize, first = 0;
        for (int i = 0; i < ids.Length; i++)
        {
            Near(expected.AsSpan(i * ids[i].Length * width, lengths[i] * width), states.Span.Slice(first * width, lengths[i] * width), $"states of text {i}");
            float[] mean = new float[width];
            for (int r = first; r < first + lengths[i]; r++)
            {
                for (int c = 0; c < width; c++)
                {
                    mean[c] += states.Row(r)[c];
                }
            }

            float norm = MathF.Sqrt(mean.Sum(value => value * value));
            Near(means.AsSpan(i * width, width), mean.Select(value => value / norm).ToArray(), $"mean of text {i}");
            first += lengths[i];
        }
    }

    [SharedFact]
    public void Embed_RealMiniLm_EqualsSentenceTransformersAndNoNeighbourMatters()
    {
        string folder = SharedFolder.PathOf("models", "all-MiniLM-L6-v2");
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden", "real", "minilm.json")));
        string[] texts = [.. golden.RootElement.GetProperty("sentences").EnumerateArray().Select(sentence => sentence.GetProperty("text").GetString()!)];
        using ComputeContext context = ComputeContext.Inference(2);
        using LoadedEncoder encoder = LoadedEncoder.Load(folder, context);
        using ModelText words = ModelText.Of(encoder.Folder);
        TextEmbedder embedder = new(encoder, words.Tokenizer, context);
        TextEmbedding[] together = embedder.Embed(texts);
        using ComputeContext alone = ComputeContext.Inference(1);
        TextEmbedder single = new(encoder, words.Tokenizer, alone);
        for (int i = 0; i < texts.Length; i++)
        {
            JsonElement sentence = golden.RootElement.GetProperty("sentences")[i];
            Assert.Equal(sentence.GetProperty("tokens_before_truncation").GetInt32(), together[i].WholeTokens);
            Assert.Equal(sentence.GetProperty("ids").GetArrayLength(), together[i].Tokens);
            float[] expected = [.. golden.RootElement.GetProperty("embeddings")[i].GetProperty("values").EnumerateArray().Select(value => value.GetSingle())];
            Near(expected, together[i].Values, texts[i]);
            Assert.Equal(together[i].Values, single.Embed([texts[i]])[0].Values);
        }

        Assert.Equal(texts.Length, together.Length);
        TextEmbedding first = new TextEmbedder(encoder, words.Tokenizer, context) { Pooling = Pooling.Cls }.Embed([texts[0]])[0];
        TextEmbedding last = new TextEmbedder(encoder, words.Tokenizer, context) { Pooling = Pooling.Last, Normalizes = false }.Embed([texts[0]])[0];
        Assert.NotEqual(first.Values, together[0].Values);
        Assert.NotEqual(1, Math.Sqrt(last.Values.Sum(value => (double)value * value)), 1e-3);
    }

    [SharedFact]
    public void Forward_TextsThatCannotBe_AreRefused()
    {
        using ComputeContext context = ComputeContext.Inference(1);
        using LoadedEncoder encoder = LoadedEncoder.Load(SharedFolder.PathOf("golden", "families", "bert"), context);
        int most = encoder.Model.Config.ContextLength;
        Assert.Throws<ArgumentException>(() => encoder.Model.Forward(context, [], []));
        Assert.Throws<ArgumentException>(() => encoder.Model.Forward(context, [1, 2], [1]));
        Assert.Throws<ArgumentException>(() => encoder.Model.Forward(context, [1, 2], [2, 0]));
        Assert.Throws<ArgumentException>(() => encoder.Model.Forward(context, new int[most + 1], [most + 1]));
        Assert.Throws<ArgumentException>(() => encoder.Model.Forward(context, [encoder.Model.Config.VocabSize], [1]));
        Assert.Throws<ArgumentException>(() => encoder.Model.Forward(context, [-1], [1]));
        Assert.Throws<ArgumentException>(() => encoder.Model.Forward(context, [1], [1], [2]));
    }

    [SharedFact]
    public void Load_ADecoder_IsRefusedByItsModelType()
    {
        using ComputeContext context = ComputeContext.Inference(1);
        string folder = SharedFolder.PathOf("golden", "families", "llama");
        Assert.False(LoadedEncoder.IsEncoder(folder));
        Assert.Contains("model_type", Assert.Throws<ModelFormatException>(() => LoadedEncoder.Load(folder, context)).Message, StringComparison.Ordinal);
    }

    [SharedFact]
    public void Open_AnEncoderAsADecoder_IsRefusedWithWhatItIsFor() => Assert.Contains(
        "kidogo embed", Assert.Throws<ModelFormatException>(() => ModelHeader.Open(SharedFolder.PathOf("golden", "families", "bert"))).Message, StringComparison.Ordinal);

    private static int[][] Rows(JsonDocument tokens, string name) =>
        [.. tokens.RootElement.GetProperty(name).EnumerateArray().Select(row => row.EnumerateArray().Select(id => id.GetInt32()).ToArray())];

    private static float[] Floats(string folder, string name) => MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(Path.Combine(folder, name))).ToArray();

    private static void Near(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            float allowed = AbsoluteTolerance + (RelativeTolerance * MathF.Abs(expected[i]));
            Assert.True(MathF.Abs(expected[i] - actual[i]) <= allowed, $"{what}, value {i}: {actual[i]:R}, expected {expected[i]:R}.");
        }
    }
}
