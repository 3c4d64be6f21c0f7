// Accounts: made, found by name and password, locked, removed. Knows no request; passwords pass through and stay nowhere.
using Kidogo.Serving.Api;
using Microsoft.Data.Sqlite;

namespace Kidogo.Serving.Portal;

/// <summary>Somebody's account.</summary>
internal sealed record Account(long Id, string Name, bool IsAdministrator, bool IsLocked, DateTimeOffset Created);

/// <summary>An account as administrators see it: counts, and nothing of what was written.</summary>
internal sealed record AccountCounts(Account Account, long Requests, long Tokens, string? LastDay, long Conversations, long Keys);

/// <summary>The accounts of a portal.</summary>
internal sealed class Accounts(PortalStore store, Passwords passwords, AccountSettings settings, TimeProvider clock)
{
    /// <summary>Characters of the longest name.</summary>
    public const int LongestName = 64;

    private const string Columns = "id, name, is_administrator, is_locked, created";

    private long Now => clock.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>Makes an account.</summary>
    /// <param name="name">What its owner wants to be called.</param>
    /// <param name="password">The password.</param>
    /// <param name="admit">Says within the same transaction whether the account may be made, and whether it is an administrator's.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    /// <exception cref="ApiException">400: the name or the password will not do, or the name is taken.</exception>
    public async Task<Account> CreateAsync(string name, string password, Func<bool> admit, CancellationToken cancellation)
    {
        name = name.Trim();
        CheckName(name);
        CheckPassword(name, password);
        string hash = await passwords.HashAsync(password, cancellation).ConfigureAwait(false);
        return store.Together(() =>
        {
            bool isAdministrator = admit();
            long now = Now;
            return store.Execute(
                "INSERT INTO users (name, folded, password, created, is_administrator) VALUES ($name, $folded, $password, $now, $admin) ON CONFLICT DO NOTHING",
                ("$name", name), ("$folded", Fold(name)), ("$password", hash), ("$now", now), ("$admin", isAdministrator)) == 1
                ? store.Query($"SELECT {Columns} FROM users WHERE folded = $folded", Read, ("$folded", Fold(name)))[0]
                : throw PortalProblem.Of(400, "name_taken", "name");
        });
    }

    /// <summary>Who has a name and a password.</summary>
    /// <exception cref="ApiException">401: nobody; 429: there were too many wrong passwords for this name; 403: an administrator has locked the account.</exception>
    public async Task<Account> FindAsync(string name, string password, CancellationToken cancellation)
    {
        string folded = Fold(name.Trim());
        if (folded.Length > LongestName || password.Length > Passwords.Longest)
        {
            throw PortalProblem.Of(400, "too_long", null);
        }

        BeginTry(folded);
        (Account Account, string Hash)? found = store.Query($"SELECT {Columns}, password FROM users WHERE folded = $folded", row => ((Account, string)?)(Read(row), row.GetString(5)), ("$folded", folded)).FirstOrDefault();
        if (!await passwords.IsRightAsync(found?.Hash, password, cancellation).ConfigureAwait(false))
        {
            throw PortalProblem.Of(401, "wrong_password", null);
        }

        store.Execute("DELETE FROM failures WHERE folded = $folded", ("$folded", folded));
        return !found!.Value.Account.IsLocked ? found.Value.Account : throw PortalProblem.Of(403, "account_locked", null);
    }

    /// <summary>Gives an account another password.</summary>
    /// <exception cref="ApiException">As for <see cref="FindAsync"/>, or 400: the new one will not do.</exception>
    public async Task ChangePasswordAsync(Account account, string former, string password, CancellationToken cancellation)
    {
        CheckPassword(account.Name, password);
        await FindAsync(account.Name, former, cancellation).ConfigureAwait(false);
        await SetPasswordAsync(account.Id, password, cancellation).ConfigureAwait(false);
    }

    /// <summary>Gives an account another password, without asking for the former; all its sessions end.</summary>
    public async Task SetPasswordAsync(long id, string password, CancellationToken cancellation)
    {
        string hash = await passwords.HashAsync(password, cancellation).ConfigureAwait(false);
        store.Together(() =>
        {
            store.Execute("UPDATE users SET password = $hash WHERE id = $id", ("$hash", hash), ("$id", id));
            store.Execute("DELETE FROM failures WHERE folded = (SELECT folded FROM users WHERE id = $id)", ("$id", id));
            return store.Execute("DELETE FROM sessions WHERE user_id = $id", ("$id", id));
        });
    }

    /// <summary>The account of a number; null where there is none.</summary>
    public Account? Find(long id) => store.Query($"SELECT {Columns} FROM users WHERE id = $id", Read, ("$id", id)).FirstOrDefault();

    /// <summary>The account of a name; null where there is none.</summary>
    public Account? Find(string name) => store.Query($"SELECT {Columns} FROM users WHERE folded = $folded", Read, ("$folded", Fold(name.Trim()))).FirstOrDefault();

