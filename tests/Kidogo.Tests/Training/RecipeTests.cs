// Recipes: what is read, what is refused, what is chosen, and that the table in the documentation is the table in the code.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tests.Models.Files;
using Kidogo.TestSupport;
using Kidogo.Text.Tokenizers.Training;
using Kidogo.Training;
using Kidogo.Training.Recipes;
using Kidogo.Training.Schedules;

namespace Kidogo.Tests.Training;

public sealed class RecipeTests
{
    private const double SizeTolerance = 0.1; // widths come in steps of 32 and layers whole: below 1M that is coarse

    [Fact]
    public void Documentation_Fields_AreThoseOfTheTable()
    {
        string[] lines = File.ReadAllLines(Path.Combine(SharedFolder.RepositoryRoot, "docs", "training.md"));
        Assert.Equal(
            RecipeFields.All.Select(field => $"| `{field.Name}` | {field.Meaning} | {field.Range} | {field.Default} |"),
            lines.Where(line => RecipeFields.All.Any(field => line.StartsWith($"| `{field.Name}` |", StringComparison.Ordinal))));
    }

    [Theory]
    [InlineData("lora")]
    [InlineData("rslora")]
    [InlineData("dora")]
    [InlineData("pissa")]
    public void MethodName_OfAnAdapter_IsTheWordOfTheRecipe(string word) => Assert.Equal(word, Options(("data", "a"), ("from", "b"), ("method", word)).Adapter!.MethodName);

    [Fact]
    public void Begin_TextsOfFewWords_GetAsManyEntriesAsTheyGive()
    {
        using TestFolder folder = new();
        folder.Write("few.txt", string.Concat(Enumerable.Repeat("The river runs by a village.\n", 800)));
        Recipe recipe = Options(("data", folder["few.txt"]), ("size", "200k"), ("context", "64"), ("batch", "2"), ("steps", "1"), ("out", folder["out"]));
        RunStarter.Begin(recipe, new TrainingObserver(), CancellationToken.None);
        using ModelHeader begun = ModelHeader.Open(folder["out/checkpoints/step-0"]);
        Assert.InRange(begun.Config.VocabSize, 258, 299); // fewer than the least that is tried by itself
        Recipe asked = Options(("data", folder["few.txt"]), ("size", "200k"), ("tokenizer", "{kind: bpe, vocabulary: 300}"), ("out", folder["asked"]));
        Assert.Equal(begun.Config.VocabSize, Assert.Throws<TokenizerTrainingException>(() => RunStarter.Begin(asked, new TrainingObserver(), CancellationToken.None)).MostEntries);
    }

    [Fact]
    public void Write_EveryField_IsReadAgain()
    {
        Recipe recipe = Options(
            ("data", "{path: a, weight: 2, documents: line}"), ("size", "12.5M"), ("context", "128"), ("batch", "12"), ("accumulate", "3"), ("tokens", "50M"), ("optimizer", "lion"),
            ("learning_rate", "1e-4"), ("schedule", "wsd"), ("decay_share", "0.25"), ("precision", "bf16"), ("checkpoint_activations", "true"), ("tokenizer", "{kind: unigram, vocabulary: 4096}"), ("seed", "9"), ("threads", "2"));
        Recipe again = RecipeFields.Apply(new Recipe(), RecipeFields.Write(recipe));
        Assert.Equal(recipe.Data.Sources, again.Data.Sources);
        Assert.Equal(recipe with { Data = again.Data }, again);
        Assert.Equal(12_500_000, again.Model.Size);
        Assert.Equal(DocumentBorder.Line, again.Data.Sources[0].Documents);
        Assert.Equal(ScheduleKind.WarmupStableDecay, again.Optimizer.Schedule);
    }

