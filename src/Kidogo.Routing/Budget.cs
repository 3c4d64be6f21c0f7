// What was spent today, and lately how long answers took. Knows no request.
namespace Kidogo.Routing;

/// <summary>Counts money and joules of the day (UTC), and remembers times. For any number of threads.</summary>
/// <param name="rule">What may be spent.</param>
/// <param name="clock">Tells the day.</param>
/// <param name="spent">Money that was spent today before.</param>
internal sealed class Budget(BudgetRule rule, TimeProvider clock, double spent = 0)
{
    private const double Recent = 0.2;

    private readonly Lock _gate = new();
    private DateOnly _day = DateOnly.FromDateTime(clock.GetUtcNow().UtcDateTime);
    private double _money = spent;
    private double _reserved;
    private double _joules;
    private double? _localSeconds;
    private double? _upstreamSeconds;

    /// <summary>Money of today, what is reserved not counted.</summary>
    public double Money
    {
        get
        {
            lock (_gate)
            {
                Turn();
                return _money;
            }
        }
    }

    /// <summary>Whether as much could still be spent today.</summary>
    public bool Allows(double cost)
    {
        lock (_gate)
        {
            Turn();
            return rule.MoneyPerDay is not { } most || _money + _reserved + cost <= most;
        }
    }

    /// <summary>Sets money aside for a request, so that many at once do not spend more than there is.</summary>
    /// <returns>What is to be settled; null where there is not as much.</returns>
    public Lease? Reserve(double cost)
    {
        lock (_gate)
        {
            Turn();
            if (rule.MoneyPerDay is { } most && _money + _reserved + cost > most)
            {
                return null;
            }

            _reserved += cost;
            return new Lease(this, cost);
        }
    }

    /// <summary>Whether this machine has used its joules of today.</summary>
    public bool IsJoulesSpent
    {
        get
        {
            lock (_gate)
            {
                Turn();
                return rule.JoulesPerDay is { } most && _joules >= most;
            }
        }
    }

    /// <summary>Seconds to the first token lately, of this machine and of upstreams; null for not yet known.</summary>
    public (double? Local, double? Upstream) Seconds
    {
        get
        {
            lock (_gate)
            {
                return (_localSeconds, _upstreamSeconds);
            }
        }
    }

    /// <summary>Counts what an answer of this machine took.</summary>
    public void Used(double joules)
    {
        lock (_gate)
        {
            Turn();
            _joules += joules;
        }
    }

    /// <summary>Remembers the time to a first token.</summary>
    public void Took(bool isLocal, double seconds)
    {
        lock (_gate)
        {
            ref double? mean = ref isLocal ? ref _localSeconds : ref _upstreamSeconds;
            mean = mean is { } before ? before + (Recent * (seconds - before)) : seconds;
        }
    }

    private void Settle(double reserved, double cost)
    {
        lock (_gate)
        {
            Turn();
            _reserved -= reserved;
            _money += cost;
        }
    }

    private void Turn()
    {
        DateOnly today = DateOnly.FromDateTime(clock.GetUtcNow().UtcDateTime);
        if (today != _day)
        {
            _day = today;
            _money = 0;
            _joules = 0;
        }
    }

    /// <summary>Money that is set aside.</summary>
    /// <param name="budget">Whose.</param>
    /// <param name="cost">How much.</param>
    public sealed class Lease(Budget budget, double cost) : IDisposable
    {
        private double? _reserved = cost;

        /// <summary>Pays what it came to.</summary>
        public void Pay(double paid)
        {
            if (_reserved is { } reserved)
            {
                _reserved = null;
                budget.Settle(reserved, paid);
            }
        }

        /// <summary>Gives it back.</summary>
        public void Dispose() => Pay(0);
    }
}
