// Reads the front of a mapped file in order, by position. Knows how long things may be, not what they mean.
using System.Buffers.Binary;
using System.Text;
using System.Text.Unicode;
using Kidogo.Tensors;

namespace Kidogo.Models.Files;

/// <summary>A little-endian reader in which every length is held against what is left of the file.</summary>
/// <remarks>It copies through a small buffer instead of touching the mapping: memory stays small whatever the header's size, and a file that is cut short meanwhile throws.</remarks>
internal sealed class HeaderReader(MappedFile file, long limit)
{
    public const int BufferBytes = 64 * 1024;

    private readonly byte[] _buffer = new byte[BufferBytes];
    private long _bufferStart;
    private int _filled;
    private int _at;

    /// <summary>Bytes from the start of the file to what is read next.</summary>
    public long Position => _bufferStart + _at;

    /// <summary>Bytes from here to the end of the file.</summary>
    public long Remaining => file.Length - Position;

    /// <summary>The next <paramref name="count"/> bytes, valid until the next call.</summary>
    /// <param name="count">At most <see cref="BufferBytes"/>.</param>
    /// <param name="what">What is read, for the message.</param>
    public ReadOnlySpan<byte> Take(int count, string what)
    {
        if (_filled - _at < count)
        {
            Fill(count, what);
        }

        ReadOnlySpan<byte> taken = _buffer.AsSpan(_at, count);
        _at += count;
        return taken;
    }

    public uint UInt32(string what) => BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint), what));

    public ulong UInt64(string what) => BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong), what));

    /// <summary>What to say to a length that is too large, as the end of a message: what a file that was not copied whole needs is another copy.</summary>
    /// <param name="isBeyondTheEnd">Whether the file ends before what has the length.</param>
    public static string Advice(bool isBeyondTheEnd) => isBeyondTheEnd ? " The file may be cut short; get it again." : " The file may be damaged; get it again.";

    /// <summary>A length of at most <paramref name="max"/> bytes, all of which are there.</summary>
    public long Length(long max, string what)
    {
        long at = Position;
        ulong length = UInt64(what);
        if (length > (ulong)max || (long)length > Remaining)
        {
            throw Refuse(at, $"{what} claims {length} bytes; {Remaining} are left in the file and at most {max} are accepted.{Advice(length > (ulong)Remaining)}");
        }

        return (long)length;
    }

    /// <summary>A name: a length and as many bytes of UTF-8.</summary>
    public string Name(int max, string what)
    {
        long at = Position;
        ReadOnlySpan<byte> bytes = Take((int)Length(max, what), what);
        return Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : throw Refuse(at, $"{what} is not valid UTF-8.");
    }

    /// <summary>Passes over bytes that are known to be there.</summary>
    public void Skip(long count)
    {
        if (count <= _filled - _at)
        {
            _at += (int)count;
            return;
        }

        long position = Position + count;
        CheckLimit(position);
        _bufferStart = position;
        _filled = 0;
        _at = 0;
    }

    /// <summary>Passes over <paramref name="count"/> strings, each a length of at most <paramref name="max"/> and as many bytes.</summary>
    public void SkipStrings(long count, long max, string what)
    {
        while (count > 0)
        {
            // Those that lie in the buffer whole, which is nearly all: a vocabulary is 150,000 of them, a file made to hurt 32 million.
            ReadOnlySpan<byte> buffer = _buffer.AsSpan(0, _filled);
            int at = _at;
            while (count > 0 && buffer.Length - at >= sizeof(ulong))
            {
                ulong length = BinaryPrimitives.ReadUInt64LittleEndian(buffer[at..]);
                if (length > (ulong)(buffer.Length - at - sizeof(ulong)))
                {
                    break;
                }

                at += sizeof(ulong) + (int)length;
                count--;
            }

            _at = at;
            if (count > 0)
            {
                Skip(Length(max, what));
                count--;
            }
        }
    }

    public ModelFormatException Refuse(long at, string problem) => new(file.Path, at, problem);

    private void Fill(int count, string what)
    {
        long position = Position;
        if (count > file.Length - position)
        {
            throw Refuse(position, $"The file ends within {what}: {count} bytes expected, {file.Length - position} left. It may be cut short; get it again.");
        }

        CheckLimit(position + count);
        int filled = (int)Math.Min(BufferBytes, file.Length - position);
        try
        {
            file.CopyTo(position, _buffer.AsSpan(0, filled));
        }
        catch (EndOfStreamException e)
        {
            throw new ModelFormatException(file.Path, position, "The file has become shorter while it was read.", e);
        }

        _bufferStart = position;
        _filled = filled;
        _at = 0;
    }

    private void CheckLimit(long position)
    {
        if (position > limit)
        {
            throw Refuse(position, $"The header goes on beyond {limit} bytes, which is more than is accepted.");
        }
    }
}
