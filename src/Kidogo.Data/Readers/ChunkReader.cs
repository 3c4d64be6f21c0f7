// Cuts the files of a source into documents, and these into chunks for workers. Knows borders of documents, not tokens.
using System.Buffers;

namespace Kidogo.Data.Readers;

/// <summary>Reads a source's files one after the other. Where documents and their parts end depends on their bytes alone.</summary>
internal sealed class ChunkReader : IDisposable
{
    /// <summary>The longest line of <c>.jsonl</c>, in bytes.</summary>
    public const int MaxJsonLine = 64 << 20;

    /// <summary>
    /// A document of <c>.txt</c> longer than this is tokenised in parts, cut before a line that begins with no white space, where hardly any vocabulary has a
    /// token across; or where no such line comes within as much again, anywhere between words.
    /// </summary>
    public const int PartBytes = 1 << 20;

    private const int ChunkBytes = 1 << 19;
    private const int PieceOfLine = 1 << 16;

    private static readonly SearchValues<byte> s_white = SearchValues.Create(" \t\r\n\v\f"u8);

    private readonly IReadOnlyList<SourceFile> _files;
    private readonly IReadOnlyList<byte[]>? _hashes;
    private readonly DocumentBorder _border;
    private int _index = -1;
    private long _bytesBefore;
    private LineReader? _lines;
    private TextChunk _chunk = new();
    private TextChunk? _full;

    // The document that is being read.
    private bool _isOpen;
    private bool _isFirstPart;
    private long _firstLine;
    private int _partStart;
    private bool _atLineStart;
    private int _pendingBreak;

    /// <summary>Reads <paramref name="files"/>, whose contents have to hash to <paramref name="hashes"/> where these are given.</summary>
    public ChunkReader(IReadOnlyList<SourceFile> files, IReadOnlyList<byte[]>? hashes, DocumentBorder border)
    {
        _files = files;
        _hashes = hashes;
        _border = border;
    }

    /// <summary>The next chunk, or null at the end.</summary>
    /// <exception cref="DataFormatException">A file is damaged, not text, has too long a line, or changed meanwhile.</exception>
    public TextChunk? Next(CancellationToken cancellation)
    {
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            if (_full is { } full)
            {
                _full = null;
                return full;
            }

            if (_lines is null && !OpenNext())
            {
                return _chunk.Parts.Count > 0 ? Take() : null;
            }

            bool more = _files[_index].IsJsonLines ? ReadJsonLine() : ReadText();
            if (!more)
            {
                CloseFile();
            }

            if (_chunk.Count >= ChunkBytes && !_isOpen && _full is null)
            {
                return Take();
            }
        }
    }

    public void Dispose() => _lines?.Dispose();

    private TextChunk Take()
    {
        TextChunk full = _chunk;
        full.BytesRead = _bytesBefore + (_lines?.BytesRead ?? 0);
        _chunk = new TextChunk();
        _partStart = 0;
        return full;
    }

    private bool OpenNext()
    {
        if (_index + 1 >= _files.Count)
        {
            return false;
        }

        _index++;
        _lines = new LineReader(_files[_index]);
        return true;
    }

    private void CloseFile()
    {
        if (_hashes is not null && !_lines!.Hash().AsSpan().SequenceEqual(_hashes[_index]))
        {
            throw new DataFormatException(_files[_index].Path, 0, "the file changed while it was read; begin again when nothing writes to it");
        }

        _lines!.Dispose();
        _lines = null;
        _bytesBefore += _files[_index].Length;
    }

    private bool ReadJsonLine()
    {
        if (!_lines!.Next(MaxJsonLine, out ReadOnlySpan<byte> line, out bool ends))
        {
            return false;
        }

        if (!ends)
        {
            throw new DataFormatException(_files[_index].Path, _lines.Line, $"the line has more than the {MaxJsonLine >> 20} MiB that a line of .jsonl may "
                + "have");
        }

        if (line.ContainsAnyExcept(s_white)) // blank lines, such as one at the end, are no documents
        {
            int start = _chunk.Count;
            _chunk.Append(line);
            _chunk.Parts.Add(new TextPart(start, line.Length, _index, _lines.Line, IsFirst: true, IsLast: true));
        }

        return true;
    }

    private bool ReadText()
    {
        if (!_lines!.Next(PieceOfLine, out ReadOnlySpan<byte> piece, out bool ends))
        {
            End();
            return false;
        }

        bool beginsLine = _atLineStart || !_isOpen;
        if (_border == DocumentBorder.File)
        {
            Append(piece, beginsLine);
            _atLineStart = ends;
            return true;
        }

        int breakLength = piece.EndsWith("\r\n"u8) ? 2 : piece.EndsWith("\n"u8) ? 1 : 0;
        bool isBlank = ends && beginsLine && !piece.ContainsAnyExcept(s_white);
        if (isBlank)
        {
            End();
            return true;
        }

        Append(piece[..^breakLength], beginsLine);
        _pendingBreak = breakLength; // part of the document only if another of its lines follows
        _atLineStart = ends;
        if (ends && _border == DocumentBorder.Line)
        {
            End();
        }

        return true;
    }

    private void Append(ReadOnlySpan<byte> piece, bool beginsLine)
    {
        if (!_isOpen)
        {
            _isOpen = true;
            _isFirstPart = true;
            _firstLine = _lines!.Line;
            _partStart = _chunk.Count;
        }

        _chunk.Append(_pendingBreak == 2 ? "\r\n"u8 : _pendingBreak == 1 ? "\n"u8 : default);
        _pendingBreak = 0;
        int length = _chunk.Count - _partStart;
        if (length >= 2 * PartBytes || (length >= PartBytes && beginsLine && piece.Length > 0 && piece[0] > (byte)' '))
        {
            ClosePart(isLast: false);
            _full = Take();
        }

        _chunk.Append(piece);
    }

    private void End()
    {
        if (_isOpen)
        {
            ClosePart(isLast: true);
        }

        _isOpen = false;
        _pendingBreak = 0;
        _atLineStart = true;
    }

    private void ClosePart(bool isLast)
    {
        _chunk.Parts.Add(new TextPart(_partStart, _chunk.Count - _partStart, _index, _firstLine, _isFirstPart, isLast));
        _isFirstPart = false;
        _partStart = _chunk.Count;
    }
}
