// What one worker does with a chunk: finds the text, mends it, encodes it. Knows nothing of shards.
using System.Buffers.Binary;
using System.Security.Cryptography;
using Kidogo.Data.Conversations;
using Kidogo.Data.Readers;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Data;

/// <summary>A document's tokens in a chunk, or a part of them.</summary>
/// <param name="Tokens">Ids.</param>
/// <param name="TextBytes">UTF-8 bytes of the text.</param>
/// <param name="Hash">Of the content.</param>
/// <param name="File">Index of the file.</param>
/// <param name="Line">The document's first line.</param>
/// <param name="IsFirst">Whether the document begins here.</param>
/// <param name="IsLast">Whether it ends here.</param>
internal readonly record struct EncodedPart(int Tokens, int TextBytes, ulong Hash, int File, long Line, bool IsFirst, bool IsLast);

/// <summary>A chunk as tokens.</summary>
internal sealed class EncodedChunk
{
    private int[] _ids = new int[1 << 14];
    private bool[] _counts = [];

    public int Count { get; private set; }

    public ReadOnlySpan<int> Ids => _ids.AsSpan(0, Count);

    /// <summary>For each id whether it is a target; empty for text, where all are.</summary>
    public ReadOnlySpan<bool> Counts => _counts.AsSpan(0, _counts.Length == 0 ? 0 : Count);

    public List<EncodedPart> Parts { get; } = [];

    public long InvalidBytes { get; set; }

    public long EmptyDocuments { get; set; }

    public long BytesRead { get; set; }

    public void Add(ReadOnlySpan<int> ids)
    {
        if (ids.Length > _ids.Length - Count)
        {
            Array.Resize(ref _ids, Math.Max(checked(Count + ids.Length), (int)Math.Min(Array.MaxLength, _ids.Length * 2L)));
        }

        ids.CopyTo(_ids.AsSpan(Count));
        Count += ids.Length;
    }

    public void Add(ReadOnlySpan<int> ids, ReadOnlySpan<bool> counts)
    {
        int before = Count;
        Add(ids);
        if (_counts.Length < Count)
        {
            Array.Resize(ref _counts, _ids.Length);
        }

        counts.CopyTo(_counts.AsSpan(before));
    }
}

/// <summary>Encodes chunks of one source. Any number of threads may use it at once.</summary>
/// <param name="tokenizer">The vocabulary.</param>
/// <param name="files">The source's files.</param>
/// <param name="field">The field of JSON lines.</param>
/// <param name="conversations">For conversations; null for text.</param>
/// <param name="endDocuments">Whether texts get the token that ends a text.</param>
/// <param name="strict">Whether invalid bytes are an error.</param>
internal sealed class ChunkEncoder(Tokenizer tokenizer, IReadOnlyList<SourceFile> files, string field, ConversationEncoder? conversations, bool endDocuments,
    bool strict)
{
    public EncodedChunk Encode(TextChunk chunk, CancellationToken cancellation)
    {
        EncodedChunk encoded = new() { BytesRead = chunk.BytesRead };
        foreach (TextPart part in chunk.Parts)
        {
            cancellation.ThrowIfCancellationRequested();
            SourceFile file = files[part.File];
            ReadOnlyMemory<byte> bytes = Mended(chunk.Memory(part), file, part.Line, encoded);
            ulong hash = Hash(bytes.Span);
            if (conversations is not null)
            {
                EncodedConversation conversation = conversations.Encode(bytes, file.Path, part.Line);
                encoded.Add(conversation.Ids, conversation.Counts);
                encoded.Parts.Add(new EncodedPart(conversation.Ids.Length, conversation.TextBytes, hash, part.File, part.Line, true, true));
                continue;
            }

            if (file.IsJsonLines)
            {
                bytes = JsonLine.Text(bytes, field, file.Path, part.Line, out int replaced);
                Count(replaced, file, part.Line, encoded);
                hash = Hash(bytes.Span); // of the text, so that copies are found whatever lies beside them
            }

            EncodeText(bytes.Span, hash, part, file, encoded);
        }

        return encoded;
    }

    /// <summary>64 bits of SHA-256.</summary>
    private static ulong Hash(ReadOnlySpan<byte> bytes)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(bytes, hash);
        return BinaryPrimitives.ReadUInt64LittleEndian(hash);
    }

    private void EncodeText(ReadOnlySpan<byte> text, ulong hash, TextPart part, SourceFile file, EncodedChunk encoded)
    {
        if (part.IsFirst && part.IsLast && text.Trim("\t\n\v\f\r "u8).IsEmpty)
        {
            encoded.EmptyDocuments++;
            return;
        }

        int before = encoded.Count;
        if (part.IsFirst && tokenizer.AddsBos)
        {
            encoded.Add([tokenizer.BosId!.Value]);
        }

        try
        {
            encoded.Add(tokenizer.Encode(text));
        }
        catch (TokenizerException failure)
        {
            throw new DataFormatException(file.Path, part.Line, failure.Message, failure);
        }

        if (part.IsLast && endDocuments && tokenizer.EosId is { } end)
        {
            encoded.Add([end]);
        }

        encoded.Parts.Add(new EncodedPart(encoded.Count - before, text.Length, hash, part.File, part.Line, part.IsFirst, part.IsLast));
    }

    private ReadOnlyMemory<byte> Mended(ReadOnlyMemory<byte> bytes, SourceFile file, long line, EncodedChunk encoded)
    {
        ReadOnlyMemory<byte> mended = TextRepair.Mend(bytes, out int invalid);
        Count(invalid, file, line, encoded);
        return mended;
    }

    private void Count(int invalid, SourceFile file, long line, EncodedChunk encoded)
    {
        if (invalid > 0 && strict)
        {
            throw new DataFormatException(file.Path, line, $"the document that begins here has {invalid} bytes that are not UTF-8; mend the file, or leave "
                + "out --strict, and they are replaced with U+FFFD and counted");
        }

        encoded.InvalidBytes += invalid;
    }
}
