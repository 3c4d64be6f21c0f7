// What stands for personal data while a text is away, and how it comes back. Knows no finder and no wire.
using System.Globalization;
using System.Text;

namespace Kidogo.Privacy;

/// <summary>Gives each value of one conversation a placeholder, such as <c>[NAME_1]</c>, and puts values back into what is answered. Not for several threads at once.</summary>
/// <remarks>
/// The same value gets the same placeholder in every message, in the order in which values are first met, so that a conversation that is sent again is masked as before. Where a text already has something of that form,
/// placeholders are given another mark, so that nobody can smuggle one in.
/// </remarks>
public sealed class Placeholders
{
    private const int LongestMark = 8;

    private readonly Dictionary<string, string> _ofValue = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _ofPlaceholder = new(StringComparer.Ordinal);
    private readonly Dictionary<PersonalKind, int> _counts = [];
    private readonly string _mark;

    /// <summary>Placeholders for a conversation.</summary>
    /// <param name="texts">All its texts: what looks like a placeholder there is never given out.</param>
    public Placeholders(IEnumerable<string> texts)
    {
        string[] all = [.. texts];
        string mark = "";
        for (char letter = 'X'; mark.Length < LongestMark && all.Any(text => Enum.GetNames<PersonalKind>().Any(kind => text.Contains($"[{mark}{kind.ToUpperInvariant()}_", StringComparison.OrdinalIgnoreCase))); letter = letter == 'Z' ? 'A' : (char)(letter + 1))
        {
            mark += letter;
        }

        _mark = mark;
    }

    /// <summary>How many values have one.</summary>
    public int Count => _ofPlaceholder.Count;

    /// <summary>The longest placeholder, in characters.</summary>
    public int Longest => _ofPlaceholder.Count == 0 ? 0 : _ofPlaceholder.Keys.Max(key => key.Length);

    /// <summary>A text with placeholders in place of what was found in it.</summary>
    public string Mask(string text, IReadOnlyList<PersonalFinding> found)
    {
        StringBuilder masked = new(text.Length);
        int at = 0;
        foreach (PersonalFinding finding in found)
        {
            masked.Append(text, at, finding.Start - at).Append(For(finding.Kind, text.Substring(finding.Start, finding.Length)));
            at = finding.End;
        }

        return masked.Append(text, at, text.Length - at).ToString();
    }

    /// <summary>A text with every other mention of the names that were found: small letters, or a part of one alone.</summary>
    public string MaskMentions(string text)
    {
        foreach ((string value, string placeholder) in _ofValue.OrderByDescending(pair => pair.Key.Length).ToArray())
        {
            text = ReplaceWord(text, value, () => placeholder);
            if (placeholder.Contains("NAME_", StringComparison.Ordinal))
            {
                foreach (string part in value.Split(' ', StringSplitOptions.RemoveEmptyEntries).Where(part => part.Length >= 4 && part.Length < value.Length))
                {
                    text = ReplaceWord(text, part, () => For(PersonalKind.Name, part), StringComparison.Ordinal);
                }
            }
        }

        return text;
    }

    /// <summary>An answer with the values in place of their placeholders.</summary>
    /// <param name="text">The answer.</param>
    /// <param name="isJson">Whether it is JSON, so that values are escaped as in a string of it.</param>
    public string Restore(string text, bool isJson = false)
    {
        if (Count == 0 || !text.Contains('[', StringComparison.Ordinal))
        {
            return text;
        }

        StringBuilder restored = new(text.Length);
        for (int at = 0; at < text.Length;)
        {
            int open = text.IndexOf('[', at);
            if (open < 0)
            {
                restored.Append(text, at, text.Length - at);
                break;
            }

            restored.Append(text, at, open - at);
            int close = text.IndexOf(']', open);
            if (close > 0 && close - open <= Longest && _ofPlaceholder.TryGetValue(text[open..(close + 1)].ToUpperInvariant(), out string? value))
            {
                restored.Append(isJson ? System.Text.Json.JsonEncodedText.Encode(value, Kidogo.Text.JsonBuilding.Options.Encoder).Value : value);
                at = close + 1;
            }
            else
            {
                restored.Append('[');
                at = open + 1;
            }
        }

        return restored.ToString();
    }

    /// <summary>A masked text with nothing in place of the placeholders, to look at what is left.</summary>
    internal string Blank(string text)
    {
        foreach (string placeholder in _ofPlaceholder.Keys)
        {
            text = text.Replace(placeholder, ",", StringComparison.Ordinal);
        }

        return text;
    }

    /// <summary>How much of a text is certain: what follows may be the beginning of a placeholder.</summary>
    public int Certain(string text)
    {
        int open = Count == 0 ? -1 : text.LastIndexOf('[');
        return open < 0 || text.IndexOf(']', open) >= 0 || text.Length - open >= Longest
            || !_ofPlaceholder.Keys.Any(key => key.StartsWith(text[open..], StringComparison.OrdinalIgnoreCase)) ? text.Length : open;
    }

    private string For(PersonalKind kind, string value)
    {
        if (!_ofValue.TryGetValue(value, out string? placeholder))
        {
            _counts[kind] = _counts.GetValueOrDefault(kind) + 1;
            placeholder = string.Create(CultureInfo.InvariantCulture, $"[{_mark}{kind.ToString().ToUpperInvariant()}_{_counts[kind]}]");
            _ofValue[value] = placeholder;
            _ofPlaceholder[placeholder] = value;
        }

        return placeholder;
    }

    private static string ReplaceWord(string text, string word, Func<string> by, StringComparison comparison = StringComparison.OrdinalIgnoreCase)
    {
        int at = text.IndexOf(word, comparison);
        if (at < 0)
        {
            return text;
        }

        StringBuilder replaced = new();
        int from = 0;
        for (; at >= 0; at = text.IndexOf(word, at + 1, comparison))
        {
            bool isWord = at >= from && (at == 0 || !char.IsLetterOrDigit(text[at - 1])) && (at + word.Length == text.Length || !char.IsLetterOrDigit(text[at + word.Length])) && !IsWithinPlaceholder(text, at);
            if (isWord)
            {
                replaced.Append(text, from, at - from).Append(by());
                from = at + word.Length;
            }
        }

        return replaced.Append(text, from, text.Length - from).ToString();
    }

    private static bool IsWithinPlaceholder(string text, int at)
    {
        int open = text.LastIndexOf('[', at);
        return open >= 0 && at - open < 24 && text.IndexOf(']', open) is var close && close > at && text.AsSpan(open + 1, close - open - 1).IndexOf('_') > 0;
    }
}
