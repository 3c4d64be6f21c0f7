// Curves and weights of golden/training: what Transformers and PyTorch make of the same 50 steps.
using Kidogo.TestSupport;
using Kidogo.Training.Recipes;

namespace Kidogo.Tests.Training;

public sealed class GoldenTrainingTests
{
    private const double LossTolerance = 1e-5; // ten times what float32 costs
    private const double NesterovTolerance = 1e-4; // its README: momentum of 0.9 at a rate of 0.3 magnifies rounding
    private const double LionTolerance = 5e-3; // its README: a sign flips where an update is near 0
    private const double WeightTolerance = 2e-5;
    private const double BFloat16Tolerance = 0.02; // its README: the looser of the two, since what is rounded here is more than weights and less than everything
    private const double NormFactor = 10; // gradient norms: ten times the loss's, relative

    [SharedFact]
    public void AdamW_FiftySteps_GivesCurveAndWeights()
    {
        GoldenOutcome outcome = GoldenRun.Run(new GoldenVariant(GoldenRun.AdamW));
        Compare("curve.json", outcome, LossTolerance);
        IReadOnlyDictionary<string, FixtureTensor> final = SafetensorsFixture.Read(GoldenRun.PathOf("final.safetensors"));
        int compared = 0;
        foreach ((string name, FixtureTensor tensor) in final)
        {
            string? canonical = new Kidogo.Models.Families.Llama().CanonicalName(name);
            if (canonical is null || !outcome.Weights.TryGetValue(canonical, out float[]? weights))
            {
                continue;
            }

            float[] expected = tensor.As<float>();
            for (int i = 0; i < expected.Length; i++)
            {
                Assert.True(Math.Abs(expected[i] - weights[i]) <= WeightTolerance, $"{name}[{i}]: {weights[i]} instead of {expected[i]}");
            }

            compared++;
        }

        Assert.Equal(outcome.Weights.Count, compared);
    }

    public static TheoryData<string> Variants => [.. s_variants.Keys];

    [SharedTheory]
    [MemberData(nameof(Variants))]
    public void Variant_FiftySteps_GivesCurve(string name)
    {
        double tolerance = name switch { "lion" => LionTolerance, "sgd-nesterov" => NesterovTolerance, _ => LossTolerance };
        GoldenOutcome outcome = GoldenRun.Run(s_variants[name]);
        Compare($"variants/{name}.json", outcome, tolerance);
        if (name == "z-loss")
        {
            AssertClose(GoldenRun.Curve($"variants/{name}.json", "cross_entropy"), outcome.CrossEntropy, tolerance, relative: false);
        }
    }

    [SharedFact]
    public void BFloat16_FiftySteps_StaysNearTransformersAndRecomputesToTheBit()
    {
        GoldenOutcome outcome = GoldenRun.Run(new GoldenVariant(GoldenRun.AdamW) { StoresBFloat16 = true });
        AssertClose(GoldenRun.Curve("variants/bfloat16-compute.json", "loss"), outcome.Loss, BFloat16Tolerance, relative: false);
        AssertClose(GoldenRun.Curve("variants/bfloat16-stored.json", "loss"), outcome.Loss, BFloat16Tolerance, relative: false);
        GoldenOutcome again = GoldenRun.Run(new GoldenVariant(GoldenRun.AdamW) { StoresBFloat16 = true, CheckpointActivations = true, Steps = 3 });
        Assert.Equal(outcome.Loss[..3], again.Loss);
        Assert.NotEqual(GoldenRun.Curve("curve.json", "loss")[40], outcome.Loss[40], 7); // it did round
    }

    [SharedFact]
    public void Step_AnyThreadsOrRecomputation_GivesTheSameBits()
    {
        const int Steps = 6;
        GoldenOutcome one = GoldenRun.Run(new GoldenVariant(GoldenRun.AdamW) { Threads = 1, Steps = Steps });
        GoldenOutcome three = GoldenRun.Run(new GoldenVariant(GoldenRun.AdamW) { Threads = 3, Steps = Steps });
        GoldenOutcome again = GoldenRun.Run(new GoldenVariant(GoldenRun.AdamW) { CheckpointActivations = true, Steps = Steps });
        foreach (GoldenOutcome other in new[] { three, again })
        {
            Assert.Equal(one.Loss, other.Loss);
            Assert.Equal(one.GradientNorm, other.GradientNorm);
            Assert.All(one.Weights, weights => Assert.Equal(weights.Value, other.Weights[weights.Key]));
        }
    }

    private static readonly Dictionary<string, GoldenVariant> s_variants = new()
    {
        ["accumulation"] = new(GoldenRun.AdamW) { MicroBatches = 2 },
        ["sgd"] = new(new OptimizerRecipe { Kind = OptimizerKind.Sgd, LearningRate = 0.3, Momentum = 0.9, WeightDecay = 0 }),
        ["sgd-nesterov"] = new(new OptimizerRecipe { Kind = OptimizerKind.Sgd, LearningRate = 0.3, Momentum = 0.9, Nesterov = true, WeightDecay = 0.01 }),
        ["lion"] = new(new OptimizerRecipe { Kind = OptimizerKind.Lion, LearningRate = 1e-3, WeightDecay = 0.3 }),
        ["adafactor"] = new(new OptimizerRecipe { Kind = OptimizerKind.Adafactor, LearningRate = 0.03, WeightDecay = 0 }),
        ["muon"] = new(new OptimizerRecipe { Kind = OptimizerKind.Muon, LearningRate = 3e-3, MatrixLearningRate = 0.02, WeightDecay = 0.1 }),
        ["z-loss"] = new(GoldenRun.AdamW with { ZLoss = 1e-3 }),
        ["label-smoothing"] = new(GoldenRun.AdamW with { LabelSmoothing = 0.1 }),
        ["loss-mask"] = new(GoldenRun.AdamW) { IsMasked = true },
        ["loss-mask-accumulation"] = new(GoldenRun.AdamW) { IsMasked = true, MicroBatches = 2 },
        ["packed"] = new(GoldenRun.AdamW) { IsPacked = true },
    };

    private static void Compare(string file, GoldenOutcome outcome, double tolerance)
    {
        AssertClose(GoldenRun.Curve(file, "lr"), outcome.LearningRate, 1e-9, relative: false); // printed with so many digits
        AssertClose(GoldenRun.Curve(file, "loss"), outcome.Loss, tolerance, relative: false);
        AssertClose(GoldenRun.Curve(file, "grad_norm"), outcome.GradientNorm, NormFactor * tolerance, relative: true);
    }

    private static void AssertClose(double[] expected, double[] actual, double tolerance, bool relative)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            double difference = Math.Abs(expected[i] - actual[i]) / (relative ? Math.Abs(expected[i]) : 1);
            Assert.True(difference <= tolerance, $"step {i}: {actual[i]:R} instead of {expected[i]:R}, a difference of {difference:E2}");
        }
    }
}
