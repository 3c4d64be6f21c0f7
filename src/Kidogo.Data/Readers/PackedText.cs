// Unpacks gzip and notices where it was cut off. Knows no texts.
using System.IO.Compression;

namespace Kidogo.Data.Readers;

/// <summary>The unpacked bytes of a gzip stream (RFC 1952) of one or more members, which must be whole.</summary>
/// <remarks>
/// <see cref="GZipStream"/> ends silently where a file is cut off. So one more member is put after the file: if its content comes out at the end, all members
/// before it were complete, and otherwise the last was not.
/// </remarks>
internal sealed class PackedText : IDisposable
{
    private static readonly byte[] s_mark = "\0kidogo: the end"u8.ToArray();

    private readonly GZipStream _unpacked;
    private readonly byte[] _held = new byte[s_mark.Length + (1 << 16)];
    private int _heldStart;
    private int _heldEnd;
    private bool _atEnd;

    /// <summary>Unpacks <paramref name="stored"/>, which stays the caller's.</summary>
    public PackedText(Stream stored)
    {
        using MemoryStream member = new();
        using (GZipStream packer = new(member, CompressionLevel.Fastest, leaveOpen: true))
        {
            packer.Write(s_mark);
        }

        _unpacked = new GZipStream(new Appended(stored, member.ToArray()), CompressionMode.Decompress);
    }

    /// <summary>The next bytes; 0 at the end.</summary>
    /// <exception cref="InvalidDataException">The stream is not gzip, damaged, cut off, or followed by something else.</exception>
    public int Read(Span<byte> buffer)
    {
        // What is held back may be the mark; everything before it is text.
        while (!_atEnd && _heldEnd - _heldStart <= s_mark.Length)
        {
            _held.AsSpan(_heldStart, _heldEnd - _heldStart).CopyTo(_held);
            (_heldStart, _heldEnd) = (0, _heldEnd - _heldStart);
            int read = _unpacked.Read(_held.AsSpan(_heldEnd));
            _heldEnd += read;
            _atEnd = read == 0;
        }

        int ready = _heldEnd - _heldStart - s_mark.Length;
        if (_atEnd && (ready < 0 || !_held.AsSpan(_heldEnd - s_mark.Length, s_mark.Length).SequenceEqual(s_mark)))
        {
            throw new InvalidDataException("it is cut off, or something else follows it");
        }

        int count = Math.Min(ready, buffer.Length);
        _held.AsSpan(_heldStart, count).CopyTo(buffer);
        _heldStart += count;
        return count;
    }

    public void Dispose() => _unpacked.Dispose();

    /// <summary>A stream and some bytes after it.</summary>
    private sealed class Appended(Stream first, byte[] rest) : ForwardStream
    {
        private bool _firstEnded;
        private int _given;

        public override int Read(Span<byte> buffer)
        {
            if (buffer.IsEmpty)
            {
                return 0;
            }

            int read = _firstEnded ? 0 : first.Read(buffer);
            if (read > 0)
            {
                return read;
            }

            _firstEnded = true;
            int count = Math.Min(buffer.Length, rest.Length - _given);
            rest.AsSpan(_given, count).CopyTo(buffer);
            _given += count;
            return count;
        }
    }
}
