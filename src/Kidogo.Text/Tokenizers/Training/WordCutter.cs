// Cuts texts into the units that no piece crosses. Knows neither counts nor ids.
using System.Runtime.CompilerServices;
using Kidogo.Text.Unicode;

namespace Kidogo.Text.Tokenizers.Training;

/// <summary>Enters the words of a text into a table. Immutable.</summary>
internal abstract class WordCutter
{
    /// <summary>Enters the words of <paramref name="text"/> (valid UTF-8) into <paramref name="words"/>.</summary>
    public abstract void Cut(ReadOnlySpan<byte> text, WordTable words);

    /// <summary>The last place between two characters that is at most <paramref name="most"/> bytes after <paramref name="start"/>.</summary>
    protected static int Back(ReadOnlySpan<byte> text, int start, int most)
    {
        int at = start + most;
        while (at > start && (text[at] & 0xC0) == 0x80)
        {
            at--;
        }

        return at;
    }
}

/// <summary>Words of byte-level byte-pair encoding.</summary>
/// <remarks>
/// The pattern is that of Qwen 3.5, which GGUF calls <c>qwen35</c>, so that a vocabulary trained here can be stated in both worlds:
/// a word is a run of letters <i>and marks</i> with at most one character before it (a space, mostly, or the apostrophe of <c>ng'ombe</c>), English
/// contractions, single digits, runs of punctuation, newlines, white space. Marks matter: Yoruba's ẹ̀ has no single code point, and patterns without them cut
/// the word there.
/// </remarks>
internal sealed class ByteLevelCutter : WordCutter
{
    /// <summary>The pattern as tokenizer.json says it.</summary>
    public const string Pattern =
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

    /// <summary>Longer words, which are no words of any language, are cut for training, so that a file of one letter repeated costs no more than
    /// others.</summary>
    public const int MaxWordBytes = 256;

    private readonly ShapePattern _pattern = (ShapePattern)KnownPatterns.Of(Pattern);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Cut(ReadOnlySpan<byte> text, WordTable words)
    {
        for (int at = 0; at < text.Length;)
        {
            int end = _pattern.End(text, at);
            while (end - at > MaxWordBytes)
            {
                int cut = Back(text, at, MaxWordBytes);
                words.Add(text[at..cut]);
                at = cut;
            }

            words.Add(text[at..end]);
            at = end;
        }
    }
}

/// <summary>Units of the unigram kind: finer than the words of the finished tokenizer (which are cut at white space alone), so that no piece mixes letters,
/// digits and punctuation.</summary>
/// <remarks>
/// Since no piece crosses a border of units, the likelihood of a text is the product of its units', in training as in use.
/// A space becomes <c>▁</c> and begins the run of letters or of other characters after it; digits stand alone; an apostrophe between letters belongs to the
/// word (<c>ng'ombe</c>).
/// </remarks>
internal sealed class UnigramCutter : WordCutter
{
    /// <summary>Longer units are cut for training: then no product of probabilities leaves the range of a double.</summary>
    public const int MaxCharacters = 40;

    private enum Sort
    {
        Letter,
        Digit,
        Space,
        LineEnd,
        Other,
    }

    public override void Cut(ReadOnlySpan<byte> text, WordTable words)
    {
        Span<byte> unit = stackalloc byte[(MaxCharacters + 1) * 4];
        for (int at = 0; at < text.Length;)
        {
            int filled = 0, characters = 0;
            Sort sort = SortOf(text, at, out int length);
            if (sort == Sort.Space)
            {
                "▁"u8.CopyTo(unit);
                filled = 3;
                characters = 1;
                at += length;
                sort = at < text.Length ? SortOf(text, at, out length) : Sort.Space;
                if (sort is Sort.Space or Sort.Digit or Sort.LineEnd)
                {
                    words.Add(unit[..filled]);
                    continue;
                }
            }

            do
            {
                text.Slice(at, length).CopyTo(unit[filled..]);
                filled += length;
                at += length;
            }
            while (++characters < MaxCharacters && sort != Sort.Digit && at < text.Length && Continues(text, at, sort, out length));
            words.Add(unit[..filled]);
        }
    }

    private static bool Continues(ReadOnlySpan<byte> text, int at, Sort sort, out int length)
    {
        if (SortOf(text, at, out length) == sort)
        {
            return true;
        }

        int next = at + length;
        return sort == Sort.Letter && CodePoints.Decode(text, at, out _) is '\'' or 0x2019 && next < text.Length && SortOf(text, next, out _) == Sort.Letter;
    }

    private static Sort SortOf(ReadOnlySpan<byte> text, int at, out int length)
    {
        int c = CodePoints.Decode(text, at, out length);
        return c == ' ' || c == 0x2581 ? Sort.Space
            : CodePoints.IsLetter(c) || CodePoints.IsMark(c) ? Sort.Letter
            : CodePoints.IsNumber(c) ? Sort.Digit
            : c is '\n' or '\r' ? Sort.LineEnd
            : Sort.Other;
    }
}
