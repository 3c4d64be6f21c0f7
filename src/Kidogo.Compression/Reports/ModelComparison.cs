// What a model lost and gained by being made smaller, measured on a text: one pass of each model over every window. Changes nothing.
using Kidogo.Evaluation;
using Kidogo.Inference;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Compression.Reports;

/// <summary>How two models are compared.</summary>
public sealed record ComparisonOptions
{
    /// <summary>Threads; 0 for one per processor.</summary>
    public int Threads { get; init; }

    /// <summary>Tokens of a window; each begins from nothing. Default 512.</summary>
    public int WindowTokens { get; init; } = 512;

    /// <summary>Tokens of the text that are read at most. Default 4,096.</summary>
    public int MostTokens { get; init; } = 4096;

    /// <summary>What is timed; null for no timing.</summary>
    public SpeedOptions? Speed { get; init; } = new() { PromptTokens = 256, GeneratedTokens = 32 };

    /// <summary>Places of largest divergence to keep. Default 5.</summary>
    public int Worst { get; init; } = 5;

    /// <summary>Bytes that an id stands for, for bits per byte; null where there is no vocabulary.</summary>
    public Func<int, int>? BytesOf { get; init; }

    /// <summary>Called with the tokens done and all; may be null.</summary>
    public Action<long, long>? Progress { get; init; }
}

/// <summary>One of two models.</summary>
/// <param name="FileBytes">Bytes of its files.</param>
/// <param name="BitsPerWeight">Bits that a weight takes on average.</param>
/// <param name="Text">How well it predicts the second half of each window.</param>
/// <param name="Speed">How fast it is here; null where that was not timed.</param>
public sealed record MeasuredModel(long FileBytes, double BitsPerWeight, PerplexityReport Text, SpeedReport? Speed);

/// <summary>A place where two models differ.</summary>
/// <param name="Position">Tokens of the text before the one that is foretold.</param>
/// <param name="Kl">KL(before ‖ after), in nats.</param>
/// <param name="Before">The token that the model held likeliest before.</param>
/// <param name="After">And after.</param>
public sealed record DivergentPlace(int Position, double Kl, int Before, int After);

/// <summary>Two models beside each other.</summary>
/// <param name="Before">The one that was made smaller.</param>
/// <param name="After">The smaller one.</param>
/// <param name="Divergence">Over all positions of all windows.</param>
/// <param name="Worst">Where they differ most, the largest divergence first.</param>
/// <param name="WindowTokens">Tokens of a window.</param>
public sealed record ModelComparison(MeasuredModel Before, MeasuredModel After, DivergenceReport Divergence, IReadOnlyList<DivergentPlace> Worst, int WindowTokens)
{
    /// <summary>Measures two models, as they run by default.</summary>
    /// <param name="before">The path of the model.</param>
    /// <param name="after">The path of the smaller one.</param>
    /// <param name="ids">The text.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellation">Looked at between passes.</param>
    /// <exception cref="ArgumentException">The text has fewer than two tokens, or the vocabularies differ.</exception>
    public static ModelComparison Measure(string before, string after, ReadOnlySpan<int> ids, ComparisonOptions options, CancellationToken cancellation = default)
    {
        using ComputeContext context = ComputeContext.Inference(options.Threads);
        using LoadedModel first = ModelLoader.Load(before, context), second = ModelLoader.Load(after, context);
        int window = Math.Min(Math.Min(options.WindowTokens, first.Config.ContextLength), ids.Length);
        if (window < 2)
        {
            throw new ArgumentException($"The text has {ids.Length} tokens; expected 2 or more to judge by.", nameof(ids));
        }

        ids = ids[..(Math.Min(ids.Length, Math.Max(window, options.MostTokens)) / window * window)];
        Divergence divergence = new();
        PriorityQueue<DivergentPlace, double> worst = new();
        PerplexityCount sums = new(options.BytesOf), smallerSums = new(options.BytesOf);
        for (int start = 0; start < ids.Length; start += window)
        {
            Compare(first.Model, second.Model, context, ids.Slice(start, window), (position, logits, smaller, text) =>
            {
                double kl = divergence.Add(logits, smaller);
                if (position + 1 >= window / 2 && position + 1 < window)
                {
                    int target = text[position + 1];
                    sums.Add(logits, target);
                    smallerSums.Add(smaller, target);
                }

                worst.Enqueue(new DivergentPlace(start + position + 1, kl, IndexOfLargest(logits), IndexOfLargest(smaller)), kl);
                if (worst.Count > options.Worst)
                {
                    worst.Dequeue();
                }
            }, cancellation);
            options.Progress?.Invoke(start + window, ids.Length);
        }

        (SpeedReport? speed, SpeedReport? smallerSpeed) = Timed(first.Model, second.Model, context, options, cancellation);
        MeasuredModel one = new(FilesOf(before), BitsOf(before), sums.Report, speed);
        MeasuredModel two = new(FilesOf(after), BitsOf(after), smallerSums.Report, smallerSpeed);
        return new ModelComparison(one, two, divergence.Report(), [.. worst.UnorderedItems.Select(item => item.Element).OrderByDescending(place => place.Kl).ThenBy(place => place.Position)], window);
    }

    private delegate void Position(int position, ReadOnlySpan<float> logits, ReadOnlySpan<float> smaller, ReadOnlySpan<int> text);

    private static void Compare(DecoderModel first, DecoderModel second, ComputeContext context, ReadOnlySpan<int> text, Position seen, CancellationToken cancellation)
    {
        using LogitStream stream = new(first, context, text);
        float[] kept = new float[checked(text.Length * first.Config.VocabSize)]; // the second model's passes use the same workspace
        int at = 0;
        while (stream.Next() is { } logits)
        {
            cancellation.ThrowIfCancellationRequested();
            logits.Span.CopyTo(kept.AsSpan(at));
            at += logits.Length;
        }

        using LogitStream other = new(second, context, text);
        for (int position = 0; other.Next() is { } logits;)
        {
            cancellation.ThrowIfCancellationRequested();
            for (int row = 0; row < logits.Rows; row++, position++)
            {
                seen(position, kept.AsSpan(position * logits.Columns, logits.Columns), logits.Row(row), text);
            }
        }
    }

    /// <summary>Both take turns, and the fastest of each counts: others on the machine only ever slow them down.</summary>
    private static (SpeedReport? First, SpeedReport? Second) Timed(DecoderModel first, DecoderModel second, ComputeContext context, ComparisonOptions options, CancellationToken cancellation)
    {
        const int Repetitions = 3;
        if (options.Speed is not { } wanted)
        {
            return (null, null);
        }

        DecoderModel[] models = [first, second];
        SpeedReport?[] best = new SpeedReport?[models.Length];
        for (int repetition = 0; repetition <= Repetitions; repetition++)
        {
            for (int i = 0; i < models.Length; i++)
            {
                SpeedReport report = Speed.Measure(models[i], context, wanted.Within(models[i].Config.ContextLength), cancellation);
                if (repetition > 0 && (best[i] is not { } before || report.DecodeTokensPerSecond > before.DecodeTokensPerSecond)) // the first warms up
                {
                    best[i] = report;
                }
            }
        }

        return (best[0], best[1]);
    }

    private static long FilesOf(string path) => ModelSummary.Read(path, 1, KvFormat.F16).Bytes;

    private static double BitsOf(string path) => ModelSummary.Read(path, 1, KvFormat.F16).BitsPerWeight;

    private static int IndexOfLargest(ReadOnlySpan<float> values) => System.Numerics.Tensors.TensorPrimitives.IndexOfMax(values);
}
