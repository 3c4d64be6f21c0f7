// A sweep as a whole, on tiny runs: who wins, what is kept, what is refused, and that it goes on where it was.
using Kidogo.Training;
using Kidogo.Training.Recipes;
using Kidogo.Training.Sweeps;

namespace Kidogo.Tests.Training.Sweeps;

public sealed class SweepTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("kidogo-sweep-").FullName;
    private readonly string _texts;

    public SweepTests()
    {
        _texts = Path.Combine(_folder, "texts.txt");
        Random random = new(3);
        string[] words = ["mto", "mlima", "kijiji", "maji", "watu", "ngoma", "samaki", "bahari"];
        File.WriteAllText(_texts, string.Join("\n\n", Enumerable.Range(0, 400).Select(_ => $"{words[random.Next(8)]} {words[random.Next(8)]} wa {words[random.Next(8)]} na {words[random.Next(8)]}.")));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Run_KilledAndRunAgain_EndsWithTheBitsOfATrainingOfTheBest()
    {
        SweepResult whole = Run("a", "[1e-5, 3e-3, 1e-4]");
        Assert.True(whole.IsComplete);
        Assert.Equal("learning_rate 3e-3", whole.Best!.Run.Label);
        Assert.Equal([3, 2, 1], whole.Runs.Select(run => run.Scores.Count));
        Assert.Equal([4, 8, 16], whole.Best.Scores.Select(score => score.Step));

        // Ended twice in the middle of runs, it goes on.
        foreach (int steps in (int[])[6, 9])
        {
            using CancellationTokenSource ended = new();
            Assert.Throws<OperationCanceledException>(() => Run("b", "[1e-5, 3e-3, 1e-4]", new EndsAfter(steps, ended), ended.Token));
        }

        SweepResult again = Run("b", "[1e-5, 3e-3, 1e-4]");
        Assert.Equal(whole.Runs.Select(run => (run.Run.Name, string.Join(' ', run.Scores))), again.Runs.Select(run => (run.Run.Name, string.Join(' ', run.Scores))));

        Recipe alone = RecipeReader.Read(null, [.. Options("3e-3"), KeyValuePair.Create<string, IReadOnlyList<string>>("out", [Path.Combine(_folder, "alone")])]);
        RunStarter.Begin(alone, new TrainingObserver(), CancellationToken.None);
        using (TrainingRun run = TrainingRun.Open(alone.Output.Folder, 0, new TrainingObserver(), CancellationToken.None))
        {
            new Trainer(run, new TrainingObserver()).Train(CancellationToken.None);
        }

        byte[] weights = File.ReadAllBytes(Path.Combine(alone.Output.Folder, "model.safetensors"));
        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(whole.Best.Folder, "model.safetensors")));
        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(again.Best!.Folder, "model.safetensors")));

        // Run once more, nothing is computed, and one that was left behind can be gone on with by itself.
        Assert.Equal(again.Best.Run.Name, Run("b", "[1e-5, 3e-3, 1e-4]", new MustNotStep()).Best!.Run.Name);
        using TrainingRun left = TrainingRun.Open(whole.Runs[^1].Folder, 0, new TrainingObserver(), CancellationToken.None);
        Assert.Equal(16, new Trainer(left, new TrainingObserver()).Train(CancellationToken.None).Step);
    }

    [Fact]
    public void Run_WhoseLossIsNoNumber_LosesAndTheOthersGoOn()
    {
        SweepResult result = Run("nan", "[10, 1e-3]", null, default, ("optimizer", "sgd"), ("weight_decay", "10"), ("steps", "64"), ("warmup", "0"));
        SweepOutcome lost = result.Runs[^1];
        Assert.Equal("learning_rate 10", lost.Run.Label);
        Assert.Contains("the loss", lost.Failure, StringComparison.Ordinal);
        Assert.Equal("learning_rate 1e-3", result.Best!.Run.Label);
        Assert.True(result.IsComplete);
    }

    [Fact]
    public void Run_WithTooLittleTime_SaysHowMuchAndKeepsWhatWasPrepared()
    {
        SweepGrid grid = Grid("short", "[1e-3, 3e-3]", ("steps", "100000000"));
        string message = Assert.Throws<TrainingFailedException>(() => new Sweep(grid, new SweepOptions { Folder = Path.Combine(_folder, "short"), Time = TimeSpan.FromSeconds(10) }, new SweepObserver()).Run(default)).Message;
        Assert.Matches(@"too little for 2 runs.*--minutes \d+", message);
        Assert.True(RunStarter.IsBegun(Path.Combine(_folder, "short", "run-01")));
    }

    [Fact]
    public void Run_InAFolderOfSomethingElse_IsRefused()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "full"));
        File.WriteAllText(Path.Combine(_folder, "full", "x"), "x");
        Assert.Contains("not empty", Assert.Throws<TrainingFailedException>(() => Run("full", "[1e-3, 3e-3]")).Message, StringComparison.Ordinal);
        Run("one", "[1e-3, 3e-3]");
        Assert.Contains("another sweep", Assert.Throws<TrainingFailedException>(() => Run("one", "[1e-3, 4e-3]")).Message, StringComparison.Ordinal);
        File.WriteAllText(Path.Combine(_folder, "one", "sweep.json"), "{\"format\":1,\"runs\":[");
        Assert.Contains("damaged", Assert.Throws<TrainingFailedException>(() => Run("one", "[1e-3, 3e-3]")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("held-out", "held_out", "[0.1, 0.2]")]
    [InlineData("same number of tokens", "steps", "[10, 20]")]
    [InlineData("changes no weight", "threads", "[1, 2]")]
    [InlineData("same value twice", "weight_decay", "[0.1, 0.1]")]
    [InlineData("empty list", "weight_decay", "[]")]
    [InlineData("weight_decay has one value", "weight_decay", "[0.1]", "3e-3")]
    [InlineData("no field has a list", "weight_decay", "0.1", "3e-3")]
    [InlineData("nearest is weight_decay", "weight_decya", "[0.1, 0.2]")]
    [InlineData("run-02 (learning_rate 1e-3, weight_decay -1)", "weight_decay", "[0.1, -1]")]
    [InlineData("one run; a sweep shares", "minutes", "3")]
    [InlineData("ends a run early", "patience", "3")]
    [InlineData("at most 256", "beta1", "[0.1,0.11,0.12,0.13,0.14,0.15,0.16,0.17,0.18,0.19,0.2,0.21,0.22,0.23,0.24,0.25,0.26,0.27,0.28,0.29]", "[1e-3,2e-3,3e-3,4e-3,5e-3,6e-3,7e-3,8e-3,9e-3,1e-4,2e-4,3e-4,4e-4]")]
    [InlineData("goes by the loss on held-out texts", "held_out", "0")]
    public void Recipe_ThatIsNoSweep_IsRefusedWithTheReason(string expected, string field, string value, string rates = "[1e-3, 3e-3]")
    {
        List<KeyValuePair<string, IReadOnlyList<string>>> options = [.. Options(rates).Where(option => option.Key != field && (option.Key != "steps" || field != "minutes")), KeyValuePair.Create<string, IReadOnlyList<string>>(field, [value])];
        Assert.Contains(expected, Assert.Throws<RecipeException>(() => SweepGrid.Read(null, null, options, _folder)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Recipe_OfSeveralLists_IsEveryCombination()
    {
        SweepGrid grid = Grid("grid", "[1e-3, 3e-3]", ("optimizer", "[adamw, lion, muon]"), ("targets", "[[attn_q], [all]]"), ("from", "somewhere"));
        Assert.Equal(12, grid.Runs.Count);
        Assert.Equal("learning_rate 1e-3, optimizer adamw, targets [\"attn_q\"]", grid.Runs[0].Label);
        Assert.Equal("learning_rate 3e-3, optimizer muon, targets [\"all\"]", grid.Runs[^1].Label);
        Assert.NotNull(grid.Runs[0].Recipe.Adapter);
        Assert.Null(Grid("train", "[1e-3, 3e-3]").Runs[0].Recipe.Adapter);
        Assert.Equal(2.0, Grid("distil", "[1e-3, 3e-3]", ("teacher", "t")).Runs[0].Recipe.Distillation!.Temperature);
    }

    private SweepResult Run(string name, string rates, SweepObserver? observer = null, CancellationToken cancellation = default, params (string Field, string Value)[] more) =>
        new Sweep(Grid(name, rates, more), new SweepOptions { Folder = Path.Combine(_folder, name), Time = TimeSpan.FromHours(10) }, observer ?? new SweepObserver()).Run(cancellation);

    private SweepGrid Grid(string name, string rates, params (string Field, string Value)[] more) => SweepGrid.Read(null, null,
        [.. Options(rates).Where(option => more.All(field => field.Field != option.Key && (field.Field != "from" || option.Key is not ("size" or "tokenizer")))), .. more.Select(field => KeyValuePair.Create<string, IReadOnlyList<string>>(field.Field, [field.Value]))], Path.Combine(_folder, name));

    private List<KeyValuePair<string, IReadOnlyList<string>>> Options(string rates) =>
        [.. new Dictionary<string, string>
        {
            ["data"] = _texts, ["size"] = "100k", ["tokenizer"] = "{kind: bpe, vocabulary: 260}", ["context"] = "16", ["batch"] = "2", ["steps"] = "16", ["held_out"] = "0.1", ["eval_tokens"] = "512", ["learning_rate"] = rates, ["threads"] = "1",
        }.Select(option => KeyValuePair.Create<string, IReadOnlyList<string>>(option.Key, [option.Value]))];

    private sealed class EndsAfter(int steps, CancellationTokenSource source) : SweepObserver
    {
        private int _made;

        public override void Stepped(StepRecord record, TrainingPlan plan)
        {
            if (++_made == steps)
            {
                source.Cancel();
            }
        }
    }

    private sealed class MustNotStep : SweepObserver
    {
        public override void Stepped(StepRecord record, TrainingPlan plan) => Assert.Fail("A sweep that was over made a step.");
    }
}
