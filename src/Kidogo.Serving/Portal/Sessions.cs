// Sessions: who is logged in, by a random token of which a hash alone is stored. Knows no passwords and no cookies.
namespace Kidogo.Serving.Portal;

/// <summary>Somebody who is logged in.</summary>
/// <param name="Account">Who.</param>
/// <param name="Token">The secret that the browser holds.</param>
internal sealed record Session(Account Account, string Token);

/// <summary>The sessions of a portal. Each ends some hours after it began, whatever happens in it.</summary>
internal sealed class Sessions(PortalStore store, AccountSettings settings, TimeProvider clock)
{
    private const int MostOfOne = 20;

    /// <summary>How long a session lasts.</summary>
    public TimeSpan Lifetime => TimeSpan.FromHours(settings.SessionHours);

    /// <summary>Begins a session, with a new secret always: one that was known before the log-in opens nothing after it.</summary>
    public Session Begin(Account account)
    {
        string token = Secret.New();
        DateTimeOffset now = clock.GetUtcNow();
        store.Together(() =>
        {
            store.Execute("DELETE FROM sessions WHERE expires <= $now", ("$now", now.ToUnixTimeMilliseconds()));
            store.Execute("INSERT INTO sessions (hash, user_id, expires) VALUES ($hash, $user, $expires)", ("$hash", Secret.HashOf(token)), ("$user", account.Id), ("$expires", (now + Lifetime).ToUnixTimeMilliseconds()));
            return store.Execute(
                "DELETE FROM sessions WHERE user_id = $user AND hash NOT IN (SELECT hash FROM sessions WHERE user_id = $user ORDER BY expires DESC LIMIT $most)", ("$user", account.Id), ("$most", MostOfOne));
        });
        return new Session(account, token);
    }

    /// <summary>Whose session a token is; null where it is none, or ended.</summary>
    public Session? Find(string token) => store.Query(
        "SELECT u.id, u.name, u.is_administrator, u.created FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.hash = $hash AND s.expires > $now AND NOT u.is_locked",
        row => new Session(new Account(row.GetInt64(0), row.GetString(1), row.GetBoolean(2), false, DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(3))), token),
        ("$hash", Secret.HashOf(token)), ("$now", clock.GetUtcNow().ToUnixTimeMilliseconds())).FirstOrDefault();

    /// <summary>Ends a session.</summary>
    public void End(string token) => store.Execute("DELETE FROM sessions WHERE hash = $hash", ("$hash", Secret.HashOf(token)));

    /// <summary>Ends all sessions of an account.</summary>
    public void EndAll(Account account) => store.Execute("DELETE FROM sessions WHERE user_id = $user", ("$user", account.Id));
}
