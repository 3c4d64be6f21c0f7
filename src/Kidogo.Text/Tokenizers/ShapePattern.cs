// The well-known pre-tokenizer patterns, matched by hand. Knows no ids.
using System.Runtime.CompilerServices;
using Kidogo.Text.Unicode;

namespace Kidogo.Text.Tokenizers;

/// <summary>The three families of patterns that byte-level vocabularies were trained with.</summary>
internal enum WordShape
{
    /// <summary><c> ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+</c></summary>
    Gpt2,

    /// <summary><c>[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+</c></summary>
    Llama3,

    /// <summary>As Llama 3, but a word is upper-case letters, then lower-case ones: <c>[^\r\n\p{L}\p{N}]?U*W+|[^\r\n\p{L}\p{N}]?U+W*</c>.</summary>
    Gpt4o,
}

/// <summary>Which letters are U (may begin a word) and W (may go on) in <see cref="WordShape.Gpt4o"/>.</summary>
internal enum CaseRule
{
    /// <summary>U is Lu, Lt, Lm, Lo, M; W is Ll, Lm, Lo, M.</summary>
    Unicode,

    /// <summary>U is every letter but a to z, W every letter but A to Z: what llama.cpp makes of it.</summary>
    AsciiLetters,

    /// <summary>The same with marks.</summary>
    AsciiLettersAndMarks,

    /// <summary>Both are every letter and mark.</summary>
    None,
}

/// <summary>The contractions at the head of the patterns.</summary>
internal enum Contractions
{
    None,

    /// <summary><c>'s|'t|'re|'ve|'m|'ll|'d</c>, lower case only.</summary>
    LowerCase,

    /// <summary>The same in any case.</summary>
    AnyCase,

    /// <summary>The same in any case with Unicode's folding, by which ſ is an s.</summary>
    Folded,
}

/// <summary>One of the families of patterns with its variations; every character belongs to an occurrence, so words follow each other without gaps.</summary>
internal sealed class ShapePattern : TextPattern
{
    public required WordShape Shape { get; init; }

    public Contractions Contractions { get; init; }

    /// <summary>Digits in one word at most.</summary>
    public int MaxDigits { get; init; } = int.MaxValue;

    /// <summary>Whether marks count as letters (Qwen 3.5).</summary>
    public bool MarksAreLetters { get; init; }

    /// <summary>Whether slashes, too, may follow punctuation.</summary>
    public bool SlashAfterPunctuation { get; init; }

    /// <summary>Whether newlines may follow punctuation at all, and may be part of it (not in Seed-Coder's).</summary>
    public bool NewlineAfterPunctuation { get; init; } = true;

    public CaseRule CaseRule { get; init; }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override bool Next(ReadOnlySpan<byte> text, int from, ref RegexRun? run, out int start, out int end)
    {
        start = from;
        end = from < text.Length ? End(text, from) : -1;
        return end >= 0;
    }

