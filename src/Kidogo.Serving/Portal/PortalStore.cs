// The databases of the server: opened, checked and asked. Knows SQL's errors and no account.
using Kidogo.Serving.Access;
using Microsoft.Data.Sqlite;

namespace Kidogo.Serving.Portal;

/// <summary>What a database is for.</summary>
/// <param name="ApplicationId">What tells it from those of other programs, and from this one's others.</param>
/// <param name="Version">The form of its tables.</param>
/// <param name="Sql">Makes them.</param>
/// <param name="Name">What it is called at the start of a sentence.</param>
/// <param name="Setting">Where its file is named.</param>
internal sealed record StoreForm(int ApplicationId, int Version, string Sql, string Name, string Setting)
{
    /// <summary>Accounts and conversations; its number spells "Kido".</summary>
    public static StoreForm Portal { get; } = new(0x4B69646F, PortalSchema.Version, PortalSchema.Sql, "The portal's database", "as database in portal.yaml");
}

/// <summary>An SQLite file with accounts and conversations, or whatever its form says. For any number of threads, and beside other processes.</summary>
internal sealed class PortalStore : IDisposable
{
    private const int BusySeconds = 5;

    private readonly Lock _gate = new();
    private readonly SqliteConnection _connection;

    private PortalStore(SqliteConnection connection) => _connection = connection;

    /// <summary>Opens a database, or makes one that its owner alone can read.</summary>
    /// <exception cref="ServerSetupException">It is damaged, another program's, or cannot be opened.</exception>
    public static PortalStore Open(string path) => Open(path, StoreForm.Portal);

    /// <inheritdoc cref="Open(string)"/>
    public static PortalStore Open(string path, StoreForm form)
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
            store.Prepare(path, isNew, form);
            return store;
        }
        catch (Exception failure)
        {
            connection?.Dispose();
            throw failure switch
            {
                SqliteException sql => new ServerSetupException($"{path} {Problem(sql, form)}"),
                IOException or UnauthorizedAccessException => new ServerSetupException($"{form.Name} cannot be opened: {failure.Message}"),
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

    private void Prepare(string path, bool isNew, StoreForm form)
    {
        long application = Number("PRAGMA application_id"), version = Number("PRAGMA user_version"); // these read the header: a file of another kind ends here
        if (!isNew && application != form.ApplicationId && Number("SELECT count(*) FROM sqlite_schema") > 0)
        {
            throw new ServerSetupException($"{path} is a database of another program. Name a file that does not exist yet {form.Setting}.");
        }

        if (version > form.Version)
        {
            throw new ServerSetupException($"{path} was written by a newer kidogo (its form is {version}; this one knows up to {form.Version}). Use that one, or another database.");
        }

        if (Query("PRAGMA quick_check(1)", row => row.GetString(0)) is not ["ok"])
        {
            throw new ServerSetupException($"{path} is damaged. Put a copy of it back, or name another file {form.Setting}.");
        }

        Run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF");
        if (version < form.Version)
        {
            Together(() =>
            {
                Run(form.Sql);
                Run($"PRAGMA application_id = {form.ApplicationId}; PRAGMA user_version = {form.Version}");
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

    private static string Problem(SqliteException failure, StoreForm form)
    {
        const int Corrupt = 11, NoDatabase = 26;
        return failure.SqliteErrorCode switch
        {
            NoDatabase => $"is no database. Name a file that does not exist yet {form.Setting}.",
            Corrupt => $"is damaged. Put a copy of it back, or name another file {form.Setting}.",
            _ => $"cannot be used as a database: {failure.Message.TrimEnd('.')}.",
        };
    }
}
