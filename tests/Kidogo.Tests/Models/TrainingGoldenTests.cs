// Gradients of whole decoders beside those of Transformers and PyTorch.
using System.Text.Json;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Models;

public sealed class TrainingGoldenTests
{
    /// <summary>Of the largest magnitude in a tensor, by the reference's README: a unit in the last place on every weight moves gradients by 5e-6 of it.</summary>
    private const float FamilyTolerance = 1e-4f;

    /// <summary>Absolute, by the reference's README: its values are in float64.</summary>
    private const float StepTolerance = 1e-5f;

    /// <summary>The loss in float32 is ten times nearer than this.</summary>
    private const double LossTolerance = 1e-5;

    [SharedTheory]
    [InlineData("llama", false)]
    [InlineData("qwen3", false)]
    [InlineData("gemma2", false)]
    [InlineData("gemma2", true)]
    public void Gradients_OfFamily_AreTransformers(string name, bool checkpointed)
    {
        GoldenDecoder golden = new(name);
        using JsonDocument expected = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(golden.Folder, "expected.json")));
        using ComputeContext context = ComputeContext.Training(2, checkpointed);
        using LoadedModel loaded = ModelLoader.Load(golden.Folder, context);
        IReadOnlyList<ModelParameter> parameters = ModelParameters.MakeTrainable(loaded.Model);
        Assert.Equal(golden.Parameters, parameters.Sum(parameter => (long)parameter.Values.Length));
        using SequenceBatch batch = new();
        batch.Add(null, golden.Sequences[0], LogitRows.All);
        Tensor logits = loaded.Model.Forward(context, batch);
        golden.AssertEqual(0, logits.Span);
        CrossEntropyResult loss = CrossEntropyOp.Apply(context, logits, Next(golden.Sequences[0]), new CrossEntropyOptions { OverwritesLogits = true });
        Assert.Equal(expected.RootElement.GetProperty("loss").GetDouble(), loss.Value, LossTolerance);
        context.Backward(loss.Loss);
        IReadOnlyDictionary<string, FixtureTensor> gradients = SafetensorsFixture.Read(Path.Combine(golden.Folder, "grads.safetensors"));
        Assert.Equal(gradients.Count, parameters.Count);
        foreach ((string stored, FixtureTensor fixture) in gradients)
        {
            float[] values = fixture.As<float>();
            AssertNear(stored, values, Named(parameters, loaded.Family.CanonicalName(stored)), FamilyTolerance * values.Max(MathF.Abs));
        }
    }

    [SharedTheory]
    [InlineData(1, false)]
    [InlineData(3, true)]
    public void FirstStep_OfTraining_IsPyTorchs(int threads, bool checkpointed)
    {
        using Folder folder = new();
        File.Copy(SharedFolder.PathOf("golden", "training", "config.json"), Path.Combine(folder.Path, "config.json"));
        File.Copy(SharedFolder.PathOf("golden", "training", "init.safetensors"), Path.Combine(folder.Path, "model.safetensors"));
        IReadOnlyDictionary<string, FixtureTensor> expected = SafetensorsFixture.Read(SharedFolder.PathOf("golden", "training", "step0.safetensors"));
        int[] ids = SafetensorsFixture.Read(SharedFolder.PathOf("golden", "training", "batches.safetensors"))["ids"].As<int>()[..(4 * 32)];
        using ComputeContext context = ComputeContext.Training(threads, checkpointed);
        using LoadedModel loaded = ModelLoader.Load(folder.Path, context);
        IReadOnlyList<ModelParameter> parameters = ModelParameters.MakeTrainable(loaded.Model);
        using SequenceBatch batch = new();
        foreach (int[] row in ids.Chunk(32))
        {
            batch.Add(null, row, LogitRows.All);
        }

        Tensor logits = loaded.Model.Forward(context, batch);
        AssertNear("logits", expected["logits"].As<float>(), logits, StepTolerance);
        CrossEntropyResult loss = CrossEntropyOp.Apply(context, logits, [.. ids.Chunk(32).SelectMany(Next)], new CrossEntropyOptions { OverwritesLogits = true });
        Assert.Equal(4 * 31, loss.Targets);
        using JsonDocument curve = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden", "training", "curve.json")));
        Assert.Equal(curve.RootElement.GetProperty("loss")[0].GetDouble(), loss.Value, LossTolerance);
        context.Backward(loss.Loss);
        foreach ((string stored, FixtureTensor fixture) in expected.Where(each => each.Key.StartsWith("grad.", StringComparison.Ordinal)))
        {
            AssertNear(stored, fixture.As<float>(), Named(parameters, loaded.Family.CanonicalName(stored["grad.".Length..])), StepTolerance);
        }
    }

    private static int[] Next(int[] ids) => [.. ids.Skip(1), CrossEntropyOp.NoTarget];

    private static Tensor Named(IReadOnlyList<ModelParameter> parameters, string? name) => Assert.Single(parameters, parameter => parameter.Name == name).Values.Gradient!;

    private static void AssertNear(string name, float[] expected, Tensor actual, float tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        ReadOnlySpan<float> values = actual.Span;
        for (int i = 0; i < expected.Length; i++)
        {
            if (!(MathF.Abs(values[i] - expected[i]) <= tolerance))
            {
                Assert.Fail($"{name}, value {i}: expected {expected[i]:R}, got {values[i]:R}; more than {tolerance:R} apart.");
            }
        }
    }

    private sealed class Folder : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("kidogo-").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
