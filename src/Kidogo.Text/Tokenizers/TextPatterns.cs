// What a text is cut at: strings, classes of characters, regular expressions. Knows not what is done with the parts.
using System.Runtime.CompilerServices;
using Kidogo.Text.Unicode;

namespace Kidogo.Text.Tokenizers;

/// <summary>Something that occurs in a text. Immutable.</summary>
internal abstract class TextPattern
{
    /// <summary>The first occurrence at or after <paramref name="from"/>; false if there is none. Only a regular expression's may be empty.</summary>
    /// <param name="text">Valid UTF-8.</param>
    /// <param name="from">A place between two characters.</param>
    /// <param name="run">Null at the first call for a text; kept by the pattern between calls.</param>
    /// <param name="start">Where it begins.</param>
    /// <param name="end">Where it ends.</param>
    public abstract bool Next(ReadOnlySpan<byte> text, int from, ref RegexRun? run, out int start, out int end);
}

/// <summary>A string.</summary>
internal sealed class LiteralPattern(byte[] literal) : TextPattern
{
    public override bool Next(ReadOnlySpan<byte> text, int from, ref RegexRun? run, out int start, out int end)
    {
        int found = literal.Length == 0 ? -1 : text[from..].IndexOf(literal);
        start = from + found;
        end = start + literal.Length;
        return found >= 0;
    }
}

/// <summary>A regular expression.</summary>
internal sealed class RegexPattern(CodePointRegex regex) : TextPattern
{
    public override bool Next(ReadOnlySpan<byte> text, int from, ref RegexRun? run, out int start, out int end) =>
        (run ??= regex.Start(text.Length)).Find(text, from, out start, out end);
}

/// <summary>Runs of at most a number of characters of one sort.</summary>
internal sealed class ClassPattern(Func<int, bool> contains, int longest) : TextPattern
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override bool Next(ReadOnlySpan<byte> text, int from, ref RegexRun? run, out int start, out int end)
    {
        int length;
        for (start = from; start < text.Length; start += length)
        {
            if (contains(CodePoints.Decode(text, start, out length)))
            {
                end = start + length;
                for (int count = 1; count < longest && end < text.Length && contains(CodePoints.Decode(text, end, out length)); count++)
                {
                    end += length;
                }

                return true;
            }
        }

        end = -1;
        return false;
    }
}

/// <summary>Which digits are grouped in threes.</summary>
internal enum DigitGroups
{
    /// <summary>Those of every run.</summary>
    Any,

    /// <summary>Those of runs with no word character after them.</summary>
    BeforeBoundary,

    /// <summary>All numbers, the first group together with the text before it: what llama.cpp makes of such patterns.</summary>
    WithTextBefore,
}

/// <summary>Decimal digits in threes counted from the right end of their run: 1234567 is 1, 234, 567.</summary>
/// <remarks>As <c>\d{1,3}(?=(?:\d{3})*\b)</c>, which looks through the whole run for every group.</remarks>
internal sealed class DigitGroupPattern(DigitGroups groups) : TextPattern
{
    public override bool Next(ReadOnlySpan<byte> text, int from, ref RegexRun? run, out int start, out int end)
    {
        // Groups are equally long but for the first, so the place in the run follows from how far the run still goes; that is looked up once a run.
        for (start = from; start < text.Length;)
        {
            if (!IsDigit(text, start, out int length))
            {
                start += length;
                continue;
            }

            int digits = 0, stop = start;
            bool inside = from == start && start > 0 && IsDigitBefore(text, start);
            for (; stop < text.Length && IsDigit(text, stop, out length) && (!inside || digits < 3); digits++)
            {
                stop += length;
            }

            if (!inside && groups == DigitGroups.BeforeBoundary && stop < text.Length && CodePoints.IsPatternWord(CodePoints.Decode(text, stop, out _)))
            {
                start = stop;
                continue;
            }

            int first = inside ? 3 : ((digits - 1) % 3) + 1;
            for (end = start; first > 0; first--)
            {
                CodePoints.Decode(text, end, out length);
                end += length;
            }

            start = groups == DigitGroups.WithTextBefore ? from : start;
            return true;
        }

        end = -1;
        return false;
    }

    private bool IsDigit(ReadOnlySpan<byte> text, int at, out int length) => IsDigit(CodePoints.Decode(text, at, out length));

    private bool IsDigitBefore(ReadOnlySpan<byte> text, int at) => IsDigit(CodePoints.DecodeBefore(text, at, out _));

    private bool IsDigit(int codePoint) => groups == DigitGroups.WithTextBefore
        ? CodePoints.IsNumber(codePoint)
        : (CodePoints.CategoryBit(codePoint) & (1u << (int)System.Globalization.UnicodeCategory.DecimalDigitNumber)) != 0;
}
