// The forms of people with accounts: register, log in and out, password, keys, leaving for good. Knows no page.
using Kidogo.Serving.Api;

namespace Kidogo.Serving.Portal;

/// <summary>Answers the forms of one's own account.</summary>
internal static class PortalForms
{
    private const int MostPerMinute = 1_000_000_000;

    public static IEnumerable<KeyValuePair<(string Method, string Path), Func<PortalCall, Task>>> Routes =>
    [
        new(("POST", "/portal/api/register"), RegisterAsync),
        new(("POST", "/portal/api/login"), LogInAsync),
        new(("POST", "/portal/api/logout"), LogOutAsync),
        new(("POST", "/portal/api/password"), ChangePasswordAsync),
        new(("POST", "/portal/api/leave"), RemoveAsync),
        new(("POST", "/portal/api/keys"), CreateKeyAsync),
        new(("DELETE", "/portal/api/keys/*"), RevokeKeyAsync),
        new(("GET", "/portal/api/me"), WhoAsync),
    ];

    private static async Task RegisterAsync(PortalCall call)
    {
        BeginGuess(call);
        PortalSite site = call.Site;
        (string name, string password, string code) = await call.ReadAsync(fields => (fields.RequiredText("name"), fields.RequiredText("password"), fields.Text("code")?.Trim() ?? "")).ConfigureAwait(false);
        bool needsCode = site.Settings.Registration == Registration.Invitation;
        if (site.Settings.Registration == Registration.Closed)
        {
            throw PortalProblem.Of(403, "registration_closed", null);
        }

        if ((needsCode || code.Length > 0) && !site.Invitations.IsOpen(code)) // before any hashing; what counts is the second look
        {
            throw PortalProblem.Of(403, "invitation_unknown", "code");
        }

        Account account = await site.Accounts.CreateAsync(name, password, () => code.Length > 0 && site.Invitations.Use(code), call.Gone).ConfigureAwait(false);
        call.Enter(account);
        await call.DoneAsync().ConfigureAwait(false);
    }

    private static async Task LogInAsync(PortalCall call)
    {
        BeginGuess(call);
        (string name, string password) = await call.ReadAsync(fields => (fields.RequiredText("name"), fields.RequiredText("password"))).ConfigureAwait(false);
        call.Enter(await call.Site.Accounts.FindAsync(name, password, call.Gone).ConfigureAwait(false));
        await call.DoneAsync().ConfigureAwait(false);
    }

    private static async Task LogOutAsync(PortalCall call)
    {
        Session session = call.SessionOfForm();
        if (await call.ReadAsync(fields => fields.Flag("everywhere") ?? false).ConfigureAwait(false))
        {
            call.Site.Sessions.EndAll(session.Account);
        }

        call.Site.Sessions.End(session.Token);
        call.Leave();
        await call.DoneAsync().ConfigureAwait(false);
    }

    private static async Task ChangePasswordAsync(PortalCall call)
    {
        Session session = call.SessionOfForm();
        (string former, string password) = await call.ReadAsync(fields => (fields.RequiredText("former"), fields.RequiredText("password"))).ConfigureAwait(false);
        await call.Site.Accounts.ChangePasswordAsync(session.Account, former, password, call.Gone).ConfigureAwait(false);
        call.Enter(session.Account); // all others have ended
        await call.DoneAsync().ConfigureAwait(false);
    }

    private static async Task RemoveAsync(PortalCall call)
    {
        Session session = call.SessionOfForm();
        string password = await call.ReadAsync(fields => fields.RequiredText("password")).ConfigureAwait(false);
        Account account = await call.Site.Accounts.FindAsync(session.Account.Name, password, call.Gone).ConfigureAwait(false);
        call.Site.Remove(account);
        call.Leave();
        await call.DoneAsync().ConfigureAwait(false);
    }

    private static async Task CreateKeyAsync(PortalCall call)
    {
        Session session = call.SessionOfForm();
        (string name, int? requests, int? tokens) = await call.ReadAsync(fields =>
            (fields.RequiredText("name"), fields.Int("requests_per_minute", 1, MostPerMinute), fields.Int("tokens_per_minute", 1, MostPerMinute))).ConfigureAwait(false);
        string key = call.Site.Keys.Create(session.Account, name, requests, tokens);
        await call.WriteAsync(json => json.WriteString("secret", key)).ConfigureAwait(false);
    }

    private static Task RevokeKeyAsync(PortalCall call)
    {
        Session session = call.SessionOfForm();
        if (!long.TryParse(call.Last, out long id) || !call.Site.Keys.Revoke(session.Account, id))
        {
            throw PortalProblem.Of(404, "not_found", null);
        }

        call.Site.Clients.ForgetKey(id);
        return call.DoneAsync();
    }

    /// <summary>Who is logged in: asked by a page that a link from elsewhere led to, since the cookie comes only with what the portal's own pages ask.</summary>
    private static Task WhoAsync(PortalCall call) => call.WriteAsync(json => json.WriteStringOrNull("name", call.Session?.Account.Name));

    private static void BeginGuess(PortalCall call)
    {
        call.CheckOrigin();
        call.Site.Guesses.Of(call.Site.Clients.AddressOf(call.Http)).CheckRequest();
    }
}
