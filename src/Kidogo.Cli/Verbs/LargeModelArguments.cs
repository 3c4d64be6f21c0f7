// The large model of a comparison or a calibration: a policy, an address, or a file of its answers; and what it costs.
using System.CommandLine;
using Kidogo.Cli.Shell;
using Kidogo.Privacy;
using Kidogo.Routing;
using Kidogo.Routing.Upstream;
using Kidogo.Routing.Worth;

namespace Kidogo.Cli.Verbs;

internal sealed class LargeModelArguments
{
    private readonly Option<string?> _against = Opt.Text("--against", "ENDPOINT|FILE", "The large model: an address such as https://api.example.org/v1, a policy (cloud.yaml), or a file of its answers (answers.jsonl)");
    private readonly Option<string?> _model = Opt.Text("--against-model", "NAME", "What it is called at that address");
    private readonly Option<string?> _key = Opt.Text("--key-env", "NAME", "The environment variable that holds the key to that address");
    private readonly Option<double?> _input = Opt.Number("--price-input", "Its price for a million tokens of prompts", 0, 1e6);
    private readonly Option<double?> _output = Opt.Number("--price-output", "Its price for a million tokens of answers", 0, 1e6);

    public IEnumerable<Option> All => [_against, _model, _key, _input, _output];

    public string? Against(ParseResult parsed) => parsed.GetValue(_against);

    /// <summary>The policy that these options say; null where there is a file of answers alone.</summary>
    public RoutingOptions? Policy(ParseResult parsed)
    {
        string? against = Against(parsed);
        if (against is null || IsAnswers(against))
        {
            return null;
        }

        if (!Uri.TryCreate(against, UriKind.Absolute, out Uri? endpoint) || endpoint.Scheme is not ("http" or "https"))
        {
            RoutingOptions policy = RouteVerb.Policy(against);
            return policy.HasUpstream ? policy : throw new FailureException($"{against} names no upstream that is in use, so there is no large model to ask.");
        }

        string model = parsed.GetValue(_model) ?? throw new UsageException("--against with an address needs --against-model NAME: what the large model is called there.");
        return new RoutingOptions { Upstreams = [new UpstreamOptions { Name = model, Endpoint = endpoint, KeyVariable = parsed.GetValue(_key), FirstTokenTime = TimeSpan.FromSeconds(60) }] };
    }

    /// <summary>What it costs: what the options say, else the policy.</summary>
    public (double Input, double Output) Prices(ParseResult parsed, RoutingOptions? policy) =>
        (parsed.GetValue(_input) ?? policy?.Upstreams[0].InputPrice ?? 0, parsed.GetValue(_output) ?? policy?.Upstreams[0].OutputPrice ?? 0);

    /// <summary>The answers to a test; null for each question that may not leave.</summary>
    public async Task<IReadOnlyList<LargeAnswer?>> AskAsync(ParseResult parsed, RoutingOptions? policy, IReadOnlyList<TestItem> items, int maxTokens, Action<int> asked, CancellationToken cancellation)
    {
        if (policy is null)
        {
            return LargeAnswers.Read(Against(parsed)!, items);
        }

        using UpstreamClient upstream = new(policy.Upstreams[0]);
        PrivacyGate gate = new(policy.Privacy);
        List<LargeAnswer?> answers = [];
        foreach (TestItem item in items)
        {
            answers.Add(await LargeAnswers.AskAsync(upstream, gate, item.Prompt, maxTokens, cancellation).ConfigureAwait(false));
            asked(answers.Count);
        }

        return answers;
    }

    private static bool IsAnswers(string against) => against.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase);
}
