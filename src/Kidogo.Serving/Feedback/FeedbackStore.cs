// Ratings of answers, kept on this machine for as long as was said. Knows no HTTP and no model.
using System.Text.Json;
using Kidogo.Serving.Access;
using Kidogo.Serving.Portal;
using Kidogo.Text;
using Kidogo.Text.ChatTemplates;
using Microsoft.Data.Sqlite;

namespace Kidogo.Serving.Feedback;

/// <summary>How much is kept, and for how long.</summary>
public sealed record FeedbackLimits
{
    /// <summary>How long a rating is kept. Default 90 days. What is there already is kept no longer than this either.</summary>
    public TimeSpan Retention { get; init; } = TimeSpan.FromDays(90);

    /// <summary>Ratings in all. Default 100,000.</summary>
    public int MostRows { get; init; } = 100_000;

    /// <summary>Ratings of one key. Default 10,000.</summary>
    public int MostOfOwner { get; init; } = 10_000;
}

/// <summary>An answer that somebody rated, and agreed to have kept.</summary>
/// <param name="Owner">Whose key it was; empty where there are none.</param>
/// <param name="Id">The answer's id.</param>
/// <param name="Model">Who answered.</param>
/// <param name="IsLiked">Whether the thumb was up.</param>
/// <param name="Messages">The conversation; the last message is the answer.</param>
/// <param name="Correction">What should have been answered; null where nobody said.</param>
public sealed record RatedAnswer(string Owner, string Id, string Model, bool IsLiked, IReadOnlyList<ChatMessage> Messages, string? Correction);

/// <summary>An SQLite file of rated answers, its owner's alone. For any number of threads, and beside other processes.</summary>
public sealed class FeedbackStore : IDisposable
{
    // Times are milliseconds since 1970. The number spells "Kidf".
    private static readonly StoreForm s_form = new(0x4B696466, 1, """
        CREATE TABLE feedback (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            owner TEXT NOT NULL,
            id TEXT NOT NULL,
            model TEXT NOT NULL,
            is_liked INTEGER NOT NULL,
            messages TEXT NOT NULL,
            correction TEXT,
            created INTEGER NOT NULL,
            expires INTEGER NOT NULL,
            UNIQUE (owner, id)) STRICT;
        CREATE INDEX feedback_expires ON feedback (expires);
        """, "The database of feedback", "with --feedback");

    private readonly PortalStore _store;
    private readonly FeedbackLimits _limits;
    private static readonly TimeSpan s_between = TimeSpan.FromHours(1); // a server that nobody asks forgets all the same

    private readonly TimeProvider _clock;
    private readonly Lock _sweeping = new();
    private readonly ITimer? _sweep;
    private bool _isOver;

    private FeedbackStore(PortalStore store, FeedbackLimits? limits, TimeProvider clock)
    {
        (_store, _limits, _clock) = (store, limits ?? new FeedbackLimits(), clock);
        _sweep = limits is null ? null : clock.CreateTimer(_ => Sweep(), null, s_between, s_between);
    }

    /// <summary>Opens a database, or makes one that its owner alone can read.</summary>
    /// <param name="path">The file.</param>
    /// <param name="limits">How much is kept; null for whoever reads only: then each rating ends when it was to end.</param>
    /// <param name="clock">The time; null for the system's.</param>
    /// <exception cref="ServerSetupException">It is damaged, another program's, or cannot be opened.</exception>
    public static FeedbackStore Open(string path, FeedbackLimits? limits = null, TimeProvider? clock = null)
    {
        FeedbackStore store = new(PortalStore.Open(path, s_form), limits, clock ?? TimeProvider.System);
        if (limits is not null)
        {
            store._store.Execute("UPDATE feedback SET expires = min(expires, created + $retention)", ("$retention", store.Retention));
        }

        store.RemoveOld();
        return store;
    }

