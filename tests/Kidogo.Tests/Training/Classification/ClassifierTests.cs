// Heads of classifiers: the one best point, how sure to be, what is counted; and labels that cannot be told apart.
using Kidogo.Data;
using Kidogo.Inference.Classification;
using Kidogo.Tests.Data;
using Kidogo.Training.Classification;

namespace Kidogo.Tests.Training.Classification;

public sealed class ClassifierTests
{
    private static readonly string[] s_labels = ["a", "b", "c"];

    [Fact]
    public void Loss_AnyPoint_HasTheSlopesOfDifferences()
    {
        const double Step = 1e-5, Tolerance = 1e-8; // of second differences in double
        (double[][] rows, int[] classes) = Lines(30, 4);
        LogisticRegression regression = new(rows, classes, 3);
        Random random = new(1);
        double[] x = [.. Enumerable.Range(0, 15).Select(_ => random.NextDouble() - 0.5)], gradient = new double[15], none = new double[15];
        regression.Loss(x, 0.3, gradient);
        for (int i = 0; i < x.Length; i++)
        {
            double[] up = [.. x], down = [.. x];
            up[i] += Step;
            down[i] -= Step;
            Assert.Equal((regression.Loss(up, 0.3, none) - regression.Loss(down, 0.3, none)) / (2 * Step), gradient[i], Tolerance);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(1e-3)]
    public void Fit_FromAnyStart_IsTheOneLowestPoint(double lambda)
    {
        const double Flat = 1e-6, Same = 1e-3; // of the gradient where it stops; of weights, whose curvature is at least lambda
        (double[][] rows, int[] classes) = Lines(60, 5);
        LogisticRegression regression = new(rows, classes, 3);
        double[] fromZero = regression.Fit(lambda, null, default), fromElsewhere = regression.Fit(lambda, [.. Enumerable.Range(0, 18).Select(i => i % 3 - 1.0)], default), gradient = new double[18];
        regression.Loss(fromZero, lambda, gradient);
        Assert.All(gradient, slope => Assert.InRange(slope, -Flat, Flat));
        for (int c = 0; c < 3; c++)
        {
            Assert.All(Enumerable.Range(6 * c, 5), i => Assert.Equal(fromZero[i], fromElsewhere[i], Same)); // biases of all classes may move together
        }
    }

    [Fact]
    public void Temperature_OfAHeadTooSure_IsThatWhichItWasMultipliedBy()
    {
        const int Lines = 3000;
        const double Wrong = 4, Noise = 0.3; // of so many draws
        Random random = new(2);
        float[][] vectors = [.. Enumerable.Range(0, Lines).Select(_ => new[] { (float)((4 * random.NextDouble()) - 2) })];
        int[] classes = [.. vectors.Select(vector => random.NextDouble() < 1 / (1 + Math.Exp(-vector[0])) ? 1 : 0)];
        ClassifierHead head = TemperatureScaling.Of(new ClassifierHead([0, (float)Wrong], [0, 0], 1), vectors, classes);
        Assert.InRange(head.Temperature, Wrong - Noise, Wrong + Noise);
        Assert.Equal(1, head.Probabilities(vectors[0]).Sum(), 1e-12);
    }

    [Fact]
    public void Report_HandMadeLines_CountsByHand()
    {
        double[][] told = [[0.9, 0.1, 0], [0.6, 0.4, 0], [0.2, 0.8, 0], [0.3, 0.3, 0.4]];
        ClassificationReport report = ClassificationReport.Of(s_labels, told, [0, 1, 1, 2]);
        Assert.Equal(0.75, report.Accuracy);
        Assert.Equal(0.5, report.MajorityAccuracy);
        Assert.Equal([[1, 0, 0], [1, 1, 0], [0, 0, 1]], report.Confusion);
        Assert.Equal(0.5, report.Precision(0));
        Assert.Equal(0.5, report.Recall(1));
        Assert.Equal(2.0 / 3, report.F1(0), 1e-12);
        Assert.Equal((2.0 / 3 + 2.0 / 3 + 1) / 3, report.MacroF1, 1e-12);
        Assert.Equal(-(Math.Log(0.9) + Math.Log(0.4) + Math.Log(0.8) + Math.Log(0.4)) / 4, report.LogLoss, 1e-12);
        Assert.Equal((0.1 + 0.6 + 0.2 + 0.6) / 4, report.CalibrationError, 1e-12); // each line has a bin of its own
    }

    [Fact]
    public void Standardization_OfAFittedHead_GivesTheSameScores()
    {
        const double Rounding = 1e-4; // of float32 weights
        Random random = new(3);
        float[][] vectors = [.. Enumerable.Range(0, 20).Select(_ => new[] { random.NextSingle() + 5, 100 * random.NextSingle(), 2f })]; // the last never changes
        Standardization scale = Standardization.Of(vectors);
        double[] x = [1, -2, 3, 0.5, -1, 0.25, 2, 0];
        ClassifierHead head = scale.Head(x, 2);
        foreach (float[] vector in vectors)
        {
            double[] scaled = scale.Apply(vector);
            double first = (x[0] * scaled[0]) + (x[1] * scaled[1]) + (x[2] * scaled[2]) + x[3], second = (x[4] * scaled[0]) + (x[5] * scaled[1]) + (x[6] * scaled[2]) + x[7];
            Assert.Equal(1 / (1 + Math.Exp(second - first)), head.Probabilities(vector)[0], Rounding);
        }
    }

    [Fact]
    public void Read_OneLabelOrNone_IsRefused()
    {
        using DataFolder folder = new();
        string one = folder.Write("one.jsonl", "{\"text\": \"x\", \"label\": \"good\"}\n{\"text\": \"y\", \"label\": \"good\"}\n"), none = folder.Write("none.jsonl", "\n"), bare = folder.Write("bare.jsonl", "{\"text\": \"x\"}\n");
        Assert.Contains("one class", Refusal(one), StringComparison.Ordinal);
        Assert.Contains("empty", Refusal(none), StringComparison.Ordinal);
        Assert.Contains("no label", Refusal(bare), StringComparison.Ordinal);
        LabelledText read = LabelledText.Read([folder.Write("two.jsonl", "{\"text\": \"x\", \"label\": 1}\n{\"text\": \"y\", \"label\": true}\n")], "text", "label");
        Assert.Equal(["1", "true"], read.Labels);
    }

    [Fact]
    public void Split_OfEveryLabel_IsTheShareAndTheSameForASeed()
    {
        LabelledText lines = new([.. Enumerable.Range(0, 50).Select(i => $"{i}")], [.. Enumerable.Range(0, 50).Select(i => i < 10 ? 0 : 1)], ["x", "y"]);
        (int[] first, int[] second) = lines.Split(0.8, 5);
        Assert.Equal((8, 32), (first.Count(line => lines.Classes[line] == 0), first.Count(line => lines.Classes[line] == 1)));
        Assert.Equal(Enumerable.Range(0, 50), first.Concat(second).Order());
        Assert.Equal(first, lines.Split(0.8, 5).First);
        Assert.NotEqual(first, lines.Split(0.8, 6).First);
    }

    private static string Refusal(string path) => Assert.Throws<DataFormatException>(() => LabelledText.Read([path], "text", "label")).Message;

    private static (double[][] Rows, int[] Classes) Lines(int count, int width)
    {
        Random random = new(7);
        int[] classes = [.. Enumerable.Range(0, count).Select(i => i % 3)];
        return ([.. classes.Select(label => Enumerable.Range(0, width).Select(i => random.NextDouble() - 0.5 + (i == label ? 1 : 0)).ToArray())], classes);
    }
}
