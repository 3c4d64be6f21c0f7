// What both spellings of grammars read alike: characters, characters by number, counts. Knows neither spelling.
using System.Globalization;
using System.Text;

namespace Kidogo.Inference.Constraints;

/// <summary>Reads at a place in a text, and moves on behind what was read.</summary>
internal static class CharacterScan
{
    /// <summary>The character at a place; null for half a surrogate pair.</summary>
    public static int? Character(string text, ref int at)
    {
        if (!Rune.TryGetRuneAt(text, at, out Rune rune))
        {
            return null;
        }

        at += rune.Utf16SequenceLength;
        return rune.Value;
    }

    /// <summary>The character whose number stands in some hexadecimal digits; null where there are fewer, or it is none.</summary>
    public static int? Hex(string text, ref int at, int digits)
    {
        if (at + digits > text.Length || !int.TryParse(text.AsSpan(at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value) || !Rune.IsValid(value))
        {
            return null;
        }

        at += digits;
        return value;
    }

    /// <summary>A number in decimal digits.</summary>
    /// <param name="text">The text.</param>
    /// <param name="at">The place.</param>
    /// <param name="number">The number; null where there is no digit.</param>
    /// <returns>False where it is too large.</returns>
    public static bool TryNumber(string text, ref int at, out int? number)
    {
        int start = at;
        while (at < text.Length && char.IsAsciiDigit(text[at]))
        {
            at++;
        }

        number = null;
        if (at == start)
        {
            return true;
        }

        bool fits = int.TryParse(text.AsSpan(start, at - start), NumberStyles.None, CultureInfo.InvariantCulture, out int value);
        number = fits ? value : null;
        return fits;
    }
}
