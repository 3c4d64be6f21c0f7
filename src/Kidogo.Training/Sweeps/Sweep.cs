// Runs a sweep by successive halving, each run a folder that pauses and goes on. Knows no terminal and no report.
using System.Diagnostics;
using System.Globalization;
using Kidogo.Models.Files;
using Kidogo.Training.Checkpoints;
using Kidogo.Training.Recipes;

namespace Kidogo.Training.Sweeps;

/// <summary>How a sweep is run.</summary>
public sealed record SweepOptions
{
    /// <summary>OUT: the folder of all runs.</summary>
    public required string Folder { get; init; }

    /// <summary>The time for all that is left to do.</summary>
    public required TimeSpan Time { get; init; }
}

/// <summary>A sweep.</summary>
/// <param name="grid">Its runs.</param>
/// <param name="options">How it is run.</param>
/// <param name="observer">Told what goes on.</param>
public sealed class Sweep(SweepGrid grid, SweepOptions options, SweepObserver observer)
{
    internal const string ShardsName = "shards"; // tokenised texts, which all runs share
    private const double PlannedShare = 0.85; // of the time: a speed that was measured over two steps is not what it will be over thousands
    private readonly string _folder = Path.GetFullPath(options.Folder);
    private readonly IReadOnlyList<int> _rungs = SweepPlan.Rungs(grid.Runs.Count);
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private SweepState _state = new(grid.Key, [.. grid.Runs.Select(_ => new SweepRunState())]);

    /// <summary>Begins the sweep, or goes on with what is in the folder.</summary>
    /// <param name="cancellation">Ends it after the step that is being made; all is kept, and the same call goes on.</param>
    /// <returns>What was found: all of it, or what there was when the time was up.</returns>
    /// <exception cref="TrainingFailedException">The folder holds something else, the time is too short, a run cannot begin, or all runs failed.</exception>
    /// <exception cref="RecipeException">A run cannot be as it is planned.</exception>
    /// <exception cref="OperationCanceledException">It was ended.</exception>
    public SweepResult Run(CancellationToken cancellation)
    {
        Open();
        using FileStream held = Lock();
        try
        {
            for (int i = 0; i < grid.Runs.Count; i++)
            {
                cancellation.ThrowIfCancellationRequested();
                Measure(i, cancellation);
            }
        }
        catch when (_state.Runs.All(run => run.Cost is null) && !grid.Runs.Select((_, i) => FolderOf(i)).Any(RunStarter.IsBegun))
        {
            File.Delete(Path.Combine(_folder, SweepState.FileName)); // nothing was begun: the folder is free for another recipe
            throw;
        }

        Plan();
        using CancellationTokenSource deadline = new();
        TimeSpan left = options.Time - _clock.Elapsed;
        deadline.CancelAfter(left > TimeSpan.FromMilliseconds(1) ? left : TimeSpan.FromMilliseconds(1));
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(cancellation, deadline.Token);
        try
        {
            int[] alive = [.. Enumerable.Range(0, grid.Runs.Count)];
            for (int rung = 0; rung < _rungs.Count; rung++)
            {
                alive = Halve(alive, rung, both.Token);
                observer.RungOver(Result());
            }
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            // The time is up: what is done is what there is.
        }

        SweepResult result = Result();
        return result.Runs.All(run => run.Failure is not null)
            ? throw new TrainingFailedException($"All {grid.Runs.Count} runs of the sweep failed. The first, {grid.Runs[0].Name} ({grid.Runs[0].Label}): {_state.Runs[0].Failure}")
            : result;
    }

    /// <summary>The folder of a run.</summary>
    private string FolderOf(int run) => Path.Combine(_folder, grid.Runs[run].Name);

    private void Open()
    {
        if (File.Exists(_folder))
        {
            throw new TrainingFailedException($"{_folder} is a file, where a folder was expected. Give another --out.");
        }

        if (SweepState.Read(_folder) is { } there)
        {
            _state = there.Key == grid.Key && there.Runs.Count == grid.Runs.Count ? there : throw new TrainingFailedException(
                $"{_folder} holds another sweep, of another recipe. To go on with it, give the recipe that it was begun with; to begin this one, give another --out.");
            return;
        }

        if (Directory.Exists(_folder) && Directory.EnumerateFileSystemEntries(_folder).Any(entry => Path.GetFileName(entry) != ShardsName))
        {
            throw new TrainingFailedException($"{_folder} is not empty, and no sweep. Give another --out, or remove the folder.");
        }

        Directory.CreateDirectory(_folder);
        _state.Write(_folder);
    }

