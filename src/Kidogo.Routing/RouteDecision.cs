// Where a request goes and why, before and after. Holds no contents.
using System.Globalization;
using System.Text.Json;

namespace Kidogo.Routing;

/// <summary>Where an answer is to come from.</summary>
public enum RoutePlan
{
    /// <summary>From this machine.</summary>
    Local,

    /// <summary>From this machine, and from an upstream where that is not confident.</summary>
    LocalThenUpstream,

    /// <summary>From an upstream, and from this machine where that fails before its first token.</summary>
    Upstream,
}

/// <summary>What one rule said.</summary>
/// <param name="Rule">Its name: asked, privacy, budget, offline, capability, task, confidence, preference.</param>
/// <param name="Verdict">What it said, in a sentence without contents.</param>
public sealed record RuleVerdict(string Rule, string Verdict);

/// <summary>A decision before anything is sent.</summary>
public sealed record RouteDecision
{
    /// <summary>Where the answer is to come from.</summary>
    public required RoutePlan Plan { get; init; }

    /// <summary>Why, in a word for programs, such as <c>privacy</c> or <c>confidence</c>.</summary>
    public required string Reason { get; init; }

    /// <summary>Why, in a sentence.</summary>
    public required string Detail { get; init; }

    /// <summary>The upstream that may be asked; null for none.</summary>
    public string? Upstream { get; init; }

    /// <summary>How often each kind of personal data was found: <c>name 2, phone 1</c>.</summary>
    public string PersonalData { get; init; } = "";

    /// <summary>Whether the request leaves with placeholders.</summary>
    public bool IsMasked { get; init; }

    /// <summary>What each rule said, in the order in which they were asked.</summary>
    public IReadOnlyList<RuleVerdict> Rules { get; init; } = [];

    /// <summary>Tokens of the request, counted or estimated.</summary>
    public int PromptTokens { get; init; }
}

/// <summary>Where an answer came from in the end.</summary>
public sealed record RouteOutcome
{
    /// <summary>The key of answers' additional properties under which this is found.</summary>
    public const string Key = "kidogo";

    /// <summary><c>local</c>, or the upstream's name.</summary>
    public required string ServedBy { get; init; }

    /// <summary>The model that answered.</summary>
    public required string Model { get; init; }

    /// <summary>Why, in a word for programs: asked, privacy, offline, budget, capability, task, confidence, preference, upstream-failed.</summary>
    public required string Reason { get; init; }

    /// <summary>Why, in a sentence.</summary>
    public required string Detail { get; init; }

    /// <summary>Whether it came from this machine.</summary>
    public bool IsLocal => ServedBy == "local";

    /// <summary>The confidence in this machine's answer, 0 to 1; null where nobody looked.</summary>
    public double? Confidence { get; init; }

    /// <summary>Values that left as placeholders and were put back.</summary>
    public int Masked { get; init; }

    /// <summary>What was paid; null for nothing.</summary>
    public double? Cost { get; init; }

    /// <summary>Joules that this machine's answer took, measured or estimated; null for unknown.</summary>
    public double? Joules { get; init; }

    /// <summary>Writes it as an object's value: <c>served_by</c>, <c>model</c>, <c>reason</c>, <c>detail</c>, and <c>confidence</c>, <c>masked</c>, <c>cost</c>, <c>joules</c> where there are such.</summary>
    public void Write(Utf8JsonWriter json)
    {
        ArgumentNullException.ThrowIfNull(json);
        json.WriteStartObject();
        json.WriteString("served_by", ServedBy);
        json.WriteString("model", Model);
        json.WriteString("reason", Reason);
        json.WriteString("detail", Detail);
        if (Confidence is { } confidence)
        {
            json.WriteNumber("confidence", Math.Round(confidence, 4));
        }

        if (Masked > 0)
        {
            json.WriteNumber("masked", Masked);
        }

        if (Cost is { } cost)
        {
            json.WriteNumber("cost", Math.Round(cost, 8));
        }

        if (Joules is { } joules)
        {
            json.WriteNumber("joules", Math.Round(joules, 3));
        }

        json.WriteEndObject();
    }

    internal static string Percent(double share) => share.ToString("0 %", CultureInfo.InvariantCulture);
}
