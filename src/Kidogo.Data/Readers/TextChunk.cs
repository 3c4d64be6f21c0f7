// A stretch of the sources that one worker tokenises. Knows where its parts come from, not what they say.
namespace Kidogo.Data.Readers;

/// <summary>A document's bytes or a part of them, or a line of JSON.</summary>
/// <param name="Start">Index of the first byte in the chunk.</param>
/// <param name="Length">Bytes.</param>
/// <param name="File">Index of the file.</param>
/// <param name="Line">Line of the document's first byte, from 1.</param>
/// <param name="IsFirst">Whether the document begins here.</param>
/// <param name="IsLast">Whether it ends here.</param>
internal readonly record struct TextPart(int Start, int Length, int File, long Line, bool IsFirst, bool IsLast);

/// <summary>Bytes of several parts.</summary>
internal sealed class TextChunk
{
    private byte[] _bytes = new byte[1 << 16];

    /// <summary>Bytes in use.</summary>
    public int Count { get; private set; }

    /// <summary>The parts, in order.</summary>
    public List<TextPart> Parts { get; } = [];

    /// <summary>Bytes of the file, as stored, that had been read when the chunk was full; of all files before it too.</summary>
    public long BytesRead { get; set; }

    /// <summary>The bytes of a part.</summary>
    public ReadOnlySpan<byte> this[TextPart part] => _bytes.AsSpan(part.Start, part.Length);

    /// <summary>As memory, for readers that keep it.</summary>
    public ReadOnlyMemory<byte> Memory(TextPart part) => _bytes.AsMemory(part.Start, part.Length);

    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > _bytes.Length - Count)
        {
            Array.Resize(ref _bytes, checked((int)Math.Min(Array.MaxLength, Math.Max((long)Count + bytes.Length, _bytes.Length * 2L))));
        }

        bytes.CopyTo(_bytes.AsSpan(Count));
        Count += bytes.Length;
    }
}
