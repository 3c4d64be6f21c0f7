// The guesses of one generation: how many, which, and what became of them. Knows no model and no cache.
using System.Diagnostics;
using Kidogo.Inference.Sampling;

namespace Kidogo.Inference.Speculation;

/// <summary>Stands between what guesses and what decides. Disposing it disposes what guesses: for those who made that for it.</summary>
internal sealed class Speculator : IDisposable
{
    /// <summary>The most guesses of a pass that may be asked for.</summary>
    public const int MostGuesses = 64;

    private const int UsualMost = 8; // so many rows still cost far less than as many passes

    private readonly IDrafter _drafter;
    private readonly PassCosts _costs;
    private readonly SpeculationGauge _gauge;
    private readonly int? _always;
    private readonly int[] _guesses;

    /// <summary>Begins a generation.</summary>
    /// <param name="drafter">What guesses.</param>
    /// <param name="prompt">The text so far.</param>
    /// <param name="sampler">What decides.</param>
    /// <param name="always">Guesses of every pass; null to go by what is measured.</param>
    /// <param name="costs">What passes take, where others share them; null to measure that here.</param>
    public Speculator(IDrafter drafter, ReadOnlySpan<int> prompt, Sampler sampler, int? always = null, PassCosts? costs = null)
    {
        _always = always;
        _costs = costs ?? new PassCosts();
        _guesses = new int[always ?? UsualMost];
        _drafter = drafter;
        drafter.Begin(prompt, sampler.Options, sampler.Seed);

        // Certain guesses change no token, so they may come or not as the clock says. Drawn ones change which tokens a seed gives.
        bool isTimely = drafter.IsCertain || sampler.Options.Seed is null;
        _gauge = new SpeculationGauge(UsualMost, drafter.RelativeCost, isTimely ? _costs : null);
    }

    /// <summary>What came of it.</summary>
    public SpeculationCounts Counts { get; private set; }

    /// <summary>Guesses what comes next.</summary>
    /// <param name="most">How many could be used.</param>
    /// <param name="streams">Sequences that share the pass.</param>
    public ReadOnlySpan<int> Guess(int most, int streams = 1)
    {
        int wanted = Math.Min(_always ?? _gauge.Next(streams), most);
        if (wanted <= 0)
        {
            return [];
        }

        long start = Stopwatch.GetTimestamp();
        int count = _drafter.Draft(_guesses.AsSpan(0, wanted));
        _costs.Drafted(count, Stopwatch.GetTimestamp() - start);
        return _guesses.AsSpan(0, count);
    }

    /// <inheritdoc/>
    public void Dispose() => (_drafter as IDisposable)?.Dispose();

    /// <summary>Decides about a guess.</summary>
    public int Decide(Sampler sampler, ReadOnlySpan<float> logits, int guess) => sampler.Verify(logits, _guesses[guess], _drafter.Distribution(guess));

    /// <summary>Notes the token that came.</summary>
    public void Add(int id) => _drafter.Add(id);

    /// <summary>Notes a pass without guesses.</summary>
    /// <param name="ticks">What it took.</param>
    public void Stepped(long ticks) => _costs.Stepped(ticks);

    /// <summary>Notes what became of guesses.</summary>
    public void Verified(int guessed, int held)
    {
        _gauge.Verified(guessed, held);
        Counts = new SpeculationCounts(Counts.Drafted + guessed, Counts.Accepted + held, Counts.Passes + 1);
    }

    /// <summary>Notes what a pass over guesses took, where nobody else does.</summary>
    public void Verified(int guessed, int held, long ticks)
    {
        Verified(guessed, held);
        _costs.Verified(guessed, ticks);
    }
}