    private FileStream Lock()
    {
        try
        {
            return new FileStream(Path.Combine(_folder, ".lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException failure) when (!NewFile.IsDiskFull(failure))
        {
            throw new TrainingFailedException($"Another kidogo sweeps in {_folder}. Wait for it, or stop it.", failure);
        }
    }

    /// <summary>Begins a run and measures a step, if that was not done.</summary>
    private void Measure(int i, CancellationToken cancellation)
    {
        if (_state.Runs[i].Cost is not null)
        {
            return;
        }

        SweepRun run = grid.Runs[i];
        observer.Measuring(run, i + 1, grid.Runs.Count);
        try
        {
            if (!RunStarter.IsBegun(FolderOf(i)))
            {
                RunStarter.Begin(run.Recipe, observer, cancellation);
            }

            RunStarter.Plan(FolderOf(i), SweepPlan.Never); // until all are measured
            long start = Stopwatch.GetTimestamp();
            using TrainingRun opened = TrainingRun.Open(FolderOf(i), run.Recipe.Precision.Threads, observer, cancellation);
            const double ForwardShare = 0.4; // of a training step
            TrainingPlan plan = opened.Plan;
            double evaluation = ForwardShare * plan.SecondsPerStep / plan.TokensPerStep * Math.Min(plan.Recipe.Output.EvalTokens, opened.HeldOutTokens);
            Keep(i, state => state with { Cost = new SweepCost(plan.SecondsPerStep, plan.TokensPerStep, Stopwatch.GetElapsedTime(start).TotalSeconds + evaluation) });
        }
        catch (Exception failure) when (failure is RecipeException or TrainingFailedException)
        {
            throw new TrainingFailedException($"{run.Name} ({run.Label}) cannot begin: {failure.Message}", failure);
        }
    }

    /// <summary>Shares out the time once; what was planned stays.</summary>
    private void Plan()
    {
        SweepCost[] costs = [.. _state.Runs.Select(run => run.Cost!)];
        if (_state.Runs.Any(run => run.Steps is null))
        {
            long[] steps = Fit(costs);
            for (int i = 0; i < steps.Length; i++)
            {
                if (grid.Runs[i].Recipe.Optimizer.Warmup > steps[i])
                {
                    throw new RecipeException($"{grid.Runs[i].Name} ({grid.Runs[i].Label}): warmup: {grid.Runs[i].Recipe.Optimizer.Warmup} is more than the {steps[i]} steps that it gets. Shorten the warm-up, or give more --minutes.");
                }

                RunStarter.Plan(FolderOf(i), steps[i]);
            }

            _state = _state with { Runs = [.. _state.Runs.Select((run, i) => run with { Steps = steps[i] })] };
            _state.Write(_folder);
        }

        long[] planned = [.. _state.Runs.Select(run => run.Steps!.Value)];
        observer.Planned(grid.Runs.Count, planned.Max(), SweepPlan.Seconds(costs, planned));
    }

    /// <summary>Steps of the whole way of each run: as the recipe says, else as many as fit into the time.</summary>
    private long[] Fit(SweepCost[] costs)
    {
        StopRecipe stop = grid.Runs[0].Recipe.Stop; // of all alike
        double seconds = (PlannedShare * options.Time.TotalSeconds) - _clock.Elapsed.TotalSeconds;
        if (stop.Steps is null && stop.Tokens is null)
        {
            return SweepPlan.TokensWithin(costs, seconds) is { } tokens ? [.. costs.Select(cost => SweepPlan.StepsFor(cost, tokens))]
                : throw TooShort(SweepPlan.SecondsOf(costs, SweepPlan.LeastTokens(costs)), $"{SweepPlan.LeastSteps} steps of each run before the first half is left behind");
        }

        long[] steps = [.. costs.Select(cost => stop.Steps ?? Math.Max(1, (stop.Tokens!.Value + cost.TokensPerStep - 1) / cost.TokensPerStep))];
        long fewest = 1L << (_rungs.Count - 1);
        return steps.Min() < fewest ? throw new RecipeException($"{steps.Min()} steps cannot be halved for {grid.Runs.Count} runs: the best of them goes through {_rungs.Count} rungs. Give {fewest} steps or more, or leave steps and tokens out: then the time says how many.")
            : SweepPlan.Seconds(costs, steps) <= seconds ? steps
            : throw TooShort(SweepPlan.Seconds(costs, steps), $"the {(stop.Steps is null ? "tokens" : "steps")} that the recipe asks for");
    }

    private TrainingFailedException TooShort(double seconds, string what)
    {
        string Minutes(double value) => value.ToString(value < 0.01 ? "0.####" : "0.##", CultureInfo.InvariantCulture);
        double needed = Math.Ceiling(10 * seconds / PlannedShare / 60) / 10;
        return new TrainingFailedException($"{Minutes(options.Time.TotalMinutes)} minutes are too little for {grid.Runs.Count} runs: {what} would take about {Minutes(needed)} on this machine "
            + $"(preparing took {Minutes(_clock.Elapsed.TotalMinutes)}, and is kept). Run the same command with --minutes {Minutes(needed)} or more.");
    }

    /// <summary>Brings the runs that are left to the end of a rung.</summary>
    /// <returns>Those that go on.</returns>
    private int[] Halve(int[] alive, int rung, CancellationToken cancellation)
    {
        foreach (int i in alive)
        {
            cancellation.ThrowIfCancellationRequested();
            long until = SweepPlan.StepsAt(_state.Runs[i].Steps!.Value, rung, _rungs.Count);
            if (_state.Runs[i].Failure is null && !IsOver(i, rung, until))
            {
                GoOn(i, rung, until, cancellation);
            }
        }

        SweepResult result = Result();
        Dictionary<string, double> values = result.Runs.Where(run => run.Failure is null && run.Scores.Count > rung).ToDictionary(run => run.Run.Name, run => result.Value(run.Scores[rung]), StringComparer.Ordinal);
        int next = rung + 1 < _rungs.Count ? _rungs[rung + 1] : 1;
        return [.. alive.Where(i => values.ContainsKey(grid.Runs[i].Name)).OrderBy(i => values[grid.Runs[i].Name]).Take(next)];
    }

    private bool IsOver(int i, int rung, long until) =>
        ScoreAt(TrainingLog.Read(FolderOf(i)), until) is not null && new CheckpointFolder(FolderOf(i)).Steps() is [.., long made] && made >= until
            && (rung + 1 < _rungs.Count || File.Exists(Path.Combine(FolderOf(i), Trainer.CurveName))); // the picture is written last

    private void GoOn(int i, int rung, long until, CancellationToken cancellation)
    {
        SweepRun run = grid.Runs[i];
        observer.GoesOn(run, rung, _rungs.Count, until);
        try
        {
            using TrainingRun opened = TrainingRun.Open(FolderOf(i), run.Recipe.Precision.Threads, observer, cancellation);
            TrainingResult made = new Trainer(opened, observer).Train(cancellation, until);
            observer.Judged(run, ScoreAt(made.Records, until) ?? throw new TrainingFailedException($"{run.Name}: nothing is held out of its data, so that runs cannot be compared. Give more data, or a larger held_out."));
        }
        catch (TrainingFailedException failure) when (failure.InnerException is NonFiniteLossException)
        {
            Keep(i, state => state with { Failure = failure.Message });
            observer.Lost(run, failure.Message);
        }
    }

    private void Keep(int run, Func<SweepRunState, SweepRunState> change)
    {
        _state = _state.With(run, change);
        _state.Write(_folder);
    }

    private SweepResult Result()
    {
        List<SweepOutcome> runs = [];
        for (int i = 0; i < grid.Runs.Count; i++)
        {
            IReadOnlyList<StepRecord> records = TrainingLog.Read(FolderOf(i));
            long steps = _state.Runs[i].Steps!.Value;
            runs.Add(new SweepOutcome(grid.Runs[i], FolderOf(i), steps,
                [.. _rungs.Select((_, rung) => ScoreAt(records, SweepPlan.StepsAt(steps, rung, _rungs.Count))).OfType<SweepScore>()], _state.Runs[i].Failure));
        }

        SweepResult result = new(_folder, grid.Fields, runs, false, _rungs.Count);
        return result with
        {
            Runs = [.. runs.OrderBy(run => run.Failure is not null).ThenByDescending(run => run.Scores.Count).ThenBy(run => run.Scores.Count == 0 ? 0 : result.Value(run.Scores[^1]))],
            IsComplete = runs.Any(run => run.Scores.Count == _rungs.Count),
        };
    }

    private static SweepScore? ScoreAt(IReadOnlyList<StepRecord> records, long step) => records.FirstOrDefault(record => record.Step == step) is { Evaluation: { } evaluation } record
        ? new SweepScore(step, record.Tokens, evaluation.Loss, evaluation.BitsPerByte) : null;
}
