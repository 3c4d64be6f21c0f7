// One causal pass over given tokens, in pieces that fit in memory. Knows ids and logits, no text and no sampling.
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Inference;

/// <summary>Takes the logits [V] of the next few positions, in order.</summary>
/// <param name="firstPosition">The position of the first row.</param>
/// <param name="logits">[rows, V], valid during the call.</param>
public delegate void LogitConsumer(int firstPosition, Tensor logits);

/// <summary>The logits of every position of a sequence that is computed from its start.</summary>
/// <remarks>Splitting changes how, not what: results are those of one pass to the bit. Rotations that depend on the length go by the whole length.</remarks>
public static class LogitPass
{
    private const int RowsAtOnce = 256;
    private const long LogitBytesAtOnce = 256L * 1024 * 1024;

    /// <summary>Computes all positions.</summary>
    /// <param name="model">The model.</param>
    /// <param name="context">The surroundings; its precision decides how keys and values are kept, as in generation.</param>
    /// <param name="ids">The tokens, one or more.</param>
    /// <param name="consumer">Takes the logits.</param>
    /// <param name="cancellation">Looked at between pieces.</param>
    /// <exception cref="ArgumentException">There are no tokens, one lies outside the vocabulary, or they are more than the model's context.</exception>
    public static void Run(DecoderModel model, ComputeContext context, ReadOnlySpan<int> ids, LogitConsumer consumer, CancellationToken cancellation = default)
    {
        Check(model, ids);
        using KvCache cache = CacheFor(model, context, ids.Length);
        using SequenceBatch batch = new();
        int rows = (int)Math.Clamp(LogitBytesAtOnce / sizeof(float) / model.Config.VocabSize, 1, RowsAtOnce);
        for (int first = 0; first < ids.Length; first += rows)
        {
            cancellation.ThrowIfCancellationRequested();
            int mark = context.Mark();
            batch.Clear();
            batch.Add(cache, ids.Slice(first, Math.Min(rows, ids.Length - first)), LogitRows.All);
            consumer(first, model.Forward(context, batch));
            context.ReleaseTo(mark);
        }
    }

    /// <summary>The logits [V] after the last token alone.</summary>
    /// <inheritdoc cref="Run"/>
    public static float[] Last(DecoderModel model, ComputeContext context, ReadOnlySpan<int> ids, CancellationToken cancellation = default)
    {
        Check(model, ids);
        using KvCache cache = CacheFor(model, context, ids.Length);
        using SequenceBatch batch = new();
        for (int first = 0; ; first += RowsAtOnce)
        {
            cancellation.ThrowIfCancellationRequested();
            int mark = context.Mark();
            bool isLast = first + RowsAtOnce >= ids.Length;
            batch.Clear();
            batch.Add(cache, ids.Slice(first, Math.Min(RowsAtOnce, ids.Length - first)), isLast ? LogitRows.Last : LogitRows.None);
            Tensor logits = model.Forward(context, batch);
            if (isLast)
            {
                float[] last = logits.Span.ToArray();
                context.ReleaseTo(mark);
                return last;
            }

            context.ReleaseTo(mark);
        }
    }

    private static KvCache CacheFor(DecoderModel model, ComputeContext context, int length) =>
        model.CreateCache(length, context.Precision == ComputePrecision.Exact ? KvFormat.F32 : KvFormat.F16);

    private static void Check(DecoderModel model, ReadOnlySpan<int> ids)
    {
        if (ids.IsEmpty)
        {
            throw new ArgumentException("There are no tokens to compute; give at least one.");
        }

        if (ids.Length > model.Config.ContextLength)
        {
            throw new ArgumentException($"There are {ids.Length} tokens, but the model's context has {model.Config.ContextLength}. Shorten the text, or compute it in windows.");
        }

        int outside = ids.IndexOfAnyExceptInRange(0, model.Config.VocabSize - 1);
        if (outside >= 0)
        {
            throw new ArgumentException($"The token id {ids[outside]} at position {outside} is outside the model's vocabulary of {model.Config.VocabSize} (0 to {model.Config.VocabSize - 1}).");
        }
    }
}
