// What gives rows one after the other, and the buffers to read them with. Knows ids, not texts.
using Kidogo.Data.Shards;

namespace Kidogo.Data.Packing;

/// <summary>The rows of one source, of text, conversations or chance.</summary>
internal abstract class RowSource
{
    /// <summary>Where it stands.</summary>
    /// <exception cref="DataFormatException">It cannot stand there.</exception>
    public abstract SourcePosition Position { get; set; }

    /// <summary>Rows given.</summary>
    public abstract long Rows { get; }

    /// <summary>How often it has been gone through.</summary>
    public abstract double Epochs { get; }

    /// <summary>Writes the next row of a batch.</summary>
    /// <param name="batch">Where to.</param>
    /// <param name="source">The source's index.</param>
    /// <returns>False at the end, where there is one.</returns>
    public abstract bool Next(TokenBatch batch, int source);

    /// <summary>The error for a position that cannot be.</summary>
    protected static DataFormatException Impossible(SourcePosition position) =>
        new($"the position in the data cannot be one of these data: {position}; the checkpoint is damaged, take an earlier one");
}

/// <summary>Reads pieces out of a store into batches, and counts.</summary>
/// <param name="store">The tokens.</param>
/// <param name="context">Positions of a row.</param>
/// <param name="byteLengths">Bytes of text for each id.</param>
internal sealed class PieceReader(TokenStore store, int context, int[] byteLengths)
{
    private readonly int[] _ids = new int[context + 1];
    private readonly ushort[] _narrow = new ushort[context + 1];
    private readonly bool[] _counts = new bool[context + 1];

    /// <summary>Writes pieces as the next row, one after the other.</summary>
    public void WriteRow(TokenBatch batch, int source, ReadOnlySpan<Piece> pieces)
    {
        batch.BeginRow(source);
        int column = 0;
        foreach (Piece piece in pieces)
        {
            int tokens = piece.Length + 1;
            store.Read(piece.First, tokens, _ids, _narrow, _counts);
            batch.Add(column, _ids.AsSpan(0, tokens), store.HasMask ? _counts.AsSpan(0, tokens) : default, byteLengths);
            column += piece.Length;
        }
    }
}
