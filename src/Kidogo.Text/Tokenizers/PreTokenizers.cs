// Cuts text into words, which no token crosses. Knows no ids.
using System.Runtime.CompilerServices;
using System.Text;
using Kidogo.Text.Unicode;

namespace Kidogo.Text.Tokenizers;

/// <summary>A text on its way to words: bytes, and the stretches of them that are still to be tokenised.</summary>
internal sealed class PreTokenizedText
{
    public ByteBuffer Text { get; private set; } = new();

    public RangeList Ranges { get; private set; } = new();

    /// <summary>Whether the text begins where the whole input begins.</summary>
    public bool AtStart { get; private set; }

    private ByteBuffer _otherText = new();
    private RangeList _otherRanges = new();

    /// <summary>Begins anew.</summary>
    /// <param name="text">The text.</param>
    /// <param name="atStart">Whether it begins where the whole input begins.</param>
    /// <param name="limit">How many bytes the steps may make of it.</param>
    public void Reset(ReadOnlySpan<byte> text, bool atStart, int limit)
    {
        Text.Limit = limit;
        _otherText.Limit = limit;
        Text.Clear();
        Text.Add(text);
        Ranges.Clear();
        AtStart = atStart;
        if (!text.IsEmpty)
        {
            Ranges.Add(0, text.Length);
        }
    }

    /// <summary>The ranges as they were and an empty list for the new ones, which becomes <see cref="Ranges"/>.</summary>
    public ReadOnlySpan<(int Start, int End)> Replace(out RangeList fresh)
    {
        (Ranges, _otherRanges) = (_otherRanges, Ranges);
        Ranges.Clear();
        fresh = Ranges;
        return _otherRanges.Span;
    }

    /// <summary>The text as it was and an empty buffer for the new one, which becomes <see cref="Text"/>; to be called before <see cref="Replace"/>.</summary>
    public ReadOnlySpan<byte> ReplaceText(out ByteBuffer fresh)
    {
        (Text, _otherText) = (_otherText, Text);
        Text.Clear();
        fresh = Text;
        return _otherText.Span;
    }
}

/// <summary>One step of pre-tokenisation. Immutable.</summary>
internal abstract class PreTokenizer
{
    public abstract void Apply(PreTokenizedText text);
}

/// <summary>Several, one after the other.</summary>
internal sealed class SequencePreTokenizer(IReadOnlyList<PreTokenizer> steps) : PreTokenizer
{
    public IReadOnlyList<PreTokenizer> Steps => steps;

    public override void Apply(PreTokenizedText text)
    {
        foreach (PreTokenizer step in steps)
        {
            step.Apply(text);
        }
    }
}

/// <summary>What becomes of the occurrences that a text is cut at.</summary>
internal enum SplitBehavior
{
    /// <summary>They are dropped.</summary>
    Removed,

    /// <summary>Each is a word of its own.</summary>
    Isolated,

    /// <summary>Each belongs to the word before it.</summary>
    MergedWithPrevious,

    /// <summary>Each belongs to the word after it.</summary>
    MergedWithNext,

    /// <summary>Neighbours are one word.</summary>
    Contiguous,
}

