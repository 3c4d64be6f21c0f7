// The rules, one after the other: privacy, offline and budget, capability, task, confidence. Reads the policy and the form of a request; obeys no word in it.
using Kidogo.Privacy;
using Kidogo.Routing.Policy;
using Kidogo.Routing.Upstream;
using Microsoft.Extensions.AI;

namespace Kidogo.Routing;

/// <summary>A decision with what it would send.</summary>
/// <param name="Decision">The decision.</param>
/// <param name="Upstream">Who may be asked; null for nobody.</param>
/// <param name="Sent">What would leave; null for nothing.</param>
/// <param name="Placeholders">What stands for what in it; null where nothing was masked.</param>
/// <param name="CanAnswerHere">Whether this machine can answer.</param>
internal sealed record PreparedRoute(RouteDecision Decision, UpstreamClient? Upstream, (IReadOnlyList<ChatMessage> Messages, ChatOptions Options)? Sent, Placeholders? Placeholders, bool CanAnswerHere);

/// <summary>Decides. For any number of threads.</summary>
internal sealed class Router
{
    /// <summary>The names that are not upstreams'.</summary>
    public const string Auto = "auto", Local = "local";

    /// <summary>Characters of a token, where nobody counts tokens.</summary>
    public const int CharactersOfToken = 3;

    /// <summary>Tokens that money is set aside for where a request says no number.</summary>
    public const int LongestAnswer = 4096;

    private const int UsualAnswer = 512;

    private readonly RoutingOptions _options;
    private readonly LocalModelFacts _facts;
    private readonly PrivacyGate _gate;
    private readonly UpstreamClient[] _upstreams;
    private readonly TaskMatcher? _tasks;
    private readonly Budget _budget;

    public Router(RoutingOptions options, LocalModelFacts facts, UpstreamClient[] upstreams, IEmbeddingGenerator<string, Embedding<float>>? encoder, Budget budget)
    {
        _options = options;
        _facts = facts;
        _upstreams = upstreams;
        _budget = budget;
        _gate = new PrivacyGate(options.Privacy);
        _tasks = options.Tasks.Count == 0 ? null
            : new TaskMatcher(options.Tasks, encoder ?? throw new RoutingException("The policy has tasks, and likeness to their examples is told by an encoder: give one, such as kidogo serve MODEL path/to/all-MiniLM-L6-v2 --upstream cloud.yaml."));
    }

