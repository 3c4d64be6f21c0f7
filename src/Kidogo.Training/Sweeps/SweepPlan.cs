// Successive halving: how many runs go on, how far, and how much fits into a time. Knows no files.
namespace Kidogo.Training.Sweeps;

/// <summary>What a run costs, as it was measured.</summary>
/// <param name="SecondsPerStep">A step.</param>
/// <param name="TokensPerStep">Tokens that a step reads.</param>
/// <param name="SecondsPerRung">What comes beside the steps each time it goes on: opening it, and an evaluation.</param>
public sealed record SweepCost(double SecondsPerStep, long TokensPerStep, double SecondsPerRung);

/// <summary>The arithmetic of successive halving (Jamieson and Talwalkar, arXiv 1502.07943).</summary>
/// <remarks>
/// Of n runs all go a part of the way, the better half twice as far, the better half of those again twice as far, until one is left, which goes the whole way. Each run pauses and
/// goes on: it is one run of its full length, and the best ends with the bits that it would have without a sweep.
/// </remarks>
public static class SweepPlan
{
    /// <summary>Steps from evaluation to evaluation where only pauses are evaluated.</summary>
    internal const long Never = 1_000_000_000;

    /// <summary>The fewest steps of a run in the first rung: less says nothing.</summary>
    public const int LeastSteps = 10;

    /// <summary>How many runs are in each rung: n, n / 2 rounded up, … 1.</summary>
    public static IReadOnlyList<int> Rungs(int runs)
    {
        List<int> counts = [runs];
        while (counts[^1] > 1)
        {
            counts.Add((counts[^1] + 1) / 2);
        }

        return counts;
    }

    /// <summary>The step at which a rung ends.</summary>
    /// <param name="steps">Steps of the whole way.</param>
    /// <param name="rung">The rung, from 0.</param>
    /// <param name="rungs">Rungs in all; 30 at most are told apart.</param>
    public static long StepsAt(long steps, int rung, int rungs) => Math.Max(1, steps >> Math.Min(30, rungs - 1 - rung));

    /// <summary>Steps of a run that reads so many tokens.</summary>
    public static long StepsFor(SweepCost cost, long tokens) => Math.Max(1, tokens / cost.TokensPerStep);

    /// <summary>Seconds of the whole sweep if of each rung the dearest go on: it takes no longer.</summary>
    /// <param name="costs">Of all runs.</param>
    /// <param name="steps">Of all runs, of the whole way.</param>
    public static double Seconds(IReadOnlyList<SweepCost> costs, IReadOnlyList<long> steps)
    {
        IReadOnlyList<int> rungs = Rungs(costs.Count);
        double seconds = 0;
        for (int rung = 0; rung < rungs.Count; rung++)
        {
            seconds += costs.Select((cost, i) => cost.SecondsPerRung
                + (cost.SecondsPerStep * (StepsAt(steps[i], rung, rungs.Count) - (rung == 0 ? 0 : StepsAt(steps[i], rung - 1, rungs.Count))))).OrderDescending().Take(rungs[rung]).Sum();
        }

        return seconds;
    }

    /// <summary>The fewest tokens that every run has to read for the first rung to say something.</summary>
    public static long LeastTokens(IReadOnlyList<SweepCost> costs) => costs.Max(cost => cost.TokensPerStep) * LeastSteps << (Rungs(costs.Count).Count - 1);

    /// <summary>The most tokens of each run that fit into a time; null where not even <see cref="LeastTokens"/> do.</summary>
    /// <param name="costs">Of all runs.</param>
    /// <param name="seconds">The time.</param>
    public static long? TokensWithin(IReadOnlyList<SweepCost> costs, double seconds)
    {
        long low = LeastTokens(costs), high = long.MaxValue >> 12;
        if (SecondsOf(costs, low) > seconds)
        {
            return null;
        }

        while (low < high - 1)
        {
            long middle = low + ((high - low) / 2);
            (low, high) = SecondsOf(costs, middle) <= seconds ? (middle, high) : (low, middle);
        }

        return low;
    }

    /// <summary>Seconds of the whole sweep where each run reads so many tokens.</summary>
    public static double SecondsOf(IReadOnlyList<SweepCost> costs, long tokens) => Seconds(costs, [.. costs.Select(cost => StepsFor(cost, tokens))]);
}
