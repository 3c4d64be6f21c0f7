// Batches one after the other, and the place among them. Knows rows, not texts.
using Kidogo.Data.Packing;

namespace Kidogo.Data;

/// <summary>How much of a source has been given.</summary>
/// <param name="Rows">Rows.</param>
/// <param name="Positions">Positions that were not padding: the tokens that a model has read.</param>
/// <param name="Scored">Positions with a target: the tokens that a model has been asked to predict.</param>
/// <param name="Epochs">How often the source has been gone through, with a fraction; a document counts when a row has begun to take it up. Of random ids
/// 0.</param>
public readonly record struct SourceProgress(long Rows, long Positions, long Scored, double Epochs);

/// <summary>Gives batch after batch. For one thread at a time; several streams of the same data may be used at once.</summary>
/// <remarks>
/// <para>Rows depend on the data, the options and the number of rows given before, on nothing else: neither on threads nor on how rows are divided into
/// batches.</para>
/// <para>Text: a document longer than the context is cut into windows, each a row of its own; what is left of it and shorter documents are put end to end, so
/// that no position is wasted, and where a row ends within one, the next such row goes on as a new segment. Every token of a document but its first is a target
/// exactly once an epoch.</para>
/// <para>Conversations are never cut: they are packed first-fit, longest first, within blocks of a shuffled epoch.</para>
/// <para>Each epoch of a source has an order of its own. The rows of several sources are interleaved so that after any number of rows, each has had its share
/// to within about a row.</para>
/// </remarks>
public sealed class BatchStream
{
    private readonly string _fingerprint;
    private readonly int _context;
    private readonly RowSource[] _sources;
    private readonly int[] _indices;
    private readonly double[]? _shares;

    /// <summary>A stream of rows.</summary>
    /// <param name="fingerprint">Of the data.</param>
    /// <param name="context">Positions of a row.</param>
    /// <param name="sources">What gives rows.</param>
    /// <param name="indices">The index of each in the options.</param>
    /// <param name="shares">The share of each, all together 1; null: one after the other until all end.</param>
    internal BatchStream(string fingerprint, int context, RowSource[] sources, int[] indices, double[]? shares)
    {
        _fingerprint = fingerprint;
        _context = context;
        _sources = sources;
        _indices = indices;
        _shares = shares;
    }

    /// <summary>Where the stream stands, or shall stand.</summary>
    /// <exception cref="DataFormatException">The position belongs to other data, or cannot be one of these.</exception>
    public StreamPosition Position
    {
        get => new(_fingerprint, [.. _sources.Select(source => source.Position)]);
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            if (value.Fingerprint != _fingerprint)
            {
                throw new DataFormatException("the position belongs to other data: texts, tokenizer, template, split, seed, context or weights have changed "
                    + "since the checkpoint was written, so that it cannot be gone on from exactly; "
                    + "restore them, or begin a new run from the checkpoint's weights");
            }

            if (value.Sources.Count != _sources.Length)
            {
                throw new DataFormatException($"the position has {value.Sources.Count} sources and the data have {_sources.Length}; the checkpoint is "
                    + "damaged, take an earlier one");
            }

            for (int i = 0; i < _sources.Length; i++)
            {
                _sources[i].Position = value.Sources[i];
            }
        }
    }

    /// <summary>How much of each source has been given, in the order of the options (of held-out data of one source: that one).</summary>
    public IReadOnlyList<SourceProgress> Progress =>
        [.. _sources.Select(source => (source.Position, source.Epochs)).Select(at =>
            new SourceProgress(at.Position.Rows, at.Position.Positions, at.Position.Scored, at.Epochs))];

    /// <summary>Fills <paramref name="batch"/> with the next rows.</summary>
    /// <param name="batch">Of the context of the options, of any number of rows.</param>
    /// <returns>False where there are no more rows, which happens with held-out data only; the last batch may have fewer
    /// <see cref="TokenBatch.FilledRows"/>.</returns>
    /// <exception cref="DataFormatException">A shard was damaged meanwhile.</exception>
    public bool Next(TokenBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        if (batch.Context != _context)
        {
            throw new ArgumentException($"The batch has a context of {batch.Context} positions and the data one of {_context}.", nameof(batch));
        }

        batch.Clear();
        while (batch.FilledRows < batch.Rows && NextRow(batch))
        {
        }

        return batch.FilledRows > 0;
    }

    private bool NextRow(TokenBatch batch)
    {
        if (_shares is null)
        {
            for (int i = 0; i < _sources.Length; i++)
            {
                if (_sources[i].Next(batch, _indices[i]))
                {
                    return true;
                }
            }

            return false;
        }

        // The source that lags most behind its share after one row more; the first among equals.
        long rows = 1;
        foreach (RowSource source in _sources)
        {
            rows += source.Rows;
        }

        int next = 0;
        double most = double.NegativeInfinity;
        for (int i = 0; i < _sources.Length; i++)
        {
            double behind = (_shares[i] * rows) - _sources[i].Rows;
            if (behind > most)
            {
                most = behind;
                next = i;
            }
        }

        return _sources[next].Next(batch, _indices[next]);
    }
}
