// How well labels are told apart. Knows no models.
namespace Kidogo.Training.Classification;

/// <summary>What a classifier does on lines that it has not seen.</summary>
/// <param name="Labels">The labels.</param>
/// <param name="Confusion">[true class][told class] Lines.</param>
/// <param name="LogLoss">Mean negative logarithm of the true label's probability, in nats.</param>
/// <param name="CalibrationError">The expected calibration error in ten bins of confidence (Guo et al., arXiv 1706.04599, equation 3), 0 to 1.</param>
public sealed record ClassificationReport(IReadOnlyList<string> Labels, int[][] Confusion, double LogLoss, double CalibrationError)
{
    private const int Bins = 10;

    /// <summary>Lines.</summary>
    public int Lines => Confusion.Sum(row => row.Sum());

    /// <summary>Share of lines whose label was told.</summary>
    public double Accuracy => (double)Confusion.Select((row, label) => row[label]).Sum() / Lines;

    /// <summary>The accuracy of always telling the most frequent label.</summary>
    public double MajorityAccuracy => (double)Confusion.Max(row => row.Sum()) / Lines;

    /// <summary>The mean over labels of their F1.</summary>
    public double MacroF1 => Labels.Select((_, label) => F1(label)).Average();

    /// <summary>Of the lines told to be of a label, the share that is; 0 where there is none.</summary>
    public double Precision(int label) => Share(Confusion[label][label], Confusion.Sum(row => row[label]));

    /// <summary>Of the lines of a label, the share that was told; 0 where there is none.</summary>
    public double Recall(int label) => Share(Confusion[label][label], Confusion[label].Sum());

    /// <summary>The harmonic mean of both.</summary>
    public double F1(int label) => Share(2 * Confusion[label][label], Confusion[label].Sum() + Confusion.Sum(row => row[label]));

    /// <summary>Counts.</summary>
    /// <param name="labels">The labels.</param>
    /// <param name="probabilities">For each line those of all labels.</param>
    /// <param name="classes">For each line the true one.</param>
    public static ClassificationReport Of(IReadOnlyList<string> labels, IReadOnlyList<double[]> probabilities, IReadOnlyList<int> classes)
    {
        int[][] confusion = [.. labels.Select(_ => new int[labels.Count])];
        double[] confidences = new double[Bins], hits = new double[Bins];
        double loss = 0;
        for (int line = 0; line < classes.Count; line++)
        {
            double[] row = probabilities[line];
            double largest = row.Max();
            int told = Array.IndexOf(row, largest), bin = Math.Clamp((int)(largest * Bins), 0, Bins - 1);
            confusion[classes[line]][told]++;
            loss -= Math.Log(Math.Max(row[classes[line]], double.Epsilon));
            confidences[bin] += largest;
            hits[bin] += told == classes[line] ? 1 : 0;
        }

        return new ClassificationReport(labels, confusion, loss / classes.Count, confidences.Zip(hits, (confidence, hit) => Math.Abs(confidence - hit)).Sum() / classes.Count);
    }

    private static double Share(double part, double whole) => whole == 0 ? 0 : part / whole;
}
