// The rows of one step, as arrays of ids. Knows no files and no models.
namespace Kidogo.Data;

/// <summary>A document, a window of one, or a conversation within a batch: a sequence of its own, whose positions count from 0 and which attends to nothing
/// else.</summary>
/// <param name="First">Index of its first position in the batch's arrays (row · context + column); it lies in one row.</param>
/// <param name="Length">Positions.</param>
public readonly record struct BatchSegment(int First, int Length);

/// <summary>A batch of B rows of T positions; the arrays are [B·T], row-major, and filled anew by each <see cref="BatchStream.Next"/>.</summary>
/// <remarks>
/// The target of a position is the token after it, so a document of n tokens takes n − 1 positions. Positions that no segment covers are padding: id 0,
/// target <see cref="NoTarget"/>, document −1. Padding comes after a row's segments.
/// </remarks>
public sealed class TokenBatch
{
    /// <summary>The target of a position at which nothing is to be predicted.</summary>
    public const int NoTarget = -100;

    private readonly List<BatchSegment> _segments = [];

    /// <summary>An empty batch.</summary>
    /// <param name="rows">B, at least 1.</param>
    /// <param name="context">T, at least 1.</param>
    public TokenBatch(int rows, int context)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(context, 1);
        Rows = rows;
        Context = context;
        int size = checked(rows * context);
        Ids = new int[size];
        Targets = new int[size];
        Positions = new int[size];
        Documents = new int[size];
        SourceOfRow = new int[rows];
        Clear();
    }

    /// <summary>B.</summary>
    public int Rows { get; }

    /// <summary>T.</summary>
    public int Context { get; }

    /// <summary>Input ids [B·T].</summary>
    public int[] Ids { get; }

    /// <summary>Target ids [B·T], or <see cref="NoTarget"/> where nothing is to be predicted: this is the loss mask.</summary>
    public int[] Targets { get; }

    /// <summary>Positions within the segment [B·T], from 0; 0 in padding.</summary>
    public int[] Positions { get; }

    /// <summary>Index into <see cref="Segments"/> for each position [B·T]; −1 in padding.</summary>
    public int[] Documents { get; }

    /// <summary>Index of the source of each row [B]; −1 for a row that is all padding.</summary>
    public int[] SourceOfRow { get; }

    /// <summary>The sequences of the batch, in ascending order of their first positions.</summary>
    public IReadOnlyList<BatchSegment> Segments => _segments;

    /// <summary>Rows that hold anything; fewer than <see cref="Rows"/> only in the last batch of held-out data.</summary>
    public int FilledRows { get; private set; }

    /// <summary>Positions that are not padding.</summary>
    public int Filled { get; private set; }

    /// <summary>Positions that have a target.</summary>
    public int Scored { get; private set; }

    /// <summary>UTF-8 bytes of text that the targets stand for, for bits per byte: of control tokens 0.</summary>
    public long TextBytes { get; private set; }

    /// <summary>Whether the sequences were drawn by a model (<see cref="Refill"/>) instead of read.</summary>
    public bool IsSampled { get; private set; }

    /// <summary>Puts other sequences into the batch, one a row.</summary>
    /// <param name="rows">For each row its ids, two or more and one more than positions at most, for each of them whether it counts as a target, and the number of its source.</param>
    /// <param name="isSampled">Whether a model drew them.</param>
    /// <exception cref="ArgumentException">There are more rows than the batch has, or a sequence does not fit.</exception>
    public void Refill(IReadOnlyList<(int[] Ids, bool[] Counts, int Source)> rows, bool isSampled)
    {
        if (rows.Count > Rows || rows.Any(row => row.Ids.Length < 2 || row.Ids.Length > Context + 1 || row.Counts.Length != row.Ids.Length))
        {
            throw new ArgumentException($"{rows.Count} rows do not fit a batch of {Rows} rows of {Context} positions.", nameof(rows));
        }

        Clear();
        foreach ((int[] ids, bool[] counts, int source) in rows)
        {
            BeginRow(source);
            Add(0, ids, counts, null);
        }

        IsSampled = isSampled;
    }

    internal void Clear()
    {
        IsSampled = false;
        _segments.Clear();
        Array.Clear(Ids);
        Array.Fill(Targets, NoTarget);
        Array.Clear(Positions);
        Array.Fill(Documents, -1);
        Array.Fill(SourceOfRow, -1);
        FilledRows = 0;
        Filled = 0;
        Scored = 0;
        TextBytes = 0;
    }

    /// <summary>Takes the next row into use.</summary>
    internal void BeginRow(int source) => SourceOfRow[FilledRows++] = source;

    /// <summary>Writes a sequence: <paramref name="tokens"/> has one more token than there are positions.</summary>
    /// <param name="column">Where in the row that was begun last.</param>
    /// <param name="tokens">Ids, checked to lie in the vocabulary.</param>
    /// <param name="counts">For each token whether it counts as a target; empty: all do.</param>
    /// <param name="byteLengths">Bytes of text for each id; null where they are not asked for.</param>
    internal void Add(int column, ReadOnlySpan<int> tokens, ReadOnlySpan<bool> counts, int[]? byteLengths)
    {
        int first = ((FilledRows - 1) * Context) + column;
        int length = tokens.Length - 1;
        tokens[..length].CopyTo(Ids.AsSpan(first));
        Documents.AsSpan(first, length).Fill(_segments.Count);
        _segments.Add(new BatchSegment(first, length));
        for (int i = 0; i < length; i++)
        {
            Positions[first + i] = i;
            int target = tokens[i + 1];
            if (counts.IsEmpty || counts[i + 1])
            {
                Targets[first + i] = target;
                TextBytes += byteLengths?[target] ?? 0;
                Scored++;
            }
        }

        Filled += length;
    }
}
