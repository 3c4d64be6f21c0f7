// One request to the portal: who is logged in, whether the form is the portal's own, and how it is answered. Knows no endpoint.
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Kidogo.Serving.Access;
using Kidogo.Serving.Api;
using Kidogo.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Kidogo.Serving.Portal;

/// <summary>A request.</summary>
/// <param name="http">The exchange.</param>
/// <param name="site">The portal.</param>
/// <param name="words">The reader's language.</param>
internal sealed class PortalCall(HttpContext http, PortalSite site, Words words)
{
    /// <summary>The header in which forms say what the page was given.</summary>
    public const string FormHeader = "X-Kidogo-Form";

    private const int LargestForm = 64 * 1024;

    private Session? _session;
    private bool _isSessionKnown;

    public HttpContext Http => http;

    public PortalSite Site => site;

    public Words Words => words;

    /// <summary>The last part of the path, where that varies.</summary>
    public string Last { get; init; } = "";

    /// <summary>Begins a call to a model.</summary>
    public Func<Client, ApiCall>? Ask { get; init; }

    /// <summary>What is said of the request in the log: numbers only.</summary>
    public string Summary { get; set; } = "";

    /// <summary>Ends when the client has gone.</summary>
    public CancellationToken Gone => http.RequestAborted;

    /// <summary>Who is logged in; null for nobody.</summary>
    public Session? Session
    {
        get
        {
            if (!_isSessionKnown)
            {
                _isSessionKnown = true;
                _session = http.Request.Cookies[CookieName] is { Length: > 0 and <= 100 } token ? site.Sessions.Find(token) : null;
            }

            return _session;
        }
    }

    /// <summary>Whether browsers reach the portal over TLS: here, or at a proxy that its file tells of.</summary>
    public bool IsSecure => http.Request.IsHttps || site.Settings.Address?.Scheme == Uri.UriSchemeHttps;

    // "__Host-" has browsers refuse the cookie from anything but this very origin.
    private string CookieName => IsSecure ? "__Host-kidogo-session" : "kidogo-session";

    /// <summary>Who is logged in, of a form that the portal's own page sent.</summary>
    /// <exception cref="ApiException">401: nobody is; 403: the form may come from elsewhere.</exception>
    public Session SessionOfForm()
    {
        CheckOrigin();
        Session session = Session ?? throw PortalProblem.Of(401, "not_logged_in", null);
        CheckForm(session);
        return session;
    }

    /// <summary>The administrator who is logged in, of a form.</summary>
    /// <exception cref="ApiException">401 and 403 as for <see cref="SessionOfForm"/>; 403: who is logged in is none.</exception>
    public Session AdministratorOfForm() => SessionOfForm() is { Account.IsAdministrator: true } session ? session : throw PortalProblem.Of(403, "not_administrator", null);

    /// <summary>Refuses a form that another page might have sent: it has to have the portal's own <c>Origin</c>, and the token of the session.</summary>
    /// <exception cref="ApiException">403.</exception>
    public void CheckForm(Session session)
    {
        CheckOrigin();
        byte[] given = Encoding.UTF8.GetBytes(http.Request.Headers[FormHeader].ToString());
        if (!CryptographicOperations.FixedTimeEquals(given, Encoding.UTF8.GetBytes(Secret.FormToken(session.Token))))
        {
            throw PortalProblem.Of(403, "form_expired", null);
        }
    }

    /// <summary>Refuses what browsers do not say to come from the portal's own pages.</summary>
    /// <exception cref="ApiException">403.</exception>
    public void CheckOrigin()
    {
        string given = http.Request.Headers.Origin.ToString();
        bool isOwn = given.Equals($"{http.Request.Scheme}://{http.Request.Host.Value}", StringComparison.OrdinalIgnoreCase)
            || (site.Settings.Address is { } address && given.Equals(address.GetLeftPart(UriPartial.Authority), StringComparison.OrdinalIgnoreCase));
        if (!isOwn)
        {
            throw PortalProblem.Of(403, "form_foreign", null);
        }
    }

    /// <summary>Gives the browser a session, and ends the one that it had.</summary>
    public void Enter(Account account)
    {
        if (Session is { } former)
        {
            site.Sessions.End(former.Token);
        }

        Session session = site.Sessions.Begin(account);
        http.Response.Cookies.Append(CookieName, session.Token, Cookie(site.Sessions.Lifetime));
    }

    /// <summary>Takes the session from the browser.</summary>
    public void Leave() => http.Response.Cookies.Append(CookieName, "", Cookie(TimeSpan.Zero));

    /// <summary>Reads a form: an object of which every field is asked for.</summary>
    public async Task<T> ReadAsync<T>(Func<RequestFields, T> read)
    {
        using JsonDocument body = await ReadJsonAsync(LargestForm).ConfigureAwait(false);
        RequestFields fields = new(body.RootElement);
        T result = read(fields);
        fields.RejectUnknown();
        return result;
    }

    /// <summary>The body as JSON.</summary>
    /// <param name="mostBytes">The longest that is read.</param>
    public Task<JsonDocument> ReadJsonAsync(int mostBytes)
    {
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = mostBytes;
        }

        return ApiCall.ReadJsonAsync(http);
    }

    /// <summary>Answers with an object.</summary>
    public Task WriteAsync(Action<Utf8JsonWriter> write)
    {
        http.Response.Headers.CacheControl = "no-store";
        return ApiCall.WriteAsync(http, JsonBuilding.Bytes(json =>
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }));
    }

    /// <summary>Answers that it is done.</summary>
    public Task DoneAsync() => WriteAsync(json => json.WriteBoolean("done", true));

    private CookieOptions Cookie(TimeSpan lifetime) => new() { HttpOnly = true, SameSite = SameSiteMode.Strict, Secure = IsSecure, Path = "/", MaxAge = lifetime };
}