    /// <summary>Decides where a request goes. Nothing is sent.</summary>
    /// <exception cref="RoutingException">No place may and can answer it, or it asks for a model that is not there.</exception>
    /// <param name="given">The conversation.</param>
    /// <param name="options">How it is to be answered.</param>
    /// <param name="explains">Whether to look for personal data even where nothing can leave.</param>
    /// <param name="cancellation">Ends it.</param>
    public async Task<PreparedRoute> DecideAsync(IEnumerable<ChatMessage> given, ChatOptions options, bool explains, CancellationToken cancellation)
    {
        ChatMessage[] messages = [.. given];
        Trail trail = new();
        string asked = options.ModelId ?? Auto;
        if (asked is not (Auto or Local) && asked != _facts.Name && _upstreams.All(upstream => upstream.Options.Name != asked))
        {
            throw new RoutingException($"There is no model of that name. Known: {string.Join(", ", _upstreams.Select(upstream => upstream.Options.Name).Prepend(Local).Prepend(Auto))}.");
        }

        if (asked == Local || asked == _facts.Name)
        {
            return Here(trail, "asked", "The request asks for the model of this machine.", 0);
        }

        if (!_options.HasUpstream)
        {
            if (explains && _gate.Inspect(RequestTexts.Of(messages, options).Texts) is { IsClean: false } seen)
            {
                trail.Add("privacy", $"Personal data was found ({seen.Summary}).");
            }

            return Here(trail, _options.Preference == RoutePreference.LocalOnly || _options.Upstreams.Count == 0 ? "local-only" : "offline", "No upstream is in use: everything is answered on this machine.", 0);
        }

        // Privacy comes before anything else is looked at.
        RequestTexts texts = RequestTexts.Of(messages, options);
        GateReport report = _gate.Inspect(texts.Texts);
        int tokens = CountTokens(texts.Texts);
        (string? barred, Privacy mask) = Mask(messages, options, texts, ref report, trail);
        bool isMasked = mask.Placeholders is { Count: > 0 };
        (IReadOnlyList<ChatMessage> Messages, ChatOptions Options) sent = mask.Sent ?? RequestTexts.With(messages, options, texts.Texts);

        // Who of the upstreams could be asked at all: not left alone, paid for, large enough.
        int answer = Math.Min(options.MaxOutputTokens ?? UsualAnswer, 1 << 20);
        UpstreamClient? upstream = barred is not null ? null : Choose(asked, tokens, answer, options, trail, out barred);
        string detail = barred is null ? "" : trail.Last;
        PreparedRoute Finish(RoutePlan plan, string reason, string because) => new(
            new RouteDecision
            {
                Plan = plan,
                Reason = reason,
                Detail = because,
                Upstream = plan == RoutePlan.Local ? null : upstream?.Options.Name,
                PersonalData = report.Summary,
                IsMasked = isMasked && plan != RoutePlan.Local,
                Rules = trail.Verdicts,
                PromptTokens = tokens,
            },
            plan == RoutePlan.Local ? null : upstream, plan == RoutePlan.Local ? null : sent, isMasked ? mask.Placeholders : null, CanAnswerHere: WhyNotHere(texts, tokens, options) is null);

        string? cannot = WhyNotHere(texts, tokens, options);
        if (upstream is null)
        {
            return cannot is null ? Finish(RoutePlan.Local, barred!, detail)
                : throw new RoutingException($"Nobody may and can answer this. The upstream: {detail} This machine: {cannot}");
        }

        if (cannot is not null)
        {
            trail.Add("capability", cannot);
            return Finish(RoutePlan.Upstream, "capability", cannot);
        }

        if (asked != Auto)
        {
            trail.Add("asked", $"The request asks for {asked}.");
            return Finish(RoutePlan.Upstream, "asked", $"The request asks for {asked}.");
        }

        if (ByBudget(trail) is { } byBudget)
        {
            return Finish(byBudget, "budget", trail.Last);
        }

        if (_tasks is not null && LastOfUser(messages) is { Length: > 0 } question)
        {
            (TaskRule Rule, double Similarity)? task = await _tasks.MatchAsync(question, cancellation).ConfigureAwait(false);
            trail.Add("task", task is { } like
                ? string.Create(System.Globalization.CultureInfo.InvariantCulture, $"It is like the examples of {like.Rule.Name} (similarity {like.Similarity:0.00}), which go to {(like.Rule.ToUpstream ? "the upstream" : "this machine")}.")
                : "It is like no task's examples.");
            if (task is { } found)
            {
                return Finish(found.Rule.ToUpstream ? RoutePlan.Upstream : RoutePlan.Local, "task", trail.Last);
            }
        }

        if (_options.Preference == RoutePreference.UpstreamFirst)
        {
            trail.Add("preference", "The policy prefers the upstream.");
            return Finish(RoutePlan.Upstream, "preference", trail.Last);
        }

        trail.Add("confidence", string.Create(System.Globalization.CultureInfo.InvariantCulture,
            $"This machine answers first; below a confidence of {_options.Confidence.Threshold:0.###}{(_options.Confidence.Model is null ? " (not calibrated)" : "")} {upstream.Options.Name} is asked."));
        return Finish(RoutePlan.LocalThenUpstream, "confidence", trail.Last);
    }

    /// <summary>What a request to an upstream may cost at most.</summary>
    public static double CostOf(UpstreamOptions upstream, long input, long output) => ((input * upstream.InputPrice) + (output * upstream.OutputPrice)) / 1e6;

    /// <summary>What a request may cost at most, before it is sent.</summary>
    public static double WorstCost(UpstreamOptions upstream, int tokens, ChatOptions options) => CostOf(upstream, tokens * 2L, Math.Min(options.MaxOutputTokens ?? LongestAnswer, upstream.ContextTokens));

    private static PreparedRoute Here(Trail trail, string reason, string detail, int tokens)
    {
        trail.Add(reason, detail);
        return new PreparedRoute(new RouteDecision { Plan = RoutePlan.Local, Reason = reason, Detail = detail, Rules = trail.Verdicts, PromptTokens = tokens }, null, null, null, CanAnswerHere: true);
    }

    /// <summary>What privacy says: whether the request is barred, and in what form it may leave.</summary>
    private (string? Barred, Privacy Mask) Mask(ChatMessage[] messages, ChatOptions options, RequestTexts texts, ref GateReport report, Trail trail)
    {
        if (texts.HasUnknown)
        {
            trail.Add("privacy", "It has an attachment that cannot be looked at, so it stays.");
            return ("privacy", default);
        }

        if (report.IsClean)
        {
            report = OnlyTogether(texts, null);
        }

        if (report.IsClean)
        {
            trail.Add("privacy", "No personal data was found.");
            return (null, default);
        }

        string found = $"Personal data was found ({report.Summary})";
        if (_options.PersonalData == PersonalDataRule.Block)
        {
            trail.Add("privacy", $"{found}, so it stays.");
            return ("privacy", default);
        }

        if (_gate.Mask(texts.Texts, out Placeholders placeholders) is { } masked)
        {
            (IReadOnlyList<ChatMessage> Messages, ChatOptions Options) sent = RequestTexts.With(messages, options, masked);
            if (OnlyTogether(RequestTexts.Of(sent.Messages, sent.Options), placeholders).IsClean)
            {
                trail.Add("privacy", $"{found}; it may leave with {placeholders.Count} placeholders.");
                return (null, new Privacy(sent, placeholders));
            }
        }

        trail.Add("privacy", $"{found}, and not all of it could be masked, so it stays.");
        return ("privacy", default);
    }

