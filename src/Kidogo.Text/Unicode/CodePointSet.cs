// A set of code points as a pattern's brackets write it. Knows no pattern.
using System.Globalization;

namespace Kidogo.Text.Unicode;

/// <summary>A set of code points: ranges, general categories and other sets, possibly negated; ASCII is answered from a bitmap.</summary>
internal sealed class CodePointSet
{
    private readonly List<(int First, int Last)> _ranges = [];
    private readonly List<CodePointSet> _parts = [];
    private CodePointSet? _and;
    private uint _categories;
    private bool _spaces, _words;
    private ulong _ascii0, _ascii1;
    private bool _frozen;

    public bool Negated { get; set; }

    public bool IgnoreCase { get; set; }

    public static CodePointSet Of(int codePoint, bool ignoreCase)
    {
        CodePointSet set = new() { IgnoreCase = ignoreCase };
        set.AddRange(codePoint, codePoint);
        return set.Freeze();
    }

    /// <summary>The set of an escape's letter (<c>d D s S w W h H</c>), or null.</summary>
    public static CodePointSet? OfEscape(char escape)
    {
        CodePointSet set = new() { Negated = char.IsUpper(escape) };
        switch (char.ToLowerInvariant(escape))
        {
            case 'd':
                set._categories = 1u << (int)UnicodeCategory.DecimalDigitNumber;
                break;
            case 's':
                set._spaces = true;
                break;
            case 'w':
                set._words = true;
                break;
            case 'h':
                set.AddRange('0', '9');
                set.AddRange('a', 'f');
                set.AddRange('A', 'F');
                break;
            default:
                return null;
        }

        return set.Freeze();
    }

    /// <summary>The set of a property's name (<c>L</c>, <c>Lu</c>, <c>Han</c>, …), or null.</summary>
    public static CodePointSet? OfProperty(ReadOnlySpan<char> name, bool negated)
    {
        CodePointSet set = new() { Negated = negated };
        uint mask = CategoriesOf(name);
        if (mask != 0)
        {
            set._categories = mask;
            return set.Freeze();
        }

        (int, int)[]? ranges = name switch
        {
            "Han" or "Script=Han" or "IsHan" or "sc=Han" => [(0x2E80, 0x2E99), (0x2E9B, 0x2EF3), (0x2F00, 0x2FD5), (0x3005, 0x3005), (0x3007, 0x3007), (0x3021, 0x3029), (0x3038, 0x303B),
                (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFA6D), (0xFA70, 0xFAD9), (0x16FE2, 0x16FE3), (0x16FF0, 0x16FF1), (0x20000, 0x2A6DF), (0x2A700, 0x2B739),
                (0x2B740, 0x2B81D), (0x2B820, 0x2CEA1), (0x2CEB0, 0x2EBE0), (0x2EBF0, 0x2EE5D), (0x2F800, 0x2FA1D), (0x30000, 0x3134A), (0x31350, 0x323AF)],
            "Hiragana" or "Script=Hiragana" => [(0x3041, 0x3096), (0x309D, 0x309F), (0x1B001, 0x1B11F), (0x1F200, 0x1F200)],
            "Katakana" or "Script=Katakana" => [(0x30A1, 0x30FA), (0x30FD, 0x30FF), (0x31F0, 0x31FF), (0x32D0, 0x32FE), (0x3300, 0x3357), (0xFF66, 0xFF6F), (0xFF71, 0xFF9D)],
            "Hangul" or "Script=Hangul" => [(0x1100, 0x11FF), (0x302E, 0x302F), (0x3131, 0x318E), (0x3200, 0x321E), (0x3260, 0x327E), (0xA960, 0xA97C), (0xAC00, 0xD7A3), (0xD7B0, 0xD7FB),
                (0xFFA0, 0xFFDC)],
            "Thai" or "Script=Thai" => [(0x0E01, 0x0E3A), (0x0E40, 0x0E5B)],
            "ASCII" => [(0, 0x7F)],
            "Any" => [(0, 0x10FFFF)],
            _ => null,
        };
        if (ranges is not null)
        {
            set._ranges.AddRange(ranges);
        }
        else if (name is "Space" or "White_Space" or "space" or "XPosixSpace")
        {
            set._spaces = true;
        }
        else if (name is "Word" or "word")
        {
            set._words = true;
        }
        else
        {
            return null;
        }

        return set.Freeze();
    }

