// What turns a word into ids, and what it may use meanwhile. Knows not where words come from.
namespace Kidogo.Text.Tokenizers;

/// <summary>Turns one word, a stretch of text that no token crosses the ends of, into ids. Immutable, safe for use by several threads.</summary>
internal abstract class SubwordModel
{
    /// <summary>Whether a text may be cut before every <c>▁</c> that does not follow another one, because no piece has one there.</summary>
    public virtual bool SplitsAtMarker => false;

    /// <summary>Whether words come as raw bytes and are spelt in GPT-2's alphabet by the model itself.</summary>
    public virtual bool TakesRawBytes => false;

    /// <summary>Appends the ids of <paramref name="word"/> (valid UTF-8, not empty).</summary>
    public abstract void Encode(ReadOnlySpan<byte> word, MergeWorkspace workspace, IdList output);

    /// <summary>Appends the merges, in order, by which a piece of the vocabulary comes about where it is a word, or a stretch of one that nothing else reaches into; none where pieces are not merged.</summary>
    /// <remarks>A token's merges are the same wherever it occurs: no merge that makes it reaches beyond it, and within it the order goes by rank as in the whole word.</remarks>
    public virtual void Derive(ReadOnlySpan<byte> piece, MergeWorkspace workspace, List<MergeStep> steps)
    {
    }

    /// <summary>Adds the ids without which some text could not be spelt any more, or the costs of others would change: the bytes where every byte has a token, else all single characters.</summary>
    public virtual void AddEssential(Vocabulary vocabulary, HashSet<int> ids)
    {
        for (int id = 0; id < vocabulary.Count; id++)
        {
            ReadOnlySpan<byte> piece = vocabulary[id];
            if (!piece.IsEmpty && IsCharacter(piece))
            {
                ids.Add(id);
            }
        }
    }

    /// <summary>Whether a piece is a single character, whatever it begins with inside a word.</summary>
    protected virtual bool IsCharacter(ReadOnlySpan<byte> piece) => CharacterLength(piece[0], piece.Length) == piece.Length;

    /// <summary>Adds the tokens of all bytes, if there is one for each.</summary>
    protected static bool AddAll(ReadOnlySpan<int> byteIds, Vocabulary vocabulary, HashSet<int> ids)
    {
        bool isComplete = !byteIds.ContainsAnyExceptInRange(0, vocabulary.Count - 1);
        foreach (int id in isComplete ? byteIds : [])
        {
            ids.Add(id);
        }

        return isComplete;
    }

    /// <summary>Whether a piece has a <c>▁</c> after something else.</summary>
    public static bool HasInnerMarker(ReadOnlySpan<byte> piece)
    {
        ReadOnlySpan<byte> marker = "▁"u8;
        int at = 0;
        while (piece[at..].StartsWith(marker))
        {
            at += marker.Length;
        }

        return piece[at..].IndexOf(marker) >= 0;
    }

    /// <summary>The number of bytes of the UTF-8 character that begins with <paramref name="lead"/>, within <paramref name="available"/>.</summary>
    public static int CharacterLength(byte lead, int available) =>
        Math.Min(available, lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4);
}

/// <summary>Two symbols that became one; ids at or above the vocabulary's size are of pieces that only the merges know, -1 of characters without a piece.</summary>
internal readonly record struct MergeStep(int Left, int Right, int Merged);

/// <summary>The arrays in which pairs are merged; one for each call at a time.</summary>
internal sealed class MergeWorkspace
{
    private (ulong Key, ulong Check)[] _heap = new (ulong, ulong)[64];

    /// <summary>Symbol ids, -1 for none.</summary>
    public int[] Ids { get; private set; } = new int[64];

    /// <summary>Where each symbol begins in its word.</summary>
    public int[] Starts { get; private set; } = new int[64];

    /// <summary>Bytes of each symbol; 0 once it is merged into its left neighbour.</summary>
    public int[] Lengths { get; private set; } = new int[64];

    /// <summary>The next symbol, -1 at the end.</summary>
    public int[] Next { get; private set; } = new int[64];

    /// <summary>The symbol before, -1 at the start.</summary>
    public int[] Previous { get; private set; } = new int[64];

    /// <summary>Sums of scores at each place of a short word.</summary>
    public double[] Sums { get; } = new double[257];

    /// <summary>Entries in the queue.</summary>
    public int HeapCount { get; private set; }

    /// <summary>A buffer for spelling a word.</summary>
    public ByteBuffer Spelling { get; } = new();

    /// <summary>Makes room for <paramref name="symbols"/> symbols; their contents are kept.</summary>
    public void Ensure(int symbols)
    {
        if (symbols <= Ids.Length)
        {
            return;
        }

        int size = Math.Max(symbols, Ids.Length * 2);
        Ids = Grow(Ids, size);
        Starts = Grow(Starts, size);
        Lengths = Grow(Lengths, size);
        Next = Grow(Next, size);
        Previous = Grow(Previous, size);
    }

    /// <summary>Chains the first <paramref name="symbols"/> symbols in order and empties the queue.</summary>
    public void Chain(int symbols)
    {
        for (int i = 0; i < symbols; i++)
        {
            Previous[i] = i - 1;
            Next[i] = i + 1;
        }

        Next[symbols - 1] = -1;
        HeapCount = 0;
    }

    /// <summary>Takes <paramref name="right"/>, the next of <paramref name="left"/>, out of the chain.</summary>
    public void Unlink(int left, int right)
    {
        int after = Next[right];
        Next[left] = after;
        if (after >= 0)
        {
            Previous[after] = left;
        }

        Lengths[left] += Lengths[right];
        Lengths[right] = 0;
    }

    /// <summary>Enters a candidate; the smallest <paramref name="key"/> comes out first.</summary>
    public void Push(ulong key, ulong check)
    {
        if (HeapCount == _heap.Length)
        {
            Array.Resize(ref _heap, HeapCount * 2);
        }

        int at = HeapCount++;
        while (at > 0)
        {
            int parent = (at - 1) >> 1;
            if (_heap[parent].Key <= key)
            {
                break;
            }

            _heap[at] = _heap[parent];
            at = parent;
        }

        _heap[at] = (key, check);
    }

    /// <summary>Takes the candidate with the smallest key.</summary>
    public (ulong Key, ulong Check) Pop()
    {
        (ulong Key, ulong Check) top = _heap[0];
        (ulong Key, ulong Check) last = _heap[--HeapCount];
        int at = 0;
        for (int child = 1; child < HeapCount; child = (at << 1) + 1)
        {
            if (child + 1 < HeapCount && _heap[child + 1].Key < _heap[child].Key)
            {
                child++;
            }

            if (last.Key <= _heap[child].Key)
            {
                break;
            }

            _heap[at] = _heap[child];
            at = child;
        }

        _heap[at] = last;
        return top;
    }

    private static int[] Grow(int[] array, int size)
    {
        Array.Resize(ref array, size);
        return array;
    }
}
