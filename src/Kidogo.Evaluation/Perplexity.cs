// How well a model predicts a text. Changes nothing; knows ids, and bytes only as a count.
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Inference.Sampling;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Kidogo.Evaluation;

/// <summary>How perplexity is counted.</summary>
public sealed record PerplexityOptions
{
    /// <summary>Tokens of a window, C. 2 or more; the default is 512.</summary>
    public int WindowLength { get; init; } = 512;

    /// <summary>Whether every token but the first of a window is scored, instead of those of its second half.</summary>
    public bool ScoreAll { get; init; }

    /// <summary>Called after each window with the windows done and all.</summary>
    public Action<int, int>? Progress { get; init; }

    /// <summary>Bytes that an id stands for, for bits per byte; null where there is no vocabulary.</summary>
    public Func<int, int>? BytesOf { get; init; }
}

/// <summary>How well a model predicts a text.</summary>
/// <param name="MeanNll">Mean negative log-likelihood of the scored tokens, in nats.</param>
/// <param name="Tokens">Tokens that were scored.</param>
/// <param name="Bytes">Bytes of the scored tokens; 0 where they are not known.</param>
/// <param name="Foreseen">Scored tokens that were the likeliest, the first of equals.</param>
public sealed record PerplexityReport(double MeanNll, long Tokens, long Bytes, long Foreseen)
{
    /// <summary>The share of tokens that greedy decoding would have written.</summary>
    public double NextTokenAccuracy => (double)Foreseen / Tokens;

    /// <summary>exp of the mean.</summary>
    public double Perplexity => Math.Exp(MeanNll);

    /// <summary>Bits that a byte of the text costs: comparable between vocabularies. NaN where bytes are not known.</summary>
    public double BitsPerByte => Bytes == 0 ? double.NaN : MeanNll * Tokens / Math.Log(2) / Bytes;
}

/// <summary>Adds up what a model said of tokens, one after the other.</summary>
/// <param name="bytesOf">Bytes that an id stands for; null where there is no vocabulary.</param>
public sealed class PerplexityCount(Func<int, int>? bytesOf)
{
    private double _sum;
    private long _tokens;
    private long _bytes;
    private long _foreseen;

    /// <summary>What was seen so far; NaN where that is nothing.</summary>
    public PerplexityReport Report => new(_sum / _tokens, _tokens, _bytes, _foreseen);

    /// <summary>Counts one token.</summary>
    /// <param name="logits">What the model said of it. (vocabulary)</param>
    /// <param name="target">The token that came.</param>
    public void Add(ReadOnlySpan<float> logits, int target)
    {
        _sum -= TokenProbabilities.LogProbability(logits, target);
        _tokens++;
        _bytes += bytesOf?.Invoke(target) ?? 0;
        _foreseen += TensorPrimitives.IndexOfMax(logits) == target ? 1 : 0;
    }
}

/// <summary>Perplexity over windows of a text that do not overlap, each from an empty context; no token is added, and the last, partial window is dropped.</summary>
public static class Perplexity
{
    private const int RowsAtOnce = 256; // so that a long window needs no more memory than a short one

    /// <summary>Measures.</summary>
    /// <param name="model">The model.</param>
    /// <param name="context">The surroundings.</param>
    /// <param name="ids">The text.</param>
    /// <param name="options">How to count.</param>
    /// <param name="cancellation">Looked at between passes.</param>
    /// <exception cref="ArgumentException">The window does not fit the model or the text, or an id lies outside the vocabulary.</exception>
    public static PerplexityReport Measure(DecoderModel model, ComputeContext context, ReadOnlySpan<int> ids, PerplexityOptions options, CancellationToken cancellation = default)
    {
        int length = options.WindowLength;
        if (length < 2 || length > model.Config.ContextLength)
        {
            throw new ArgumentException($"A window of {length} tokens; expected 2 to {model.Config.ContextLength}, the model's context.", nameof(options));
        }

        if (ids.Length < length)
        {
            throw new ArgumentException($"The text has {ids.Length} tokens, fewer than one window of {length}. Give a longer text or a smaller window.", nameof(ids));
        }

        int outside = ids.IndexOfAnyExceptInRange(0, model.Config.VocabSize - 1);
        if (outside >= 0)
        {
            throw new ArgumentException($"The token id {ids[outside]} at position {outside} is outside the model's vocabulary of {model.Config.VocabSize} (0 to {model.Config.VocabSize - 1}).");
        }

        using KvCache cache = model.CreateCache(length, context.CacheFormat);
        using SequenceBatch batch = new();
        int windows = ids.Length / length;
        int firstScored = options.ScoreAll ? 1 : length / 2;
        PerplexityCount count = new(options.BytesOf);
        for (int window = 0; window < windows; window++)
        {
            ReadOnlySpan<int> text = ids.Slice(window * length, length);
            cache.Clear();
            int rows;
            for (int first = 0; first < length - 1; first += rows)
            {
                cancellation.ThrowIfCancellationRequested();
                bool isScored = first >= firstScored - 1;
                rows = Math.Min(RowsAtOnce, (isScored ? length : firstScored) - 1 - first);
                batch.Clear();
                batch.Add(cache, text.Slice(first, rows), isScored ? LogitRows.All : LogitRows.None);
                int mark = context.Mark();
                Tensor logits = model.Forward(context, batch);
                for (int i = 0; i < logits.Rows; i++)
                {
                    count.Add(logits.Row(i), text[first + i + 1]);
                }

                context.ReleaseTo(mark);
            }

            options.Progress?.Invoke(window + 1, windows);
        }

        return count.Report;
    }
}
