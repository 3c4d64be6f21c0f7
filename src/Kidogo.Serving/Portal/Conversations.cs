// Conversations that people keep: bytes with a title and times, each its owner's alone. Looks into none.
namespace Kidogo.Serving.Portal;

/// <summary>A conversation in a list. Times are milliseconds since 1970, as the page that keeps it gave them.</summary>
internal sealed record ConversationEntry(string Id, string Title, long Created, long Updated);

/// <summary>The conversations of a portal's accounts. Every question names the account, so a number of another's finds nothing.</summary>
internal sealed class Conversations(PortalStore store, AccountSettings settings)
{
    /// <summary>Bytes of the longest conversation.</summary>
    public const int LargestBytes = 4 * 1024 * 1024;

    private const int LongestId = 64, LongestTitle = 200, MegaByte = 1_000_000;

    /// <summary>Whether a text can be the name of a conversation: 1 to 64 letters, digits, dashes and underscores.</summary>
    public static bool IsId(string id) => id.Length is > 0 and <= LongestId && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');

    /// <summary>Conversations of an account, the latest first.</summary>
    /// <param name="account">Whose.</param>
    /// <param name="before">The last one that is known already; null for the start.</param>
    /// <param name="most">How many.</param>
    public List<ConversationEntry> List(Account account, (long Updated, string Id)? before, int most) => store.Query(
        "SELECT id, title, created, updated FROM conversations WHERE user_id = $user AND (updated, id) < ($updated, $id) ORDER BY updated DESC, id DESC LIMIT $most",
        row => new ConversationEntry(row.GetString(0), row.GetString(1), row.GetInt64(2), row.GetInt64(3)),
        ("$user", account.Id), ("$updated", before?.Updated ?? long.MaxValue), ("$id", before?.Id ?? ""), ("$most", most));

    /// <summary>A conversation and how often it was saved; null where the account has none of that name.</summary>
    public (byte[] Data, long Revision)? Load(Account account, string id) => store.Query(
        "SELECT data, revision FROM conversations WHERE user_id = $user AND id = $id", row => ((byte[], long)?)((byte[])row.GetValue(0), row.GetInt64(1)), ("$user", account.Id), ("$id", id)).FirstOrDefault();

    /// <summary>Keeps a conversation.</summary>
    /// <param name="account">Whose.</param>
    /// <param name="entry">Its name, its title, of which 200 characters are kept, and its times.</param>
    /// <param name="data">What it is.</param>
    /// <param name="revision">The one that it takes the place of; 0 for none, null for any.</param>
    /// <returns>The revision that it is now.</returns>
    /// <exception cref="Api.ApiException">412: the conversation is another than that; 409: the account keeps as much as it may.</exception>
    public long Save(Account account, ConversationEntry entry, ReadOnlyMemory<byte> data, long? revision) => store.Together(() =>
    {
        long former = store.Number("SELECT revision FROM conversations WHERE user_id = $user AND id = $id", ("$user", account.Id), ("$id", entry.Id));
        if (revision is { } expected && expected != former)
        {
            throw PortalProblem.Of(412, "conversation_changed", null);
        }

        (long Count, long Bytes) others = store.Query(
            "SELECT count(*), sum(bytes) FROM conversations WHERE user_id = $user AND id <> $id", row => (row.GetInt64(0), row.IsDBNull(1) ? 0 : row.GetInt64(1)), ("$user", account.Id), ("$id", entry.Id))[0];
        if (others.Count >= settings.Conversations || others.Bytes + data.Length > settings.Megabytes * (long)MegaByte)
        {
            throw PortalProblem.Of(409, "too_many_conversations", null);
        }

        store.Execute(
            """
            INSERT INTO conversations (user_id, id, title, created, updated, revision, bytes, data) VALUES ($user, $id, $title, $created, $updated, $revision, $bytes, $data)
            ON CONFLICT DO UPDATE SET title = excluded.title, created = excluded.created, updated = excluded.updated, revision = excluded.revision, bytes = excluded.bytes, data = excluded.data
            """,
            ("$user", account.Id), ("$id", entry.Id), ("$title", Cut(entry.Title)), ("$created", entry.Created), ("$updated", entry.Updated), ("$revision", former + 1), ("$bytes", data.Length), ("$data", data.ToArray()));
        return former + 1;
    });

    /// <summary>Removes a conversation.</summary>
    public bool Remove(Account account, string id)
    {
        bool wasThere = store.Execute("DELETE FROM conversations WHERE user_id = $user AND id = $id", ("$user", account.Id), ("$id", id)) == 1;
        store.Forget();
        return wasThere;
    }

    /// <summary>Removes all conversations of an account.</summary>
    public void RemoveAll(Account account)
    {
        store.Execute("DELETE FROM conversations WHERE user_id = $user", ("$user", account.Id));
        store.Forget();
    }

    private static string Cut(string title) => title.Length <= LongestTitle ? title : title[..(char.IsHighSurrogate(title[LongestTitle - 1]) ? LongestTitle - 1 : LongestTitle)];
}
