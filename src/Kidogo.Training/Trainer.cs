// The loop: steps, evaluations, samples, checkpoints, and what is there at the end. Knows no terminal and no files' formats.
using System.Diagnostics;
using System.Text;
using Kidogo.Models;
using Kidogo.Models.Files;
using Kidogo.Models.Passports;
using Kidogo.Training.Checkpoints;

namespace Kidogo.Training;

/// <summary>What a run left.</summary>
/// <param name="Folder">OUT: a folder that loads as a model.</param>
/// <param name="Records">All steps, those of earlier processes too.</param>
public sealed record TrainingResult(string Folder, IReadOnlyList<StepRecord> Records)
{
    /// <summary>The step that the weights are of: the last, or that of the best evaluation where patience ended.</summary>
    public long Step { get; init; }

    /// <summary>What a text that the run is not about costs before and after; null where it was not asked for.</summary>
    public GeneralTextCost? General { get; init; }
}

/// <summary>Trains.</summary>
/// <param name="run">The run.</param>
/// <param name="observer">Told what goes on.</param>
public sealed class Trainer(TrainingRun run, TrainingObserver observer)
{
    /// <summary>The picture of the loss in the folder of a run.</summary>
    public const string CurveName = "loss.svg";

    private const double SecondsBetweenCheckpoints = 15 * 60;
    private const int LeastSteps = 10; // between two evaluations, where the recipe does not say
    private int[] _prompt = [];
    private EarlyStopping _stopping = new(null, []);

    /// <summary>Makes all steps that are left, or those up to a pause.</summary>
    /// <param name="cancellation">Ends the run after the step that is being made, with a checkpoint.</param>
    /// <param name="pause">The step after which the run pauses, with an evaluation and a checkpoint; whoever opens it again goes on as if it had not. Null for none.</param>
    /// <exception cref="OperationCanceledException">It was ended; a checkpoint was written.</exception>
    /// <exception cref="TrainingFailedException">The loss is no number, or the disk is full.</exception>
    public TrainingResult Train(CancellationToken cancellation, long? pause = null)
    {
        observer.Ready(run.Plan);
        GeneralText.MeasureBefore(run);
        using TrainingLog log = TrainingLog.Open(run.Output, run.State.Step);
        _stopping = new EarlyStopping(run.Recipe.Stop.Patience, TrainingLog.Read(run.Output));
        long end = Math.Min(run.Plan.Steps, pause ?? run.Plan.Steps);
        while (run.State.Step < end && !_stopping.IsOver)
        {
            StepRecord record = MakeStep();
            bool isDone = record.Step == end;
            if (IsDue(record.Step, EvalEvery) || (isDone && EvalEvery > 0))
            {
                record = record with { Evaluation = Evaluate(record.Step) };
            }

            bool isBest = _stopping.Add(record);
            isDone |= _stopping.IsOver;
            log.Append(record);
            observer.Stepped(record, run.Plan);
            if (IsDue(record.Step, SampleEvery))
            {
                Sample(record.Step);
            }

            if (isDone || (isBest && _stopping.IsAsked) || IsDue(record.Step, CheckpointEvery) || cancellation.IsCancellationRequested)
            {
                log.Flush();
                Save();
            }

            if (!isDone)
            {
                cancellation.ThrowIfCancellationRequested();
            }
        }

        log.Flush();
        return run.State.Step < run.Plan.Steps && !_stopping.IsOver ? new TrainingResult(run.Output, TrainingLog.Read(run.Output)) { Step = run.State.Step } : Finish();
    }

    private long CheckpointEvery => run.Recipe.Output.CheckpointEvery ?? (run.Plan.SecondsPerStep > 0
        ? Math.Max(1, (long)Math.Min(Twentieth, SecondsBetweenCheckpoints / run.Plan.SecondsPerStep)) : Twentieth);

    private long EvalEvery => run.Recipe.Output.EvalEvery ?? Twentieth;

    private long SampleEvery => run.Recipe.IsRandom ? 0 : run.Recipe.Output.SampleEvery ?? EvalEvery;

    private long Twentieth => Math.Max(LeastSteps, run.Plan.Steps / 20);

    private static bool IsDue(long step, long every) => every > 0 && step % every == 0;

