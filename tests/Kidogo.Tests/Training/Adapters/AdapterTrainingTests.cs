// Curves and weights of golden/adapters: what PEFT and PyTorch make of the same 10 steps; and memory that a frozen base does not take.
using System.Text.Json;
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats.Plain;
using Kidogo.Tests.Models;
using Kidogo.Tests.Models.Adapters;
using Kidogo.Tests.Models.Files;
using Kidogo.TestSupport;
using Kidogo.Training;
using Kidogo.Training.Optimizers;
using Kidogo.Training.Recipes;
using Kidogo.Training.Schedules;

namespace Kidogo.Tests.Training.Adapters;

public sealed class AdapterTrainingTests
{
    private const int Steps = 10, Warmup = 2, Rows = 4;

    /// <summary>By the reference's README; rounding alone moves losses by 7e-7.</summary>
    private const double LossTolerance = 1e-5;

    /// <summary>Ten times as much, relative, as in golden/training.</summary>
    private const double NormTolerance = 1e-4;

    /// <summary>By the reference's README; rounding alone moves weights by 4e-6.</summary>
    private const float WeightTolerance = 5e-5f;

    [SharedTheory]
    [InlineData("train-lora", false)]
    [InlineData("train-dora", true)]
    [InlineData("train-qlora", false)]
    public void Curve_OfAnAdapter_IsPefts(string name, bool isGgufOrRecomputed)
    {
        using TestFolder folder = new();
        bool isQuantized = name == "train-qlora";
        using ComputeContext context = ComputeContext.Training(2, checkpointActivations: isGgufOrRecomputed);
        using LoadedModel loaded = ModelLoader.Load(GoldenAdapters.Base(folder, isGgufOrRecomputed), context);
        if (isQuantized)
        {
            TakeStored(loaded, SafetensorsFixture.Read(GoldenAdapters.PathOf(name, "base-nf4.safetensors")));
        }

        Adapter adapter = GoldenAdapters.Open(GoldenAdapters.PathOf(name, "start"), loaded);
        adapter.MakeTrainable();
        loaded.Model.Adapters.Attach(adapter, context);
        IReadOnlyList<ModelParameter> parameters = ModelParameters.Of(loaded.Model);
        Assert.Equal(adapter.ParameterCount, parameters.Sum(parameter => (long)parameter.Values.Length));
        Optimizer optimizer = OptimizerFactory.Create(GoldenRun.AdamW, parameters);
        using TrainingStep step = new(loaded.Model, context, optimizer, new StepOptions());
        LearningRateSchedule schedule = new(ScheduleKind.Cosine, Steps, Warmup);
        using JsonDocument curve = JsonDocument.Parse(File.ReadAllBytes(GoldenAdapters.PathOf(name, "curve.json")));
        int[] ids = SafetensorsFixture.Read(GoldenAdapters.PathOf("batches.safetensors"))["ids"].As<int>();
        for (int s = 0; s < Steps; s++)
        {
            StepOutcome made = step.Run([Batch(ids, s)], schedule.Factor(s));
            Assert.Equal(curve.RootElement.GetProperty("loss")[s].GetDouble(), made.Loss, LossTolerance);
            double norm = curve.RootElement.GetProperty("grad_norm")[s].GetDouble();
            Assert.InRange(made.GradientNorm, norm * (1 - NormTolerance), norm * (1 + NormTolerance));
        }

        Adapter end = GoldenAdapters.Open(GoldenAdapters.PathOf(name, "end"), loaded);
        foreach ((string slot, SlotChange expected) in end.Changes)
        {
            SlotChange actual = adapter.Changes[slot];
            GoldenAdapters.AssertNear($"{slot} A", expected.Change.A.Span, actual.Change.A.Span, WeightTolerance);
            GoldenAdapters.AssertNear($"{slot} B", expected.Change.B.Span, actual.Change.B.Span, WeightTolerance);
            GoldenAdapters.AssertNear($"{slot} m", expected.Magnitudes is null ? [] : expected.Magnitudes.Span, actual.Magnitudes is null ? [] : actual.Magnitudes.Span, WeightTolerance);
        }
    }

