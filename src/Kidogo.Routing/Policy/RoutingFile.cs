// A policy as a file: cloud.yaml. Opens no connection and reads no key.
using Kidogo.Privacy;

namespace Kidogo.Routing.Policy;

/// <summary>Reads policies.</summary>
public static class RoutingFile
{
    /// <summary>Reads a policy. A file that it names, such as the calibration, lies beside it unless the path is absolute.</summary>
    /// <exception cref="RoutingException">It is no policy; the message has the line, what was expected, and the known fields.</exception>
    public static RoutingOptions Read(string path) => Of(PolicyFields.ReadFile(path), Path.GetDirectoryName(Path.GetFullPath(path))!);

    /// <summary>Reads a policy from a text; files that it names lie in <paramref name="folder"/>.</summary>
    /// <exception cref="RoutingException">It is no policy.</exception>
    public static RoutingOptions Parse(string yaml, string folder = ".") => Of(PolicyFields.Read(yaml, "the policy"), folder);

    /// <summary>Reads a calibration that kidogo route calibrate wrote.</summary>
    /// <exception cref="RoutingException">It is none.</exception>
    public static ConfidenceRule Calibration(string path) => ConfidenceModel.ReadFile(path);

    private static RoutingOptions Of(PolicyFields file, string folder)
    {
        UpstreamOptions[] upstreams = [.. file.Objects("upstream").Concat(file.Objects("upstreams")).Select(fields => Upstream(fields, folder))];
        if (upstreams.Select(upstream => upstream.Name).GroupBy(name => name).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new RoutingException($"Two upstreams are called {twice.Key}. Give each a name of its own.");
        }

        PolicyFields policy = file.Object("policy") ?? PolicyFields.Read("", "policy");
        PolicyFields audit = file.Object("audit") ?? PolicyFields.Read("", "audit");
        bool isEnabled = file.Flag("enabled") ?? true;
        RoutingOptions options = new()
        {
            Upstreams = upstreams,
            IsOffline = !isEnabled || (policy.Flag("offline") ?? false),
            Preference = policy.Choice("prefer", "local-only", "local-first", "upstream-first") switch
            {
                "local-only" => RoutePreference.LocalOnly,
                "upstream-first" => RoutePreference.UpstreamFirst,
                _ => RoutePreference.LocalFirst,
            },
            PersonalData = policy.Choice("personal_data", "block", "mask") == "mask" ? PersonalDataRule.Mask : PersonalDataRule.Block,
            Privacy = Privacy(policy),
            Tasks = [.. policy.Objects("tasks").Select(Task)],
            Confidence = Confidence(policy, folder),
            Budget = Budget(policy),
            AuditFile = audit.Text("file") is { } path ? Path.Combine(folder, path) : null,
            AuditBytes = (long)((audit.Number("max_megabytes", 0.01, 10_000) ?? 10) * (1 << 20)),
            AuditKeep = audit.Int("keep", 0, 1000) ?? 5,
        };
        audit.RejectUnknown();
        policy.RejectUnknown();
        file.RejectUnknown();
        return options;
    }

