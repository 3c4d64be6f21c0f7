// What a user allows the router: where requests may go, when, and at what price. Knows no request.
using Kidogo.Privacy;
using Kidogo.Routing.Policy;

namespace Kidogo.Routing;

/// <summary>Which side is asked first.</summary>
public enum RoutePreference
{
    /// <summary>This machine alone: no connection is opened.</summary>
    LocalOnly,

    /// <summary>This machine, and the upstream where its answer is not confident. The default where an upstream is given.</summary>
    LocalFirst,

    /// <summary>The upstream wherever it may be asked, this machine else.</summary>
    UpstreamFirst,
}

/// <summary>What happens to a request with personal data.</summary>
public enum PersonalDataRule
{
    /// <summary>It stays here. Default.</summary>
    Block,

    /// <summary>It may leave with placeholders in place of what is personal, which are put back in the answer.</summary>
    Mask,
}

/// <summary>A model elsewhere that speaks OpenAI's API.</summary>
public sealed record UpstreamOptions
{
    /// <summary>What clients call it here.</summary>
    public required string Name { get; init; }

    /// <summary>The address up to and with <c>/v1</c>. HTTPS, or HTTP to this machine.</summary>
    public required Uri Endpoint { get; init; }

    /// <summary>What it is called there. Default: the name.</summary>
    public string? Model { get; init; }

    /// <summary>The environment variable that holds the key; null for none.</summary>
    public string? KeyVariable { get; init; }

    /// <summary>The file whose first line is the key; null for none.</summary>
    public string? KeyFile { get; init; }

    /// <summary>Whether HTTP to another machine is allowed, where everyone on the way can read. Default false.</summary>
    public bool AllowsHttp { get; init; }

    /// <summary>Tokens that it reads and writes together. Default 128,000.</summary>
    public int ContextTokens { get; init; } = 128_000;

    /// <summary>Whether it calls tools. Default true.</summary>
    public bool HasTools { get; init; } = true;

    /// <summary>Price of a million tokens of prompts, in the budget's money. Default 0.</summary>
    public double InputPrice { get; init; }

    /// <summary>Price of a million tokens of answers. Default 0.</summary>
    public double OutputPrice { get; init; }

    /// <summary>How long a connection may take to open. Default 2 s.</summary>
    public TimeSpan ConnectTime { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long the first token may take, over all tries. Default 20 s.</summary>
    public TimeSpan FirstTokenTime { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>How long a stream may be silent once it has begun. Default 20 s.</summary>
    public TimeSpan SilenceTime { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Tries after the first that failed, 0 to 5, before the first token only. Default 1.</summary>
    public int Retries { get; init; } = 1;

    /// <summary>Failures after which it is left alone, 2 to 100, where they are half of the tries or more. Default 3.</summary>
    public int BreakerFailures { get; init; } = 3;

    /// <summary>How long it is left alone. Default 30 s.</summary>
    public TimeSpan BreakerTime { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Bytes of the largest response. Default 16 MiB.</summary>
    public long MaxResponseBytes { get; init; } = 16 << 20;

    /// <summary>Requests to it at once; more are answered here. Default 32.</summary>
    public int MaxConcurrent { get; init; } = 32;
}

/// <summary>Requests like these examples go to one place.</summary>
public sealed record TaskRule
{
    /// <summary>What it is called in reasons.</summary>
    public required string Name { get; init; }

    /// <summary><c>local</c>, or <c>upstream</c>.</summary>
    public required bool ToUpstream { get; init; }

    /// <summary>What such requests look like; at most 256.</summary>
    public required IReadOnlyList<string> Examples { get; init; }

    /// <summary>Cosine similarity from which a request is like an example, 0 to 1. Default 0.6.</summary>
    public double Threshold { get; init; } = 0.6;
}

/// <summary>When an answer of this machine is trusted.</summary>
public sealed record ConfidenceRule
{
    /// <summary>Score from which it is, 0 to 1. Default 0.5.</summary>
    public double Threshold { get; init; } = 0.5;

    /// <summary>Tokens that are looked at, and held back in a stream, before it is decided. Default 64.</summary>
    public int LookAhead { get; init; } = 64;

    /// <summary>Further answers that are drawn to see whether they agree, 0 to 8. Default 0: each costs as much as the answer.</summary>
    public int Samples { get; init; }

    /// <summary>How signs become a score; null for the geometric mean of the tokens' probabilities, which is not calibrated.</summary>
    public ConfidenceModel? Model { get; init; }
}

/// <summary>What may be spent.</summary>
public sealed record BudgetRule
{
    /// <summary>Money a day (UTC) for all upstreams; null for no limit.</summary>
    public double? MoneyPerDay { get; init; }

    /// <summary>Joules a day of this machine's answers, after which upstreams are preferred; null for no limit.</summary>
    public double? JoulesPerDay { get; init; }

    /// <summary>Seconds to an answer's first token: the side that has taken longer lately is avoided where the other has not; null for no limit.</summary>
    public double? LatencySeconds { get; init; }
}

/// <summary>All that the router goes by. It reads this and the request's form, and never takes a model's or a message's word for where to send something.</summary>
public sealed record RoutingOptions
{
    /// <summary>Which side is asked first. Default: this machine, and where upstreams are given, them where its answer is not confident.</summary>
    public RoutePreference Preference { get; init; } = RoutePreference.LocalFirst;

    /// <summary>The upstreams, the preferred first. None: nothing leaves.</summary>
    public IReadOnlyList<UpstreamOptions> Upstreams { get; init; } = [];

    /// <summary>Whether upstreams are off, as if there were none. Default false.</summary>
    public bool IsOffline { get; init; }

    /// <summary>What happens to personal data.</summary>
    public PersonalDataRule PersonalData { get; init; }

    /// <summary>What counts as personal.</summary>
    public PrivacyOptions Privacy { get; init; } = new();

    /// <summary>Tasks with a place of their own; they need an encoder.</summary>
    public IReadOnlyList<TaskRule> Tasks { get; init; } = [];

    /// <summary>When an answer of this machine is trusted.</summary>
    public ConfidenceRule Confidence { get; init; } = new();

    /// <summary>What may be spent.</summary>
    public BudgetRule Budget { get; init; } = new();

    /// <summary>The audit log; null for none.</summary>
    public string? AuditFile { get; init; }

    /// <summary>Bytes of an audit file before a new one is begun. Default 10 MiB.</summary>
    public long AuditBytes { get; init; } = 10 << 20;

    /// <summary>Audit files that are kept beside the current one. Default 5.</summary>
    public int AuditKeep { get; init; } = 5;

    /// <summary>Whether a request may leave at all.</summary>
    public bool HasUpstream => Upstreams.Count > 0 && !IsOffline && Preference != RoutePreference.LocalOnly;
}

/// <summary>What the router has to know about the model of this machine.</summary>
public sealed record LocalModelFacts
{
    /// <summary>What it is called in answers. Default <c>local</c>.</summary>
    public string Name { get; init; } = "local";

    /// <summary>Tokens that it reads and writes together; null for unknown.</summary>
    public int? ContextTokens { get; init; }

    /// <summary>Whether it calls tools. Default true.</summary>
    public bool HasTools { get; init; } = true;

    /// <summary>Counts the tokens of a text; null to estimate them as a third of its characters.</summary>
    public Func<string, int>? CountTokens { get; init; }

    /// <summary>Joules that a token of an answer takes; null for unknown.</summary>
    public double? JoulesPerToken { get; init; }
}
