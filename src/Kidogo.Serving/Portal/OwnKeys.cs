// Keys that people make for themselves. Knows no requests; a key is shown once and stored as its hash.
using Kidogo.Serving.Access;

namespace Kidogo.Serving.Portal;

/// <summary>A key of somebody's.</summary>
internal sealed record OwnKey(long Id, string Name, DateTimeOffset Created, int? RequestsPerMinute, int? TokensPerMinute);

/// <summary>The keys of a portal's accounts.</summary>
internal sealed class OwnKeys(PortalStore store, AccountSettings settings, TimeProvider clock)
{
    private const int LongestName = 64;

    /// <summary>Makes a key.</summary>
    /// <returns>The key, to be shown once.</returns>
    /// <exception cref="Api.ApiException">400: the name is malformed or taken; 409: there are as many as may be.</exception>
    public string Create(Account account, string name, int? requestsPerMinute, int? tokensPerMinute)
    {
        name = name.Trim();
        if (name.Length is 0 or > LongestName || name.Any(char.IsControl))
        {
            throw PortalProblem.Of(400, "key_name_malformed", "name");
        }

        string secret = KeyFile.Prefix + Secret.New();
        store.Together(() =>
        {
            if (store.Number("SELECT count(*) FROM keys WHERE user_id = $user", ("$user", account.Id)) >= settings.Keys)
            {
                throw PortalProblem.Of(409, "too_many_keys", null);
            }

            return store.Execute(
                "INSERT INTO keys (user_id, name, hash, created, requests_per_minute, tokens_per_minute) VALUES ($user, $name, $hash, $now, $requests, $tokens) ON CONFLICT DO NOTHING",
                ("$user", account.Id), ("$name", name), ("$hash", Secret.HashOf(secret)), ("$now", clock.GetUtcNow().ToUnixTimeMilliseconds()), ("$requests", requestsPerMinute), ("$tokens", tokensPerMinute)) == 1
                ? true : throw PortalProblem.Of(400, "key_name_taken", "name");
        });
        return secret;
    }

    /// <summary>The keys of an account.</summary>
    public List<OwnKey> List(Account account) => store.Query(
        "SELECT id, name, created, requests_per_minute, tokens_per_minute FROM keys WHERE user_id = $user ORDER BY id",
        row => new OwnKey(row.GetInt64(0), row.GetString(1), DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(2)), Limit(row, 3), Limit(row, 4)), ("$user", account.Id));

    /// <summary>Takes a key of an account back.</summary>
    public bool Revoke(Account account, long id) => store.Execute("DELETE FROM keys WHERE id = $id AND user_id = $user", ("$id", id), ("$user", account.Id)) == 1;

    /// <summary>Whose key a secret is; null where it is none, or its account is locked.</summary>
    public (OwnKey Key, long User)? Find(string secret) => store.Query(
        "SELECT k.id, k.name, k.created, k.requests_per_minute, k.tokens_per_minute, k.user_id FROM keys k JOIN users u ON u.id = k.user_id WHERE k.hash = $hash AND NOT u.is_locked",
        row => ((OwnKey, long)?)(new OwnKey(row.GetInt64(0), row.GetString(1), DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(2)), Limit(row, 3), Limit(row, 4)), row.GetInt64(5)),
        ("$hash", Secret.HashOf(secret))).FirstOrDefault();

    private static int? Limit(Microsoft.Data.Sqlite.SqliteDataReader row, int column) => row.IsDBNull(column) ? null : row.GetInt32(column);
}
