// Many short byte strings in one array, without an object each. Knows not what they mean.
using System.Text;

namespace Kidogo.Text.Tokenizers;

/// <summary>A list of byte strings (UTF-8 pieces, or the halves of merges) in one block of memory.</summary>
/// <remarks>A vocabulary of 150,000 strings costs two arrays here, which is what makes loading one cheap.</remarks>
public sealed class PieceList
{
    private const int MaxBytes = 1 << 30;
    private byte[] _bytes;
    private int[] _ends;

    /// <summary>An empty list with room for <paramref name="capacity"/> strings of <paramref name="byteCapacity"/> bytes together.</summary>
    public PieceList(int capacity = 16, int byteCapacity = 256)
    {
        _ends = new int[Math.Max(4, capacity)];
        _bytes = new byte[Math.Max(16, byteCapacity)];
    }

    /// <summary>The number of strings.</summary>
    public int Count { get; private set; }

    /// <summary>The string at <paramref name="index"/>.</summary>
    public ReadOnlySpan<byte> this[int index]
    {
        get
        {
            if ((uint)index >= (uint)Count)
            {
                throw new ArgumentOutOfRangeException(nameof(index), $"There is no piece {index} among {Count}.");
            }

            int start = index == 0 ? 0 : _ends[index - 1];
            return _bytes.AsSpan(start, _ends[index] - start);
        }
    }

    /// <summary>Appends a string.</summary>
    /// <exception cref="TokenizerFormatException">All strings together would pass 1 GiB.</exception>
    public void Add(ReadOnlySpan<byte> piece)
    {
        int start = Reserve(piece.Length);
        piece.CopyTo(_bytes.AsSpan(start));
        Close(start + piece.Length);
    }

    /// <summary>Appends a string as UTF-8; a lone surrogate becomes U+FFFD.</summary>
    public void Add(string piece)
    {
        ArgumentNullException.ThrowIfNull(piece);
        int start = Reserve(Encoding.UTF8.GetMaxByteCount(piece.Length));
        Close(start + Encoding.UTF8.GetBytes(piece, _bytes.AsSpan(start)));
    }

    /// <summary>Appends the two halves of a merge written <c>left right</c>: split at the first space after the first byte, since a piece may begin with one.</summary>
    /// <exception cref="TokenizerFormatException">There is no such space.</exception>
    public void AddMerge(ReadOnlySpan<byte> merge)
    {
        int space = merge.Length < 2 ? -1 : merge[1..].IndexOf((byte)' ');
        if (space < 0)
        {
            throw new TokenizerFormatException($"Merge {Count / 2} is '{Encoding.UTF8.GetString(merge[..Math.Min(merge.Length, 64)])}'; expected two pieces with a space between.");
        }

        Add(merge[..(space + 1)]);
        Add(merge[(space + 2)..]);
    }

    /// <summary>The strings at <paramref name="index"/> and the next, which lie side by side, as one.</summary>
    internal ReadOnlySpan<byte> Joined(int index)
    {
        int start = index == 0 ? 0 : _ends[index - 1];
        return _bytes.AsSpan(start, _ends[index + 1] - start);
    }

    private int Reserve(int length)
    {
        int start = Count == 0 ? 0 : _ends[Count - 1];
        if (length > MaxBytes - start)
        {
            throw new TokenizerFormatException($"The pieces up to number {Count} take more than {MaxBytes} bytes together; no vocabulary needs that.");
        }

        if (start + length > _bytes.Length)
        {
            Array.Resize(ref _bytes, (int)Math.Min(MaxBytes, Math.Max((long)_bytes.Length * 2, start + length)));
        }

        return start;
    }

    private void Close(int end)
    {
        if (Count == _ends.Length)
        {
            Array.Resize(ref _ends, _ends.Length * 2);
        }

        _ends[Count++] = end;
    }
}
