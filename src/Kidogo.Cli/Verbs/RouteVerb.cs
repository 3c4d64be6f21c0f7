// kidogo route: what the router would do with a request, and its calibration.
using System.CommandLine;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Inference;
using Kidogo.Routing;
using Kidogo.Routing.Policy;
using Microsoft.Extensions.AI;

namespace Kidogo.Cli.Verbs;

internal static class RouteVerb
{
    public static Command Create(Session session) => new("route", "The router: what it would do with a request, and when it trusts this machine's answers") { Explain(session), RouteCalibrateVerb.Create(session) };

    /// <summary>The policy that an option names.</summary>
    public static RoutingOptions Policy(string path)
    {
        try
        {
            return RoutingFile.Read(path);
        }
        catch (RoutingException failure)
        {
            throw new FailureException(failure.Message);
        }
    }

    private static Command Explain(Session session)
    {
        Argument<string?> text = new("TEXT") { Description = "A request as a user would write it; standard input where there is none", Arity = ArgumentArity.ZeroOrOne };
        Option<string?> upstream = Opt.Text("--upstream", "FILE", "The policy, as of kidogo serve (default: none, so everything stays here)");
        Option<string?> model = Opt.Text("--model", "NAME", "The model that the request asks for (default auto)");
        Option<string?> encoder = Opt.Text("--encoder", "FOLDER", "An encoder, where the policy has tasks");
        Option<int?> context = Opt.Int("--context", "Tokens that the model of this machine reads with its answer (default: not looked at)", 1);
        Option<bool> json = Opt.Json();
        Command command = new("explain", "What would happen to a request: nothing is sent, no model is asked") { text, upstream, model, encoder, context, json };
        command.SetAction(async (parsed, cancellation) =>
        {
            string request = parsed.GetValue(text) ?? StandardInput.ReadText(session);
            RoutingOptions policy = parsed.GetValue(upstream) is { } path ? Policy(path) : new RoutingOptions { Preference = RoutePreference.LocalOnly };
            using KidogoEmbeddingGenerator? embeddings = parsed.GetValue(encoder) is { } folder ? KidogoEmbeddingGenerator.Load(new KidogoOptions { EmbeddingModel = folder }) : null;
            using NoModel nobody = new();
            try
            {
                // The audit log tells what was spent today; explaining writes nothing to it.
                using HybridChatClient client = new(nobody, policy, new LocalModelFacts { ContextTokens = parsed.GetValue(context) }, embeddings);
                RouteDecision decision = await client.ExplainAsync([new ChatMessage(ChatRole.User, request)], new ChatOptions { ModelId = parsed.GetValue(model) }, cancellation).ConfigureAwait(false);
                Print(session, decision, parsed.GetValue(json));
            }
            catch (RoutingException failure)
            {
                throw new FailureException(failure.Message);
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static void Print(Session session, RouteDecision decision, bool asJson)
    {
        string plan = decision.Plan switch
        {
            RoutePlan.Local => "local",
            RoutePlan.Upstream => "upstream",
            _ => "local-then-upstream",
        };
        if (asJson)
        {
            JsonOutput.Write(session, json =>
            {
                json.WriteString("plan", plan);
                json.WriteString("reason", decision.Reason);
                json.WriteString("detail", decision.Detail);
                json.WriteString("upstream", decision.Upstream);
                json.WriteString("personal_data", decision.PersonalData);
                json.WriteBoolean("masked", decision.IsMasked);
                json.WriteNumber("prompt_tokens", decision.PromptTokens);
                json.WriteStartArray("rules");
                foreach (RuleVerdict verdict in decision.Rules)
                {
                    json.WriteStartObject();
                    json.WriteString("rule", verdict.Rule);
                    json.WriteString("verdict", verdict.Verdict);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
            });
            return;
        }

        session.Output.WriteLine(decision.Plan switch
        {
            RoutePlan.Local => "would be answered here",
            RoutePlan.Upstream => $"would be answered by {decision.Upstream}{(decision.IsMasked ? ", with placeholders for personal data" : "")}",
            _ => $"would be answered here, and by {decision.Upstream} where the answer is not confident{(decision.IsMasked ? ", with placeholders for personal data" : "")}",
        });
        session.Output.WriteLine($"because     {decision.Detail}");
        foreach (RuleVerdict verdict in decision.Rules)
        {
            session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{verdict.Rule,-12}{verdict.Verdict}"));
        }
    }

    /// <summary>Stands where a model would: explaining asks none.</summary>
    private sealed class NoModel : IChatClient
    {
        public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) => throw new NotSupportedException("Explaining asks no model.");

        public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) => throw new NotSupportedException("Explaining asks no model.");

        public object? GetService(Type serviceType, object? serviceKey = null) => null;

        public void Dispose()
        {
        }
    }
}
