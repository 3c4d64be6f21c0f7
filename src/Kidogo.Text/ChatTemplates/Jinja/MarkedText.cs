// A string that remembers which of its characters came from a user, and from which author among them. Knows nothing of templates or tokens.
using System.Text;

namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>An immutable string with the ranges of its untrusted characters.</summary>
internal sealed class MarkedText
{
    public static readonly MarkedText Empty = new(string.Empty, null);

    // Sorted, disjoint, non-empty ranges of untrusted characters: start, end, author, start, end, author, … Those of one author do not touch. Null: none.
    private const int Stride = 3;
    private readonly int[]? _untrusted;
    private int _codePoints = -1;

    private MarkedText(string text, int[]? untrusted)
    {
        Text = text;
        _untrusted = untrusted is { Length: 0 } ? null : untrusted;
    }

    public string Text { get; }

    /// <summary>UTF-16 units.</summary>
    public int Length => Text.Length;

    public bool IsTrusted => _untrusted is null;

    /// <summary>Code points, which is what Python counts.</summary>
    public int CodePoints
    {
        get
        {
            if (_codePoints < 0)
            {
                int count = Text.Length;
                for (int i = 1; i < Text.Length; i++)
                {
                    if (char.IsLowSurrogate(Text[i]) && char.IsHighSurrogate(Text[i - 1]))
                    {
                        count--;
                    }
                }

                _codePoints = count;
            }

            return _codePoints;
        }
    }

    public static MarkedText Trusted(string text) => text.Length == 0 ? Empty : new(text, null);

    /// <summary>A user's text. An author above 0 can be told from others (<see cref="RangesByAuthor"/>).</summary>
    public static MarkedText Untrusted(string text, int author = 0) => text.Length == 0 ? Empty : new(text, [0, text.Length, author]);

    public static MarkedText Marked(string text, bool untrusted) => untrusted ? Untrusted(text) : Trusted(text);

    /// <summary>Another text of the same length whose characters stand for this one's.</summary>
    public MarkedText WithText(string text) => text.Length == Length ? new(text, _untrusted) : throw new ArgumentException("The lengths differ.", nameof(text));

    public bool IsUntrusted(int index) => HasUntrusted(index, index + 1);

    /// <summary>Whether a character in [start, end) is untrusted.</summary>
    public bool HasUntrusted(int start, int end)
    {
        if (_untrusted is null)
        {
            return false;
        }

        int range = FirstRangeEndingAfter(start);
        return range < _untrusted.Length && _untrusted[range] < end;
    }

    /// <summary>The UTF-16 index of a code point; <paramref name="codePoint"/> is in [0, CodePoints].</summary>
    public int IndexOfCodePoint(int codePoint)
    {
        if (CodePoints == Text.Length)
        {
            return codePoint;
        }

        int index = 0;
        for (; codePoint > 0; codePoint--)
        {
            index += index + 1 < Text.Length && char.IsHighSurrogate(Text[index]) && char.IsLowSurrogate(Text[index + 1]) ? 2 : 1;
        }

        return index;
    }

    /// <summary>The code point that begins at or covers a UTF-16 index.</summary>
    public int CodePointAt(int index)
    {
        if (CodePoints == Text.Length)
        {
            return index;
        }

        int count = index;
        for (int i = 1; i < index; i++)
        {
            if (char.IsLowSurrogate(Text[i]) && char.IsHighSurrogate(Text[i - 1]))
            {
                count--;
            }
        }

        return count;
    }

    public MarkedText Slice(int start, int length)
    {
        if (length == 0)
        {
            return Empty;
        }

        if (length == Text.Length)
        {
            return this;
        }

        string piece = Text.Substring(start, length);
        if (_untrusted is null)
        {
            return new(piece, null);
        }

        int end = start + length;
        List<int> ranges = [];
        for (int i = FirstRangeEndingAfter(start); i < _untrusted.Length && _untrusted[i] < end; i += Stride)
        {
            ranges.Add(Math.Max(_untrusted[i], start) - start);
            ranges.Add(Math.Min(_untrusted[i + 1], end) - start);
            ranges.Add(_untrusted[i + 2]);
        }

        return new(piece, [.. ranges]);
    }

