// Who asks, and how much of a minute's allowance is left. Knows no keys themselves.
using Kidogo.Serving.Api;

namespace Kidogo.Serving.Access;

/// <summary>The owner of a key, or everyone where there are none.</summary>
/// <param name="name">What its owner is called; empty for everyone.</param>
/// <param name="requestsPerMinute">Null for no limit.</param>
/// <param name="tokensPerMinute">Null for no limit.</param>
/// <param name="clock">The time.</param>
/// <param name="within">Whose allowance is used too, such as that of the account that a key belongs to; null for nobody's.</param>
/// <param name="count">Told of requests and tokens as they are used; null for nothing.</param>
internal sealed class Client(string name, int? requestsPerMinute, int? tokensPerMinute, TimeProvider clock, Client? within = null, Action<long, long>? count = null)
{
    private readonly Lock _gate = new();
    private Allowance _requests = new(requestsPerMinute);
    private Allowance _tokens = new(tokensPerMinute);

    /// <summary>What its owner is called.</summary>
    public string Name => name;

    /// <summary>Counts a request.</summary>
    /// <exception cref="ApiException">429: there were too many within a minute.</exception>
    public void CheckRequest()
    {
        lock (_gate)
        {
            if (_requests.Take(1, clock) is { } wait)
            {
                throw ApiException.TooMany("rate_limit_error", $"This key may ask {requestsPerMinute} times a minute.", wait, "rate_limit_exceeded");
            }
        }

        within?.CheckRequest();
    }

    /// <summary>Looks whether there is anything left for a prompt, and counts it.</summary>
    /// <exception cref="ApiException">429: there were too many tokens within a minute.</exception>
    public void CheckTokens(long prompt)
    {
        lock (_gate)
        {
            if (_tokens.Take(prompt, clock) is { } wait)
            {
                throw ApiException.TooMany("rate_limit_error", $"This key may use {tokensPerMinute} tokens a minute.", wait, "rate_limit_exceeded");
            }
        }

        within?.CheckTokens(prompt);
        count?.Invoke(1, prompt);
    }

    /// <summary>Counts tokens of an answer, which nobody knew before.</summary>
    public void Charge(long generated)
    {
        lock (_gate)
        {
            _tokens.Charge(generated, clock);
        }

        within?.Charge(generated);
        count?.Invoke(0, generated);
    }

    /// <summary>What may be used, filling up evenly to a minute's worth.</summary>
    private struct Allowance(int? perMinute)
    {
        private double _left = perMinute ?? 0;
        private long _since;

        /// <summary>Takes an amount; where nothing is left, how long to wait. An amount larger than what is left is let through once: the next waits for it.</summary>
        public TimeSpan? Take(long amount, TimeProvider clock)
        {
            if (perMinute is not { } limit)
            {
                return null;
            }

            Fill(limit, clock);
            if (_left < Math.Min(amount, 1))
            {
                return TimeSpan.FromMinutes((1 - _left) / limit);
            }

            _left -= amount;
            return null;
        }

        public void Charge(long amount, TimeProvider clock)
        {
            if (perMinute is { } limit)
            {
                Fill(limit, clock);
                _left -= amount;
            }
        }

        private void Fill(int limit, TimeProvider clock)
        {
            long now = clock.GetTimestamp();
            _left = _since == 0 ? limit : Math.Min(limit, _left + (clock.GetElapsedTime(_since, now).TotalMinutes * limit));
            _since = now;
        }
    }
}
