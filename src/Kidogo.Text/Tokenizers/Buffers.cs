// Growing arrays that can be read as spans, and stretches of a text. Knows nothing of tokens.
using System.Runtime.CompilerServices;

namespace Kidogo.Text.Tokenizers;

/// <summary>A growing array of ids.</summary>
internal sealed class IdList
{
    private int[] _items = new int[64];

    public int Count { get; private set; }

    public ReadOnlySpan<int> Span => _items.AsSpan(0, Count);

    public int this[int index]
    {
        get => _items[index];
        set => _items[index] = value;
    }

    public void Add(int id)
    {
        if (Count == _items.Length)
        {
            Array.Resize(ref _items, Count * 2);
        }

        _items[Count++] = id;
    }

    public void Add(ReadOnlySpan<int> ids)
    {
        if (ids.Length > _items.Length - Count)
        {
            Array.Resize(ref _items, Math.Max(Count + ids.Length, Count * 2));
        }

        ids.CopyTo(_items.AsSpan(Count));
        Count += ids.Length;
    }

    public void Truncate(int count) => Count = count;

    /// <summary>Turns round the order of the ids from <paramref name="start"/> on.</summary>
    public void ReverseFrom(int start) => _items.AsSpan(start, Count - start).Reverse();
}

/// <summary>A growing array of bytes.</summary>
internal sealed class ByteBuffer
{
    private byte[] _items = new byte[256];

    public int Count { get; private set; }

    /// <summary>How many bytes it may come to hold; more is a <see cref="TokenizerException"/>. Looked at when it grows.</summary>
    public int Limit { get; set; } = Array.MaxLength;

    public ReadOnlySpan<byte> Span => _items.AsSpan(0, Count);

    public ReadOnlyMemory<byte> Memory => _items.AsMemory(0, Count);

    public void Clear() => Count = 0;

    public void Truncate(int count) => Count = count;

    public void Add(byte value)
    {
        if (Count >= Math.Min(_items.Length, Limit))
        {
            Grow(1);
        }

        _items[Count++] = value;
    }

    public void Add(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Reserve(bytes.Length));
        Count += bytes.Length;
    }

    /// <summary>Appends a code point as UTF-8.</summary>
    public void AddCodePoint(int codePoint)
    {
        Span<byte> room = Reserve(4);
        Count += new System.Text.Rune(codePoint).EncodeToUtf8(room);
    }

    /// <summary>At least <paramref name="length"/> bytes after the end, to be written and then taken in with <see cref="Advance"/>.</summary>
    public Span<byte> Reserve(int length)
    {
        if (length > Math.Min(_items.Length, Limit) - Count)
        {
            Grow(length);
        }

        return _items.AsSpan(Count);
    }

    private void Grow(int length)
    {
        long needed = (long)Count + length;
        if (needed > Limit)
        {
            throw TextGrowth.Exceeded();
        }

        if (needed > _items.Length)
        {
            Array.Resize(ref _items, (int)Math.Max(needed, Math.Min(Limit, Math.Max((long)Count * 2, _items.Length))));
        }
    }

    public void Advance(int length) => Count += length;

    /// <summary>Drops the first <paramref name="length"/> bytes.</summary>
    public void RemoveStart(int length)
    {
        _items.AsSpan(length, Count - length).CopyTo(_items);
        Count -= length;
    }
}

/// <summary>How much longer than itself a tokenizer's steps may make a text. Descriptions come from strangers: twelve replacements can make a letter into more bytes than there are.</summary>
internal static class TextGrowth
{
    private const int Factor = 32; // the longest compatibility decomposition makes 3 bytes into 33, and spelling bytes doubles; a whole text of such characters is not written
    private const int Spare = 1024 * 1024;

    /// <summary>Bytes that a text of <paramref name="length"/> may become on its way to words, all steps and stretches together.</summary>
    public static long LimitFor(int length) => ((long)Factor * length) + Spare;

    /// <summary>A limit on bytes as a limit on a buffer.</summary>
    public static int LimitOfBuffer(long bytes) => (int)Math.Min(Array.MaxLength, bytes);

    /// <summary>Bytes that a token of <paramref name="length"/> may become in decoding: less to spare, since an answer has many tokens.</summary>
    public static int LimitForPiece(int length) => (int)Math.Min(Array.MaxLength, ((long)Factor * length) + 4096);

    /// <summary>What is thrown where the limit is passed.</summary>
    public static TokenizerException Exceeded() => new(
        $"The tokenizer makes a text more than {Factor} times as long as it is: a step of its description, such as Replace, Prepend or Metaspace, grows it without end. Get the tokenizer's files again from where the model is published.");
}

/// <summary>Stretches of a text, in order and disjoint.</summary>
internal sealed class RangeList
{
    private (int Start, int End)[] _items = new (int, int)[64];

    public int Count { get; private set; }

    public ReadOnlySpan<(int Start, int End)> Span => _items.AsSpan(0, Count);

    public ref (int Start, int End) Last => ref _items[Count - 1];

    public void Clear() => Count = 0;

[MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Add(int start, int end)
    {
        if (Count == _items.Length)
        {
            Array.Resize(ref _items, Count * 2);
        }

        _items[Count++] = (start, end);
    }

    /// <summary>Turns round the order of the stretches from <paramref name="from"/> on.</summary>
    public void ReverseFrom(int from) => _items.AsSpan(from, Count - from).Reverse();
}
