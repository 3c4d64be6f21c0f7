// Ends a streamed text at a stop string, wherever the pieces are cut. Knows text only, no tokens.
namespace Kidogo.Inference.Output;

/// <summary>
/// Looks for stop strings in a text that comes in pieces, and holds back every ending that may still become one, so that no part of a stop string is ever shown.
/// </summary>
/// <remarks>
/// The text ends at the first character at which any stop string is complete; of several that end there, the longest counts. So the result does not depend on how the text is cut into pieces.
/// Comparison is ordinal. Each stop string is followed by its own Knuth-Morris-Pratt automaton: the cost per character is constant per stop string.
/// </remarks>
public sealed class StopStringMatcher
{
    /// <summary>The most stop strings.</summary>
    public const int MaxCount = 64;

    /// <summary>The longest stop string, in UTF-16 units.</summary>
    public const int MaxLength = 1024;

    private readonly string[] _stops;
    private readonly int[][] _borders; // by stop string: the longest proper border of each prefix
    private readonly int[] _matched; // by stop string: how many of its characters the text ends with
    private readonly TextBuffer _text = new(); // handed out, then held back
    private int _released; // how much of _text was handed out by the last call

    /// <summary>A matcher for one text.</summary>
    /// <exception cref="ArgumentException">More than <see cref="MaxCount"/> strings, or one that is empty, longer than <see cref="MaxLength"/>, or cut inside a surrogate pair.</exception>
    public StopStringMatcher(IReadOnlyList<string> stopStrings)
    {
        Validate(stopStrings);
        _stops = [.. stopStrings.Distinct(StringComparer.Ordinal)];
        _borders = [.. _stops.Select(BordersOf)];
        _matched = new int[_stops.Length];
    }

    /// <summary>The stop string that ended the text, or null.</summary>
    public string? Matched { get; private set; }

    /// <summary>Checks a list of stop strings.</summary>
    /// <exception cref="ArgumentException">As the constructor.</exception>
    public static void Validate(IReadOnlyList<string> stopStrings)
    {
        ArgumentNullException.ThrowIfNull(stopStrings);
        if (stopStrings.Count > MaxCount)
        {
            throw new ArgumentException($"There are {stopStrings.Count} stop strings; at most {MaxCount} are allowed.", nameof(stopStrings));
        }

        for (int i = 0; i < stopStrings.Count; i++)
        {
            string stop = stopStrings[i];
            if (string.IsNullOrEmpty(stop))
            {
                throw new ArgumentException($"Stop string {i + 1} is empty; it has to be at least one character.", nameof(stopStrings));
            }

            if (stop.Length > MaxLength)
            {
                throw new ArgumentException($"Stop string {i + 1} has {stop.Length} characters; at most {MaxLength} are allowed.", nameof(stopStrings));
            }

            if (char.IsLowSurrogate(stop[0]) || char.IsHighSurrogate(stop[^1]))
            {
                throw new ArgumentException($"Stop string {i + 1} begins or ends inside a surrogate pair; it has to consist of whole characters.", nameof(stopStrings));
            }
        }
    }

    /// <summary>Takes the next piece and returns what can be shown now: a span that is valid until the next call.</summary>
    /// <remarks>After a match, everything further is ignored.</remarks>
    public ReadOnlySpan<char> Push(ReadOnlySpan<char> piece)
    {
        _text.DropFirst(_released);
        _released = 0;
        if (Matched is not null)
        {
            return [];
        }

        foreach (char c in piece)
        {
            _text.Append(c);
            if (Advance(c) is { } stop)
            {
                Matched = stop;
                _text.DropLast(stop.Length);
                return ReleaseAllBut(0);
            }
        }

        return ReleaseAllBut(_matched.Length == 0 ? 0 : _matched.Max());
    }

    /// <summary>Says that the text is over and returns what was held back; valid until the next call.</summary>
    public ReadOnlySpan<char> Flush()
    {
        _text.DropFirst(_released);
        Array.Clear(_matched);
        return ReleaseAllBut(0);
    }

    private ReadOnlySpan<char> ReleaseAllBut(int held)
    {
        _released = _text.Length - held;
        return _text.Text[.._released];
    }

    /// <summary>Moves every automaton on by one character and returns the longest stop string that is complete now.</summary>
    private string? Advance(char c)
    {
        string? complete = null;
        for (int s = 0; s < _stops.Length; s++)
        {
            string stop = _stops[s];
            int matched = _matched[s];
            while (matched > 0 && stop[matched] != c)
            {
                matched = _borders[s][matched - 1];
            }

            _matched[s] = stop[matched] == c ? ++matched : matched;
            if (matched == stop.Length && stop.Length > (complete?.Length ?? 0))
            {
                complete = stop;
            }
        }

        return complete;
    }

    private static int[] BordersOf(string text)
    {
        int[] borders = new int[text.Length];
        for (int i = 1, border = 0; i < text.Length; i++)
        {
            while (border > 0 && text[i] != text[border])
            {
                border = borders[border - 1];
            }

            borders[i] = text[i] == text[border] ? ++border : border;
        }

        return borders;
    }
}
