// The tables of the portal. Times are milliseconds since 1970; hashes are SHA-256 in hex; secrets themselves are nowhere.
namespace Kidogo.Serving.Portal;

/// <summary>How the database is laid out.</summary>
internal static class PortalSchema
{
    /// <summary>The form of the tables. A change to them adds one, and says here how the former becomes the new.</summary>
    public const int Version = 1;

    /// <summary>Counts of those who have no account, or none any more, are under this number.</summary>
    public const long Nobody = 0;

    /// <summary>Makes the tables.</summary>
    public const string Sql = """
        CREATE TABLE users (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL,
            folded TEXT NOT NULL UNIQUE,
            password TEXT NOT NULL,
            created INTEGER NOT NULL,
            is_administrator INTEGER NOT NULL,
            is_locked INTEGER NOT NULL DEFAULT 0) STRICT;
        CREATE TABLE failures (
            folded TEXT PRIMARY KEY,
            count INTEGER NOT NULL,
            until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE sessions (
            hash TEXT PRIMARY KEY,
            user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
            expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE INDEX sessions_of ON sessions (user_id, expires);
        CREATE TABLE invitations (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            hash TEXT NOT NULL UNIQUE,
            is_administrator INTEGER NOT NULL,
            created INTEGER NOT NULL,
            expires INTEGER NOT NULL,
            used INTEGER) STRICT;
        CREATE TABLE keys (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
            name TEXT NOT NULL,
            hash TEXT NOT NULL UNIQUE,
            created INTEGER NOT NULL,
            requests_per_minute INTEGER,
            tokens_per_minute INTEGER,
            UNIQUE (user_id, name)) STRICT;
        CREATE TABLE conversations (
            user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
            id TEXT NOT NULL,
            title TEXT NOT NULL,
            created INTEGER NOT NULL,
            updated INTEGER NOT NULL,
            revision INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            data BLOB NOT NULL,
            UNIQUE (user_id, id)) STRICT;
        CREATE INDEX conversations_of ON conversations (user_id, updated, id, bytes);
        CREATE TABLE counts (
            day TEXT NOT NULL,
            user_id INTEGER NOT NULL,
            requests INTEGER NOT NULL,
            tokens INTEGER NOT NULL,
            PRIMARY KEY (day, user_id)) STRICT, WITHOUT ROWID;
        CREATE INDEX counts_of ON counts (user_id, day);
        """;
}