    /// <summary>Locks an account, which ends its sessions and rests its keys, or opens it again.</summary>
    /// <exception cref="ApiException">409: nobody would be left to administer.</exception>
    public void SetLocked(long id, bool isLocked) => store.Together(() =>
    {
        if (isLocked)
        {
            KeepAnAdministrator(id);
            store.Execute("DELETE FROM sessions WHERE user_id = $id", ("$id", id));
        }

        return store.Execute("UPDATE users SET is_locked = $locked WHERE id = $id", ("$locked", isLocked), ("$id", id));
    });

    /// <summary>Removes an account with its sessions, keys and conversations; its counts go to nobody's.</summary>
    /// <exception cref="ApiException">409: nobody would be left to administer.</exception>
    public void Remove(long id)
    {
        store.Together(() =>
        {
            KeepAnAdministrator(id);
            store.Execute(
                "INSERT INTO counts (day, user_id, requests, tokens) SELECT day, $nobody, requests, tokens FROM counts WHERE user_id = $id ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, tokens = tokens + excluded.tokens",
                ("$id", id), ("$nobody", PortalSchema.Nobody));
            store.Execute("DELETE FROM counts WHERE user_id = $id", ("$id", id));
            store.Execute("DELETE FROM failures WHERE folded = (SELECT folded FROM users WHERE id = $id)", ("$id", id));
            return store.Execute("DELETE FROM users WHERE id = $id", ("$id", id));
        });
        store.Forget();
    }

    /// <summary>Accounts by name, with their counts.</summary>
    /// <param name="after">The folded name after which to begin; empty for the start.</param>
    /// <param name="most">How many.</param>
    public List<AccountCounts> List(string after, int most) => store.Query(
        $"""
        SELECT {Columns}, (SELECT sum(requests) FROM counts WHERE user_id = users.id), (SELECT sum(tokens) FROM counts WHERE user_id = users.id),
            (SELECT max(day) FROM counts WHERE user_id = users.id), (SELECT count(*) FROM conversations WHERE user_id = users.id), (SELECT count(*) FROM keys WHERE user_id = users.id)
        FROM users WHERE folded > $after ORDER BY folded LIMIT $most
        """,
        row => new AccountCounts(Read(row), row.IsDBNull(5) ? 0 : row.GetInt64(5), row.IsDBNull(6) ? 0 : row.GetInt64(6), row.IsDBNull(7) ? null : row.GetString(7), row.GetInt64(8), row.GetInt64(9)),
        ("$after", after), ("$most", most));

    /// <summary>How many accounts there are.</summary>
    public long Count() => store.Number("SELECT count(*) FROM users");

    /// <summary>A name as it is compared.</summary>
    public static string Fold(string name) => name.ToLowerInvariant();

    /// <summary>Counts a try before it is made, so that many at once are not more than allowed; one that succeeds takes all back.</summary>
    /// <remarks>Names without an account are locked out alike: it tells nobody which there are.</remarks>
    private void BeginTry(string folded)
    {
        long now = Now, until = store.Together(() =>
        {
            store.Execute("DELETE FROM failures WHERE until <= $now", ("$now", now));
            long end = now + (settings.LockMinutes * 60_000L);
            (long Count, long Until) row = store.Query(
                "INSERT INTO failures (folded, count, until) VALUES ($folded, 1, $end) ON CONFLICT DO UPDATE SET count = count + 1, until = CASE WHEN count < $most THEN $end ELSE until END RETURNING count, until",
                row => (row.GetInt64(0), row.GetInt64(1)), ("$folded", folded), ("$end", end), ("$most", settings.Failures))[0];
            return row.Count > settings.Failures ? row.Until : 0;
        });
        if (until > 0)
        {
            throw PortalProblem.Of(429, "locked_out", null, TimeSpan.FromMilliseconds(until - now));
        }
    }

    private void KeepAnAdministrator(long id)
    {
        if (store.Number("SELECT count(*) FROM users WHERE is_administrator AND NOT is_locked AND id <> $id", ("$id", id)) == 0
            && store.Number("SELECT count(*) FROM users WHERE is_administrator AND id = $id", ("$id", id)) == 1 && Count() > 1)
        {
            throw PortalProblem.Of(409, "last_administrator", null);
        }
    }

    private static void CheckName(string name)
    {
        if (name.Length is < 2 or > LongestName || !name.All(c => char.IsLetterOrDigit(c) || char.GetUnicodeCategory(c) == System.Globalization.UnicodeCategory.NonSpacingMark || c is '.' or '-' or '_' or '@' or '+' or '\'' or ' '))
        {
            throw PortalProblem.Of(400, "name_malformed", "name");
        }
    }

    private static void CheckPassword(string name, string password)
    {
        if (password.Length > Passwords.Longest)
        {
            throw PortalProblem.Of(400, "too_long", "password");
        }

        if (password.Length < Passwords.Shortest || password.Distinct().Count() < 4 || password.Equals(name, StringComparison.OrdinalIgnoreCase))
        {
            throw PortalProblem.Of(400, "password_weak", "password");
        }
    }

    private static Account Read(SqliteDataReader row) => new(row.GetInt64(0), row.GetString(1), row.GetBoolean(2), row.GetBoolean(3), DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(4)));
}
