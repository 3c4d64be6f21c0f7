// Questions asked of this machine's model, with how sure it was and how long it took. Knows no judge.
using System.Diagnostics;
using System.Text;
using Kidogo.Routing.Policy;
using Microsoft.Extensions.AI;

namespace Kidogo.Routing.Worth;

/// <summary>An answer of this machine's model.</summary>
/// <param name="Text">What it said.</param>
/// <param name="Signs">How sure it was; null where the client does not tell.</param>
/// <param name="Seconds">Until its end.</param>
/// <param name="LookSeconds">Until as many tokens were there as confidence looks at.</param>
/// <param name="Tokens">Tokens of the answer.</param>
/// <param name="PromptTokens">Tokens of the question.</param>
public sealed record LocalRun(string Text, ConfidenceSigns? Signs, double Seconds, double LookSeconds, long Tokens, long PromptTokens)
{
    /// <summary>Asks a question: greedily, and where the rule draws more answers, those with temperature 0.8.</summary>
    /// <param name="client">The model.</param>
    /// <param name="prompt">The question.</param>
    /// <param name="rule">How its confidence is looked at.</param>
    /// <param name="maxTokens">Tokens of the answer at most.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task<LocalRun> AskAsync(IChatClient client, string prompt, ConfidenceRule rule, int maxTokens, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(client);
        ArgumentNullException.ThrowIfNull(rule);
        ChatMessage[] messages = [new(ChatRole.User, prompt)];
        ChatOptions options = new() { Temperature = 0, MaxOutputTokens = maxTokens, AdditionalProperties = new() { ["logprobs"] = true } };
        StringBuilder text = new();
        StringBuilder head = new();
        List<double> likelihoods = [];
        UsageDetails? usage = null;
        long start = Stopwatch.GetTimestamp();
        double? looked = null;
        await foreach (ChatResponseUpdate update in client.GetStreamingResponseAsync(messages, options, cancellation).ConfigureAwait(false))
        {
            text.Append(update.Text);
            if (likelihoods.Count < rule.LookAhead)
            {
                head.Append(update.Text);
                likelihoods.AddRange(update.AdditionalProperties?.TryGetValue("logprobs", out object? value) == true && value is IEnumerable<double> given ? given : []);
                looked = Stopwatch.GetElapsedTime(start).TotalSeconds;
            }

            usage = update.Contents.OfType<UsageContent>().LastOrDefault()?.Details ?? usage;
        }

        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        double? agreement = null;
        if (rule.Samples > 0)
        {
            int same = 0;
            for (int index = 1; index <= rule.Samples; index++)
            {
                ChatOptions drawn = new() { Temperature = 0.8f, Seed = index, MaxOutputTokens = Math.Min(maxTokens, rule.LookAhead) };
                same += AnswerJudge.Same((await client.GetResponseAsync(messages, drawn, cancellation).ConfigureAwait(false)).Text, head.ToString()) ? 1 : 0;
            }

            agreement = same / (double)rule.Samples;
        }

        List<double> seen = likelihoods.Count > rule.LookAhead ? likelihoods[..rule.LookAhead] : likelihoods;
        return new LocalRun(text.ToString(), seen.Count == 0 ? null : ConfidenceSigns.Of(seen, agreement), seconds, looked ?? seconds, usage?.OutputTokenCount ?? likelihoods.Count, usage?.InputTokenCount ?? 0);
    }
}
