// How many runs go on, how far, and what fits into a time.
using Kidogo.Training.Sweeps;

namespace Kidogo.Tests.Training.Sweeps;

public sealed class SweepPlanTests
{
    [Theory]
    [InlineData(2, new[] { 2, 1 })]
    [InlineData(3, new[] { 3, 2, 1 })]
    [InlineData(4, new[] { 4, 2, 1 })]
    [InlineData(9, new[] { 9, 5, 3, 2, 1 })]
    public void Rungs_HalveUpwardsToOne(int runs, int[] expected) => Assert.Equal(expected, SweepPlan.Rungs(runs));

    [Fact]
    public void StepsAt_DoublesToTheWholeWay()
    {
        Assert.Equal([12, 25, 50, 100], Enumerable.Range(0, 4).Select(rung => SweepPlan.StepsAt(100, rung, 4)));
        Assert.Equal([1, 1, 1, 3], Enumerable.Range(0, 4).Select(rung => SweepPlan.StepsAt(3, rung, 4)));
    }

    [Fact]
    public void Seconds_ByHand_AreThoseOfTheDearest()
    {
        // Two rungs: both to step 50, then the dearer (2 s a step) to step 100; 3 s each time one goes on.
        SweepCost[] costs = [new(1, 10, 3), new(2, 10, 3)];
        Assert.Equal((3 + 50) + (3 + 100) + (3 + 100), SweepPlan.Seconds(costs, [100, 100]), 9);
    }

    [Fact]
    public void TokensWithin_ATime_AreTheMostThatFit()
    {
        SweepCost[] costs = [new(0.01, 512, 1), new(0.03, 1024, 2), new(0.02, 256, 0.5)];
        long tokens = SweepPlan.TokensWithin(costs, 600)!.Value;
        Assert.InRange(SweepPlan.SecondsOf(costs, tokens), 599, 600);
        Assert.True(SweepPlan.SecondsOf(costs, tokens + 4096) > 600);
        Assert.True(tokens >= SweepPlan.LeastTokens(costs));
    }

    [Fact]
    public void TokensWithin_TooLittle_IsNone()
    {
        SweepCost[] costs = [new(1, 100, 5), new(1, 100, 5)];
        double least = SweepPlan.SecondsOf(costs, SweepPlan.LeastTokens(costs));
        Assert.Null(SweepPlan.TokensWithin(costs, least * 0.99));
        Assert.Equal(2 * 100 * SweepPlan.LeastSteps, SweepPlan.LeastTokens(costs));
        Assert.NotNull(SweepPlan.TokensWithin(costs, least));
    }
}