    public void AddRange(int first, int last) => _ranges.Add((first, last));

    public void Add(CodePointSet part) => _parts.Add(part);

    /// <summary>Restricts the set, before negation, to what lies in <paramref name="other"/> too.</summary>
    public void Intersect(CodePointSet other) => _and = other;

    /// <summary>Works out the answers for ASCII; nothing may be added after.</summary>
    public CodePointSet Freeze()
    {
        for (int codePoint = 0; codePoint < 128; codePoint++)
        {
            if (Compute(codePoint))
            {
                _ = codePoint < 64 ? _ascii0 |= 1UL << codePoint : _ascii1 |= 1UL << (codePoint - 64);
            }
        }

        _frozen = true;
        return this;
    }

    public bool Contains(int codePoint) =>
        codePoint < 64 ? (_ascii0 >> codePoint & 1) != 0 : codePoint < 128 ? (_ascii1 >> (codePoint - 64) & 1) != 0 : Compute(codePoint);

    private static uint CategoriesOf(ReadOnlySpan<char> name) => name switch
    {
        "L" or "Letter" or "Alphabetic" or "Alpha" => CodePoints.Letter,
        "Lu" or "Uppercase_Letter" or "Upper" => 1u << 0,
        "Ll" or "Lowercase_Letter" or "Lower" => 1u << 1,
        "Lt" => 1u << 2,
        "Lm" => 1u << 3,
        "Lo" => 1u << 4,
        "M" or "Mark" => CodePoints.Mark,
        "Mn" => 1u << 5,
        "Mc" => 1u << 6,
        "Me" => 1u << 7,
        "N" or "Number" => CodePoints.Number,
        "Nd" or "Digit" => 1u << 8,
        "Nl" => 1u << 9,
        "No" => 1u << 10,
        "Z" or "Separator" => CodePoints.Separator,
        "Zs" => 1u << 11,
        "Zl" => 1u << 12,
        "Zp" => 1u << 13,
        "C" or "Other" => CodePoints.Other,
        "Cc" or "Cntrl" => 1u << 14,
        "Cf" => 1u << 15,
        "Cs" => 1u << 16,
        "Co" => 1u << 17,
        "Cn" => 1u << 29,
        "P" or "Punct" or "Punctuation" => CodePoints.Punctuation,
        "Pc" => 1u << 18,
        "Pd" => 1u << 19,
        "Ps" => 1u << 20,
        "Pe" => 1u << 21,
        "Pi" => 1u << 22,
        "Pf" => 1u << 23,
        "Po" => 1u << 24,
        "S" or "Symbol" => CodePoints.Symbol,
        "Sm" => 1u << 25,
        "Sc" => 1u << 26,
        "Sk" => 1u << 27,
        "So" => 1u << 28,
        _ => 0,
    };

    private bool Compute(int codePoint)
    {
        System.Diagnostics.Debug.Assert(_frozen || codePoint < 128);
        bool inside = Plain(codePoint) || (IgnoreCase && (Plain(CodePoints.ToLower(codePoint)) || Plain(CodePoints.ToUpper(codePoint)) || PlainOddFold(codePoint)));
        return (inside && (_and is null || _and.Contains(codePoint))) != Negated;
    }

    // The two letters outside ASCII that fold into it: long s and the Kelvin sign.
    private bool PlainOddFold(int codePoint) => codePoint switch
    {
        0x17F => Plain('s'),
        0x212A => Plain('k'),
        _ => false,
    };

    private bool Plain(int codePoint)
    {
        if (_categories != 0 && (CodePoints.CategoryBit(codePoint) & _categories) != 0)
        {
            return true;
        }

        foreach ((int first, int last) in _ranges)
        {
            if (codePoint >= first && codePoint <= last)
            {
                return true;
            }
        }

        foreach (CodePointSet part in _parts)
        {
            if (part.Contains(codePoint))
            {
                return true;
            }
        }

        return (_spaces && CodePoints.IsSpace(codePoint)) || (_words && CodePoints.IsPatternWord(codePoint));
    }
}
