// How sure a classifier may be: one number that its scores are divided by. Knows no models.
using Kidogo.Inference.Classification;

namespace Kidogo.Training.Classification;

/// <summary>Temperature scaling (Guo et al., arXiv 1706.04599, section 4.2): no label changes, only how sure the head is of it.</summary>
internal static class TemperatureScaling
{
    private const double Lowest = 0.05, Highest = 20;
    private const int Steps = 60; // of the golden section: far below a digit that is printed

    /// <summary>The head with the temperature of the lowest loss on some lines.</summary>
    public static ClassifierHead Of(ClassifierHead head, IReadOnlyList<float[]> vectors, IReadOnlyList<int> classes)
    {
        double[][] scores = [.. vectors.Select(vector => head.Scores(vector))];
        double Loss(double log)
        {
            double temperature = Math.Exp(log);
            return scores.Select((line, i) => -Math.Log(Math.Max(ClassifierHead.Probabilities(line, temperature)[classes[i]], double.Epsilon))).Sum();
        }

        double golden = (Math.Sqrt(5) - 1) / 2, low = Math.Log(Lowest), high = Math.Log(Highest);
        for (int step = 0; step < Steps; step++)
        {
            double left = high - (golden * (high - low)), right = low + (golden * (high - low));
            (low, high) = Loss(left) < Loss(right) ? (low, right) : (left, high); // the loss is convex in 1 / T, so it has one valley
        }

        return head with { Temperature = Math.Exp((low + high) / 2) };
    }
}
