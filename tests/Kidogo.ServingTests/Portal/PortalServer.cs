// A portal on a free port, with a clock that tests move, and browsers that visit it. For tests.
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Kidogo.Serving;
using Kidogo.Serving.Portal;
using Kidogo.Tests.Models.Files;

namespace Kidogo.ServingTests.Portal;

/// <summary>A time that stands still until it is moved.</summary>
internal sealed class StillClock : TimeProvider
{
    private TimeSpan _passed;

    public void Move(TimeSpan time) => _passed += time;

    public override DateTimeOffset GetUtcNow() => new DateTimeOffset(2026, 11, 23, 9, 0, 0, TimeSpan.Zero) + _passed;

    public override long GetTimestamp() => _passed.Ticks + 1;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;
}

internal sealed class PortalServer : IAsyncDisposable
{
    public const string Password = "maji ya kunywa ni uhai";

    private readonly TestFolder _folder = new();

    public StillClock Clock { get; } = new();

    public PortalSite Site { get; private set; } = null!;

    public TestServer Server { get; private set; } = null!;

    public string Database => _folder["portal.db"];

    public static async Task<PortalServer> StartAsync(Func<PortalSettings, PortalSettings>? change = null, Func<ServerOptions, ServerOptions>? options = null)
    {
        PortalServer portal = new();
        PortalSettings settings = new()
        {
            Name = "Shule ya Mfano", Database = portal.Database, Registration = Registration.Open,
            Accounts = new AccountSettings { PasswordRounds = 1000, RequestsPerMinute = null, TokensPerMinute = null },
            FrontPage = new FrontPageSettings { Prompt = true, Tokens = 8, Examples = ["Jinsi ya kuandaa somo?"] },
        };
        portal.Site = new PortalSite(change?.Invoke(settings) ?? settings, portal.Clock);
        portal.Server = await TestServer.StartAsync(change: given => (options?.Invoke(given) ?? given) with { Portal = portal.Site });
        return portal;
    }

    public Browser Visit() => new(Server.Address);

    /// <summary>Somebody with an account who is logged in.</summary>
    public async Task<Browser> RegisterAsync(string name, string? code = null)
    {
        Browser browser = Visit();
        await browser.SendAsync("/portal/api/register", new { name, password = Password, code });
        return browser;
    }

    public Task<Browser> RegisterAdministratorAsync(string name = "mkuu") => RegisterAsync(name, Site.Invitations.Create(isAdministrator: true).Code);

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        Site.Dispose();
        _folder.Dispose();
    }
}

/// <summary>A browser: it keeps cookies, and sends what pages of the portal would.</summary>
internal sealed partial class Browser : IDisposable
{
    private static readonly JsonSerializerOptions s_withoutNulls = new() { DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull };

    private readonly HttpClientHandler _handler = new() { AllowAutoRedirect = false };
    private readonly Uri _address;

    public Browser(Uri address)
    {
        _address = address;
        Client = new HttpClient(_handler) { BaseAddress = address };
    }

    public HttpClient Client { get; }

    public CookieContainer Cookies => _handler.CookieContainer;

    public string? Session => _handler.CookieContainer.GetCookies(_address)["kidogo-session"]?.Value;

    public async Task<string> PageAsync(string path, int status = 200)
    {
        using HttpResponseMessage response = await Client.GetAsync(path);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True((int)response.StatusCode == status, $"{(int)response.StatusCode} instead of {status} from {path}: {text}");
        return text;
    }

    /// <summary>The token that pages give to forms; null where nobody is logged in.</summary>
    public async Task<string?> TokenAsync() => Token().Match(await PageAsync("/")) is { Success: true } match ? match.Groups[1].Value : null;

    /// <summary>Sends a form as the page would and returns the answer.</summary>
    public async Task<JsonElement> SendAsync(string path, object? body = null, int status = 200, string method = "POST", Action<HttpRequestMessage>? change = null)
    {
        using HttpRequestMessage request = new(new HttpMethod(method), path);
        request.Headers.Add("Origin", _address.GetLeftPart(UriPartial.Authority));
        if (await TokenAsync() is { } token)
        {
            request.Headers.Add("X-Kidogo-Form", token);
        }

        if (body is not null)
        {
            string json = body as string ?? JsonSerializer.Serialize(body, body.GetType(), s_withoutNulls);
            request.Content = new StringContent(json, Encoding.UTF8, new MediaTypeHeaderValue("application/json"));
        }

        change?.Invoke(request);
        using HttpResponseMessage response = await Client.SendAsync(request);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True((int)response.StatusCode == status, $"{(int)response.StatusCode} instead of {status} from {method} {path}: {text}");
        return text.StartsWith('{') ? TestServer.Parse(text) : default;
    }

    /// <summary>Sends a form that is refused, and returns the code that says why.</summary>
    public async Task<string?> RefusedAsync(string path, object? body, int status, string method = "POST", Action<HttpRequestMessage>? change = null) =>
        (await SendAsync(path, body, status, method, change)).GetProperty("error").GetProperty("code").GetString();

    public async Task<int> StatusAsync(string path)
    {
        using HttpResponseMessage response = await Client.GetAsync(path);
        return (int)response.StatusCode;
    }

    public void Dispose() => Client.Dispose();

    [GeneratedRegex("name=\"kidogo-form\" content=\"([^\"]+)\"")]
    private static partial Regex Token();
}
