// The bytes of a shard's header and of its index entries. Knows no tokens' meaning.
using System.Buffers.Binary;

namespace Kidogo.Data.Shards;

/// <summary>The header of a shard.</summary>
/// <remarks>
/// <para>A shard is one file, little-endian, whose length is exactly what its header says:</para>
/// <code>
///   0  8  magic "KIDOGOTK"
///   8  4  version, 1
///  12  4  bytes of an id: 2 (vocabularies up to 65,536) or 4
///  16  4  vocabulary size
///  20  4  flags: bit 0, there is a loss mask
///  24  8  tokens n
///  32  8  documents d
///  40 32  key: SHA-256 of tokenizer, files, options and this format (SourceKey)
///  72 56  zeros
/// 128     ids: n unsigned integers; then zeros up to a multiple of 8
///         loss mask, if there is one: n bits, the lowest of a byte first, 1 = the id is a target; then zeros up to a multiple of 8
///         index: d entries of 40 bytes in ascending order of the first token
///           0 8 first token, in this shard   8 8 bytes of text   16 8 hash of the content   24 8 line of the file, from 1   32 4 file   36 4 zero
/// </code>
/// <para>A document lies in one shard, and the first begins at token 0.</para>
/// </remarks>
/// <param name="IdBytes">2 or 4.</param>
/// <param name="Vocabulary">Ids lie below it.</param>
/// <param name="HasMask">Whether there is a loss mask.</param>
/// <param name="Tokens">n.</param>
/// <param name="Documents">d.</param>
internal readonly record struct ShardLayout(int IdBytes, int Vocabulary, bool HasMask, long Tokens, long Documents)
{
    public const int HeaderBytes = 128;
    public const int EntryBytes = 40;
    public const int KeyBytes = 32;

    // So that no sum overflows; a shard is written with far less.
    private const long MaxTokens = 1L << 40;
    private const long MaxDocuments = 1L << 40;
    private const int Version = 1;

    private static ReadOnlySpan<byte> Magic => "KIDOGOTK"u8;

    /// <summary>Where the loss mask begins, or would.</summary>
    public long MaskOffset => HeaderBytes + Padded(Tokens * IdBytes);

    /// <summary>Where the index begins.</summary>
    public long IndexOffset => MaskOffset + (HasMask ? Padded((Tokens + 7) / 8) : 0);

    /// <summary>The file's length.</summary>
    public long FileBytes => IndexOffset + (Documents * EntryBytes);

    /// <summary>Bytes of an id for a vocabulary.</summary>
    public static int IdBytesFor(int vocabulary) => vocabulary <= 1 << 16 ? sizeof(ushort) : sizeof(uint);

    public static long Padded(long bytes) => (bytes + 7) & ~7L;

    public void Write(Span<byte> header, ReadOnlySpan<byte> key)
    {
        header[..HeaderBytes].Clear();
        Magic.CopyTo(header);
        BinaryPrimitives.WriteInt32LittleEndian(header[8..], Version);
        BinaryPrimitives.WriteInt32LittleEndian(header[12..], IdBytes);
        BinaryPrimitives.WriteInt32LittleEndian(header[16..], Vocabulary);
        BinaryPrimitives.WriteInt32LittleEndian(header[20..], HasMask ? 1 : 0);
        BinaryPrimitives.WriteInt64LittleEndian(header[24..], Tokens);
        BinaryPrimitives.WriteInt64LittleEndian(header[32..], Documents);
        key[..KeyBytes].CopyTo(header[40..]);
    }

    /// <summary>Reads a header and checks it against the file's length and the key that is expected.</summary>
    /// <exception cref="DataFormatException">It is none, or another's.</exception>
    public static ShardLayout Read(ReadOnlySpan<byte> header, long fileBytes, ReadOnlySpan<byte> key, string path)
    {
        if (header.Length < HeaderBytes || !header.StartsWith(Magic))
        {
            throw new DataFormatException(path, 0, "the file is not a shard of tokens");
        }

        int version = BinaryPrimitives.ReadInt32LittleEndian(header[8..]);
        ShardLayout layout = new(
            BinaryPrimitives.ReadInt32LittleEndian(header[12..]),
            BinaryPrimitives.ReadInt32LittleEndian(header[16..]),
            BinaryPrimitives.ReadInt32LittleEndian(header[20..]) == 1,
            BinaryPrimitives.ReadInt64LittleEndian(header[24..]),
            BinaryPrimitives.ReadInt64LittleEndian(header[32..]));
        if (version != Version || layout.Vocabulary < 1 || layout.IdBytes != IdBytesFor(layout.Vocabulary)
            || BinaryPrimitives.ReadInt32LittleEndian(header[20..]) is not (0 or 1) ||
            layout.Tokens is < 0 or > MaxTokens || layout.Documents is < 0 or > MaxDocuments || header[(40 + KeyBytes)..HeaderBytes].ContainsAnyExcept((byte)0))
        {
            throw new DataFormatException(path, 0, $"the shard's header is damaged or of another version ({version}, expected {Version})");
        }

        if (layout.FileBytes != fileBytes)
        {
            throw new DataFormatException(path, 0, $"the shard has {fileBytes} bytes where its header says {layout.FileBytes}");
        }

        return header.Slice(40, KeyBytes).SequenceEqual(key) ? layout : throw new DataFormatException(path, 0,
            "the shard was made from other files, with another tokenizer or with other options");
    }
}

/// <summary>An entry of the index.</summary>
/// <param name="First">The document's first token, in the shard.</param>
/// <param name="TextBytes">UTF-8 bytes of its text.</param>
/// <param name="Hash">Of its content.</param>
/// <param name="Line">Its first line.</param>
/// <param name="File">Index of its file.</param>
internal readonly record struct ShardEntry(long First, long TextBytes, ulong Hash, long Line, int File)
{
    public void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteInt64LittleEndian(bytes, First);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[8..], TextBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[16..], Hash);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[24..], Line);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[32..], File);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[36..], 0);
    }

    public static ShardEntry Read(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadInt64LittleEndian(bytes),
        BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]),
        BinaryPrimitives.ReadUInt64LittleEndian(bytes[16..]),
        BinaryPrimitives.ReadInt64LittleEndian(bytes[24..]),
        BinaryPrimitives.ReadInt32LittleEndian(bytes[32..]));
}
