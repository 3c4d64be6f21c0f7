// A large model that does what a script says: right answers, failures, stalls, cuts. On a port of this machine.
using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Kidogo.ServingTests.Routing;

/// <summary>What it does with a request.</summary>
internal enum Fate
{
    Answers,
    Dies,
    Stalls,
    SaysTooMany,
    SaysBroken,
    CutsStream,
    StallsInStream,
    Redirects,
    Floods,
    Garbage,
    CallsTool,
    Denies,
    CutsAfterEnd,
    StallsAfterEnd,
    Murmurs,
    IsNoUnicode,
    Overcounts,
}

/// <summary>An OpenAI endpoint with a will of its own.</summary>
internal sealed class ScriptedUpstream : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _requests;

    private ScriptedUpstream()
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0));
        _app = builder.Build();
        _app.Run(AnswerAsync);
    }

    /// <summary>By the request's number, from 0.</summary>
    public Func<int, Fate> Script { get; set; } = _ => Fate.Answers;

    /// <summary>From the last message of the user to the answer's pieces.</summary>
    public Func<string, IReadOnlyList<string>> Says { get; set; } = asked => ["You said: ", asked];

    /// <summary>How long it thinks before it does anything.</summary>
    public TimeSpan Thinks { get; set; }

    /// <summary>Where a redirect points.</summary>
    public string Elsewhere { get; set; } = "http://127.0.0.1:9/v1";

    public ConcurrentQueue<string> Bodies { get; } = [];

    public ConcurrentQueue<string> Authorizations { get; } = [];

    public int Requests => _requests;

    public Uri Endpoint { get; private set; } = null!;

    public static async Task<ScriptedUpstream> StartAsync()
    {
        ScriptedUpstream upstream = new();
        await upstream._app.StartAsync();
        upstream.Endpoint = new Uri($"{upstream._app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()}/v1");
        return upstream;
    }

    public async ValueTask DisposeAsync()
    {
        using CancellationTokenSource now = new(TimeSpan.FromMilliseconds(100));
        try
        {
            await _app.StopAsync(now.Token);
        }
        catch (OperationCanceledException)
        {
        }

        await _app.DisposeAsync();
    }

    private async Task AnswerAsync(HttpContext http)
    {
        int number = Interlocked.Increment(ref _requests) - 1;
        using StreamReader reader = new(http.Request.Body);
        string body = await reader.ReadToEndAsync();
        Bodies.Enqueue(body);
        Authorizations.Enqueue(http.Request.Headers.Authorization.ToString());
        using JsonDocument request = JsonDocument.Parse(body);
        string asked = request.RootElement.GetProperty("messages").EnumerateArray().Last(message => message.GetProperty("role").GetString() is "user" or "tool").GetProperty("content").GetString() ?? "";
        await Task.Delay(Thinks);
        switch (Script(number))
        {
            case Fate.Dies:
                http.Abort();
                return;
            case Fate.Stalls:
                await Task.Delay(TimeSpan.FromSeconds(30), http.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
                return;
            case Fate.SaysTooMany:
                http.Response.StatusCode = 429;
                return;
            case Fate.SaysBroken:
                http.Response.StatusCode = 500;
                return;
            case Fate.Denies:
                http.Response.StatusCode = 401;
                return;
            case Fate.Redirects:
                http.Response.StatusCode = 307;
                http.Response.Headers.Location = Elsewhere;
                return;
            case Fate.Garbage:
                http.Response.ContentType = "text/event-stream";
                await http.Response.WriteAsync("data: {nonsense\n\n");
                return;
            case Fate.Floods:
                http.Response.ContentType = "text/event-stream";
                byte[] piece = Encoding.UTF8.GetBytes($"data: {Chunk(new string('x', 60_000), null)}\n\n");
                for (int i = 0; i < 20_000 && !http.RequestAborted.IsCancellationRequested; i++)
                {
                    await http.Response.Body.WriteAsync(piece, http.RequestAborted).AsTask().ContinueWith(_ => { }, TaskScheduler.Default);
                }

                return;
            case Fate.CallsTool:
                http.Response.ContentType = "text/event-stream";
                string place = Says(asked)[0];
                string arguments = JsonSerializer.Serialize(JsonSerializer.Serialize(new Dictionary<string, string> { ["who"] = place }))[1..^1];
                await http.Response.WriteAsync($$$"""data: {"id":"x","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"look_up","arguments":"{{{arguments[..1]}}}"}}]},"finish_reason":null}]}{{{"\n\n"}}}""");
                await http.Response.WriteAsync($$$"""data: {"id":"x","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{{{arguments[1..]}}}"}}]},"finish_reason":"tool_calls"}]}{{{"\n\ndata: [DONE]\n\n"}}}""");
                return;
            case var fate:
                http.Response.ContentType = "text/event-stream";
                IReadOnlyList<string> pieces = Says(asked);
                for (int i = 0; i < pieces.Count; i++)
                {
                    await http.Response.WriteAsync($"data: {Chunk(pieces[i], null)}\n\n");
                    await http.Response.Body.FlushAsync();
                    if (i == 0 && fate == Fate.CutsStream)
                    {
                        await Task.Delay(5);
                        http.Abort();
                        return;
                    }

                    if (i == 0 && fate == Fate.StallsInStream)
                    {
                        await Task.Delay(TimeSpan.FromSeconds(30), http.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
                        return;
                    }
                }

                if (fate is Fate.Murmurs)
                {
                    for (int i = 0; i < 40 && !http.RequestAborted.IsCancellationRequested; i++)
                    {
                        await http.Response.WriteAsync($"data: {Chunk("", null)}\n\n");
                        await http.Response.Body.FlushAsync();
                        await Task.Delay(100);
                    }
                }
                else if (fate is Fate.IsNoUnicode)
                {
                    await http.Response.WriteAsync("data: {\"e\\ud800rror\":1,\"c\\ud800hoices\":[]}\n\n");
                }
                else if (fate is Fate.CutsAfterEnd or Fate.StallsAfterEnd)
                {
                    await http.Response.WriteAsync($"data: {Chunk("", "stop")}\n\n");
                    await http.Response.Body.FlushAsync();
                    await Task.Delay(fate is Fate.CutsAfterEnd ? TimeSpan.FromMilliseconds(5) : TimeSpan.FromSeconds(30), http.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
                    http.Abort();
                    return;
                }

                string counted = fate is Fate.Overcounts ? "9000000000000000000" : $"{pieces.Count}";
                await http.Response.WriteAsync($"data: {Chunk("", "stop")}\n\ndata: {{\"id\":\"x\",\"choices\":[],\"usage\":{{\"prompt_tokens\":10,\"completion_tokens\":{counted},\"total_tokens\":{10 + pieces.Count}}}}}\n\ndata: [DONE]\n\n");
                return;
        }
    }

    private static string Chunk(string text, string? finish) =>
        $$"""{"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":{{JsonSerializer.Serialize(text)}}},"finish_reason":{{(finish is null ? "null" : $"\"{finish}\"")}}}]}""";
}