    private static UpstreamOptions Upstream(PolicyFields fields, string folder)
    {
        if (fields.Text("key") is not null || fields.Text("api_key") is not null)
        {
            throw new RoutingException("A key does not belong into the policy, which is copied and shown. Put it into an environment variable (key_env: NAME) or a file of its own (key_file: PATH).");
        }

        string url = fields.RequiredText("url");
        if (!Uri.TryCreate(url, UriKind.Absolute, out Uri? endpoint) || endpoint.Scheme is not ("http" or "https") || endpoint.UserInfo.Length > 0 || endpoint.Query.Length > 0)
        {
            throw fields.Wrong("url", "an address such as https://api.example.org/v1, without a name, a password or a query");
        }

        UpstreamOptions defaults = new() { Name = "", Endpoint = endpoint };
        UpstreamOptions upstream = new()
        {
            Name = fields.RequiredText("name"),
            Endpoint = endpoint,
            Model = fields.Text("model"),
            KeyVariable = fields.Text("key_env"),
            KeyFile = fields.Text("key_file") is { } file ? Path.Combine(folder, file) : null,
            AllowsHttp = fields.Flag("allow_http") ?? false,
            ContextTokens = fields.Int("context", 1, int.MaxValue) ?? defaults.ContextTokens,
            HasTools = fields.Flag("tools") ?? true,
            InputPrice = fields.Number("price_per_million_input", 0, 1e6) ?? 0,
            OutputPrice = fields.Number("price_per_million_output", 0, 1e6) ?? 0,
            ConnectTime = fields.Seconds("connect_seconds") ?? defaults.ConnectTime,
            FirstTokenTime = fields.Seconds("first_token_seconds") ?? defaults.FirstTokenTime,
            SilenceTime = fields.Seconds("silence_seconds") ?? defaults.SilenceTime,
            Retries = fields.Int("retries", 0, 5) ?? defaults.Retries,
            BreakerFailures = fields.Int("breaker_failures", 2, 100) ?? defaults.BreakerFailures,
            BreakerTime = fields.Number("breaker_seconds", 0.5, 3600) is { } seconds ? TimeSpan.FromSeconds(seconds) : defaults.BreakerTime,
            MaxResponseBytes = (long)((fields.Number("max_response_megabytes", 0.001, 1024) ?? 16) * (1 << 20)),
            MaxConcurrent = fields.Int("max_concurrent", 1, 10_000) ?? defaults.MaxConcurrent,
        };
        fields.RejectUnknown();
        return upstream;
    }

    private static PrivacyOptions Privacy(PolicyFields policy)
    {
        HashSet<PersonalKind> except = [];
        foreach (string word in policy.Texts("except"))
        {
            except.Add(Enum.TryParse(word, ignoreCase: true, out PersonalKind kind) && Enum.IsDefined(kind) ? kind
                : throw policy.Wrong("except", $"kinds of personal data: {string.Join(", ", Enum.GetNames<PersonalKind>()).ToLowerInvariant()}"));
        }

        PrivacyOptions privacy = new()
        {
            Except = except,
            Patterns = policy.Texts("patterns"),
            Allow = policy.Texts("allow"),
            Health = policy.Choice("health", "of-somebody", "any") == "any" ? HealthRule.Any : HealthRule.OfSomebody,
        };
        try
        {
            _ = new PersonalDataFinder(privacy);
        }
        catch (ArgumentException failure)
        {
            throw new RoutingException(failure.Message, failure);
        }

        return privacy;
    }

    private static TaskRule Task(PolicyFields fields)
    {
        TaskRule task = new()
        {
            Name = fields.RequiredText("name"),
            ToUpstream = (fields.Choice("to", "local", "upstream") ?? throw fields.Wrong("to", "local or upstream")) == "upstream",
            Examples = fields.Texts("examples") is { Count: > 0 and <= 256 } examples ? examples : throw fields.Wrong("examples", "a list of 1 to 256 texts"),
            Threshold = fields.Number("threshold", 0, 1) ?? 0.6,
        };
        fields.RejectUnknown();
        return task;
    }

    private static ConfidenceRule Confidence(PolicyFields policy, string folder)
    {
        PolicyFields fields = policy.Object("confidence") ?? PolicyFields.Read("", "confidence");
        ConfidenceRule rule = fields.Text("calibration") is { } file ? ConfidenceModel.ReadFile(Path.Combine(folder, file)) : new ConfidenceRule();
        rule = rule with
        {
            Threshold = fields.Number("threshold", 0, 1) ?? rule.Threshold,
            LookAhead = fields.Int("look_ahead", 1, 4096) ?? rule.LookAhead,
            Samples = fields.Int("samples", 0, 8) ?? rule.Samples,
        };
        fields.RejectUnknown();
        return rule;
    }

    private static BudgetRule Budget(PolicyFields policy)
    {
        PolicyFields fields = policy.Object("budget") ?? PolicyFields.Read("", "budget");
        BudgetRule budget = new()
        {
            MoneyPerDay = fields.Number("money_per_day", 0, 1e9),
            JoulesPerDay = fields.Number("joules_per_day", 0, 1e12),
            LatencySeconds = fields.Number("latency_seconds", 0.01, 3600),
        };
        fields.RejectUnknown();
        return budget;
    }
}
