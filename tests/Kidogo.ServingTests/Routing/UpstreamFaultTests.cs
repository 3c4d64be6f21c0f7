// An upstream whose faults are of the quieter kind: no connection, tries without end, ends without a mark, murmurs, names that are no Unicode.
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Kidogo.Routing;
using Kidogo.Routing.Upstream;
using Microsoft.Extensions.AI;

namespace Kidogo.ServingTests.Routing;

public sealed class UpstreamFaultTests
{
    private const string Public = "Explain photosynthesis in simple words.";

    [Fact]
    public async Task Connection_ThatIsNeverMade_IsAnsweredHere()
    {
        using TcpListener silent = new(IPAddress.Loopback, 0);
        silent.Start(); // takes the line, and never says a word of TLS
        UpstreamOptions upstream = new() { Name = "big", Endpoint = new Uri($"https://127.0.0.1:{((IPEndPoint)silent.LocalEndpoint).Port}/v1"), ConnectTime = TimeSpan.FromSeconds(0.3) };
        using HybridChatClient client = new(new FixedClient(), new RoutingOptions { Upstreams = [upstream], Preference = RoutePreference.UpstreamFirst });
        ChatResponse response = await client.AskAsync(Public);
        Assert.Equal(("local", "upstream-failed", "local answer "), (response.Outcome().ServedBy, response.Outcome().Reason, response.Text));
        Assert.Contains("within 0.3 s", response.Outcome().Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FirstToken_TimeIsOver_EndsAllTries()
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        (scripted.Script, scripted.Thinks) = (_ => Fate.SaysBroken, TimeSpan.FromSeconds(0.6));
        using HybridChatClient client = new(new FixedClient(), Routes.Policy(scripted, change: upstream => upstream with { Retries = 5, BreakerFailures = 100, FirstTokenTime = TimeSpan.FromSeconds(1) }));
        ChatResponse response = await client.AskAsync(Public);
        Assert.Contains("gave no token within 1 s", response.Outcome().Detail, StringComparison.Ordinal);
        Assert.InRange(scripted.Requests, 1, 2); // a third would begin after the time
    }

    [Theory]
    [InlineData(nameof(Fate.CutsAfterEnd))]
    [InlineData(nameof(Fate.StallsAfterEnd))]
    public async Task Answer_WholeButNotItsMark_IsNoFailureAndIsPaid(string fate)
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        scripted.Script = _ => Enum.Parse<Fate>(fate);
        FixedClient local = new();
        using HybridChatClient client = new(local, Routes.Policy(scripted, change: upstream => upstream with { InputPrice = 0, OutputPrice = 1e6, SilenceTime = TimeSpan.FromSeconds(0.3) }));
        ChatResponse response = await client.AskAsync(Public);
        Assert.Equal(("big", $"You said: {Public}", 0), (response.Outcome().ServedBy, response.Text, local.Asked));
        Assert.Equal(Math.Ceiling(response.Text.Length / 3.0), response.Outcome().Cost); // without usage, by what came
    }