    /// <summary>Where the word that begins at <paramref name="at"/> ends.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public int End(ReadOnlySpan<byte> text, int at)
    {
        int c = CodePoints.Decode(text, at, out int length);
        int next = at + length;
        if (c == '\'' && Contractions != Contractions.None && Shape != WordShape.Gpt4o && ContractionEnd(text, at) is > 0 and int contraction)
        {
            return contraction;
        }

        int word = Shape switch
        {
            WordShape.Gpt2 => Gpt2Word(text, at, c, next),
            WordShape.Llama3 => Llama3Word(text, c, next),
            _ => Gpt4oWord(text, at, c, next),
        };
        if (word >= 0)
        {
            return word;
        }

        if (CodePoints.IsNumber(c))
        {
            return RunOfNumbers(text, next, MaxDigits - 1);
        }

        int body = c == ' ' ? next : at;
        int afterPunctuation = RunOfOthers(text, body);
        if (afterPunctuation > body)
        {
            while (Shape != WordShape.Gpt2 && NewlineAfterPunctuation && afterPunctuation < text.Length
                && (text[afterPunctuation] is (byte)'\r' or (byte)'\n' || (SlashAfterPunctuation && text[afterPunctuation] == '/')))
            {
                afterPunctuation++;
            }

            return afterPunctuation;
        }

        return EndOfSpace(text, at, next);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int Gpt2Word(ReadOnlySpan<byte> text, int at, int c, int next)
    {
        if (CodePoints.IsLetter(c))
        {
            return RunOfLetters(text, next);
        }

        if (c != ' ' || next == text.Length)
        {
            return -1;
        }

        int second = CodePoints.Decode(text, next, out int length);
        if (CodePoints.IsLetter(second))
        {
            return RunOfLetters(text, next + length);
        }

        return CodePoints.IsNumber(second) ? RunOfNumbers(text, next + length, int.MaxValue) : -1;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int Llama3Word(ReadOnlySpan<byte> text, int c, int next)
    {
        if (IsWordLetter(c))
        {
            return RunOfLetters(text, next);
        }

        if (c is '\r' or '\n' || next == text.Length || CodePoints.IsNumber(c))
        {
            return -1;
        }

        return IsWordLetter(CodePoints.Decode(text, next, out int length)) ? RunOfLetters(text, next + length) : -1;
    }

    private int Gpt4oWord(ReadOnlySpan<byte> text, int at, int c, int next)
    {
        bool letter = CodePoints.IsLetter(c);
        bool mayLead = !letter && c is not ('\r' or '\n') && !CodePoints.IsNumber(c);
        int end = -1;
        if (mayLead)
        {
            end = LowerEnded(text, next);
        }

        if (end < 0)
        {
            end = LowerEnded(text, at);
        }

        if (end < 0 && mayLead)
        {
            end = RunOfUpper(text, next, out _) is int led && led > next ? led : -1;
        }

        if (end < 0)
        {
            end = RunOfUpper(text, at, out _) is int bare && bare > at ? bare : -1;
        }

        return end >= 0 && end < text.Length && text[end] == '\'' && Contractions != Contractions.None && ContractionEnd(text, end) is > 0 and int contraction
            ? contraction
            : end;
    }

    // U*W+ from a place on, with the regular expression's own preference: as many U as leave a W, then all W that follow.
    private int LowerEnded(ReadOnlySpan<byte> text, int at)
    {
        int afterUpper = RunOfUpper(text, at, out int lastBoth);
        int end = afterUpper;
        while (end < text.Length && IsLower(CodePoints.Decode(text, end, out int length)))
        {
            end += length;
        }

        return end > afterUpper ? end : lastBoth;
    }

    // The run of U, and the place after its last character that is W as well (-1 if none).
    private int RunOfUpper(ReadOnlySpan<byte> text, int at, out int lastBoth)
    {
        lastBoth = -1;
        while (at < text.Length)
        {
            int c = CodePoints.Decode(text, at, out int length);
            if (!IsUpper(c))
            {
                break;
            }

            at += length;
            lastBoth = IsLower(c) ? at : lastBoth;
        }

        return at;
    }

    private bool IsUpper(int c)
    {
        if (c < 0x80)
        {
            return c is >= 'A' and <= 'Z' || (CaseRule == CaseRule.None && CodePoints.IsLetter(c));
        }

        uint bit = CodePoints.CategoryBit(c);
        return CaseRule switch
        {
            CaseRule.Unicode => (bit & ((CodePoints.Letter & ~2u) | CodePoints.Mark)) != 0,
            CaseRule.AsciiLetters => (bit & CodePoints.Letter) != 0,
            _ => (bit & (CodePoints.Letter | CodePoints.Mark)) != 0,
        };
    }

    private bool IsLower(int c)
    {
        if (c < 0x80)
        {
            return c is >= 'a' and <= 'z' || (CaseRule == CaseRule.None && CodePoints.IsLetter(c));
        }

        uint bit = CodePoints.CategoryBit(c);
        return CaseRule switch
        {
            CaseRule.Unicode => (bit & ((CodePoints.Letter & ~5u) | CodePoints.Mark)) != 0,
            CaseRule.AsciiLetters => (bit & CodePoints.Letter) != 0,
            _ => (bit & (CodePoints.Letter | CodePoints.Mark)) != 0,
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool IsWordLetter(int c) => CodePoints.IsLetter(c) || (MarksAreLetters && CodePoints.IsMark(c));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int RunOfLetters(ReadOnlySpan<byte> text, int at)
    {
        while (at < text.Length)
        {
            byte lead = text[at];
            if (lead < 0x80)
            {
                if ((uint)((lead | 0x20) - 'a') > 'z' - 'a')
                {
                    break;
                }

                at++;
            }
            else
            {
                if (!IsWordLetter(CodePoints.Decode(text, at, out int length)))
                {
                    break;
                }

                at += length;
            }
        }

        return at;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int RunOfNumbers(ReadOnlySpan<byte> text, int at, int longest)
    {
        for (; longest > 0 && at < text.Length && CodePoints.IsNumber(CodePoints.Decode(text, at, out int length)); longest--)
        {
            at += length;
        }

        return at;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int RunOfOthers(ReadOnlySpan<byte> text, int at)
    {
        while (at < text.Length)
        {
            int c = CodePoints.Decode(text, at, out int length);
            if (IsWordLetter(c) || CodePoints.IsSpace(c) || CodePoints.IsNumber(c))
            {
                break;
            }

            at += length;
        }

        return at;
    }

    // \s*[\r\n]+ (not in GPT-2's), \s+(?!\S), \s+ at white space.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int EndOfSpace(ReadOnlySpan<byte> text, int at, int next)
    {
        int end = at, last = at, afterNewline = -1;
        while (end < text.Length)
        {
            int c = CodePoints.Decode(text, end, out int length);
            if (!CodePoints.IsSpace(c))
            {
                break;
            }

            last = end;
            end += length;
            afterNewline = c is '\r' or '\n' ? end : afterNewline;
        }

        if (afterNewline >= 0 && Shape != WordShape.Gpt2)
        {
            return afterNewline;
        }

        return end == text.Length ? end : last > at ? last : Math.Max(end, next);
    }

    // Where a contraction that begins at the apostrophe ends, or -1.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int ContractionEnd(ReadOnlySpan<byte> text, int at)
    {
        int first = Letter(text, at + 1, out int length);
        if (first is 's' or 't' or 'm' or 'd')
        {
            return at + 1 + length;
        }

        int second = Letter(text, at + 2, out _);
        return (first, second) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? at + 3 : -1;
    }

    private int Letter(ReadOnlySpan<byte> text, int at, out int length)
    {
        length = 1;
        if (at >= text.Length)
        {
            return -1;
        }

        byte lead = text[at];
        if (lead == 0xC5 && Contractions == Contractions.Folded && at + 1 < text.Length && text[at + 1] == 0xBF)
        {
            length = 2;
            return 's';
        }

        return Contractions != Contractions.LowerCase && (uint)(lead - 'A') <= 'Z' - 'A' ? lead | 0x20 : lead;
    }
}
