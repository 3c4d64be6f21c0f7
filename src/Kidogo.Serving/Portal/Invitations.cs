// Invitations: codes that each let one person in. Knows no requests; codes are shown once and stored as hashes.
namespace Kidogo.Serving.Portal;

/// <summary>An invitation that nobody has used yet.</summary>
internal sealed record Invitation(long Id, bool IsAdministrator, DateTimeOffset Created, DateTimeOffset Expires);

/// <summary>The invitations of a portal.</summary>
internal sealed class Invitations(PortalStore store, AccountSettings settings, TimeProvider clock)
{
    private const int MostOpen = 1000;

    /// <summary>Makes an invitation.</summary>
    /// <returns>Its code, to be shown once, and until when it holds.</returns>
    /// <exception cref="Api.ApiException">409: there are too many that nobody has used.</exception>
    public (string Code, DateTimeOffset Expires) Create(bool isAdministrator, int? days = null)
    {
        string code = Secret.NewCode();
        DateTimeOffset now = clock.GetUtcNow(), expires = now.AddDays(days ?? settings.InvitationDays);
        store.Together(() =>
        {
            store.Execute("DELETE FROM invitations WHERE used IS NOT NULL OR expires <= $now", ("$now", now.ToUnixTimeMilliseconds()));
            return store.Number("SELECT count(*) FROM invitations") >= MostOpen
                ? throw PortalProblem.Of(409, "too_many_invitations", null)
                : store.Execute(
                    "INSERT INTO invitations (hash, is_administrator, created, expires) VALUES ($hash, $admin, $now, $expires)",
                    ("$hash", Secret.HashOfCode(code)), ("$admin", isAdministrator), ("$now", now.ToUnixTimeMilliseconds()), ("$expires", expires.ToUnixTimeMilliseconds()));
        });
        return (code, expires);
    }

    /// <summary>Whether a code would let somebody in now.</summary>
    public bool IsOpen(string code) => store.Number("SELECT count(*) FROM invitations WHERE hash = $hash AND used IS NULL AND expires > $now", ("$hash", Secret.HashOfCode(code)), ("$now", Now)) == 1;

    /// <summary>Uses a code up, within the caller's transaction.</summary>
    /// <returns>Whether it makes an administrator.</returns>
    /// <exception cref="Api.ApiException">403: it is unknown, used or too old.</exception>
    public bool Use(string code) => store.Query(
        "UPDATE invitations SET used = $now WHERE hash = $hash AND used IS NULL AND expires > $now RETURNING is_administrator", row => (bool?)row.GetBoolean(0), ("$hash", Secret.HashOfCode(code)), ("$now", Now)).FirstOrDefault()
        ?? throw PortalProblem.Of(403, "invitation_unknown", "code");

    /// <summary>The invitations that nobody has used yet.</summary>
    public List<Invitation> List() => store.Query(
        "SELECT id, is_administrator, created, expires FROM invitations WHERE used IS NULL AND expires > $now ORDER BY id",
        row => new Invitation(row.GetInt64(0), row.GetBoolean(1), DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(2)), DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(3))), ("$now", Now));

    /// <summary>Takes an invitation back.</summary>
    public bool Revoke(long id) => store.Execute("DELETE FROM invitations WHERE id = $id AND used IS NULL", ("$id", id)) == 1;

    private long Now => clock.GetUtcNow().ToUnixTimeMilliseconds();
}
