// What the large model says: asked through the gate, or read from a file. Knows no judge.
using System.Diagnostics;
using System.Text.Json;
using Kidogo.Privacy;
using Kidogo.Routing.Upstream;
using Microsoft.Extensions.AI;

namespace Kidogo.Routing.Worth;

/// <summary>An answer of the large model.</summary>
/// <param name="Text">What it said.</param>
/// <param name="Seconds">How long it took; null for unknown.</param>
/// <param name="PromptTokens">Tokens of the question; null for unknown.</param>
/// <param name="Tokens">Tokens of the answer; null for unknown.</param>
public sealed record LargeAnswer(string Text, double? Seconds = null, long? PromptTokens = null, long? Tokens = null);

/// <summary>Answers of the large model.</summary>
public static class LargeAnswers
{
    private const int MaxLine = 1 << 20;

    /// <summary>Reads answers: a JSON object a line with <c>answer</c>, and <c>seconds</c>, <c>prompt_tokens</c>, <c>completion_tokens</c> where known; in the order of the test, or each with its <c>question</c>.</summary>
    /// <exception cref="RoutingException">A line is none, or there is no answer to a question.</exception>
    public static IReadOnlyList<LargeAnswer> Read(string path, IReadOnlyList<TestItem> items)
    {
        ArgumentNullException.ThrowIfNull(items);
        List<LargeAnswer> inOrder = [];
        Dictionary<string, LargeAnswer> byQuestion = new(StringComparer.Ordinal);
        int number = 0;
        foreach (string line in File.ReadLines(path))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line))
            {
                continue;
            }

            try
            {
                using JsonDocument document = JsonDocument.Parse(line.Length <= MaxLine ? line : throw new FormatException($"The line has more than {MaxLine} characters."), new JsonDocumentOptions { MaxDepth = 16 });
                JsonElement root = document.RootElement;
                LargeAnswer answer = new(root.GetProperty("answer").GetString() ?? "", Number(root, "seconds"), (long?)Number(root, "prompt_tokens"), (long?)Number(root, "completion_tokens"));
                inOrder.Add(answer);
                if (root.TryGetProperty("question", out JsonElement question) && question.GetString() is { } asked)
                {
                    byQuestion[asked] = answer;
                }
            }
            catch (Exception failure) when (failure is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
            {
                throw new RoutingException($"{path}, line {number}: expected an object such as {{\"answer\": \"…\"}}. {failure.Message}", failure);
            }
        }

        return byQuestion.Count > 0
            ? [.. items.Select(item => byQuestion.GetValueOrDefault(item.Question) ?? throw new RoutingException($"{path} has no answer to one of the test's questions. Every line's question has to be that of the test, letter by letter."))]
            : inOrder.Count == items.Count ? inOrder : throw new RoutingException($"{path} has {inOrder.Count} answers and the test {items.Count} questions. There has to be one for each, in the same order.");
    }

    /// <summary>Asks an upstream. A question with personal data is not asked.</summary>
    /// <returns>The answer; null where the question may not leave.</returns>
    /// <exception cref="UpstreamException">It failed.</exception>
    public static async Task<LargeAnswer?> AskAsync(UpstreamClient upstream, PrivacyGate gate, string prompt, int maxTokens, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(upstream);
        ArgumentNullException.ThrowIfNull(gate);
        if (!gate.Inspect([prompt]).IsClean)
        {
            return null;
        }

        long start = Stopwatch.GetTimestamp();
        ChatResponse response = await upstream.GetResponseAsync([new ChatMessage(ChatRole.User, prompt)], new ChatOptions { Temperature = 0, MaxOutputTokens = maxTokens }, cancellation).ConfigureAwait(false);
        return new LargeAnswer(response.Text, Stopwatch.GetElapsedTime(start).TotalSeconds, response.Usage?.InputTokenCount, response.Usage?.OutputTokenCount);
    }

    private static double? Number(JsonElement element, string name) => element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number >= 0 ? number : null;
}