/// <summary>Cuts at a pattern.</summary>
internal sealed class SplitPreTokenizer(TextPattern pattern, SplitBehavior behavior, bool invert = false) : PreTokenizer
{
    public override void Apply(PreTokenizedText text)
    {
        ReadOnlySpan<(int Start, int End)> old = text.Replace(out RangeList fresh);
        RegexRun? run = null;
        foreach ((int start, int end) in old)
        {
            if (behavior == SplitBehavior.Isolated)
            {
                Isolate(text.Text.Span[start..end], start, fresh, ref run);
            }
            else
            {
                Cut(text.Text.Span[start..end], start, fresh, ref run);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Isolate(ReadOnlySpan<byte> piece, int offset, RangeList fresh, ref RegexRun? run)
    {
        int done = 0;
        for (int from = 0; from <= piece.Length && pattern.Next(piece, from, ref run, out int start, out int end);)
        {
            if (start > done)
            {
                fresh.Add(offset + done, offset + start);
            }

            if (end > start)
            {
                fresh.Add(offset + start, offset + end);
            }

            done = end;
            from = end > start ? end : AfterCharacter(piece, end);
        }

        if (done < piece.Length)
        {
            fresh.Add(offset + done, offset + piece.Length);
        }
    }

    private void Cut(ReadOnlySpan<byte> piece, int offset, RangeList fresh, ref RegexRun? run)
    {
        List<(int Start, int End, bool Match)> parts = [];
        int done = 0;
        for (int from = 0; from <= piece.Length && pattern.Next(piece, from, ref run, out int start, out int end);)
        {
            if (start > done)
            {
                parts.Add((done, start, invert));
            }

            parts.Add((start, end, !invert));
            done = end;
            from = end > start ? end : AfterCharacter(piece, end);
        }

        if (done < piece.Length)
        {
            parts.Add((done, piece.Length, invert));
        }

        int first = fresh.Count;
        bool matchBefore = false;
        bool backwards = behavior == SplitBehavior.MergedWithNext;
        for (int i = 0; i < parts.Count; i++)
        {
            (int start, int end, bool match) = parts[backwards ? parts.Count - 1 - i : i];
            bool merge = behavior switch
            {
                SplitBehavior.Contiguous => i > 0 && match == matchBefore,
                SplitBehavior.MergedWithPrevious or SplitBehavior.MergedWithNext => match && !matchBefore && fresh.Count > first,
                _ => false,
            };
            matchBefore = match;
            if (merge && backwards)
            {
                fresh.Last.Start = offset + start;
            }
            else if (merge)
            {
                fresh.Last.End = offset + end;
            }
            else if (end > start && !(match && behavior == SplitBehavior.Removed))
            {
                fresh.Add(offset + start, offset + end);
            }
        }

        if (backwards)
        {
            fresh.ReverseFrom(first);
        }
    }

    private static int AfterCharacter(ReadOnlySpan<byte> piece, int at) =>
        at < piece.Length ? at + SubwordModel.CharacterLength(piece[at], piece.Length - at) : at + 1;
}

/// <summary>Pieces of a fixed number of characters.</summary>
internal sealed class FixedLengthPreTokenizer(int characters) : PreTokenizer
{
    public override void Apply(PreTokenizedText text)
    {
        foreach ((int start, int end) in text.Replace(out RangeList fresh))
        {
            for (int from = start, at = start, count = 0; at < end;)
            {
                CodePoints.Decode(text.Text.Span, at, out int length);
                at += length;
                if (++count == characters || at == end)
                {
                    fresh.Add(from, at);
                    from = at;
                    count = 0;
                }
            }
        }
    }
}

/// <summary>When <c>▁</c> is put before a text that does not begin with one.</summary>
internal enum PrependScheme
{
    Never,

    /// <summary>Only where the whole input begins.</summary>
    First,

    Always,
}

/// <summary>Writes spaces as <c>▁</c>, puts one before, and cuts before each.</summary>
internal sealed class MetaspacePreTokenizer(string marker, PrependScheme prepend, bool split) : PreTokenizer
{
    private readonly byte[] _marker = Encoding.UTF8.GetBytes(marker);

    public override void Apply(PreTokenizedText text)
    {
        ReadOnlySpan<byte> oldText = text.ReplaceText(out ByteBuffer bytes);
        foreach ((int start, int end) in text.Replace(out RangeList fresh))
        {
            ReadOnlySpan<byte> piece = oldText[start..end];
            int from = bytes.Count;
            if ((prepend == PrependScheme.Always || (prepend == PrependScheme.First && text.AtStart && start == 0))
                && !piece.StartsWith(_marker) && !piece.StartsWith(" "u8))
            {
                bytes.Add(_marker);
            }

            foreach (byte value in piece)
            {
                if (value == ' ')
                {
                    bytes.Add(_marker);
                }
                else
                {
                    bytes.Add(value);
                }
            }

            int at = from;
            while (split && at < bytes.Count && bytes.Span[(at + 1)..].IndexOf(_marker) is >= 0 and int next)
            {
                fresh.Add(at, at + 1 + next);
                at += 1 + next;
            }

            if (at < bytes.Count)
            {
                fresh.Add(at, bytes.Count);
            }
        }
    }
}

/// <summary>Puts a space before a text that does not begin with one, as ByteLevel's <c>add_prefix_space</c> does.</summary>
internal sealed class SpacePrefixPreTokenizer : PreTokenizer
{
    public override void Apply(PreTokenizedText text)
    {
        ReadOnlySpan<byte> oldText = text.ReplaceText(out ByteBuffer bytes);
        foreach ((int start, int end) in text.Replace(out RangeList fresh))
        {
            int from = bytes.Count;
            if (oldText[start] != ' ')
            {
                bytes.Add((byte)' ');
            }

            bytes.Add(oldText[start..end]);
            fresh.Add(from, bytes.Count);
        }
    }
}

/// <summary>Spells every piece in GPT-2's alphabet; only where something still looks at the spelling, else the model does it.</summary>
internal sealed class SpellingPreTokenizer : PreTokenizer
{
    public override void Apply(PreTokenizedText text)
    {
        ReadOnlySpan<byte> oldText = text.ReplaceText(out ByteBuffer bytes);
        foreach ((int start, int end) in text.Replace(out RangeList fresh))
        {
            int from = bytes.Count;
            ByteAlphabet.Spell(oldText[start..end], bytes);
            fresh.Add(from, bytes.Count);
        }
    }
}