    /// <summary>All ratings whose time is not over, the latest first.</summary>
    /// <exception cref="ServerSetupException">A row is not as this program writes them.</exception>
    public IReadOnlyList<RatedAnswer> Read()
    {
        RemoveOld();
        try
        {
            return _store.Query("SELECT owner, id, model, is_liked, messages, correction FROM feedback ORDER BY number DESC", row =>
                new RatedAnswer(row.GetString(0), row.GetString(1), row.GetString(2), row.GetInt64(3) != 0, MessagesOf(row.GetString(4)), row.IsDBNull(5) ? null : row.GetString(5)));
        }
        catch (Exception failure) when (failure is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new ServerSetupException($"The database of feedback has a row whose messages cannot be read: {failure.Message} Another program has written to it; put a copy back.");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _sweep?.Dispose();
        lock (_sweeping)
        {
            _isOver = true;
            _store.Dispose();
        }
    }

    /// <summary>Keeps a rating; another one of the same answer takes the place of the first.</summary>
    /// <returns>When it ends; null where there is no room.</returns>
    internal DateTimeOffset? Add(RatedAnswer rated)
    {
        RemoveOld();
        long now = Now;
        bool isKept = _store.Together(() =>
        {
            bool isNew = _store.Number("SELECT count(*) FROM feedback WHERE owner = $owner AND id = $id", ("$owner", rated.Owner), ("$id", rated.Id)) == 0;
            if (isNew && (_store.Number("SELECT count(*) FROM feedback") >= _limits.MostRows
                || _store.Number("SELECT count(*) FROM feedback WHERE owner = $owner", ("$owner", rated.Owner)) >= _limits.MostOfOwner))
            {
                return false;
            }

            _store.Execute(
                """
                INSERT INTO feedback (owner, id, model, is_liked, messages, correction, created, expires) VALUES ($owner, $id, $model, $liked, $messages, $correction, $now, $expires)
                ON CONFLICT (owner, id) DO UPDATE SET model = excluded.model, is_liked = excluded.is_liked, messages = excluded.messages, correction = excluded.correction,
                    created = excluded.created, expires = excluded.expires
                """,
                ("$owner", rated.Owner), ("$id", rated.Id), ("$model", rated.Model), ("$liked", rated.IsLiked ? 1L : 0L), ("$messages", TextOf(rated.Messages)), ("$correction", rated.Correction),
                ("$now", now), ("$expires", now + Retention));
            return true;
        });
        return isKept ? DateTimeOffset.FromUnixTimeMilliseconds(now + Retention) : null;
    }

    /// <summary>Takes a rating back, from the disk too.</summary>
    /// <returns>Whether there was one.</returns>
    internal bool Remove(string owner, string id)
    {
        bool isGone = _store.Execute("DELETE FROM feedback WHERE owner = $owner AND id = $id", ("$owner", owner), ("$id", id)) > 0;
        _store.Forget();
        return isGone;
    }

    private long Now => _clock.GetUtcNow().ToUnixTimeMilliseconds();

    private long Retention => (long)_limits.Retention.TotalMilliseconds;

    private void RemoveOld()
    {
        if (_store.Execute("DELETE FROM feedback WHERE expires <= $now", ("$now", Now)) > 0)
        {
            _store.Forget();
        }
    }

    /// <summary>What a timer does: a disk that fails now is tried again in an hour, and at the next rating.</summary>
    private void Sweep()
    {
        lock (_sweeping)
        {
            try
            {
                if (!_isOver)
                {
                    RemoveOld();
                }
            }
            catch (SqliteException)
            {
            }
        }
    }

    private static string TextOf(IReadOnlyList<ChatMessage> messages) => System.Text.Encoding.UTF8.GetString(JsonBuilding.Bytes(json =>
    {
        json.WriteStartArray();
        foreach (ChatMessage message in messages)
        {
            message.ToJson().WriteTo(json);
        }

        json.WriteEndArray();
    }).Span);

    private static ChatMessage[] MessagesOf(string text)
    {
        using JsonDocument json = JsonDocument.Parse(text);
        ChatMessage[] messages = [.. json.RootElement.EnumerateArray().Select(each => new ChatMessage(each.GetProperty("role").GetString() ?? "", each.GetProperty("content").GetString() ?? ""))];
        return messages.Length > 1 ? messages : throw new JsonException($"{messages.Length} messages.");
    }
}
