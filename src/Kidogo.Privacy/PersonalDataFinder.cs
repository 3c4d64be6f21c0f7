// The gate's eyes: all finders over one text. Knows no models and opens no connection.
using System.Text.RegularExpressions;

namespace Kidogo.Privacy;

/// <summary>Finds personal data in texts. Immutable, for any number of threads.</summary>
/// <remarks>
/// A text is looked at as it is seen (<see cref="FoldedText"/>), so that zero-width letters, look-alikes, digits of other scripts and spaced-out digits hide nothing. What is found is told as places in the text as it was given.
/// It errs towards finding. Names in scripts without capitals are found only where words introduce them (my name is).
/// </remarks>
public sealed class PersonalDataFinder
{
    private const int MostPatterns = 64;

    private readonly PrivacyOptions _options;
    private readonly NameFinder _names;
    private readonly Regex[] _patterns;

    /// <summary>A finder.</summary>
    /// <param name="options">What counts; null for the defaults.</param>
    /// <exception cref="ArgumentException">A pattern is no regular expression that can be matched in linear time, or there are too many.</exception>
    public PersonalDataFinder(PrivacyOptions? options = null)
    {
        _options = options ?? new PrivacyOptions();
        if (_options.Patterns.Count > MostPatterns)
        {
            throw new ArgumentException($"There are {_options.Patterns.Count} patterns of personal data; at most {MostPatterns} are matched. Join some with |.", nameof(options));
        }

        _patterns = [.. _options.Patterns.Select(Compile)];
        _names = new NameFinder(_options.Allow);
    }

    /// <summary>What is personal in a text, from its start to its end; stretches that overlap are one.</summary>
    public IReadOnlyList<PersonalFinding> Find(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Length == 0)
        {
            return [];
        }

        FoldedText folded = FoldedText.Of(text);
        if (folded.Text.Length == 0)
        {
            return [];
        }

        List<PersonalFinding> found = [];
        CodeFinder.Find(folded, found);
        NumberFinder.Find(folded, found);
        if (!_options.Except.Contains(PersonalKind.Name))
        {
            _names.Find(folded, found);
        }

        if (!_options.Except.Contains(PersonalKind.Health))
        {
            HealthFinder.Find(folded, _options.Health, found);
        }

        foreach (Regex pattern in _patterns)
        {
            foreach (Match match in pattern.Matches(folded.Text))
            {
                if (match.Length > 0)
                {
                    found.Add(folded.Finding(PersonalKind.Pattern, match.Index, match.Length));
                }
            }
        }

        return Merge(found.Where(finding => !_options.Except.Contains(finding.Kind)));
    }

    private static Regex Compile(string pattern)
    {
        try
        {
            return new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);
        }
        catch (Exception failure) when (failure is ArgumentException or NotSupportedException)
        {
            throw new ArgumentException($"The pattern {pattern} cannot be used: {failure.Message} It has to be a regular expression without look-around and back-references.");
        }
    }

    /// <summary>Joins what overlaps; the kind is that of the longest.</summary>
    private static List<PersonalFinding> Merge(IEnumerable<PersonalFinding> found)
    {
        List<PersonalFinding> merged = [];
        int longest = 0;
        foreach (PersonalFinding finding in found.OrderBy(finding => finding.Start).ThenByDescending(finding => finding.Length))
        {
            if (merged.Count > 0 && finding.Start < merged[^1].End)
            {
                PersonalFinding last = merged[^1];
                PersonalKind kind = finding.Length > longest ? finding.Kind : last.Kind;
                longest = Math.Max(longest, finding.Length);
                merged[^1] = new PersonalFinding(kind, last.Start, Math.Max(last.End, finding.End) - last.Start);
            }
            else
            {
                merged.Add(finding);
                longest = finding.Length;
            }
        }

        return merged;
    }
}
