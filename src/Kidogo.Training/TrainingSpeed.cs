// How fast a run was, beside what the processor can do. Trains nothing.
using Kidogo.Evaluation.Machine;

namespace Kidogo.Training;

/// <summary>The speed of training.</summary>
/// <param name="TokensPerSecond">The median of all steps but the first.</param>
/// <param name="Gflops">GFLOP/s at 6 operations a parameter and token, and 12 · layers · hidden · context for attention.</param>
/// <param name="PeakGflops">GFLOP/s of a loop of fused multiply-adds, measured just after.</param>
public sealed record TrainingSpeed(double TokensPerSecond, double Gflops, double PeakGflops)
{
    /// <summary>The share of the peak.</summary>
    public double ShareOfPeak => Gflops / PeakGflops;

    /// <summary>Measures the peak and compares; null where fewer than two steps were made.</summary>
    public static TrainingSpeed? Of(TrainingPlan plan, IReadOnlyList<StepRecord> made, int threads)
    {
        if (made.Count < 2)
        {
            return null;
        }

        double[] rates = [.. made.Skip(1).Select(record => record.TokensPerSecond).Order()];
        double median = rates[rates.Length / 2];
        return new TrainingSpeed(median, median * plan.FlopsPerToken / 1e9, FmaPeak.Measure(threads));
    }
}
