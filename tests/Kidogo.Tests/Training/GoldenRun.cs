// The reference runs of golden/training, made with the product's own step. Knows no trainer.
using System.Runtime.InteropServices;
using System.Text.Json;
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.TestSupport;
using Kidogo.Training;
using Kidogo.Training.Optimizers;
using Kidogo.Training.Recipes;
using Kidogo.Training.Schedules;

namespace Kidogo.Tests.Training;

/// <summary>What differs from the main run.</summary>
internal sealed record GoldenVariant(OptimizerRecipe Optimizer)
{
    public int MicroBatches { get; init; } = 1;

    public bool IsMasked { get; init; }

    public bool IsPacked { get; init; }

    public int Threads { get; init; } = 1;

    public bool CheckpointActivations { get; init; }

    public bool StoresBFloat16 { get; init; }

    public int Steps { get; init; } = 50;
}

/// <summary>What a run left: curves and weights by the file's names.</summary>
internal sealed record GoldenOutcome(double[] Loss, double[] CrossEntropy, double[] GradientNorm, double[] LearningRate, Dictionary<string, float[]> Weights);

internal static class GoldenRun
{
    private const int Rows = 4, Length = 32, Warmup = 10, StepsInAll = 50;
    private static readonly Lazy<IReadOnlyDictionary<string, FixtureTensor>> s_batches = new(() => SafetensorsFixture.Read(PathOf("batches.safetensors")));

    public static OptimizerRecipe AdamW { get; } = new() { LearningRate = 3e-3, WeightDecay = 0.1, Beta1 = 0.9, Beta2 = 0.95, Clip = 1 };

    public static string PathOf(string name) => SharedFolder.PathOf("golden", "training", name);

    public static double[] Curve(string file, string name)
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(PathOf(file)));
        return [.. json.RootElement.GetProperty(name).EnumerateArray().Select(value => value.GetDouble())];
    }

    public static GoldenOutcome Run(GoldenVariant variant)
    {
        string folder = Directory.CreateTempSubdirectory("kidogo-golden-").FullName;
        try
        {
            File.Copy(PathOf("config.json"), Path.Combine(folder, "config.json"));
            File.Copy(PathOf("init.safetensors"), Path.Combine(folder, "model.safetensors"));
            using ComputeContext context = ComputeContext.Training(variant.Threads, variant.CheckpointActivations, variant.StoresBFloat16);
            using LoadedModel loaded = ModelLoader.Load(folder, context);
            IReadOnlyList<ModelParameter> parameters = ModelParameters.MakeTrainable(loaded.Model);
            Optimizer optimizer = OptimizerFactory.Create(variant.Optimizer, parameters);
            using TrainingStep step = new(loaded.Model, context, optimizer, new StepOptions(variant.Optimizer.LabelSmoothing, variant.Optimizer.ZLoss, variant.Optimizer.Clip));
            LearningRateSchedule schedule = new(ScheduleKind.Cosine, StepsInAll, Warmup);
            GoldenOutcome outcome = new(new double[variant.Steps], new double[variant.Steps], new double[variant.Steps], new double[variant.Steps], []);
            for (int s = 0; s < variant.Steps; s++)
            {
                StepOutcome made = step.Run(Batches(variant, s), schedule.Factor(s));
                outcome.Loss[s] = made.Loss;
                outcome.CrossEntropy[s] = made.CrossEntropy;
                outcome.GradientNorm[s] = made.GradientNorm;
                outcome.LearningRate[s] = (variant.Optimizer.MatrixLearningRate ?? variant.Optimizer.LearningRate)!.Value * schedule.Factor(s);
            }

            foreach (ModelParameter parameter in parameters)
            {
                outcome.Weights[parameter.Name] = parameter.Values.Span.ToArray();
            }

            return outcome;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    public static List<TokenBatch> Batches(GoldenVariant variant, int step)
    {
        IReadOnlyDictionary<string, FixtureTensor> file = s_batches.Value;
        int[] ids = Part(file, variant.IsPacked ? "packed_ids" : "ids", step);
        int[] mask = Part(file, "mask", step);
        int[] documents = Part(file, "packed_documents", step);
        int rowsOfPart = Rows / variant.MicroBatches;
        List<TokenBatch> parts = [];
        for (int part = 0; part < variant.MicroBatches; part++)
        {
            TokenBatch batch = new(rowsOfPart, Length);
            for (int r = part * rowsOfPart; r < (part + 1) * rowsOfPart; r++)
            {
                batch.BeginRow(0);
                for (int first = 0; first < Length;)
                {
                    int end = first + 1;
                    while (end < Length && (!variant.IsPacked || documents[(r * Length) + end] == documents[(r * Length) + first]))
                    {
                        end++;
                    }

                    int at = (r * Length) + first;
                    bool[] counts = variant.IsMasked ? [.. mask[at..(at + end - first)].Select(value => value == 1)] : [];
                    if (end - first > 1)
                    {
                        batch.Add(first, ids.AsSpan(at, end - first), counts, new int[300]);
                    }

                    first = end;
                }
            }

            parts.Add(batch);
        }

        return parts;
    }

    private static int[] Part(IReadOnlyDictionary<string, FixtureTensor> file, string name, int step) =>
        MemoryMarshal.Cast<byte, int>(file[name].Bytes).Slice(step * Rows * Length, Rows * Length).ToArray();
}
