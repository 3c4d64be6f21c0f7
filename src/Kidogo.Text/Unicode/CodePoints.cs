// What kind of character a code point is, and stepping through UTF-8. Knows no tokens.
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace Kidogo.Text.Unicode;

/// <summary>The general category of a code point, as a bit, so that a set of categories is a mask.</summary>
internal static class CodePoints
{
    /// <summary>Masks of the major classes; bit n is <see cref="UnicodeCategory"/> n.</summary>
    public const uint Letter = 0x1F;
    public const uint Mark = 7 << 5;
    public const uint Number = 7 << 8;
    public const uint Separator = 7 << 11;
    public const uint Punctuation = 0x7F << 18;
    public const uint Symbol = 0xF << 25;
    public const uint Other = (0xFu << 14) | (1u << 29);

    private const uint WordMask = Letter | Mark | Number | (1u << (int)UnicodeCategory.ConnectorPunctuation);

    // The classes of ASCII: letter, number, space, control.
    private const byte L = 1, N = 2, S = 4, C = 8;

    private static ReadOnlySpan<byte> AsciiClasses =>
    [
        C, C, C, C, C, C, C, C, C, S, S, S, S, S, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C,
        S, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, N, N, N, N, N, N, N, N, N, N, 0, 0, 0, 0, 0, 0,
        0, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, 0, 0, 0, 0, 0,
        0, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, 0, 0, 0, 0, C,
    ];

    /// <summary>The category as one bit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint CategoryBit(int codePoint) => 1u << (int)CharUnicodeInfo.GetUnicodeCategory(codePoint);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsLetter(int codePoint) => codePoint < 0x80 ? AsciiClasses[codePoint] == L : (CategoryBit(codePoint) & Letter) != 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsNumber(int codePoint) => codePoint < 0x80 ? AsciiClasses[codePoint] == N : (CategoryBit(codePoint) & Number) != 0;

    public static bool IsMark(int codePoint) => codePoint >= 0x80 && (CategoryBit(codePoint) & Mark) != 0;

    /// <summary>Unicode's White_Space.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsSpace(int codePoint) => codePoint < 0x80
        ? AsciiClasses[codePoint] == S
        : codePoint is 0x85 or 0xA0 or 0x1680 or (>= 0x2000 and <= 0x200A) or 0x2028 or 0x2029 or 0x202F or 0x205F or 0x3000;

    /// <summary>A letter, a mark, a decimal digit, a letter number, connecting punctuation or a joiner: <c>\w</c> of Rust's regular expressions.</summary>
    public static bool IsWord(int codePoint) => codePoint is 0x200C or 0x200D || (CategoryBit(codePoint) & WordMask & ~(1u << (int)UnicodeCategory.OtherNumber)) != 0 || IsEnclosedLetter(codePoint);

    /// <summary>A letter, a mark, any number or connecting punctuation: <c>\w</c> of Oniguruma, in which tokenizer.json's patterns are written.</summary>
    public static bool IsPatternWord(int codePoint) => (CategoryBit(codePoint) & WordMask) != 0 || IsEnclosedLetter(codePoint);

    /// <summary>A CJK ideograph, as BERT puts blanks around.</summary>
    public static bool IsIdeograph(int codePoint) => codePoint is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0x20000 and <= 0x2A6DF)
        or (>= 0x2A700 and <= 0x2B73F) or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF) or (>= 0xF900 and <= 0xFAFF) or (>= 0x2F800 and <= 0x2FA1F);

    /// <summary>The code point at <paramref name="at"/> of valid UTF-8, and its length in bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Decode(ReadOnlySpan<byte> text, int at, out int length)
    {
        byte lead = text[at];
        if (lead < 0x80)
        {
            length = 1;
            return lead;
        }

        return DecodeLong(text, at, out length);
    }

    /// <summary>The code point before <paramref name="at"/> of valid UTF-8, and its length in bytes.</summary>
    public static int DecodeBefore(ReadOnlySpan<byte> text, int at, out int length)
    {
        int start = at - 1;
        while (start > 0 && (text[start] & 0xC0) == 0x80)
        {
            start--;
        }

        length = at - start;
        return Decode(text, start, out _);
    }

    /// <summary>The lower-case form of a code point by simple mapping, but for İ, which the caller must expand.</summary>
    public static int ToLower(int codePoint) => codePoint < 0x80
        ? (uint)(codePoint - 'A') <= 'Z' - 'A' ? codePoint | 0x20 : codePoint
        : Rune.ToLowerInvariant(new Rune(codePoint)).Value;

    /// <summary>The upper-case form of a code point by simple mapping.</summary>
    public static int ToUpper(int codePoint) => codePoint < 0x80
        ? (uint)(codePoint - 'a') <= 'z' - 'a' ? codePoint & ~0x20 : codePoint
        : Rune.ToUpperInvariant(new Rune(codePoint)).Value;

    private static int DecodeLong(ReadOnlySpan<byte> text, int at, out int length)
    {
        byte lead = text[at];
        if (lead < 0xE0)
        {
            length = 2;
            return ((lead & 0x1F) << 6) | (text[at + 1] & 0x3F);
        }

        if (lead < 0xF0)
        {
            length = 3;
            return ((lead & 0x0F) << 12) | ((text[at + 1] & 0x3F) << 6) | (text[at + 2] & 0x3F);
        }

        length = 4;
        return ((lead & 0x07) << 18) | ((text[at + 1] & 0x3F) << 12) | ((text[at + 2] & 0x3F) << 6) | (text[at + 3] & 0x3F);
    }

    // Symbols that Unicode counts as alphabetic.
    private static bool IsEnclosedLetter(int codePoint) => codePoint is (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169) or (>= 0x1F170 and <= 0x1F189);
}
