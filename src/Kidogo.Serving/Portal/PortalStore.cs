// The portal's database: opened, checked and asked. Knows SQL's errors and no account.
using Kidogo.Serving.Access;
using Microsoft.Data.Sqlite;

namespace Kidogo.Serving.Portal;

/// <summary>An SQLite file with accounts and conversations. For any number of threads, and beside other processes.</summary>
internal sealed class PortalStore : IDisposable
{
    // "Kido": what tells this program's databases from those of others.
    private const int ApplicationId = 0x4B69646F;
    private const int BusySeconds = 5;

    private readonly Lock _gate = new();
    private readonly SqliteConnection _connection;

    private PortalStore(SqliteConnection connection) => _connection = connection;

    /// <summary>Opens a database, or makes one that its owner alone can read.</summary>
    /// <exception cref="ServerSetupException">It is damaged, another program's, or cannot be opened.</exception>
    public static PortalStore Open(string path)
    {
        SQLitePCL.Batteries_V2.Init();
        SqliteConnection? connection = null;
        try
        {
            bool isNew = CreateFile(path);
            connection = new SqliteConnection(new SqliteConnectionStringBuilder
            {
                DataSource = path, Mode = SqliteOpenMode.ReadWrite, Pooling = false, ForeignKeys = true, DefaultTimeout = BusySeconds,
            }.ToString());
            connection.Open();
            PortalStore store = new(connection);
            store.Prepare(path, isNew);
            return store;
        }
        catch (Exception failure)
        {
            connection?.Dispose();
            throw failure switch
            {
                SqliteException sql => new ServerSetupException($"{path} {Problem(sql)}"),
                IOException or UnauthorizedAccessException => new ServerSetupException($"The portal's database cannot be opened: {failure.Message}"),
                _ => failure,
            };
        }
    }

    /// <summary>Carries a statement out.</summary>
    /// <returns>The rows that it changed.</returns>
    public int Execute(string sql, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        lock (_gate)
        {
            using SqliteCommand command = Command(sql, values);
            return command.ExecuteNonQuery();
        }
    }

    /// <summary>Reads rows.</summary>
    public List<T> Query<T>(string sql, Func<SqliteDataReader, T> read, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        lock (_gate)
        {
            using SqliteCommand command = Command(sql, values);
            using SqliteDataReader reader = command.ExecuteReader();
            List<T> rows = [];
            while (reader.Read())
            {
                rows.Add(read(reader));
            }

            return rows;
        }
    }

    /// <summary>Reads one number; 0 where there is none.</summary>
    public long Number(string sql, params ReadOnlySpan<(string Name, object? Value)> values) => Query(sql, row => row.IsDBNull(0) ? 0 : row.GetInt64(0), values).FirstOrDefault();

    /// <summary>Does several things, or none of them.</summary>
    public T Together<T>(Func<T> act)
    {
        lock (_gate)
        {
            Run("BEGIN IMMEDIATE");
            try
            {
                T result = act();
                Run("COMMIT");
                return result;
            }
            catch
            {
                if (SQLitePCL.raw.sqlite3_get_autocommit(_connection.Handle) == 0) // else SQLite has taken it back by itself, as it does where the disk is full
                {
                    Run("ROLLBACK");
                }

                throw;
            }
        }
    }

    /// <summary>Has what was removed leave the disk: SQLite overwrites it in the file, and this empties the log beside it.</summary>
    public void Forget()
    {
        lock (_gate)
        {
            Run("PRAGMA wal_checkpoint(TRUNCATE)");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            _connection.Dispose();
        }
    }

    private void Prepare(string path, bool isNew)
    {
        long application = Number("PRAGMA application_id"), version = Number("PRAGMA user_version"); // these read the header: a file of another kind ends here
        if (!isNew && application != ApplicationId && Number("SELECT count(*) FROM sqlite_schema") > 0)
        {
            throw new ServerSetupException($"{path} is a database of another program. Name a file that does not exist yet as database in portal.yaml.");
        }

        if (version > PortalSchema.Version)
        {
            throw new ServerSetupException($"{path} was written by a newer kidogo (its form is {version}; this one knows up to {PortalSchema.Version}). Use that one, or another database.");
        }

        if (Query("PRAGMA quick_check(1)", row => row.GetString(0)) is not ["ok"])
        {
            throw new ServerSetupException($"{path} is damaged. Put a copy of it back, or name another file as database in portal.yaml.");
        }

        Run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF");
        if (version < PortalSchema.Version)
        {
            Together(() =>
            {
                Run(PortalSchema.Sql);
                Run($"PRAGMA application_id = {ApplicationId}; PRAGMA user_version = {PortalSchema.Version}");
                return true;
            });
        }
    }

    private void Run(string sql)
    {
        using SqliteCommand command = _connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    // Values go beside the text, never into it.
    private SqliteCommand Command(string sql, ReadOnlySpan<(string Name, object? Value)> values)
    {
        SqliteCommand command = _connection.CreateCommand();
        command.CommandText = sql;
        foreach ((string name, object? value) in values)
        {
            command.Parameters.AddWithValue(name, value ?? DBNull.Value);
        }

        return command;
    }

    /// <summary>Makes the file, where there is none; what SQLite writes beside it gets the same permissions.</summary>
    private static bool CreateFile(string path)
    {
        if (File.Exists(path))
        {
            return new FileInfo(path).Length == 0;
        }

        FileStreamOptions options = new() { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        new FileStream(path, options).Dispose();
        return true;
    }

    private static string Problem(SqliteException failure)
    {
        const int Corrupt = 11, NoDatabase = 26;
        return failure.SqliteErrorCode switch
        {
            NoDatabase => "is no database. Name a file that does not exist yet as database in portal.yaml.",
            Corrupt => "is damaged. Put a copy of it back, or name another file as database in portal.yaml.",
            _ => $"cannot be used as a database: {failure.Message.TrimEnd('.')}.",
        };
    }
}
