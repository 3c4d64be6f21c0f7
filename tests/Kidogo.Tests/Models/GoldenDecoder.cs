// A reference decoder in the shared folder: its ids, its logits, and ways to run it.
using System.Runtime.InteropServices;
using System.Text.Json;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Models;

/// <summary>A tiny checkpoint with what Transformers computes from it.</summary>
internal sealed class GoldenDecoder
{
    /// <summary>The reference's own statement: one unit in the last place on every weight moves logits by at most half of it.</summary>
    public const float AbsoluteTolerance = 1e-4f;
    public const float RelativeTolerance = 1e-4f;

    private readonly float[] _logits;

    public GoldenDecoder(string name)
    {
        Folder = SharedFolder.PathOf("golden", "families", name);
        using JsonDocument tokens = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder, "tokens.json")));
        Sequences = [.. tokens.RootElement.GetProperty("input_ids").EnumerateArray().Select(Ints)];
        using JsonDocument expected = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder, "expected.json")));
        Parameters = expected.RootElement.GetProperty("parameters").GetInt64();
        Greedy = Ints(expected.RootElement.GetProperty("greedy").GetProperty("tokens"));
        PromptLength = expected.RootElement.GetProperty("greedy").GetProperty("prompt_tokens").GetInt32();
        _logits = MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(Path.Combine(Folder, "logits.f32"))).ToArray();
        Vocabulary = _logits.Length / Sequences.Sum(sequence => sequence.Length);
    }

    /// <summary>The decoders that Kidogo runs.</summary>
    public static TheoryData<string> Names =>
    [
        "llama", "llama-llama3", "llama-linear", "llama-dynamic", "llama-yarn", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "smollm3", "phi", "phi3", "gpt2", "gpt-neox",
    ];

    public string Folder { get; }

    public int[][] Sequences { get; }

    public long Parameters { get; }

    public int[] Greedy { get; }

    public int PromptLength { get; }

    public int Vocabulary { get; }

    /// <summary>What the reference has for a whole sequence.</summary>
    public ReadOnlySpan<float> Expected(int sequence) =>
        _logits.AsSpan(Sequences.Take(sequence).Sum(each => each.Length) * Vocabulary, Sequences[sequence].Length * Vocabulary);

    public void AssertEqual(int sequence, ReadOnlySpan<float> actual)
    {
        ReadOnlySpan<float> expected = Expected(sequence);
        Assert.Equal(expected.Length, actual.Length);
        float worst = 0;
        int place = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            float error = MathF.Abs(actual[i] - expected[i]) / (AbsoluteTolerance + (RelativeTolerance * MathF.Abs(expected[i])));
            if (!(error <= worst))
            {
                (worst, place) = (error, i);
            }
        }

        Assert.True(worst <= 1, $"Logit {place % Vocabulary} of token {place / Vocabulary} of sequence {sequence} is {actual[place]}; expected {expected[place]}, {worst:F1} tolerances away.");
    }

    /// <summary>Logits of whole sequences in one batch without caches, one after the other.</summary>
    public static float[] Score(DecoderModel model, ComputeContext context, params int[][] sequences)
    {
        using SequenceBatch batch = new();
        foreach (int[] sequence in sequences)
        {
            batch.Add(null, sequence, LogitRows.All);
        }

        return Run(model, context, batch);
    }

    /// <summary>Logits of a sequence that goes into a cache in pieces.</summary>
    public static float[] ScoreInPieces(DecoderModel model, ComputeContext context, int[] sequence, int piece)
    {
        using KvCache cache = model.CreateCache(sequence.Length, context.Precision == ComputePrecision.Exact ? KvFormat.F32 : KvFormat.F16);
        using SequenceBatch batch = new();
        List<float> all = [];
        for (int start = 0; start < sequence.Length; start += piece)
        {
            batch.Clear();
            batch.Add(cache, sequence.AsSpan(start, Math.Min(piece, sequence.Length - start)), LogitRows.All);
            all.AddRange(Run(model, context, batch));
        }

        return [.. all];
    }

    /// <summary>The likeliest tokens one after another.</summary>
    public static int[] Continue(DecoderModel model, ComputeContext context, ReadOnlySpan<int> prompt, int count)
    {
        using KvCache cache = model.CreateCache(format: context.Precision == ComputePrecision.Exact ? KvFormat.F32 : KvFormat.F16);
        using SequenceBatch batch = new();
        int[] tokens = new int[count];
        batch.Add(cache, prompt, LogitRows.Last);
        for (int i = 0; i < count; i++)
        {
            float[] logits = Run(model, context, batch);
            tokens[i] = Array.IndexOf(logits, logits.Max());
            batch.Clear();
            batch.Add(cache, tokens.AsSpan(i, 1), LogitRows.Last);
        }

        return tokens;
    }

    public static float[] Run(DecoderModel model, ComputeContext context, SequenceBatch batch)
    {
        int mark = context.Mark();
        float[] logits = model.Forward(context, batch).Span.ToArray();
        context.ReleaseTo(mark);
        return logits;
    }

    private static int[] Ints(JsonElement array) => [.. array.EnumerateArray().Select(item => item.GetInt32())];
}
