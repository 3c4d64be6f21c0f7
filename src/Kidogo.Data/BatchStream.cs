// Batches one after the other, and the place among them. Knows ids, not texts.
namespace Kidogo.Data;

/// <summary>How much of a source has been given.</summary>
/// <param name="Rows">Rows.</param>
/// <param name="Positions">Positions that were not padding: the tokens that a model has read.</param>
/// <param name="Scored">Positions with a target: the tokens that a model has been asked to predict.</param>
/// <param name="Epochs">How often the source has been gone through, with a fraction; rows that are not full yet count by what has been taken up for them.</param>
public readonly record struct SourceProgress(long Rows, long Positions, long Scored, double Epochs);

/// <summary>Gives batch after batch. For one thread at a time; several streams of the same data may be used at once.</summary>
/// <remarks>
/// <para>Rows depend on the data, the options and the number of rows given before, on nothing else: neither on threads nor on how rows are divided into batches.</para>
/// <para>Text: a document longer than the context is cut into windows, each a row of its own; what is left of it and shorter documents are put end to end, so that no position is wasted, and where a row ends
/// within one, the next such row goes on as a new segment. Every token of a document but its first is a target exactly once an epoch.</para>
/// <para>Conversations are never cut: they are packed first-fit, longest first, within blocks of a shuffled epoch.</para>
/// <para>Each epoch of a source has an order of its own. The rows of several sources are interleaved so that after any number of rows, each has had its share within one row or so.</para>
/// </remarks>
public sealed class BatchStream
{
    internal BatchStream()
    {
    }

    /// <summary>Where the stream stands, or shall stand.</summary>
    /// <exception cref="DataFormatException">The position belongs to other data, or cannot be one of this.</exception>
    public StreamPosition Position
    {
        get => throw new NotImplementedException();
        set => throw new NotImplementedException();
    }

    /// <summary>How much of each source has been given, in the order of the options.</summary>
    public IReadOnlyList<SourceProgress> Progress => throw new NotImplementedException();

    /// <summary>Fills <paramref name="batch"/> with the next rows.</summary>
    /// <param name="batch">Of the context of the options, of any number of rows.</param>
    /// <returns>False where there are no more rows, which happens with held-out data only; the last batch may have fewer <see cref="TokenBatch.FilledRows"/>.</returns>
    /// <exception cref="DataFormatException">A shard was damaged meanwhile.</exception>
    public bool Next(TokenBatch batch) => throw new NotImplementedException();
}