    /// <summary>What is seen where texts meet, and in none of them alone.</summary>
    /// <param name="texts">The texts.</param>
    /// <param name="masked">What of them are placeholders; null for nothing.</param>
    private GateReport OnlyTogether(RequestTexts texts, Placeholders? masked)
    {
        Dictionary<PersonalKind, int> counts = [];
        string Left(string text) => masked?.Blank(text) ?? text;
        foreach (Seam seam in texts.Seams)
        {
            GateReport whole = _gate.Inspect([Left(seam.Whole)]);
            if (whole.IsClean)
            {
                continue;
            }

            GateReport parts = _gate.Inspect(seam.Parts.Select(Left));
            foreach ((PersonalKind kind, int count) in whole.Counts.Where(pair => !seam.Except.Contains(pair.Key) && pair.Value > parts.Counts.GetValueOrDefault(pair.Key)))
            {
                counts[kind] = counts.GetValueOrDefault(kind) + count - parts.Counts.GetValueOrDefault(kind);
            }
        }

        return new GateReport { Counts = counts };
    }

    private UpstreamClient? Choose(string asked, int tokens, int answer, ChatOptions options, Trail trail, out string? barred)
    {
        barred = null;
        foreach (UpstreamClient upstream in _upstreams.Where(upstream => asked == Auto || upstream.Options.Name == asked))
        {
            UpstreamOptions facts = upstream.Options;
            if (upstream.IsLeftAlone)
            {
                barred = "offline";
                trail.Add("offline", $"{facts.Name} has failed lately and is left alone.");
            }
            else if (!_budget.Allows(WorstCost(facts, tokens, options)))
            {
                barred = "budget";
                trail.Add("budget", $"Asking {facts.Name} could cost more than is left of today's money.");
            }
            else if (tokens + answer > facts.ContextTokens)
            {
                barred = "capability";
                trail.Add("capability", $"The request has about {tokens} tokens; {facts.Name} reads {facts.ContextTokens} with the answer.");
            }
            else if (options.Tools is { Count: > 0 } && !facts.HasTools)
            {
                barred = "capability";
                trail.Add("capability", $"The request has tools, which {facts.Name} does not call.");
            }
            else
            {
                barred = null;
                return upstream;
            }
        }

        return null;
    }

    private string? WhyNotHere(RequestTexts texts, int tokens, ChatOptions options) =>
        texts.HasUnknown ? "The model of this machine reads text only, and the request has other attachments."
        : _facts.ContextTokens is { } context && tokens + Math.Min(options.MaxOutputTokens ?? 1, context) > context ? $"The request has about {tokens} tokens; this machine's model reads {context} with the answer."
        : options.Tools is { Count: > 0 } && !_facts.HasTools ? "The request has tools, which this machine's model does not call."
        : null;

    private RoutePlan? ByBudget(Trail trail)
    {
        if (_budget.IsJoulesSpent)
        {
            trail.Add("budget", "This machine has used its joules of today.");
            return RoutePlan.Upstream;
        }

        if (_options.Budget.LatencySeconds is { } most)
        {
            (double? here, double? there) = _budget.Seconds;
            if (there > most && !(here > most))
            {
                trail.Add("budget", "Upstreams have taken longer to begin lately than the policy allows.");
                return RoutePlan.Local;
            }

            if (here > most && !(there > most))
            {
                trail.Add("budget", "This machine has taken longer to begin lately than the policy allows.");
                return RoutePlan.Upstream;
            }
        }

        trail.Add("budget", "There is money, and time, left.");
        return null;
    }

    private int CountTokens(IReadOnlyList<string> texts) => _facts.CountTokens is { } count && texts.Sum(text => (long)text.Length) < 1 << 20 ? texts.Sum(text => count(text) + 4) : (int)Math.Min(int.MaxValue / 4, texts.Sum(text => (text.Length / (long)CharactersOfToken) + 4));

    private static string? LastOfUser(ChatMessage[] messages) => messages.LastOrDefault(message => message.Role == ChatRole.User)?.Text;

    private readonly record struct Privacy((IReadOnlyList<ChatMessage> Messages, ChatOptions Options)? Sent, Placeholders? Placeholders);

    private sealed class Trail
    {
        private readonly List<RuleVerdict> _verdicts = [];

        public IReadOnlyList<RuleVerdict> Verdicts => _verdicts;

        public string Last => _verdicts[^1].Verdict;

        public void Add(string rule, string verdict) => _verdicts.Add(new RuleVerdict(rule, verdict));
    }
}