    [SharedFact]
    public void Logits_OfANf4Base_AreBitsandbytes()
    {
        using TestFolder folder = new();
        IReadOnlyDictionary<string, FixtureTensor> golden = SafetensorsFixture.Read(GoldenAdapters.PathOf("train-qlora", "base-nf4.safetensors"));
        using ComputeContext context = ComputeContext.Inference(2, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(GoldenAdapters.Base(folder, isGguf: false), context);
        TakeStored(loaded, golden);
        float[] logits = [.. golden["ids"].As<int>().Chunk(GoldenAdapters.Length).SelectMany(ids => GoldenDecoder.Score(loaded.Model, context, ids))];
        GoldenAdapters.AssertNear("logits", golden["logits"].As<float>(), logits, GoldenAdapters.LogitTolerance);
    }

    [Fact]
    public void Plan_OfAnAdapter_TakesAThirdOfFullTraining()
    {
        DecoderConfig config = new ModelShape { Hidden = 576, Layers = 30, Heads = 9, KvHeads = 3, HeadDim = 64, FeedForward = 1536 }.ToConfig(49_152, 2048);
        Recipe recipe = RecipeDefaults.Resolve(new Recipe { Model = new ModelRecipe { From = "x" }, Batch = new BatchRecipe { Context = 256, Sequences = 4, Accumulate = 4 } }, config.ParameterCount, 2048);
        MemoryPlan full = MemoryPlan.For(config, recipe), adapter = MemoryPlan.ForAdapter(config, config.ParameterCount * 5 / 8, 2_442_240, recipe);
        Assert.True(adapter.TotalBytes * 3 <= full.TotalBytes, $"{adapter.TotalBytes} of {full.TotalBytes}");
        Assert.True(adapter.TotalBytes <= 700L << 20, $"{adapter.TotalBytes}");
    }

    [Theory]
    [InlineData("method", "lorra", "one of lora, rslora, dora, pissa")]
    [InlineData("rank", "0", "1 to 4,096")]
    [InlineData("alpha", "0", "above 0")]
    [InlineData("base_format", "nf8", "one of stored, nf4, nf4-double")]
    public void Recipe_OutsideTheRange_IsRefused(string field, string value, string said)
    {
        KeyValuePair<string, IReadOnlyList<string>>[] options = [new("data", ["x"]), new("from", ["y"]), new(field, [value])];
        Assert.Contains(said, Assert.Throws<RecipeException>(() => RecipeReader.Read(new Recipe { Adapter = new AdapterRecipe() }, null, options)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Recipe_OfAnAdapter_IsWrittenAndReadAgain()
    {
        KeyValuePair<string, IReadOnlyList<string>>[] options =
            [new("data", ["x"]), new("from", ["y"]), new("method", ["dora"]), new("rank", ["4"]), new("alpha", ["3.5"]), new("targets", ["q_proj", "blk.0.*"]), new("base_format", ["nf4"])];
        Recipe recipe = RecipeReader.Read(new Recipe { Adapter = new AdapterRecipe() }, null, options);
        Recipe again = RecipeFields.Apply(new Recipe(), RecipeFields.Write(recipe));
        Assert.Equal(recipe.Adapter! with { Targets = [] }, again.Adapter! with { Targets = [] });
        Assert.Equal(["q_proj", "blk.0.*"], again.Adapter!.Targets);
        Assert.Contains("needs the model", Assert.Throws<RecipeException>(() => RecipeReader.Read(new Recipe { Adapter = new AdapterRecipe() }, null, options[..1])).Message, StringComparison.Ordinal);
    }

    /// <summary>Puts the codes of the reference into the linear layers: two of them differ from ours by its rounding.</summary>
    private static void TakeStored(LoadedModel loaded, IReadOnlyDictionary<string, FixtureTensor> golden) => loaded.Model.Replace(layer =>
    {
        string name = loaded.Family.HuggingFaceName($"{layer.Name}.weight");
        if (layer is not Linear linear || !golden.ContainsKey($"{name}.bytes"))
        {
            return layer;
        }

        StoredPart Part(string suffix, string type, string stored) => new(suffix, type, [], golden[$"{name}.{stored}"].Bytes);
        StoredPart[] parts = [Part("", "U8", "bytes"), Part("_scale", "U8", "absmax_codes"), Part("_scale_scale", "F32", "nested_absmax"), Part("_scale_offset", "F32", "offset")];
        return new Linear(layer.Name, Weight.FromNf4(parts.ToDictionary(part => part.Suffix), linear.Weight.Rows, linear.Weight.Columns), linear.Bias);
    });

    private static TokenBatch Batch(int[] ids, int step)
    {
        TokenBatch batch = new(Rows, GoldenAdapters.Length);
        foreach (int[] row in ids.Skip(step * Rows * GoldenAdapters.Length).Take(Rows * GoldenAdapters.Length).Chunk(GoldenAdapters.Length))
        {
            batch.BeginRow(0);
            batch.Add(0, row, [], new int[GoldenAdapters.Vocabulary]);
        }

        return batch;
    }
}
