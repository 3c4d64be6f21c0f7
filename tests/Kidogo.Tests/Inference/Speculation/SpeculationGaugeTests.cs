// When guessing is switched off and on: by made-up times.
using Kidogo.Inference.Speculation;

namespace Kidogo.Tests.Inference.Speculation;

public sealed class SpeculationGaugeTests
{
    private const long Plain = 1_000;

    [Fact]
    public void First_TokensAreNotGuessed_UntilItIsKnownWhatTheyCost()
    {
        PassCosts costs = new();
        SpeculationGauge gauge = new(8, 0, costs);
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(0, gauge.Next());
            costs.Stepped(Plain);
        }

        Assert.InRange(gauge.Next(), 1, 8);
        Assert.InRange(new SpeculationGauge(8, 0, null).Next(), 1, 8); // nothing to measure
    }

    [Theory]
    [InlineData(1.0, 0.1, true)] // all hold, rows are cheap
    [InlineData(0.0, 0.1, false)] // none holds
    [InlineData(1.0, 1.2, false)] // a row costs more than a pass of its own
    [InlineData(0.6, 0.1, true)]
    [InlineData(0.3, 0.5, false)]
    public void Guessing_GoesOnOnlyWhereItWins(double holds, double rowCost, bool wins)
    {
        int late = new Play().Run(holds, rowCost, steps: 400, from: 200);
        if (wins)
        {
            Assert.True(late > 200, $"{late} guesses in the last 200 passes");
        }
        else
        {
            Assert.InRange(late, 0, 10); // a probe now and then
        }
    }

    [Fact]
    public void Guessing_SwitchedOff_ComesBackWhenItWinsAgain()
    {
        Play play = new();
        Assert.InRange(play.Run(holds: 0, rowCost: 0.1, steps: 300, from: 200), 0, 10);
        Assert.True(play.Run(holds: 1, rowCost: 0.1, steps: 2_000, from: 1_500) > 1_000);
    }

    [Fact]
    public void More_AreGuessed_WhereMoreHold()
    {
        double low = new Play().Run(0.6, 0.15, 300, 100), high = new Play().Run(0.97, 0.15, 300, 100);
        Assert.True(high > 1.5 * low, $"{low} and {high}");
    }

    [Fact]
    public void Fewer_AreGuessed_WhereOthersWait()
    {
        const double RowCost = 0.3; // dear, where eight streams share the pass
        Assert.True(new Play().Run(0.8, RowCost, 300, 100) > 100);
        Assert.InRange(new Play().Run(0.8, RowCost, 300, 100, streams: 8), 0, 10);
    }

    [Fact]
    public void WithoutTheClock_OnlyWhatHeldCounts()
    {
        SpeculationGauge gauge = new(8, 0.1, null);
        List<int> guesses = [];
        for (int i = 0; i < 50; i++)
        {
            guesses.Add(gauge.Next());
            gauge.Verified(guesses[^1], guesses[^1] / 2);
        }

        SpeculationGauge again = new(8, 0.1, null);
        foreach (int guess in guesses)
        {
            Assert.Equal(guess, again.Next());
            again.Verified(guess, guess / 2);
        }
    }

    /// <summary>Generations with made-up times.</summary>
    private sealed class Play
    {
        private readonly PassCosts _costs = new();
        private readonly SpeculationGauge _gauge;
        private readonly Random _random = new(1);

        public Play() => _gauge = new SpeculationGauge(8, 0, _costs);

        /// <summary>Plays on and returns the guesses of the later passes.</summary>
        public int Run(double holds, double rowCost, int steps, int from, int streams = 1)
        {
            int late = 0;
            for (int step = 0; step < steps; step++)
            {
                int guesses = _gauge.Next(streams);
                late += step >= from ? guesses : 0;
                if (guesses == 0)
                {
                    _costs.Stepped(Plain);
                    continue;
                }

                int held = 0;
                while (held < guesses && _random.NextDouble() < holds)
                {
                    held++;
                }

                _costs.Drafted(guesses, 1);
                _gauge.Verified(guesses, held);
                _costs.Verified(guesses, (long)(Plain * (1 + (guesses * rowCost))));
            }

            return late;
        }
    }
}