    [Theory]
    [InlineData("size", "tiny", "50,000")]
    [InlineData("contxt", "5", "context")]
    [InlineData("held_out", "0.7", "0 to 0.5")]
    [InlineData("batch", "1.5", "whole number")]
    [InlineData("shape", "{hidden: 64, layers: 2, heads: 4, kv_heads: 3}", "divide")]
    [InlineData("shape", "{hidden: 64, layers: [{heads: 4}, {heads: 4, kv_heads: 3}]}", "does not divide")]
    [InlineData("tokenizer", "{size: 3}", "tokenizer.kind")]
    [InlineData("warmup", "-1", "0 to")]
    public void Read_ValueThatCannotBe_IsRefusedWithWhatCan(string name, string value, string says) =>
        Assert.Contains(says, Assert.Throws<RecipeException>(() => Options(("data", "x"), (name, value))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("a: &x 1")]
    [InlineData("a: !!int 1")]
    [InlineData("a: 1\na: 2")]
    [InlineData("- 1")]
    [InlineData("a: {b: [}")]
    [InlineData("a: [[[[[[[[[[[[1]]]]]]]]]]]]")]
    [InlineData("a: 1\n---\nb: 2")]
    public void Yaml_BeyondFields_IsRefused(string text)
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, text);
            Assert.Throws<RecipeException>(() => RecipeYaml.ReadFile(path));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData("9007199254740993", 9_007_199_254_740_993)] // a float64 has no such number
    [InlineData("9223372036854775807", long.MaxValue)]
    [InlineData("1e3", 1000)]
    [InlineData("2k", 2000)]
    public void Read_WholeNumber_IsExact(string text, long expected) => Assert.Equal((ulong)expected, Options(("data", "x"), ("seed", text)).Output.Seed);

    [Theory]
    [InlineData("NaN")]
    [InlineData("1e999")]
    [InlineData("1e300B")]
    [InlineData("9223372036854775808")]
    [InlineData("-1")]
    [InlineData("0x10")]
    [InlineData("١٠")]
    [InlineData("")]
    public void Read_NumberThatIsNone_IsRefused(string text) => Assert.Throws<RecipeException>(() => Options(("data", "x"), ("seed", text)));

    [Fact]
    public void Yaml_WithoutEnd_IsRefused()
    {
        if (OperatingSystem.IsLinux())
        {
            Assert.Contains("1048576", Assert.Throws<RecipeException>(() => RecipeYaml.ReadFile("/dev/zero")).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Yaml_MarkAndCarriageReturns_AreReadAsIfNotThere()
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, "data: x\r\nsteps: 5\r\n", new System.Text.UTF8Encoding(true));
            Assert.Equal(5, RecipeReader.Read(path, []).Stop.Steps);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData(1_000_000, 2048)]
    [InlineData(3_000_000, 4096)]
    [InlineData(10_000_000, 8192)]
    [InlineData(30_000_000, 16_384)]
    [InlineData(135_000_000, 32_768)]
    [InlineData(1_000_000_000, 49_152)]
    public void Shape_OfASize_HasNearlyThatManyParameters(long size, int vocabulary)
    {
        ModelShape shape = ShapeRule.Find(size, vocabulary)!;
        Assert.InRange(shape.ToConfig(vocabulary, 512).ParameterCount / (double)size, 1 - SizeTolerance, 1 + SizeTolerance);
        Assert.Equal(0, shape.Heads % shape.KvHeads);
        Assert.Equal(shape.Hidden, shape.Heads * shape.HeadDim);
        Assert.InRange(shape.Layers, 2, 64);
    }

    [Fact]
    public void Shape_VocabularyTooLargeForTheSize_IsNone() => Assert.Null(ShapeRule.Find(100_000, 32_768));

    [Fact]
    public void Resolve_LeavesNothingOpen()
    {
        Recipe recipe = RecipeDefaults.Resolve(Options(("data", "x"), ("context", "100")), 10_000_000, 0);
        Assert.Equal(0, recipe.Batch.Sequences!.Value % recipe.Batch.Accumulate!.Value);
        Assert.InRange(recipe.Optimizer.LearningRate!.Value, 1e-4, 3e-3);
        Assert.Equal(5, RecipeDefaults.Steps(recipe with { Stop = new StopRecipe { Tokens = (5 * recipe.Batch.Sequences.Value * 100) - 1 } }, 1, 1, 1));
        Assert.Equal(60, RecipeDefaults.Steps(recipe with { Stop = new StopRecipe { Minutes = 2 } }, 1, 1, 2));
    }

    [Theory]
    [InlineData(ScheduleKind.Cosine, 1.0, 0.55, 0.1)]
    [InlineData(ScheduleKind.Linear, 1.0, 0.55, 0.1)]
    [InlineData(ScheduleKind.Constant, 1.0, 1.0, 1.0)]
    [InlineData(ScheduleKind.WarmupStableDecay, 1.0, 1.0, 0.1)]
    public void Schedule_StartMiddleEnd_AreAsSaid(ScheduleKind kind, double top, double middle, double end)
    {
        LearningRateSchedule schedule = new(kind, 110, 10);
        Assert.Equal(0.1, schedule.Factor(0), 12);
        Assert.Equal(1, schedule.Factor(9), 12);
        Assert.Equal(top, schedule.Factor(10), 12);
        Assert.Equal(middle, schedule.Factor(60), 12);
        Assert.Equal(end, schedule.Factor(110), 12);
    }

    private static Recipe Options(params (string Name, string Value)[] fields) =>
        RecipeReader.Read(null, fields.Select(field => KeyValuePair.Create(field.Name, (IReadOnlyList<string>)[field.Value])));
}
