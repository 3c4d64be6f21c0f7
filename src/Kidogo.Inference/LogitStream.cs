// One causal pass over given tokens, in pieces that fit in memory. Knows ids and logits, no text and no sampling.
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Inference;

/// <summary>The logits of every position of a sequence that is computed from its start, a few rows at a time.</summary>
/// <remarks>Splitting changes how, not what: results are those of one pass to the bit. Rotations that depend on the length go by the whole length.</remarks>
public sealed class LogitStream : IDisposable
{
    private const int MostRowsAtOnce = 256;
    private const long LogitBytesAtOnce = 256L * 1024 * 1024;

    private readonly DecoderModel _model;
    private readonly ComputeContext _context;
    private readonly int[] _ids;
    private readonly KvCache _cache;
    private readonly SequenceBatch _batch = new();
    private readonly int _rows;
    private readonly int _mark;
    private int _next;

    /// <summary>Begins a sequence.</summary>
    /// <param name="model">The model.</param>
    /// <param name="context">The surroundings; its precision decides how keys and values are kept, as in generation.</param>
    /// <param name="ids">The tokens, one or more.</param>
    /// <exception cref="ArgumentException">There are no tokens, one lies outside the vocabulary, or they are more than the model's context.</exception>
    public LogitStream(DecoderModel model, ComputeContext context, ReadOnlySpan<int> ids)
    {
        Check(model, ids);
        _model = model;
        _context = context;
        _ids = ids.ToArray();
        _cache = model.CreateCache(ids.Length, context.CacheFormat);
        _rows = (int)Math.Clamp(LogitBytesAtOnce / sizeof(float) / model.Config.VocabSize, 1, MostRowsAtOnce);
        _mark = context.Mark();
    }

    /// <summary>Positions that have been computed.</summary>
    public int Position => _next;

    /// <summary>Positions in all.</summary>
    public int Length => _ids.Length;

    /// <summary>The logits [rows, V] of the next positions, valid until the next call; null after the last.</summary>
    public Tensor? Next() => Step(LogitRows.All);

    /// <summary>The logits [V] after the last token alone.</summary>
    /// <inheritdoc cref="LogitStream(DecoderModel, ComputeContext, ReadOnlySpan{int})"/>
    public static float[] Last(DecoderModel model, ComputeContext context, ReadOnlySpan<int> ids, CancellationToken cancellation = default)
    {
        using LogitStream stream = new(model, context, ids);
        while (stream._next + stream._rows < stream._ids.Length)
        {
            cancellation.ThrowIfCancellationRequested();
            stream.Step(LogitRows.None);
        }

        return stream.Step(LogitRows.Last)!.Span.ToArray();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _context.ReleaseTo(_mark);
        _batch.Dispose();
        _cache.Dispose();
    }

    private Tensor? Step(LogitRows rows)
    {
        if (_next == _ids.Length)
        {
            return null;
        }

        _context.ReleaseTo(_mark);
        int count = Math.Min(_rows, _ids.Length - _next);
        _batch.Clear();
        _batch.Add(_cache, _ids.AsSpan(_next, count), rows);
        _next += count;
        return _model.Forward(_context, _batch);
    }

    private static void Check(DecoderModel model, ReadOnlySpan<int> ids)
    {
        if (ids.IsEmpty)
        {
            throw new ArgumentException("There are no tokens to compute; give at least one.");
        }

        if (ids.Length > model.Config.LongestSequence)
        {
            throw new ArgumentException($"There are {ids.Length} tokens, but the model's context has {model.Config.LongestSequence}. Shorten the text, or compute it in windows.");
        }

        int outside = ids.IndexOfAnyExceptInRange(0, model.Config.VocabSize - 1);
        if (outside >= 0)
        {
            throw new ArgumentException($"The token id {ids[outside]} at position {outside} is outside the model's vocabulary of {model.Config.VocabSize} (0 to {model.Config.VocabSize - 1}).");
        }
    }
}
