// How much was asked and answered, by day and account: numbers, and nothing else. Knows no requests.
using System.Globalization;

namespace Kidogo.Serving.Portal;

/// <summary>A day's numbers.</summary>
internal sealed record DayCounts(string Day, long Users, long Requests, long Tokens);

/// <summary>Counts in memory, and writes now and then: a request does not wait for the disk.</summary>
internal sealed class Counts(PortalStore store, TimeProvider clock)
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private Dictionary<(string Day, long User), (long Requests, long Tokens)> _waiting = [];
    private long _written = clock.GetTimestamp();

    /// <summary>Adds to an account's numbers of today.</summary>
    public void Add(long user, long requests, long tokens)
    {
        bool isTime;
        lock (_gate)
        {
            (string, long) key = (clock.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture), user);
            (long Requests, long Tokens) sum = _waiting.GetValueOrDefault(key);
            _waiting[key] = (sum.Requests + requests, sum.Tokens + tokens);
            isTime = clock.GetElapsedTime(_written) > s_pause;
        }

        if (isTime)
        {
            Write();
        }
    }

    /// <summary>Writes what waits. Numbers of an account that is gone meanwhile go to nobody's.</summary>
    public void Write()
    {
        Dictionary<(string Day, long User), (long Requests, long Tokens)> waiting;
        lock (_gate)
        {
            (waiting, _waiting) = (_waiting, []);
            _written = clock.GetTimestamp();
        }

        if (waiting.Count == 0)
        {
            return;
        }

        store.Together(() =>
        {
            foreach (((string day, long user), (long requests, long tokens)) in waiting)
            {
                store.Execute(
                    """
                    INSERT INTO counts (day, user_id, requests, tokens) VALUES ($day, CASE WHEN EXISTS (SELECT 1 FROM users WHERE id = $user) THEN $user ELSE $nobody END, $requests, $tokens)
                    ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, tokens = tokens + excluded.tokens
                    """,
                    ("$day", day), ("$user", user), ("$nobody", PortalSchema.Nobody), ("$requests", requests), ("$tokens", tokens));
            }

            return true;
        });
    }

    /// <summary>The last days on which anything was asked, the latest first.</summary>
    public List<DayCounts> Days(int most)
    {
        Write();
        return store.Query(
            "SELECT day, count(CASE WHEN user_id <> $nobody THEN 1 END), sum(requests), sum(tokens) FROM counts GROUP BY day ORDER BY day DESC LIMIT $most",
            row => new DayCounts(row.GetString(0), row.GetInt64(1), row.GetInt64(2), row.GetInt64(3)), ("$nobody", PortalSchema.Nobody), ("$most", most));
    }
}
