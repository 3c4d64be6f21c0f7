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

    public ReadOnlySpan<byte> Span => _items.AsSpan(0, Count);

    public ReadOnlyMemory<byte> Memory => _items.AsMemory(0, Count);

    public void Clear() => Count = 0;

    public void Truncate(int count) => Count = count;

    public void Add(byte value)
    {
        if (Count == _items.Length)
        {
            Array.Resize(ref _items, Count * 2);
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
        if (length > _items.Length - Count)
        {
            Array.Resize(ref _items, checked((int)Math.Max((long)Count + length, Math.Min(Array.MaxLength, (long)Count * 2))));
        }

        return _items.AsSpan(Count);
    }

    public void Advance(int length) => Count += length;

    /// <summary>Drops the first <paramref name="length"/> bytes.</summary>
    public void RemoveStart(int length)
    {
        _items.AsSpan(length, Count - length).CopyTo(_items);
        Count -= length;
    }
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
