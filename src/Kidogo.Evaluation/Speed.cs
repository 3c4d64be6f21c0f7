// How fast a model reads and writes on this machine. Knows no text.
using System.Diagnostics;
using Kidogo.Inference;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Speculation;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Evaluation;

/// <summary>What is timed.</summary>
public sealed record SpeedOptions
{
    /// <summary>Tokens of each sequence's prompt; 1 or more.</summary>
    public int PromptTokens { get; init; } = 512;

    /// <summary>Tokens that each sequence then generates; 0 or more.</summary>
    public int GeneratedTokens { get; init; } = 128;

    /// <summary>Sequences at once; 1 or more.</summary>
    public int BatchSize { get; init; } = 1;

    /// <summary>How keys and values are kept; null for what the precision calls for.</summary>
    public KvFormat? CacheFormat { get; init; }

    /// <summary>Whether the generated tokens are the model's own greedy choice rather than made up: then they can be guessed ahead. For one sequence only.</summary>
    public bool Answers { get; init; }

    /// <summary>What guesses them; null for nothing. Only where <see cref="Answers"/>.</summary>
    public IDrafter? Drafter { get; init; }

    /// <summary>The same where it fits into a context; else half of the context as prompt, and a quarter generated.</summary>
    /// <param name="contextLength">Positions of the model; 1 or more.</param>
    public SpeedOptions Within(int contextLength) => PromptTokens + GeneratedTokens <= contextLength ? this
        : this with { PromptTokens = Math.Max(1, contextLength / 2), GeneratedTokens = contextLength / 4 };
}

/// <summary>One repetition.</summary>
/// <param name="PrefillTokensPerSecond">Prompt tokens of all sequences over the time they took.</param>
/// <param name="DecodeTokensPerSecond">Generated tokens of all sequences over the time they took; 0 where none were.</param>
/// <param name="FirstToken">Time to the logits after the prompts.</param>
public sealed record SpeedReport(double PrefillTokensPerSecond, double DecodeTokensPerSecond, TimeSpan FirstToken)
{
    /// <summary>What guessing ahead has brought.</summary>
    public SpeculationCounts Guesses { get; init; }
}

/// <summary>Times passes of a model over made-up tokens: what they say does not matter for speed.</summary>
public static class Speed
{
    private const int RowsAtOnce = 512;

    /// <summary>Runs one repetition from empty caches.</summary>
    /// <param name="model">The model.</param>
    /// <param name="context">The surroundings.</param>
    /// <param name="options">What to time.</param>
    /// <param name="cancellation">Looked at before every pass.</param>
    /// <exception cref="ArgumentException">The tokens do not fit the model's context, or a number is out of range.</exception>
    public static SpeedReport Measure(DecoderModel model, ComputeContext context, SpeedOptions options, CancellationToken cancellation = default)
    {
        long length = (long)options.PromptTokens + options.GeneratedTokens;
        if (options.PromptTokens < 1 || options.GeneratedTokens < 0 || options.BatchSize < 1 || length > model.Config.ContextLength)
        {
            throw new ArgumentException(
                $"{options.PromptTokens} prompt tokens and {options.GeneratedTokens} generated for {options.BatchSize} sequences; expected at least 1, 0 and 1, and together at most the model's context of {model.Config.ContextLength}.");
        }

        KvFormat format = options.CacheFormat ?? context.CacheFormat;
        if (options.Answers)
        {
            return options.BatchSize == 1 ? MeasureAnswer(model, context, options, format, cancellation)
                : throw new ArgumentException($"An answer is timed for one sequence, not for {options.BatchSize}.", nameof(options));
        }

        KvCache[] caches = new KvCache[options.BatchSize];
        using SequenceBatch batch = new();
        try
        {
            for (int i = 0; i < caches.Length; i++)
            {
                caches[i] = model.CreateCache((int)length, format);
                caches[i].Reserve((int)length);
            }

            return Measure(model, context, options, caches, batch, cancellation);
        }
        finally
        {
            foreach (KvCache? cache in caches)
            {
                cache?.Dispose();
            }
        }
    }

    private static int[] MadeUp(int count, int vocabulary) => [.. Enumerable.Range(0, count).Select(i => (int)((uint)(i * 2_654_435_761) % (uint)vocabulary))];

    private static SpeedReport MeasureAnswer(DecoderModel model, ComputeContext context, SpeedOptions options, KvFormat format, CancellationToken cancellation)
    {
        using CachedSequence sequence = new(model, options.PromptTokens + options.GeneratedTokens, format);
        using Generator generator = new(model, context);
        Sampler sampler = new(SamplerOptions.Greedy, model.Config.VocabSize, sequence.ContextLength);
        GeneratorOptions how = new() { MaxTokens = options.GeneratedTokens + 1, Drafter = options.Drafter }; // the first comes with the prompt
        long start = Stopwatch.GetTimestamp();
        TimeSpan prefill = TimeSpan.Zero;
        foreach (int _ in generator.Generate(sequence, MadeUp(options.PromptTokens, model.Config.VocabSize), sampler, how, cancellation))
        {
            if (prefill == TimeSpan.Zero)
            {
                prefill = Stopwatch.GetElapsedTime(start);
            }
        }

        cancellation.ThrowIfCancellationRequested();
        TimeSpan decode = Stopwatch.GetElapsedTime(start) - prefill;
        double rate = options.GeneratedTokens == 0 ? 0 : options.GeneratedTokens / decode.TotalSeconds;
        return new SpeedReport(options.PromptTokens / prefill.TotalSeconds, rate, prefill) { Guesses = generator.Speculation };
    }

    private static SpeedReport Measure(DecoderModel model, ComputeContext context, SpeedOptions options, KvCache[] caches, SequenceBatch batch, CancellationToken cancellation)
    {
        int[] prompt = MadeUp(options.PromptTokens, model.Config.VocabSize);
        long start = Stopwatch.GetTimestamp();
        int rows = Math.Max(1, RowsAtOnce / caches.Length); // sequences side by side, each a part of its prompt
        for (int first = 0; first < prompt.Length; first += rows)
        {
            int count = Math.Min(rows, prompt.Length - first);
            Pass(model, context, caches, batch, prompt.AsSpan(first, count), first + count == prompt.Length ? LogitRows.Last : LogitRows.None, cancellation);
        }

        TimeSpan prefill = Stopwatch.GetElapsedTime(start);
        start = Stopwatch.GetTimestamp();
        for (int i = 0; i < options.GeneratedTokens; i++)
        {
            Pass(model, context, caches, batch, prompt.AsSpan(i % prompt.Length, 1), LogitRows.Last, cancellation);
        }

        TimeSpan decode = Stopwatch.GetElapsedTime(start);
        double tokens = (double)options.GeneratedTokens * caches.Length;
        return new SpeedReport((double)prompt.Length * caches.Length / prefill.TotalSeconds, tokens == 0 ? 0 : tokens / decode.TotalSeconds, prefill);
    }

    private static void Pass(DecoderModel model, ComputeContext context, KvCache[] caches, SequenceBatch batch, ReadOnlySpan<int> tokens, LogitRows rows, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        batch.Clear();
        foreach (KvCache cache in caches)
        {
            batch.Add(cache, tokens, rows);
        }

        int mark = context.Mark();
        model.Forward(context, batch);
        context.ReleaseTo(mark);
    }
}
