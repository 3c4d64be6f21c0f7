// The chat page in a browser, driven as a person would, and watched: no request leaves the server, and nothing goes wrong inside.
using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Playwright;

namespace Kidogo.ServingTests.Pages;

/// <summary>How the page is opened.</summary>
internal sealed record Visitor
{
    public string Language { get; init; } = "en-US";

    public ColorScheme Scheme { get; init; } = ColorScheme.Light;

    public int Width { get; init; } = 1280;

    public int Height { get; init; } = 800;

    /// <summary>What new conversations begin with, as JSON; null for what the page itself says.</summary>
    public string? Defaults { get; init; } = """{"max_tokens":12,"temperature":0}""";

    public string Path { get; init; } = "/";
}

/// <summary>One page in a browser of its own: nothing is shared with another.</summary>
internal sealed class ChatPage : IAsyncDisposable
{
    private readonly IBrowserContext _context;
    private readonly string _origin;
    private readonly ConcurrentBag<string> _requests = [];
    private readonly ConcurrentBag<string> _problems = [];

    private ChatPage(IBrowserContext context, IPage page, string origin)
    {
        (_context, Page, _origin) = (context, page, origin);
        context.Request += (_, request) => _requests.Add(request.Url);
        page.PageError += (_, problem) => _problems.Add(problem);
        page.Console += (_, message) =>
        {
            // What the server refuses is shown on the page; that the browser logs it too is no mistake of the page.
            if (message.Type is "error" or "warning" && !message.Text.StartsWith("Failed to load resource", StringComparison.Ordinal))
            {
                _problems.Add(message.Text);
            }
        };
    }

    public IPage Page { get; }

    /// <summary>Opens the page, has it used, and looks whether anything went wrong meanwhile.</summary>
    public static async Task UseAsync(Chromium chromium, TestServer server, Func<ChatPage, Task> use, Visitor? visitor = null)
    {
        visitor ??= new Visitor();
        IBrowserContext context = await chromium.Browser.NewContextAsync(new()
        {
            BaseURL = server.Server.Address,
            Locale = visitor.Language,
            ColorScheme = visitor.Scheme,
            ViewportSize = new() { Width = visitor.Width, Height = visitor.Height },
            Permissions = ["clipboard-read", "clipboard-write"],
            ReducedMotion = ReducedMotion.Reduce,
        });
        context.SetDefaultTimeout(120_000); // the machine may be busy
        await context.AddInitScriptAsync("globalThis.violations = []; addEventListener('securitypolicyviolation', event => violations.push(event.violatedDirective + ' ' + event.blockedURI));");
        if (visitor.Defaults is { } defaults)
        {
            await context.AddInitScriptAsync($"localStorage.getItem('kidogo.defaults') ?? localStorage.setItem('kidogo.defaults', '{defaults}')");
        }

        await using ChatPage page = new(context, await context.NewPageAsync(), server.Server.Address);
        await page.GoAsync(visitor.Path);
        await use(page);
        await page.CheckAsync();
    }

    public ILocator this[string selector] => Page.Locator(selector);

    /// <summary>The messages that are shown.</summary>
    public ILocator Messages => this["#messages > li"];

    /// <summary>The last answer as the page keeps it.</summary>
    public async Task<string> AnswerAsync() => (await KeptAsync()).GetProperty("messages").EnumerateArray().Last(message => Text(message, "role") == "assistant").GetProperty("text").GetString()!;

    public async Task GoAsync(string path)
    {
        await Page.GotoAsync(path);
        await Assertions.Expect(this["[data-brand]"]).ToHaveTextAsync("Kidogo");
        await Page.WaitForFunctionAsync("() => document.querySelectorAll('#model option').length > 0 || document.querySelector('.notice')");
    }

    /// <summary>Writes something and waits for the answer.</summary>
    public async Task AskAsync(string text)
    {
        await this["#prompt"].FillAsync(text);
        await this["#prompt"].PressAsync("Enter");
        await AnsweredAsync();
    }

    /// <summary>Waits until nothing is being answered.</summary>
    public async Task AnsweredAsync()
    {
        await Assertions.Expect(this["[aria-busy]"]).ToHaveCountAsync(0, new() { Timeout = 120_000 });
        await Assertions.Expect(this["#send"]).ToBeVisibleAsync(new() { Timeout = 120_000 });
    }

    /// <summary>Has every question answered with this text, as if the model had said it, in pieces that a network may make.</summary>
    public Task AnswerWithAsync(string text, string end = "data: [DONE]\n\n", string? servedBy = null, string? model = null) => Page.RouteAsync("**/v1/chat/completions", route =>
    {
        string Chunk(string delta, string finish, string rest) => $"data: {{\"id\":\"chatcmpl-1\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]{rest}}}\n\n";
        string pieces = string.Concat(text.Chunk(7).Select(piece => Chunk($"{{\"content\":{JsonSerializer.Serialize(new string(piece))}}}", "null", "")));
        Dictionary<string, string> headers = new() { ["Content-Type"] = "text/event-stream" };
        if (servedBy is not null)
        {
            headers["x-kidogo-served-by"] = servedBy;
        }

        return route.FulfillAsync(new() { Headers = headers, Body = pieces + (end.Length > 0 ? Chunk("{}", "\"stop\"", model is null ? "" : $",\"kidogo\":{{\"served_by\":\"{servedBy}\",\"model\":\"{model}\"}}") : "") + end });
    });

    /// <summary>The conversation of the address, as the page keeps it.</summary>
    public async Task<JsonElement> KeptAsync() =>
        (await Page.EvaluateAsync<JsonElement?>("async () => (await import('/scripts/store.js')).load(location.hash.slice(1))"))!.Value;

    /// <summary>The dictionary's text.</summary>
    public Task<string> SaysAsync(string key, object? values = null) =>
        Page.EvaluateAsync<string>("async ([key, values]) => (await import('/scripts/words.js')).t(key, values ?? {})", new[] { key, values });

    /// <summary>Nothing left the server, nothing was refused by the policy, nothing failed.</summary>
    public async Task CheckAsync()
    {
        Assert.Empty(await Page.EvaluateAsync<string[]>("violations"));
        Assert.Empty(_problems);
        Assert.NotEmpty(_requests);
        Assert.All(_requests, request => Assert.StartsWith(_origin + "/", request.StartsWith("blob:", StringComparison.Ordinal) ? request["blob:".Length..] : request, StringComparison.Ordinal));
    }

    /// <summary>A field of JSON that is text.</summary>
    public static string Text(JsonElement element, string name) => element.GetProperty(name).GetString()!;

    public async ValueTask DisposeAsync() => await _context.CloseAsync();
}
