// Decides how much to guess by what guessing has brought and cost so far. Knows times and counts, no tokens.
namespace Kidogo.Inference.Speculation;

/// <summary>What passes of one model take here: one over a token of each stream, a row more, and a guess. Measured as they are made; what is older counts less.</summary>
internal sealed class PassCosts
{
    private const int FirstPlainSteps = 3; // to know what a token costs without guesses; the first is often slower

    private FadingMean _plain;
    private FadingMean _row;
    private FadingMean _draft;
    private int _plainSteps;
    private bool _hasDrafted;

    /// <summary>Whether it is known what a pass costs without guesses.</summary>
    public bool AreKnown => _plainSteps >= FirstPlainSteps;

    /// <summary>What a further row costs, as a share of a pass without guesses; null while unknown.</summary>
    public double? Row => _row.Weight > 0 && _plain.Value > 0 ? _row.Value / _plain.Value : null;

    /// <summary>What a guess costs, as a share of a pass without guesses; null while unknown.</summary>
    public double? Draft => _draft.Weight > 0 && _plain.Value > 0 ? _draft.Value / _plain.Value : null;

    /// <summary>Notes a pass without guesses.</summary>
    public void Stepped(long ticks)
    {
        _plainSteps++;
        if (_plainSteps > 1)
        {
            _plain.Add(ticks, 1);
        }
    }

    /// <summary>Notes what guesses took. The first time is left out: a model that guesses reads the prompt then.</summary>
    public void Drafted(int count, long ticks)
    {
        if (_hasDrafted && count > 0)
        {
            _draft.Add(ticks, count);
        }

        _hasDrafted = true;
    }

    /// <summary>Notes a pass with guesses.</summary>
    public void Verified(int guessed, long ticks) => _row.Add(Math.Max(0, ticks - _plain.Value), guessed);
}

/// <summary>Chooses how many tokens to guess for the next pass, and none where that loses.</summary>
/// <remarks>
/// After Leviathan et al., arXiv 2211.17192, sections 3.1 to 3.5: with a share a of guesses that hold, γ guesses bring (1 - a^(γ+1)) / (1 - a) tokens. The pass over them costs
/// 1 + γ·(r + d) passes without, with r what one more row costs and d what one guess does. Where no γ wins, nothing is guessed for a while, then a little is tried again, less and less
/// often while that loses too.
/// </remarks>
/// <param name="most">Guesses of a pass at most.</param>
/// <param name="relativeCost">What a guess costs before that is measured.</param>
/// <param name="costs">
/// What passes take; null where that must not matter: where the choice of tokens depends on which were guessed, it must not depend on the clock. Then costs are assumed, and only what
/// holds is counted.
/// </param>
internal sealed class SpeculationGauge(int most, double relativeCost, PassCosts? costs)
{
    private const double LeastMore = 0.05; // tokens for the time, of one stream
    private const double AssumedRowCost = 0.25; // of a further row beside the first: weights are read once for all
    private const int ShortestPause = 16, LongestPause = 512;
    private const int Probe = 2;

    private FadingMean _held = new(1.4, 2); // a guess in three fails, until more is known
    private int _pause;
    private int _nextPause = ShortestPause;

    /// <summary>How many tokens to guess now.</summary>
    /// <param name="streams">Sequences that share the pass: what one of them costs more, all wait for.</param>
    public int Next(int streams = 1)
    {
        if (costs is { AreKnown: false })
        {
            return 0;
        }

        if (_pause > 0)
        {
            return --_pause == 0 ? Probe : 0;
        }

        (int best, double gain) = (0, 1 + (LeastMore / streams));
        for (int count = 1; count <= most; count++)
        {
            double expected = Gain(count, streams);
            (best, gain) = expected > gain ? (count, expected) : (best, gain);
        }

        if (best == 0)
        {
            _pause = _nextPause;
            _nextPause = Math.Min(2 * _nextPause, LongestPause);
        }
        else
        {
            _nextPause = ShortestPause;
        }

        return best;
    }

    /// <summary>Notes what became of guesses.</summary>
    /// <param name="guessed">How many.</param>
    /// <param name="held">How many of them the model would have said.</param>
    public void Verified(int guessed, int held) => _held.Add(held, held < guessed ? held + 1 : held); // what comes after a failure was never looked at

    /// <summary>How many times as many tokens a second all streams together get, if one is guessed for.</summary>
    private double Gain(int count, int streams)
    {
        double share = Math.Min(_held.Value, 0.999);
        double tokens = (1 - Math.Pow(share, count + 1)) / (1 - share);
        double more = (costs?.Row ?? AssumedRowCost) + (costs?.Draft ?? relativeCost);
        return (streams + tokens - 1) / streams / (1 + (count * more));
    }
}

/// <summary>A mean in which what is older counts less.</summary>
internal struct FadingMean(double sum, double weight)
{
    private const double Fading = 0.9; // of what is remembered, at each new observation

    private double _sum = sum;

    public double Weight { get; private set; } = weight;

    public readonly double Value => Weight > 0 ? _sum / Weight : 0;

    public void Add(double more, double times)
    {
        _sum = (Fading * _sum) + more;
        Weight = (Fading * Weight) + times;
    }
}