    [Theory]
    [InlineData(nameof(Fate.Murmurs), "timeout")]
    [InlineData(nameof(Fate.IsNoUnicode), "malformed")]
    public async Task Stream_BadInTheMiddle_EndsWithAnError(string fate, string kind)
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        scripted.Script = _ => Enum.Parse<Fate>(fate);
        FixedClient local = new();
        using HybridChatClient client = new(local, Routes.Policy(scripted, change: upstream => upstream with { SilenceTime = TimeSpan.FromSeconds(0.6) }));
        UpstreamException failure = await Assert.ThrowsAsync<UpstreamException>(async () =>
        {
            await foreach (ChatResponseUpdate update in client.GetStreamingResponseAsync([new ChatMessage(ChatRole.User, Public)]))
            {
            }
        });
        Assert.Equal((kind, 0), (failure.Kind, local.Asked));
        Assert.Equal("local answer ", (await client.AskAsync(Public)).Text); // not streamed, nobody has seen any of it
    }

    [Fact]
    public async Task Usage_BeyondTheContext_IsNotBelieved()
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        scripted.Script = _ => Fate.Overcounts;
        using HybridChatClient client = new(new FixedClient(), Routes.Policy(scripted, change: upstream => upstream with { OutputPrice = 1, ContextTokens = 50_000 }));
        ChatResponse response = await client.AskAsync(Public);
        Assert.Equal((50_000, 0.05), (response.Usage!.OutputTokenCount, response.Outcome().Cost));
    }

    [Fact]
    public async Task Budget_RequestWithoutANumber_AsksForNoMoreThanIsSetAside()
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        using HybridChatClient free = new(new FixedClient(), Routes.Policy(scripted)), limited = new(new FixedClient(), Routes.Policy(scripted) with { Budget = new BudgetRule { MoneyPerDay = 1 } });
        await free.AskAsync(Public);
        await limited.AskAsync(Public);
        int?[] asked = [.. scripted.Bodies.Select(body => TestServer.Parse(body).TryGetProperty("max_tokens", out JsonElement most) ? most.GetInt32() : (int?)null)];
        Assert.Equal([null, 4096], asked);
    }

    [Fact]
    public async Task ToolResults_OfAnyKind_LeaveAsJson()
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        using UpstreamClient upstream = new(Routes.Upstream(scripted));
        Dictionary<string, object?> arguments = new() { ["a"] = null, ["b"] = true, ["c"] = 1.5, ["d"] = new[] { "x" }, ["e"] = JsonDocument.Parse("""{"é":1}""").RootElement };
        await upstream.GetResponseAsync(
        [
            new(ChatRole.Assistant, [new FunctionCallContent("1", "look_up", arguments)]),
            new(ChatRole.Tool, [new FunctionResultContent("1", true), new FunctionResultContent("2", new[] { 1, 2 }), new FunctionResultContent("3", "plain"), new FunctionResultContent("4", JsonDocument.Parse("\"text\"").RootElement)]),
        ]);
        JsonElement[] sent = [.. TestServer.Parse(Assert.Single(scripted.Bodies)).GetProperty("messages").EnumerateArray()];
        Assert.Equal("""{"a":null,"b":true,"c":1.5,"d":["x"],"e":{"é":1}}""", sent[0].GetProperty("tool_calls")[0].GetProperty("function").GetProperty("arguments").GetString());
        Assert.Equal(["true", "[1,2]", "plain", "text"], sent[1..].Select(message => message.GetProperty("content").GetString()));
    }

    [Fact]
    public async Task Stream_SlowToBegin_TellsInItsFirstChunk()
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        scripted.Thinks = TimeSpan.FromSeconds(0.5);
        await using TestServer server = await TestServer.StartAsync(change: options => options with { Routing = Routes.Policy(scripted), Heartbeat = TimeSpan.FromMilliseconds(50) });
        using HttpResponseMessage response = await server.PostAsync("/v1/chat/completions", $$"""{"model":"auto","messages":[{"role":"user","content":"{{Public}}"}],"stream":true}""");
        Assert.False(response.Headers.Contains("x-kidogo-served-by"));
        Assert.StartsWith("undecided: ", response.Headers.GetValues("x-kidogo-route-reason").Single(), StringComparison.Ordinal);
        string body = await response.Content.ReadAsStringAsync();
        Assert.StartsWith(": still here", body, StringComparison.Ordinal);
        JsonElement[] chunks = [.. body.Split('\n').Where(line => line.StartsWith("data: {", StringComparison.Ordinal)).Select(line => TestServer.Parse(line[5..]))];
        Assert.Equal(["big", "big"], new[] { chunks[0], chunks[^1] }.Select(chunk => chunk.GetProperty("kidogo").GetProperty("served_by").GetString()));
        Assert.All(chunks[1..^1], chunk => Assert.False(chunk.TryGetProperty("kidogo", out _)));
    }
}
