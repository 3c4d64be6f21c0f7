// Worked examples: numbers that were worked by hand, and the laws behind them.
using Kidogo.Evaluation.Explanations;
using Kidogo.Tensors.Ops;
using Kidogo.Training.Distillation;
using Kidogo.Training.Recipes;

namespace Kidogo.Tests.Evaluation.Explanations;

public sealed class ExampleTests
{
    [Fact]
    public void Int8_OfTheBuiltInMatrix_GivesTheCodesThatWereWorkedByHand()
    {
        Int8Example example = Int8Example.Work(Int8Example.BuiltIn, perRow: false);
        Assert.Equal([121, -54, 83, 2, 4, -11, -58, 127, -6, 77, 1, -63, 102, 0, 88, 79], example.Codes);
        Assert.Equal(2.65 / 127, Assert.Single(example.Scales), 6);
        Assert.InRange(example.LargestError, 0.005f, 0.0105f);
        Assert.Equal((64, 20), (example.BytesBefore, example.BytesAfter));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Int8_OfAnyMatrix_ErrsByHalfAStepAtMost(bool perRow)
    {
        Random random = new(7);
        for (int round = 0; round < 50; round++)
        {
            (int rows, int columns) = (random.Next(1, 9), random.Next(1, 9));
            TypedMatrix matrix = new(rows, columns, [.. Enumerable.Range(0, rows * columns).Select(_ => (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-6, 6))))]);
            Int8Example example = Int8Example.Work(matrix, perRow);
            Assert.Equal(perRow ? rows : 1, example.Scales.Length);
            Assert.True(example.LargestError <= example.HalfStep * 1.0001, $"{example.LargestError} is more than {example.HalfStep}");
        }
    }

    [Fact]
    public void Int8_OfZeros_IsZeros()
    {
        Int8Example example = Int8Example.Work(TypedMatrix.Parse("0 0; 0 0", "here"), perRow: false);
        Assert.All(example.Codes, code => Assert.Equal(0, code));
        Assert.Equal(0, example.LargestError);
    }

    [Fact]
    public void Lora_OfTheBuiltInMatrices_IsWPlusBA()
    {
        LowRankExample example = LowRankExample.Work(LowRankExample.BuiltInWeights, LowRankExample.BuiltInUp, LowRankExample.BuiltInDown, null);
        Assert.Equal([1.5f, 0, 1.5f, 1, 0, 1, 0, 2, 1.5f, 0, 1.5f, -1, 1, 2, -1, 3], example.Adapted.Values);
        Assert.Equal((1, 16, 8), (example.Rank, example.WeightCount, example.TrainedCount));
        Assert.Equal(8192, example.TrainedCountOf(4096, 4096));
    }

    [Fact]
    public void Lora_WithAlpha_ScalesTheProductByAlphaOverRank()
    {
        LowRankExample example = LowRankExample.Work(TypedMatrix.Parse("0 0; 0 0", "W"), TypedMatrix.Parse("1 2; 3 4", "B"), TypedMatrix.Parse("1 0; 0 1", "A"), 4);
        Assert.Equal([2f, 4, 6, 8], example.Adapted.Values);
    }

    [Theory]
    [InlineData("1 2; 3 4", "1; 2; 3", "1 1", "B has to be 2 x 1")]
    [InlineData("1 2; 3 4", "1; 2", "1 1 1", "A 1 x 2")]
    [InlineData("1 2; 3 4", "1 1; 2 2", "1 1", "B has to be 2 x 1")]
    [InlineData("1e30", "1e30", "1e30", "too large")]
    public void Lora_OfShapesThatDoNotFit_SaysWhichDo(string w, string b, string a, string expected) => Assert.Contains(expected,
        Assert.Throws<ExplanationException>(() => LowRankExample.Work(TypedMatrix.Parse(w, "W"), TypedMatrix.Parse(b, "B"), TypedMatrix.Parse(a, "A"), null)).Message, StringComparison.Ordinal);

    [Fact]
    public void Distil_ByHand_GivesTheLossOfThePaper()
    {
        // Written anew in float64: p and q at T = 2, T² KL(p, q), and the label's cross entropy at T = 1.
        DistillationRecipe recipe = new() { Temperature = 2, TeacherWeight = 0.7, LabelWeight = 0.3 };
        DistillationExample example = Work("4 3 1 0", "2 3 1 1", 1, recipe);
        double[] p = Softmax([4, 3, 1, 0], 2), q = Softmax([2, 3, 1, 1], 2), sharp = Softmax([2, 3, 1, 1], 1);
        double divergence = p.Zip(q, (a, b) => a * Math.Log(a / b)).Sum();
        Assert.Equal(divergence, example.Distance, 9);
        Assert.Equal(4 * divergence, example.TeacherLoss, 9);
        Assert.Equal(-Math.Log(sharp[1]), example.LabelLoss, 6);
        Assert.Equal((0.7 * 4 * divergence) - (0.3 * Math.Log(sharp[1])), example.Loss, 6);
        for (int i = 0; i < 4; i++)
        {
            Assert.Equal((0.7 * 2 * (q[i] - p[i])) + (0.3 * (sharp[i] - (i == 1 ? 1 : 0))), example.Gradient[i], 6);
        }
    }

    [Theory]
    [InlineData(ResponseDistance.ReverseKl)]
    [InlineData(ResponseDistance.JensenShannon)]
    [InlineData(ResponseDistance.TotalVariation)]
    [InlineData(ResponseDistance.SortedProbabilities)]
    public void Distil_OfEqualLogits_HasNoDistance(ResponseDistance distance)
    {
        DistillationExample example = Work("2 1 0", "2 1 0", 0, new DistillationRecipe { Distance = distance });
        Assert.Equal(0, example.Distance, 9);
        Assert.Equal(1, example.TemperatureFactor);
    }

    [Theory]
    [InlineData("1 2", "1 2 3", 0, "same length")]
    [InlineData("1 2; 3 4", "1 2; 3 4", 0, "one row")]
    [InlineData("1", "1", 0, "2 or more")]
    [InlineData("1 2", "1 2", 2, "--label is 2")]
    public void Distil_OfLogitsThatDoNotFit_SaysWhatFits(string teacher, string student, int label, string expected) =>
        Assert.Contains(expected, Assert.Throws<ExplanationException>(() => Work(teacher, student, label, new DistillationRecipe())).Message, StringComparison.Ordinal);

    private static DistillationExample Work(string teacher, string student, int label, DistillationRecipe recipe) =>
        DistillationExample.Work(TypedMatrix.Parse(teacher, "teacher"), TypedMatrix.Parse(student, "student"), label, recipe);

    private static double[] Softmax(double[] logits, double temperature)
    {
        double sum = logits.Sum(logit => Math.Exp(logit / temperature));
        return [.. logits.Select(logit => Math.Exp(logit / temperature) / sum)];
    }
}
