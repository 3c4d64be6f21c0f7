// The gate: whether a conversation's texts may leave, as they are or masked. Knows no models, no policies and no wire.
namespace Kidogo.Privacy;

/// <summary>What was found in the texts of a conversation.</summary>
public sealed record GateReport
{
    /// <summary>How often each kind was found.</summary>
    public required IReadOnlyDictionary<PersonalKind, int> Counts { get; init; }

    /// <summary>Whether nothing was.</summary>
    public bool IsClean => Counts.Count == 0;

    /// <summary>The kinds, as <c>name 2, phone 1</c>: no values.</summary>
    public string Summary => string.Join(", ", Counts.OrderBy(pair => pair.Key).Select(pair => $"{pair.Key.ToString().ToLowerInvariant()} {pair.Value}"));
}

/// <summary>Looks at texts and masks them. Immutable, for any number of threads.</summary>
/// <param name="options">What counts as personal; null for the defaults.</param>
/// <exception cref="ArgumentException">A pattern cannot be used.</exception>
public sealed class PrivacyGate(PrivacyOptions? options = null)
{
    private readonly PersonalDataFinder _finder = new(options);

    /// <summary>Characters of the largest conversation that is looked at; a larger one counts as not clean.</summary>
    public const int MaxCharacters = 1 << 20;

    private const int MostValues = 1000; // each is looked for in every text

    /// <summary>What is personal in texts.</summary>
    public GateReport Inspect(IEnumerable<string> texts)
    {
        Dictionary<PersonalKind, int> counts = [];
        long characters = 0;
        foreach (string text in texts)
        {
            characters += text.Length;
            if (characters > MaxCharacters)
            {
                counts[PersonalKind.Pattern] = counts.GetValueOrDefault(PersonalKind.Pattern) + 1; // what nobody has looked at does not leave
                break;
            }

            foreach (PersonalFinding finding in _finder.Find(text))
            {
                counts[finding.Kind] = counts.GetValueOrDefault(finding.Kind) + 1;
            }
        }

        return new GateReport { Counts = counts };
    }

    /// <summary>The texts with placeholders for all that is personal; null where something of it would still be seen, or they are too much to be looked at, so that they may not leave.</summary>
    /// <param name="texts">The texts of one conversation.</param>
    /// <param name="placeholders">What stands for what, to restore the answer with.</param>
    public IReadOnlyList<string>? Mask(IReadOnlyList<string> texts, out Placeholders placeholders)
    {
        Placeholders given = new(texts);
        placeholders = given;
        if (texts.Sum(text => (long)text.Length) > MaxCharacters)
        {
            return null;
        }

        string[] masked = [.. texts.Select(text => given.Mask(text, _finder.Find(text)))];
        if (given.Count > MostValues)
        {
            return null;
        }

        masked = [.. masked.Select(given.MaskMentions)];
        return masked.All(text => _finder.Find(given.Blank(text)).Count == 0) ? masked : null;
    }
}
