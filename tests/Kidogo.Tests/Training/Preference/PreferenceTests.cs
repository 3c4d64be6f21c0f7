// Preferences: what a line is, what is refused, and that a model that has not moved has the loss of no preference.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tests.Data;
using Kidogo.Training;
using Kidogo.Training.Optimizers;
using Kidogo.Training.Preference;
using Kidogo.Training.Recipes;

namespace Kidogo.Tests.Training.Preference;

public sealed class PreferenceTests : IDisposable
{
    private const int Context = 64;
    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Read_TextsAndMessages_CountTheLastAnswerAlone()
    {
        PreferenceData data = Read(
            """{"prompt": "ab", "chosen": "cd", "rejected": "e"}""",
            """{"prompt": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}, {"role": "user", "content": "s"}], "chosen": [{"role": "assistant", "content": "tu"}], "rejected": "v"}""");
        PreferenceText text = data.Items[0].Answer, messages = data.Items[1].Answer;
        Assert.Equal("abcd", DataFolder.Text(text.Ids));
        Assert.Equal("cd", Counted(text));
        Assert.Contains("tu", Counted(messages), StringComparison.Ordinal);
        Assert.DoesNotContain("r", Counted(messages), StringComparison.Ordinal);
        Assert.Contains("v", Counted(data.Items[1].Rejected!), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false, """{"prompt": "a", "chosen": "b"}""", "rejected")]
    [InlineData(false, """{"prompt": 3, "chosen": "b", "rejected": "c"}""", "prompt")]
    [InlineData(false, """{"prompt": "a", "chosen": "b", "rejected": "c"}""", "two are the least")]
    [InlineData(true, """{"prompt": "a", "completion": "b"}""", "label")]
    [InlineData(true, "{\"prompt\": \"a\", \"completion\": \"b\", \"label\": true}\n{\"prompt\": \"a\", \"completion\": \"c\", \"label\": true}", "one kind")]
    [InlineData(true, "[1]", "object")]
    public void Read_LinesThatCannotBe_SayWhatIsExpected(bool isSingle, string lines, string said)
    {
        string path = _folder.Write("wrong.jsonl", lines + "\n");
        Assert.Contains(said, Assert.Throws<DataFormatException>(() => PreferenceData.Read(Options(path, isSingle), DataFolder.Bytes, DataFolder.Chatml)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_LongerThanTheContext_IsRefusedOrLeftOut()
    {
        string path = _folder.Write("long.jsonl", string.Join('\n', Enumerable.Range(0, 4).Select(i => $$"""{"prompt": "a", "chosen": "{{new string('b', i == 2 ? 200 : 5)}}", "rejected": "c"}""")) + "\n");
        Assert.Contains("context", Assert.Throws<DataFormatException>(() => PreferenceData.Read(Options(path, false), DataFolder.Bytes, null)).Message, StringComparison.Ordinal);
        PreferenceData data = PreferenceData.Read(Options(path, false) with { SkipsLong = true }, DataFolder.Bytes, null);
        Assert.Equal((3, 1), (data.Items.Count, data.Skipped));
    }

    [Fact]
    public void At_EveryEpoch_GivesEachTrainingItemOnce()
    {
        PreferenceData data = PreferenceData.Read(Options(_folder.Write("many.jsonl", Pairs(20)), false) with { HeldOut = 0.2 }, DataFolder.Bytes, null);
        Assert.Equal((16, 4), (data.TrainingCount, data.HeldOut.Count));
        int[] first = [.. Enumerable.Range(0, 16).Select(place => data.At(place))], second = [.. Enumerable.Range(16, 16).Select(place => data.At(place))];
        Assert.Equal(first.Order(), second.Order());
        Assert.NotEqual(first, second);
        Assert.Empty(first.Intersect(data.HeldOut));
        Assert.Equal(first[3], data.At(3));
    }

    [Theory]
    [InlineData(PreferenceKind.Dpo)]
    [InlineData(PreferenceKind.Kto)]
    public void Steps_FromTheReferenceOn_LearnWhatIsPreferred(PreferenceKind kind)
    {
        const double Rounding = 1e-6;
        PreferenceRecipe recipe = new() { Kind = kind, Beta = 0.5 };
        string lines = kind == PreferenceKind.Dpo ? Pairs(8) : string.Concat(Enumerable.Range(0, 8).Select(i => $$"""{"prompt": "p{{i}}", "completion": "{{(i % 2 == 0 ? "yes" : "no!")}}", "label": {{(i % 2 == 0 ? "true" : "false")}}}""" + "\n"));
        PreferenceData data = PreferenceData.Read(Options(_folder.Write("data.jsonl", lines), kind == PreferenceKind.Kto) with { HeldOut = 0.25 }, DataFolder.Bytes, null);
        using DecoderModel model = RandomModel.Create(new ModelShape { Hidden = 32, Layers = 2, Heads = 2, KvHeads = 1, HeadDim = 16, FeedForward = 64 }.ToConfig(DataFolder.Bytes.VocabularySize, Context), 1);
        using ComputeContext context = ComputeContext.Training(2);
        using PreferenceLoss loss = new(recipe, data, ReferenceScores.Compute(model, context, data, 4, new TrainingObserver(), default));
        Optimizer optimizer = OptimizerFactory.Create(new OptimizerRecipe { LearningRate = 3e-3, WeightDecay = 0 }, ModelParameters.Of(model));
        using TrainingStep step = new(model, context, optimizer, new StepOptions(), loss);
        TokenBatch[] batches = [.. Enumerable.Range(0, 2).Select(_ => new TokenBatch(3 * recipe.RowsPerItem, Context))];
        loss.Fill(batches, 0);
        double none = kind == PreferenceKind.Dpo ? Math.Log(2) : 0.5; // of σ(0)
        Assert.Equal(none, step.Run(batches, 1).Loss, Rounding);
        for (int i = 1; i < 12; i++)
        {
            loss.Fill(batches, i);
            step.Run(batches, 1);
        }

        EvaluationRecord judged = loss.Evaluate(model, context, 4)!;
        Assert.True(judged.Loss < none - 0.05, $"{judged.Loss} after, {none} before");
        Assert.Equal(1, judged.Accuracy);
    }

    private static string Pairs(int count) => string.Concat(Enumerable.Range(0, count).Select(i => $$"""{"prompt": "p{{i}}", "chosen": "yes", "rejected": "no!"}""" + "\n"));

    private static string Counted(PreferenceText text) => DataFolder.Text(text.Ids.Where((_, at) => text.Counts[at]));

    private static PreferenceOptions Options(string path, bool isSingle) => new() { Paths = [path], IsSingle = isSingle, MostTokens = Context + 1 };

    private PreferenceData Read(params string[] lines) => PreferenceData.Read(Options(_folder.Write("lines.jsonl", string.Join('\n', lines) + "\n"), false), DataFolder.Bytes, DataFolder.Chatml);
}
