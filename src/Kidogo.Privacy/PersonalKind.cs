// What kinds of personal data there are, and where one was found. Holds no values.
namespace Kidogo.Privacy;

/// <summary>A kind of personal data. The lower-case name is what policies, logs and placeholders call it.</summary>
public enum PersonalKind
{
    /// <summary>A person's name.</summary>
    Name,

    /// <summary>A telephone number.</summary>
    Phone,

    /// <summary>An e-mail address.</summary>
    Email,

    /// <summary>A payment card's number (Luhn's check digit).</summary>
    Card,

    /// <summary>An international bank account number (ISO 13616, remainder by 97).</summary>
    Iban,

    /// <summary>A number by which a state, a bank or a school knows a person.</summary>
    Id,

    /// <summary>A long number of unknown meaning.</summary>
    Number,

    /// <summary>An address of a machine: IP or MAC.</summary>
    Ip,

    /// <summary>A place where somebody can be found: street, plot, box, postal code with its town.</summary>
    Address,

    /// <summary>A date of birth.</summary>
    Birth,

    /// <summary>A word of somebody's health.</summary>
    Health,

    /// <summary>What a pattern of the user's own matches.</summary>
    Pattern,
}

/// <summary>A place in a text.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Start">Its first character in the text as it was given.</param>
/// <param name="Length">Characters.</param>
public readonly record struct PersonalFinding(PersonalKind Kind, int Start, int Length)
{
    /// <summary>The character after its last.</summary>
    public int End => Start + Length;
}

/// <summary>How much of health counts.</summary>
public enum HealthRule
{
    /// <summary>A state (HIV positive, diagnosed with), and an illness in the same text as a person: I, my, patient, or a name. Default: asking what malaria is tells of nobody.</summary>
    OfSomebody,

    /// <summary>Every word of illness and treatment.</summary>
    Any,
}

/// <summary>What counts as personal.</summary>
public sealed record PrivacyOptions
{
    /// <summary>Kinds that are not looked for. Default none.</summary>
    public IReadOnlySet<PersonalKind> Except { get; init; } = new HashSet<PersonalKind>();

    /// <summary>Regular expressions for what is personal to the user: customers' numbers, projects' names. At most 64, matched in time linear in the text, without regard to case.</summary>
    public IReadOnlyList<string> Patterns { get; init; } = [];

    /// <summary>Words that are never a person's name: the user's town, firm, product. Compared without accents and case.</summary>
    public IReadOnlyList<string> Allow { get; init; } = [];

    /// <summary>How much of health counts.</summary>
    public HealthRule Health { get; init; }
}