    /// <summary>The text in pieces of one origin.</summary>
    public List<TextSpan> ToSpans()
    {
        List<TextSpan> spans = [];
        int at = 0;
        if (_untrusted is not null)
        {
            for (int i = 0; i < _untrusted.Length; i += Stride)
            {
                int start = _untrusted[i];
                if (start > at)
                {
                    spans.Add(new TextSpan(Text[at..start], true));
                }

                while (i + Stride < _untrusted.Length && _untrusted[i + Stride] == _untrusted[i + 1])
                {
                    i += Stride; // another author's, but no more to be trusted
                }

                at = _untrusted[i + 1];
                spans.Add(new TextSpan(Text[start..at], false));
            }
        }

        if (at < Text.Length)
        {
            spans.Add(new TextSpan(Text[at..], true));
        }

        return spans;
    }

    /// <summary>The stretches that authors above 0 wrote, in order. What lies between two of one author with no one else's between them is counted to them.</summary>
    public List<AuthoredRange> RangesByAuthor()
    {
        List<AuthoredRange> ranges = [];
        int before = 0;
        for (int i = 0; i < (_untrusted?.Length ?? 0); i += Stride)
        {
            int author = _untrusted![i + 2];
            if (author > 0 && author == before)
            {
                ranges[^1] = ranges[^1] with { End = _untrusted[i + 1] };
            }
            else if (author > 0)
            {
                ranges.Add(new AuthoredRange(_untrusted[i], _untrusted[i + 1], author));
            }

            before = author > 0 ? author : before; // what has no author was derived from one's, such as an escape
        }

        return ranges;
    }

    public override string ToString() => Text;

    // The index in _untrusted of the first range that ends after a position.
    private int FirstRangeEndingAfter(int position)
    {
        int low = 0;
        int high = _untrusted!.Length / Stride;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_untrusted[(Stride * middle) + 1] > position)
            {
                high = middle;
            }
            else
            {
                low = middle + 1;
            }
        }

        return Stride * low;
    }

    /// <summary>Builds a text piece by piece and charges a rendering for it.</summary>
    internal sealed class Builder(RenderState state)
    {
        private readonly StringBuilder _text = new();
        private readonly List<int> _ranges = [];

        public int Length => _text.Length;

        public void Append(MarkedText piece) => Append(piece, 0, piece.Length);

        public void Append(MarkedText piece, int start, int length)
        {
            if (length == 0)
            {
                return;
            }

            Reserve(length);
            if (piece._untrusted is int[] untrusted)
            {
                int end = start + length;
                for (int i = piece.FirstRangeEndingAfter(start); i < untrusted.Length && untrusted[i] < end; i += Stride)
                {
                    Mark(_text.Length + Math.Max(untrusted[i], start) - start, _text.Length + Math.Min(untrusted[i + 1], end) - start, untrusted[i + 2]);
                }
            }

            _text.Append(piece.Text, start, length);
        }

        public void Append(string piece, bool untrusted = false)
        {
            if (piece.Length > 0)
            {
                Reserve(piece.Length);
                if (untrusted)
                {
                    Mark(_text.Length, _text.Length + piece.Length, author: 0);
                }

                _text.Append(piece);
            }
        }

        public void Append(char piece, bool untrusted = false)
        {
            Reserve(1);
            if (untrusted)
            {
                Mark(_text.Length, _text.Length + 1, author: 0);
            }

            _text.Append(piece);
        }

        public void Append(char piece, int count)
        {
            if (count > 0)
            {
                Reserve(count);
                _text.Append(piece, count);
            }
        }

        public MarkedText Build()
        {
            if (_text.Length == 0)
            {
                return Empty;
            }

            state.AllocateNewText(0); // the characters were counted as they came
            return new(_text.ToString(), _ranges.Count == 0 ? null : [.. _ranges]);
        }

        private void Reserve(int length)
        {
            if (_text.Length + (long)length > state.MaxText)
            {
                throw state.Fail($"a text is longer than the {state.MaxText} characters allowed");
            }

            state.AllocateText(length);
        }

        private void Mark(int start, int end, int author)
        {
            if (_ranges.Count > 0 && _ranges[^2] == start && _ranges[^1] == author)
            {
                _ranges[^2] = end;
            }
            else
            {
                state.AllocateElements(1);
                _ranges.Add(start);
                _ranges.Add(end);
                _ranges.Add(author);
            }
        }
    }
}

/// <summary>A stretch of a text by one author.</summary>
/// <param name="Start">Its first UTF-16 unit.</param>
/// <param name="End">The unit after its last.</param>
/// <param name="Author">Above 0.</param>
internal readonly record struct AuthoredRange(int Start, int End, int Author);
