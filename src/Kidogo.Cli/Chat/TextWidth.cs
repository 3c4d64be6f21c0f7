// How many columns of a terminal a text takes. Knows no terminal.
using System.Globalization;
using System.Text;

namespace Kidogo.Cli.Chat;

/// <summary>Widths of characters: 0 for combining ones, 2 for wide ones (Unicode Standard Annex 11, W and F, in ranges), else 1.</summary>
internal static class TextWidth
{
    private static readonly (int First, int Last)[] s_wide =
    [
        (0x1100, 0x115F), (0x231A, 0x231B), (0x2329, 0x232A), (0x23E9, 0x23EC), (0x25FD, 0x25FE), (0x2614, 0x2615), (0x2648, 0x2653), (0x26AA, 0x26AB), (0x26C4, 0x26C5), (0x2705, 0x2705),
        (0x2728, 0x2728), (0x274C, 0x274C), (0x2753, 0x2755), (0x2795, 0x2797), (0x2B1B, 0x2B1C), (0x2E80, 0x303E), (0x3041, 0xA4CF), (0xA960, 0xA97F), (0xAC00, 0xD7A3), (0xF900, 0xFAFF),
        (0xFE10, 0xFE19), (0xFE30, 0xFE6F), (0xFF00, 0xFF60), (0xFFE0, 0xFFE6), (0x16FE0, 0x18AFF), (0x1B000, 0x1B2FF), (0x1F004, 0x1F004), (0x1F0CF, 0x1F0CF), (0x1F18E, 0x1F19A),
        (0x1F200, 0x1F320), (0x1F32D, 0x1F64F), (0x1F680, 0x1F6FF), (0x1F7E0, 0x1F7EB), (0x1F90C, 0x1FAFF), (0x20000, 0x3FFFD),
    ];

    /// <summary>The columns of one code point.</summary>
    public static int Of(Rune rune) => Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark or UnicodeCategory.Format or UnicodeCategory.Control => 0,
        _ => IsWide(rune.Value) ? 2 : 1,
    };

    /// <summary>The columns of a text without line ends.</summary>
    public static int Of(string text)
    {
        int width = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            width += Of(rune);
        }

        return width;
    }

    private static bool IsWide(int value)
    {
        foreach ((int first, int last) in s_wide)
        {
            if (value < first)
            {
                return false;
            }

            if (value <= last)
            {
                return true;
            }
        }

        return false;
    }
}