    private StepRecord MakeStep()
    {
        long start = Stopwatch.GetTimestamp();
        long step = run.State.Step;
        run.Fill(step);
        double factor = run.Schedule.Factor(step);
        StepOutcome outcome;
        try
        {
            outcome = run.Step.Run(run.Batches, factor);
            run.Rounded?.Refresh();
        }
        catch (NonFiniteLossException failure)
        {
            // A checkpoint of these very weights would meet the same loss again.
            long last = run.Checkpoints.Steps().LastOrDefault(made => made < step, -1);
            string good = last >= 0
                ? $"the last good checkpoint is {run.Checkpoints.Of(last)}"
                : "there is no checkpoint from before them";
            string other = last > 0 && run.Recipe.Adapter is null ? $", or from that checkpoint (--from {run.Checkpoints.Of(last)} --out ANOTHER)" : "";
            throw new TrainingFailedException(
                $"Step {step + 1}: {failure.Message}. No weight was changed by it; {good}. Begin again with a lower learning_rate, a longer warmup or "
                + $"a lower clip{other}.",
                failure);
        }

        long tokens = run.Batches.Sum(batch => (long)batch.Filled);
        run.Advance(run.State with { Step = step + 1, Tokens = run.State.Tokens + tokens, Position = run.Position });
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return new StepRecord(step + 1, outcome.Loss, run.Recipe.Optimizer.LearningRate!.Value * factor, outcome.GradientNorm, run.State.Tokens,
            tokens / seconds)
        {
            TrainableParameters = run.Recipe.Adapter is null ? null : run.Plan.TrainableParameters,
            Terms = outcome.Terms,
        };
    }

    private EvaluationRecord? Evaluate(long step)
    {
        EvaluationRecord? evaluation = run.Evaluate();
        return evaluation is null || double.IsFinite(evaluation.Loss) ? evaluation : throw new TrainingFailedException(
            $"Step {step}: the loss on held-out texts is {evaluation.Loss}, though that of the step was a number. Begin again with a lower learning_rate, a longer warmup or a lower clip.",
            new NonFiniteLossException($"the loss on held-out texts is {evaluation.Loss}"));
    }

    private void Sample(long step)
    {
        if (_prompt.Length == 0)
        {
            _prompt = run.Data is { } data ? TextSampler.Prompt(run.Recipe.Output.SamplePrompt, run.Tokenizer, data, run.Model.Config.ContextLength) : run.PreferencePrompt;
        }

        string text = TextSampler.Continue(run.Model, run.Tokenizer, run.Threads, _prompt, run.Recipe.Output.Seed + (ulong)step);
        observer.Sampled(step, run.Tokenizer.Decode(_prompt), text);
    }

    private void Save()
    {
        string folder = CheckpointWriter.Write(run.Checkpoints, run.State with { Files = [] }, run.Model.Config, run.Parameters, run.Surroundings,
            run.Optimizer);
        run.Checkpoints.Rotate(run.Recipe.Output.Keep, _stopping.IsAsked ? _stopping.BestStep : null);
        observer.Saved(run.State.Step, folder);
    }

    private TrainingResult Finish()
    {
        IReadOnlyList<StepRecord> records = TrainingLog.Read(run.Output);
        if (_stopping is { IsAsked: true, BestStep: { } best } && best != run.State.Step)
        {
            observer.Say($"held-out loss was lowest after step {best}: the weights of then are kept");
            CheckpointReader.FillParameters(run.Checkpoints.Of(best), run.Parameters, run.Surroundings.Adapter is not null);
            run.Rounded?.Refresh();
            run.Advance(TrainingState.Read(Path.Combine(run.Checkpoints.Of(best), TrainingState.FileName)) with { Recipe = run.Recipe });
        }

        GeneralTextCost? general = GeneralText.MeasureAfter(run);
        Passport? passport = run.Surroundings.Passport is { } begun
            ? TrainingPassport.With(TrainingPassport.At(begun, run.Recipe, run.State.Step, run.State.Tokens), [.. records.Where(record => record.Step <= run.State.Step)])
            : null;
        CheckpointWriter.WriteFinished(run.Output, run.Model.Config, run.Rounded is null ? run.Parameters : ModelParameters.Of(run.Model), run.Surroundings with { Passport = passport });
        NewFile.Write(Path.Combine(run.Output, CurveName), Encoding.UTF8.GetBytes(LossCurve.Svg(records)));
        return new TrainingResult(run.Output, records) { Step = run.State.Step, General = general };
    }
}
