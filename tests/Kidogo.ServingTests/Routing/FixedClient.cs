// A model of this machine that says what a test wants, as sure as it wants. Counts how often it was asked.
using System.Runtime.CompilerServices;
using Kidogo.Routing;
using Microsoft.Extensions.AI;

namespace Kidogo.ServingTests.Routing;

internal sealed class FixedClient : IChatClient
{
    private int _asked;

    public Func<string, (string Text, double LogProbability)> Says { get; set; } = _ => ("local answer", -0.01);

    public int Asked => _asked;

    public List<ChatOptions> Options { get; } = [];

    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        await GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        Interlocked.Increment(ref _asked);
        lock (Options)
        {
            Options.Add(options!);
        }

        await Task.Yield();
        (string text, double likelihood) = Says(messages.Last().Text);
        foreach (string word in text.Split(' '))
        {
            yield return new ChatResponseUpdate(ChatRole.Assistant, $"{word} ") { MessageId = "m", AdditionalProperties = new() { ["logprobs"] = new[] { likelihood } } };
        }

        yield return new ChatResponseUpdate(ChatRole.Assistant, [new UsageContent(new UsageDetails { InputTokenCount = 5, OutputTokenCount = text.Split(' ').Length })]) { MessageId = "m", FinishReason = ChatFinishReason.Stop };
    }

    public object? GetService(Type serviceType, object? serviceKey = null) => null;

    public void Dispose()
    {
    }
}

internal static class Routes
{
    public static UpstreamOptions Upstream(ScriptedUpstream scripted, Func<UpstreamOptions, UpstreamOptions>? change = null)
    {
        UpstreamOptions options = new() { Name = "big", Endpoint = scripted.Endpoint, FirstTokenTime = TimeSpan.FromSeconds(5), SilenceTime = TimeSpan.FromSeconds(1), Retries = 0 };
        return change?.Invoke(options) ?? options;
    }

    public static RoutingOptions Policy(ScriptedUpstream scripted, RoutePreference preference = RoutePreference.UpstreamFirst, Func<UpstreamOptions, UpstreamOptions>? change = null) =>
        new() { Preference = preference, Upstreams = [Upstream(scripted, change)] };

    public static RouteOutcome Outcome(this ChatResponse response) => (RouteOutcome)response.AdditionalProperties![RouteOutcome.Key]!;

    public static Task<ChatResponse> AskAsync(this HybridChatClient client, string text, string? model = null) => client.GetResponseAsync([new ChatMessage(ChatRole.User, text)], new ChatOptions { ModelId = model });
}
