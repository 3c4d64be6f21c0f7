// SentencePiece's compiled normalisation rules. Knows no ids.
using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Kidogo.Text.Tokenizers;

/// <summary>Rules "this string becomes that one", compiled by SentencePiece: the size of a double-array trie in bytes (u32, little-endian), its units (u32 each), then the results, each ended by 0.</summary>
/// <remarks>Unit: bits 0-7 and 31 the label, 8 whether a value follows, 9 the offset's scale, 10-30 the offset; the value's unit holds the place of the result (darts-clone; Kanda 2018).</remarks>
internal sealed class PrecompiledCharsMap
{
    private readonly byte[] _data;
    private readonly int _units;
    private readonly int _results;

    /// <exception cref="TokenizerFormatException">The sizes do not fit.</exception>
    public PrecompiledCharsMap(byte[] data)
    {
        _data = data;
        uint size = data.Length < 8 ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(data);
        if (size < 4 || size % 4 != 0 || size > data.Length - 5)
        {
            throw new TokenizerFormatException($"The precompiled character map of {data.Length} bytes claims a trie of {size}; expected a multiple of 4 that leaves room for the results.");
        }

        if (data[^1] != 0)
        {
            throw new TokenizerFormatException("The precompiled character map's last result does not end.");
        }

        _units = (int)(size / 4);
        _results = 4 + (int)size;
    }

    /// <summary>What the longest (or the shortest) matching rule makes of the start of <paramref name="text"/>; false if no rule matches.</summary>
    public bool TryMatch(ReadOnlySpan<byte> text, bool longest, out int length, out ReadOnlySpan<byte> result)
    {
        uint node = 0;
        length = 0;
        uint found = 0;
        bool ok = Unit(0, out uint unit);
        node ^= Offset(unit);
        for (int i = 0; ok && i < text.Length && text[i] != 0; i++)
        {
            node ^= text[i];
            if (!Unit(node, out unit) || (unit & 0x8000_00FF) != text[i])
            {
                break;
            }

            node ^= Offset(unit);
            if ((unit & 0x100) != 0 && (i + 1 == text.Length || (text[i + 1] & 0xC0) != 0x80))
            {
                if (!Unit(node, out uint value) || (value & 0x7FFF_FFFF) >= _data.Length - _results)
                {
                    throw new TokenizerFormatException("The precompiled character map points outside its results.");
                }

                found = value & 0x7FFF_FFFF;
                length = i + 1;
                if (!longest)
                {
                    break;
                }
            }
        }

        ReadOnlySpan<byte> rest = _data.AsSpan(_results + (int)found);
        result = length > 0 ? rest[..rest.IndexOf((byte)0)] : default;
        return length > 0;
    }

    private static uint Offset(uint unit) => unit >> 10 << (int)((unit & 0x200) >> 6);

    private bool Unit(uint index, out uint unit)
    {
        bool there = index < _units;
        unit = there ? BinaryPrimitives.ReadUInt32LittleEndian(_data.AsSpan(4 + ((int)index * 4))) : 0;
        return there;
    }
}

/// <summary>tokenizer.json's Precompiled: the rule for a whole grapheme of fewer than six bytes, else those for its characters; of several rules the shortest.</summary>
internal sealed class PrecompiledNormalizer(PrecompiledCharsMap map) : Normalizer
{
    public override void Apply(ReadOnlySpan<byte> text, ByteBuffer output)
    {
        // Graphemes as .NET cuts them; ASCII apart from a carriage return before a newline is one each, unless a mark follows.
        string chars = Encoding.UTF8.GetString(text);
        Span<byte> grapheme = stackalloc byte[8];
        for (int at = 0; at < chars.Length;)
        {
            int length = StringInfo.GetNextTextElementLength(chars, at);
            ReadOnlySpan<char> element = chars.AsSpan(at, length);
            at += length;
            ByteBuffer bytes = new();
            Span<byte> room = length <= 2 ? grapheme : bytes.Reserve(length * 3);
            ReadOnlySpan<byte> whole = room[..Encoding.UTF8.GetBytes(element, room)];
            if (whole.Length < 6 && map.TryMatch(whole, longest: false, out _, out ReadOnlySpan<byte> result))
            {
                output.Add(Valid(result));
                continue;
            }

            for (int i = 0; i < whole.Length;)
            {
                int size = SubwordModel.CharacterLength(whole[i], whole.Length - i);
                ReadOnlySpan<byte> character = whole.Slice(i, size);
                output.Add(map.TryMatch(character, longest: false, out _, out result) ? Valid(result) : character);
                i += size;
            }
        }
    }

    internal static ReadOnlySpan<byte> Valid(ReadOnlySpan<byte> result) =>
        System.Text.Unicode.Utf8.IsValid(result) ? result : throw new TokenizerFormatException("The precompiled character map has a result that is not UTF-8.");
}

/// <summary>SentencePiece's normalisation as llama.cpp does it for unigram models: the longest rule, user-defined tokens untouched, spaces merged and written as <c>▁</c>.</summary>
internal sealed class SentencePieceNormalizer(PrecompiledCharsMap? map, PieceTrie userDefined, bool addPrefix, bool mergeSpaces) : Normalizer
{
    public override void Apply(ReadOnlySpan<byte> text, ByteBuffer output)
    {
        bool inWord = false, prefixed = false;
        for (int at = 0; at < text.Length;)
        {
            ReadOnlySpan<byte> rest = text[at..];
            ReadOnlySpan<byte> part;
            if (!userDefined.IsEmpty && userDefined.Longest(rest, out int length) >= 0)
            {
                part = rest[..length];
            }
            else if (map is null || !map.TryMatch(rest, longest: true, out length, out part))
            {
                length = SubwordModel.CharacterLength(rest[0], rest.Length);
                part = rest[..length];
            }
            else
            {
                PrecompiledNormalizer.Valid(part);
            }

            at += length;
            foreach (byte value in part)
            {
                if (value != ' ')
                {
                    if (!inWord && ((addPrefix && !prefixed) || mergeSpaces))
                    {
                        output.Add("▁"u8);
                        prefixed = true;
                    }

                    inWord = true;
                    output.Add(value);
                }
                else
                {
                    inWord = false;
                    output.Add(mergeSpaces ? default : "▁"u8);
                }
            }
        }
    }
}

/// <summary>BERT's cleaning as llama.cpp does it: controls and, on request, marks dropped, lower case.</summary>
internal sealed class GgufBertNormalizer(bool stripAccents, bool lowercase) : Normalizer
{
    public override void Apply(ReadOnlySpan<byte> text, ByteBuffer output)
    {
        for (int at = 0; at < text.Length;)
        {
            int c = Unicode.CodePoints.Decode(text, at, out int length);
            c = stripAccents ? Unicode.Normalization.FirstOfDecomposition(c) : c; // of Hangul, too, llama.cpp keeps the first sound only
            at += length;
            bool space = Unicode.CodePoints.IsSpace(c);
            const uint Dropped = Unicode.CodePoints.Other & ~(1u << 29); // unassigned ones stay
            if (!space && (c is 0 or 0xFFFD || (Unicode.CodePoints.CategoryBit(c) & Dropped) != 0 || (stripAccents && Unicode.CodePoints.IsMark(c))))
            {
                continue;
            }

            bool blanks = Unicode.CodePoints.IsIdeograph(c);
            output.Add(blanks ? " "u8 : default);
            output.AddCodePoint(lowercase ? Unicode.CodePoints.ToLower(c) : c);
            output.Add(blanks ? " "u8 : default);
        }
    }
}
