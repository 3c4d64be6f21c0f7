// Bytes of a file as lines, unpacked where they are packed. Knows line feeds and gzip, not what lines mean.
using System.Security.Cryptography;

namespace Kidogo.Data.Readers;

/// <summary>Reads a file from its beginning to its end, line by line, in bounded memory, and hashes it on the way.</summary>
internal sealed class LineReader : IDisposable
{
    /// <summary>A file that unpacks to more than this many times its size is no text: gzip packs texts 2 to 10 times.</summary>
    public const int MaxUnpacking = 200;

    private const long UnpackedWithoutQuestion = 64L << 20;
    private const int FirstBuffer = 1 << 18;

    private readonly SourceFile _file;
    private readonly HashingStream _stored;
    private readonly PackedText? _packed;
    private byte[] _buffer = new byte[FirstBuffer];
    private int _start;
    private int _end;
    private int _searched;
    private long _unpacked;
    private bool _atEnd;

    public LineReader(SourceFile file)
    {
        _file = file;
        _stored = new HashingStream(SourceFiles.Open(file));
        _packed = file.IsPacked ? new PackedText(_stored) : null;
    }

    /// <summary>The line of what <see cref="Next"/> gave last, from 1.</summary>
    public long Line { get; private set; }

    /// <summary>Bytes of the file, as stored, read so far.</summary>
    public long BytesRead => _stored.Count;

    private bool LastEndedLine { get; set; } = true;

    /// <summary>The next line with its line feed, or its next <paramref name="limit"/> bytes.</summary>
    /// <param name="limit">The most bytes to give of a line.</param>
    /// <param name="bytes">Valid until the next call.</param>
    /// <param name="endsLine">Whether the line ends here.</param>
    /// <returns>False at the end of the file.</returns>
    /// <exception cref="DataFormatException">The file is packed and damaged, or not text in UTF-8.</exception>
    public bool Next(int limit, out ReadOnlySpan<byte> bytes, out bool endsLine)
    {
        bool isFirst = _unpacked == 0;
        int length;
        while (true)
        {
            int found = _buffer.AsSpan(_searched, _end - _searched).IndexOf((byte)'\n');
            if (found >= 0)
            {
                length = _searched + found + 1 - _start;
                endsLine = true;
                break;
            }

            _searched = _end;
            if (_end - _start >= limit || _atEnd)
            {
                length = _end - _start;
                endsLine = _atEnd && length <= limit;
                break;
            }

            Fill();
            if (isFirst)
            {
                isFirst = false;
                while (_end < 3 && !_atEnd)
                {
                    Fill();
                }

                _start = CheckStart(_buffer.AsSpan(0, _end));
                _searched = Math.Max(_searched, _start);
            }
        }

        if (length == 0)
        {
            bytes = default;
            return false;
        }

        if (length > limit)
        {
            length = CutLength(_buffer.AsSpan(_start, limit));
            endsLine = false;
        }

        Line += LastEndedLine ? 1 : 0;
        LastEndedLine = endsLine;
        bytes = _buffer.AsSpan(_start, length);
        _start += length;
        _searched = Math.Max(_searched, _start);
        return true;
    }

    /// <summary>SHA-256 of the file as stored; to be asked at the end.</summary>
    public byte[] Hash()
    {
        Span<byte> rest = stackalloc byte[4096];
        while (_stored.Read(rest) > 0)
        {
            // nothing mostly; a reader may stop early
        }

        return _stored.Hash();
    }

    public void Dispose()
    {
        _packed?.Dispose();
        _stored.Dispose();
    }

    // Where a piece of a long line may end: after a space if there is one, at the border of a character in any case.
    private static int CutLength(ReadOnlySpan<byte> bytes)
    {
        int space = bytes.LastIndexOf((byte)' ');
        if (space > bytes.Length / 2)
        {
            return space; // the space goes with the word after it, as in the vocabularies
        }

        int end = bytes.Length;
        while (end > bytes.Length - 4 && end > 1 && (bytes[end - 1] & 0xC0) == 0x80)
        {
            end--;
        }

        return end > 1 && bytes[end - 1] >= 0xC0 ? end - 1 : bytes.Length;
    }

    private void Fill()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _searched -= _start;
            _start = 0;
        }

        if (_end == _buffer.Length)
        {
            Array.Resize(ref _buffer, checked((int)Math.Min(Array.MaxLength, _buffer.Length * 2L)));
        }

        if (_file.IsPacked && _file.Length == 0)
        {
            throw new DataFormatException(_file.Path, 0, "the file has no bytes, and even an empty text packed with gzip has 20; fetch it again, or pack it "
                + "anew");
        }

        try
        {
            int read = _packed is null ? _stored.Read(_buffer.AsSpan(_end)) : _packed.Read(_buffer.AsSpan(_end));
            _atEnd = read == 0;
            _end += read;
            _unpacked += read;
        }
        catch (InvalidDataException failure)
        {
            throw new DataFormatException(_file.Path, 0, $"the file cannot be unpacked after {_unpacked} bytes of text: it is not gzip, or damaged; fetch it "
                + $"again, or pack it anew ({failure.Message})", failure);
        }

        if (_file.IsPacked && _unpacked > UnpackedWithoutQuestion && _unpacked / MaxUnpacking > _stored.Count)
        {
            throw new DataFormatException(_file.Path, 0, $"the file unpacks to more than {MaxUnpacking} times its size ({_stored.Count} bytes gave "
                + $"{_unpacked}), which no text does; unpack it yourself if it is to be read");
        }
    }

    // The number of bytes before the text.
    private int CheckStart(ReadOnlySpan<byte> bytes)
    {
        if (bytes.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xFE]) || bytes.StartsWith((ReadOnlySpan<byte>)[0xFE, 0xFF]))
        {
            throw new DataFormatException(_file.Path, 1, "the file is UTF-16, and UTF-8 is read; convert it (iconv -f UTF-16 -t UTF-8)");
        }

        if (bytes.StartsWith((ReadOnlySpan<byte>)[0x1F, 0x8B]))
        {
            throw new DataFormatException(_file.Path, 1, "the text begins as a gzip file does; name the file .gz, or unpack it once more");
        }

        return bytes.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF]) ? 3 : 0;
    }

    /// <summary>Counts and hashes what is read.</summary>
    private sealed class HashingStream(Stream inner) : ForwardStream
    {
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

        public long Count { get; private set; }

        public byte[] Hash() => _hash.GetHashAndReset();

        public override int Read(Span<byte> buffer)
        {
            int read = inner.Read(buffer);
            _hash.AppendData(buffer[..read]);
            Count += read;
            return read;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                _hash.Dispose();
                inner.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
