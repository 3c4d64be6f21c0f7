// A text as a reader sees it, with the way back to the text as it was given. Knows nothing of what is personal.
using System.Globalization;
using System.Text;
using Kidogo.Text.Tokenizers;
using Kidogo.Text.Unicode;

namespace Kidogo.Privacy;

/// <summary>
/// Unicode's compatibility form (NFKC) without what is not seen (zero-width letters, marks on digits, tags), digits of all scripts as 0 to 9, every dash as <c>-</c> and every space as a space.
/// JSON's escapes (<c>\u0041</c>, <c>\n</c>) are what they stand for: tools give their results so, and models read them so.
/// </summary>
internal sealed class FoldedText
{
    private readonly List<int> _starts = [];
    private readonly int _length;
    private readonly List<int>? _origins;

    private FoldedText(string given)
    {
        _length = given.Length;
        string text = Unescaped(given, out _origins);
        StringBuilder folded = new(text.Length);
        for (int at = 0; at < text.Length;)
        {
            int end = Cluster(text, at);
            Append(folded, text, at, end);
            at = end;
        }

        Text = folded.ToString();
        Latin = Replace(Text, Homoglyphs.ToLatin);
        Digits = Homoglyphs.WithDigits(Text);
    }

    /// <summary>The text.</summary>
    public string Text { get; }

    /// <summary>The same with every letter that looks like a Latin one as that: for addresses and codes, whatever script they claim to be.</summary>
    public string Latin { get; }

    /// <summary>The same with letters that stand among digits as the digits they look like.</summary>
    public string Digits { get; }

    /// <summary>Folds a text.</summary>
    public static FoldedText Of(string text) => new(text);

    /// <summary>A stretch of the folded text as one of the text that was given.</summary>
    public PersonalFinding Finding(PersonalKind kind, int start, int length)
    {
        int from = _starts[start];
        int end = start + length < _starts.Count ? _starts[start + length] : _length;
        return new PersonalFinding(kind, from, Math.Max(end - from, 1));
    }

    /// <summary>A word without accents, in small letters, for looking up.</summary>
    public static string Key(ReadOnlySpan<char> word)
    {
        if (System.Text.Ascii.IsValid(word))
        {
            Span<char> lower = word.Length <= 128 ? stackalloc char[word.Length] : new char[word.Length];
            word.ToLowerInvariant(lower);
            return new string(lower);
        }

        StringBuilder key = new(word.Length);
        foreach (Rune rune in Normal(word, compose: false).EnumerateRunes())
        {
            if (Rune.GetUnicodeCategory(rune) != UnicodeCategory.NonSpacingMark)
            {
                int lower = Rune.ToLowerInvariant(rune).Value;
                key.Append(lower == 'ς' ? "σ" : char.ConvertFromUtf32(lower));
            }
        }

        return key.ToString();
    }

    private static string Normal(ReadOnlySpan<char> text, bool compose)
    {
        ByteBuffer output = new();
        Normalization.Normalize(Encoding.UTF8.GetBytes(text.ToArray()), compatibility: true, compose, output);
        return Encoding.UTF8.GetString(output.Span);
    }

    /// <summary>A character with the marks that hang on it.</summary>
    private static int Cluster(string text, int at)
    {
        int end = at + (char.IsSurrogatePair(text, at) ? 2 : 1);
        while (end < text.Length && end - at < 32 && text[end] >= 0x300 && CharUnicodeInfo.GetUnicodeCategory(text, end) is UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark)
        {
            end += char.IsSurrogatePair(text, end) ? 2 : 1;
        }

        return end;
    }

    private void Append(StringBuilder folded, string text, int at, int end)
    {
        char first = text[at];
        if (first < 0x80 && end == at + 1)
        {
            Add(folded, first is '\u0000' ? ' ' : first, at);
            return;
        }

        if (IsUnseen(text, at))
        {
            return;
        }

        if (CharUnicodeInfo.GetDigitValue(text, at) is >= 0 and var digit)
        {
            Add(folded, (char)('0' + digit), at); // marks on a digit are decoration
            return;
        }

        string shape = first < 0x80 ? Normal(text.AsSpan(at, end - at), compose: true) : char.IsSurrogate(first) && !char.IsSurrogatePair(text, at) ? "\uFFFD" : Normal(text.AsSpan(at, end - at), compose: true);
        for (int i = 0; i < shape.Length; i++)
        {
            UnicodeCategory category = CharUnicodeInfo.GetUnicodeCategory(shape, i);
            char seen = CharUnicodeInfo.GetDigitValue(shape, i) is >= 0 and var value ? (char)('0' + value)
                : category is UnicodeCategory.DashPunctuation || shape[i] is '\u2212' or '\u00AD' or '\u30FC' ? '-'
                : category is UnicodeCategory.SpaceSeparator or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator ? ' '
                : shape[i] is '\u2019' or '\u02BC' or '\u2018' or '\u02BB' or '\u00B4' ? '\'' : shape[i];
            if (category == UnicodeCategory.NonSpacingMark && char.IsAsciiDigit(folded.Length > 0 ? folded[^1] : ' '))
            {
                continue;
            }

            Add(folded, seen, at);
        }
    }

    private void Add(StringBuilder folded, char seen, int start)
    {
        folded.Append(seen);
        _starts.Add(_origins?[start] ?? start);
    }

    /// <summary>A text with JSON's escapes undone.</summary>
    /// <param name="text">The text.</param>
    /// <param name="origins">Where each character comes from; null where there are no escapes.</param>
    private static string Unescaped(string text, out List<int>? origins)
    {
        origins = null;
        int next = text.IndexOf('\\', StringComparison.Ordinal);
        if (next < 0)
        {
            return text;
        }

        StringBuilder plain = new(text.Length);
        origins = new List<int>(text.Length);
        for (int at = 0; at < text.Length;)
        {
            (char read, int length) = text[at] == '\\' && at + 1 < text.Length ? Escape(text, at) : (text[at], 1);
            plain.Append(read);
            origins.Add(at);
            at += length;
        }

        return plain.ToString();
    }

    private static (char Read, int Length) Escape(string text, int at) => text[at + 1] switch
    {
        'u' when at + 6 <= text.Length && ushort.TryParse(text.AsSpan(at + 2, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ushort code) => ((char)code, 6),
        'n' or 'r' => ('\n', 2),
        't' => ('\t', 2),
        '"' => ('"', 2),
        _ => ('\\', 1),
    };

    /// <summary>What no reader sees: format characters, fillers, selectors, joiners.</summary>
    private static bool IsUnseen(string text, int at) =>
        CharUnicodeInfo.GetUnicodeCategory(text, at) == UnicodeCategory.Format
        || text[at] is '\u00AD' or '\u034F' or '\u115F' or '\u1160' or '\u17B4' or '\u17B5' or (>= '\u180B' and <= '\u180F') or '\u3164' or (>= '\uFE00' and <= '\uFE0F') or '\uFFA0' or '\u2800'
        || (char.IsSurrogatePair(text, at) && char.ConvertToUtf32(text, at) is >= 0xE0000 and <= 0xE0FFF);

    private static string Replace(string text, Func<char, char> map) => text.All(c => map(c) == c) ? text : string.Create(text.Length, (text, map), static (span, state) =>
    {
        for (int i = 0; i < span.Length; i++)
        {
            span[i] = state.map(state.text[i]);
        }
    });
}
