// Questions scored by likelihood: sums that equal one pass's, and shares that were counted by hand.
using Kidogo.Data.Village;
using Kidogo.Evaluation.Tasks;
using Kidogo.Inference;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Training.Recipes;

namespace Kidogo.Tests.Evaluation;

public sealed class VillageTaskTests
{
    private const string Unknown = "Nobody knows.";

    private static VillageAnswer Answer(string form, string right, string chosen, double confidence = 0.8, double unknown = 0.1, VillageQuestionKind kind = VillageQuestionKind.Who) =>
        new("s", new VillageQuestion(kind, form, "?", right, right != Unknown, ["Amina.", "Juma.", "Neema.", Unknown]), chosen, confidence, unknown, chosen == "Neema." ? "Neema" : chosen);

    [Fact]
    public void Report_Shares_AreThoseCountedByHand()
    {
        VillageReport report = new()
        {
            AnswerNll = Math.Log(2),
            Answers =
            [
                Answer("who-has", "Amina.", "Amina."), Answer("who-has", "Amina.", "Juma."), Answer("who-has", "Neema.", "Neema."), Answer("who-has", Unknown, Unknown, 0.9, 0.9),
                Answer("who-at", Unknown, "Amina.", 0.3, 0.2), Answer("who-at", "Juma.", Unknown, 0.6, 0.6), Answer("who-at", Unknown, Unknown, 0.9, 0.9),
                Answer("place-before", "Juma.", "Juma.", kind: VillageQuestionKind.Order),
            ],
        };
        Assert.Equal(5.0 / 8, report.Accuracy);
        Assert.Equal(4.0 / 8, report.Exact); // one says the name without its full stop
        Assert.Equal((2 + 2 + 1) / 8.0, report.Baseline); // Amina twice of four, unknown twice of three, Juma
        Assert.Equal(2, report.AnswerPerplexity, 12);
        Assert.Equal([(VillageQuestionKind.Who, 7), (VillageQuestionKind.Order, 1)], report.Kinds.Select(kind => (kind.Kind, kind.Questions)));
        Assert.Equal((3, 2.0 / 3, 2.0 / 3, 1.0 / 5), (report.Honesty.Questions, report.Honesty.Recall, report.Honesty.Precision, report.Honesty.FalseAlarms));
        Assert.Equal(((4 * 0.01) + 0.01 + 0.64 + 0.36 + 0.01) / 8, report.Honesty.Brier, 12);
        Assert.Equal((0.7 + Math.Abs(0.6 - 0) + (4 * Math.Abs(0.8 - 0.75)) + (2 * 0.1) - 0.4) / 8, report.CalibrationError, 12);
    }

    [Fact]
    public void Report_OfNothing_HasNoNumbers()
    {
        VillageReport report = new() { AnswerNll = double.NaN, Answers = [] };
        Assert.True(double.IsNaN(report.Accuracy) && double.IsNaN(report.Baseline) && double.IsNaN(report.CalibrationError) && double.IsNaN(report.Honesty.Recall));
        Assert.Empty(report.Kinds);
    }

    [Fact]
    public void Scorer_SharedPrompts_GiveTheBitsOfOnePass()
    {
        ModelShape shape = new() { Hidden = 32, Layers = 2, Heads = 2, KvHeads = 1, HeadDim = 16, FeedForward = 64 };
        using DecoderModel model = RandomModel.Create(shape.ToConfig(50, 64), 3);
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using AnswerScorer scorer = new(model, context);
        int[][] prompts = [[1, 2, 3, 4, 5], [1, 2, 3, 9], [7]], answers = [[10, 11], [12], [13, 14, 15]];
        foreach (int[] prompt in prompts.Concat(prompts))
        {
            double[] sums = scorer.LogProbabilities(prompt, answers);
            for (int each = 0; each < answers.Length; each++)
            {
                double expected = 0;
                using LogitStream stream = new(model, context, [.. prompt, .. answers[each]]);
                Tensor logits = stream.Next()!;
                for (int i = 0; i < answers[each].Length; i++)
                {
                    expected += TokenProbabilities.LogProbability(logits.Row(prompt.Length - 1 + i), answers[each][i]);
                }

                Assert.Equal(expected, sums[each]);
            }
        }

        int[] greedy = scorer.Greedy(prompts[0], 4, _ => false);
        Assert.Equal(System.Numerics.Tensors.TensorPrimitives.IndexOfMax<float>(LogitStream.Last(model, context, prompts[0])), greedy[0]);
        Assert.Equal(System.Numerics.Tensors.TensorPrimitives.IndexOfMax<float>(LogitStream.Last(model, context, [.. prompts[0], .. greedy[..3]])), greedy[3]);
        Assert.Empty(scorer.Greedy(prompts[0], 4, id => id == greedy[0]));
        Assert.Throws<ArgumentException>(() => scorer.LogProbabilities(new int[60], [new int[10]]));
    }
}
