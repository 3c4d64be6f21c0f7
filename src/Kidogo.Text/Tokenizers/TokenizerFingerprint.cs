// Names a tokenizer by a hash of its description, so that what was tokenised with another is not taken for its own. Knows not how it encodes.
using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Kidogo.Text.Tokenizers;

/// <summary>SHA-256 over all that a description says, each part with its length before it.</summary>
internal static class TokenizerFingerprint
{
    public static string Of(ReadOnlySpan<byte> tokenizerJson, ReadOnlySpan<byte> configJson)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Add(hash, "tokenizer.json"u8);
        Add(hash, tokenizerJson);
        Add(hash, configJson);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    public static string Of(TokenizerDefinition definition)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Add(hash, "definition"u8);
        Add(hash, (int)definition.Model);
        Add(hash, definition.Pieces);
        Add(hash, definition.Scores);
        Add(hash, definition.Kinds);
        Add(hash, definition.Merges);
        Add(hash, Encoding.UTF8.GetBytes(definition.PreTokenizer ?? "\0"));
        foreach (int? id in (int?[])[definition.BosId, definition.EosId, definition.EotId, definition.EomId, definition.UnkId, definition.SepId, definition.PadId, definition.MaskId, definition.ClsId])
        {
            Add(hash, id ?? -1);
        }

        if (definition.Hole.All.Any(id => id is not null)) // most files name none: their hash stays what it was
        {
            Add(hash, Array.ConvertAll(definition.Hole.All, id => id ?? -1));
        }

        foreach (bool? flag in (bool?[])[definition.AddBos, definition.AddEos, definition.AddSep, definition.AddSpacePrefix, definition.RemoveExtraWhitespaces, definition.Lowercase, definition.StripAccents, definition.AddedTokensStripRight])
        {
            Add(hash, flag is null ? -1 : flag.Value ? 1 : 0);
        }

        Add(hash, definition.PrecompiledCharsMap);
        Add(hash, definition.TokensStrippingLeft.ToArray());
        Add(hash, definition.TokensStrippingRight.ToArray());
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Add(IncrementalHash hash, PieceList? pieces)
    {
        Add(hash, pieces?.Count ?? -1);
        byte[] block = new byte[1 << 16]; // many short strings at a time: a call costs more than a string
        int used = 0;
        for (int i = 0; i < pieces?.Count; i++)
        {
            ReadOnlySpan<byte> piece = pieces[i];
            if (piece.Length + sizeof(int) > block.Length - used)
            {
                hash.AppendData(block, 0, used);
                used = 0;
            }

            if (piece.Length + sizeof(int) > block.Length)
            {
                Add(hash, piece);
                continue;
            }

            BinaryPrimitives.WriteInt32LittleEndian(block.AsSpan(used), piece.Length);
            piece.CopyTo(block.AsSpan(used + sizeof(int)));
            used += sizeof(int) + piece.Length;
        }

        hash.AppendData(block, 0, used);
    }

    private static void Add(IncrementalHash hash, float[]? values) => Add(hash, values is null ? null : Array.ConvertAll(values, BitConverter.SingleToInt32Bits));

    private static void Add(IncrementalHash hash, int[]? values)
    {
        Add(hash, values?.Length ?? -1);
        if (values is not null)
        {
            hash.AppendData(System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()));
        }
    }

    private static void Add(IncrementalHash hash, int value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
        hash.AppendData(bytes);
    }

    private static void Add(IncrementalHash hash, ReadOnlySpan<byte> bytes)
    {
        Add(hash, bytes.Length);
        hash.AppendData(bytes);
    }
}
