// Writes the tokens of a source into shards. Knows no texts.
using System.Runtime.InteropServices;

namespace Kidogo.Data.Shards;

/// <summary>Takes a source's tokens in order and writes them into a folder of shards; nothing is read back. A folder without <see cref="Manifest"/> counts as
/// nothing.</summary>
internal sealed class ShardWriter(string folder, int vocabulary, bool hasMask, byte[] key) : IDisposable
{
    /// <summary>A shard is closed with the document that brings it to this many tokens.</summary>
    private const long TokensOfShard = 1L << 25;

    private const int DocumentsOfShard = 1 << 20;

    private readonly int _idBytes = ShardLayout.IdBytesFor(vocabulary);
    private readonly List<ShardEntry> _entries = [];
    private readonly List<byte> _mask = [];
    private byte[] _bytes = [];
    private FileStream? _stream;
    private long _tokens;
    private ulong _hash;
    private long _textBytes;
    private long _first;

    /// <summary>The names and lengths of the shards that are finished.</summary>
    public List<(string Name, long Bytes)> Shards { get; } = [];

    /// <summary>Documents so far.</summary>
    public long Documents { get; private set; }

    /// <summary>Tokens so far.</summary>
    public long Tokens { get; private set; }

    /// <summary>Bytes of text so far.</summary>
    public long TextBytes { get; private set; }

    public void Write(EncodedChunk chunk)
    {
        int at = 0;
        foreach (EncodedPart part in chunk.Parts)
        {
            if (part.IsFirst)
            {
                _first = _tokens;
                _hash = part.Hash;
                _textBytes = part.TextBytes;
            }
            else
            {
                _hash = Mix.Hash(_hash, part.Hash);
                _textBytes += part.TextBytes;
            }

            WriteIds(chunk.Ids.Slice(at, part.Tokens));
            if (hasMask)
            {
                AddMask(chunk.Counts.Slice(at, part.Tokens));
            }

            at += part.Tokens;
            _tokens += part.Tokens;
            if (part.IsLast)
            {
                _entries.Add(new ShardEntry(_first, _textBytes, _hash, part.Line, part.File));
                Documents++;
                Tokens += _tokens - _first;
                TextBytes += _textBytes;
                if (_tokens >= TokensOfShard || _entries.Count >= DocumentsOfShard)
                {
                    Close();
                }
            }
        }
    }

    /// <summary>Writes what is left; every shard is on the disk then.</summary>
    public void Finish()
    {
        if (_entries.Count > 0)
        {
            Close();
        }
    }

    public void Dispose() => _stream?.Dispose();

    private void WriteIds(ReadOnlySpan<int> ids)
    {
        if (_stream is null)
        {
            _stream = new FileStream(Path.Combine(folder, $"{Shards.Count:D5}.tokens"), FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 16);
            _stream.Write(new byte[ShardLayout.HeaderBytes]);
        }

        int size = ids.Length * _idBytes;
        if (_bytes.Length < size)
        {
            _bytes = new byte[Math.Max(size, _bytes.Length * 2)];
        }

        Span<byte> bytes = _bytes.AsSpan(0, size);
        if (_idBytes == sizeof(ushort))
        {
            Span<ushort> narrow = MemoryMarshal.Cast<byte, ushort>(bytes);
            for (int i = 0; i < ids.Length; i++)
            {
                narrow[i] = (ushort)ids[i];
            }
        }
        else
        {
            MemoryMarshal.AsBytes(ids).CopyTo(bytes);
        }

        _stream.Write(bytes);
    }

    private void AddMask(ReadOnlySpan<bool> counts)
    {
        long at = _tokens;
        foreach (bool counted in counts)
        {
            if ((at & 7) == 0)
            {
                _mask.Add(0);
            }

            if (counted)
            {
                _mask[^1] |= (byte)(1 << (int)(at & 7));
            }

            at++;
        }
    }

    private void Close()
    {
        FileStream stream = _stream!;
        ShardLayout layout = new(_idBytes, vocabulary, hasMask, _tokens, _entries.Count);
        stream.Write(new byte[(int)(layout.MaskOffset - stream.Position)]);
        if (hasMask)
        {
            stream.Write(CollectionsMarshal.AsSpan(_mask));
            stream.Write(new byte[(int)(layout.IndexOffset - stream.Position)]);
        }

        Span<byte> entry = stackalloc byte[ShardLayout.EntryBytes];
        foreach (ShardEntry document in _entries)
        {
            document.Write(entry);
            stream.Write(entry);
        }

        byte[] header = new byte[ShardLayout.HeaderBytes];
        layout.Write(header, key);
        stream.Position = 0;
        stream.Write(header);
        stream.Flush(flushToDisk: true);
        Shards.Add((Path.GetFileName(stream.Name), stream.Length));
        stream.Dispose();
        _stream = null;
        _entries.Clear();
        _mask.Clear();
        _tokens = 0;
    }
}
