// What a person sees of a sweep while it goes on: a line for each run and rung, a bar in between. Computes nothing.
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Training;
using Kidogo.Training.Sweeps;

namespace Kidogo.Cli.Training;

/// <summary>Lines and a bar on standard error.</summary>
/// <param name="session">Where to.</param>
/// <param name="keep">Called with what was found so far, after each rung.</param>
internal sealed class SweepScreen(Session session, Action<SweepResult> keep) : SweepObserver, IDisposable
{
    private TrainingBar? _bar;
    private ProgressBar? _preparing;
    private string _stage = "";
    private bool _isRepeated;

    /// <summary>What is said of the first run holds for all.</summary>
    public override void Say(string sentence)
    {
        if (!_isRepeated)
        {
            Tell(sentence);
        }
    }

    public override void Warn(string sentence)
    {
        Clear();
        session.Warn(sentence);
    }

    public override void Preparing(string what, string unit, long done, long total)
    {
        if (_stage != what + unit)
        {
            Clear();
            (_stage, _preparing) = (what + unit, new ProgressBar(session, what, unit));
        }

        _preparing!.Report(done, total);
    }

    public override void Ready(TrainingPlan plan)
    {
        Clear();
        _bar = new TrainingBar(session, plan);
    }

    public override void Stepped(StepRecord record, TrainingPlan plan) => _bar?.Report(record);

    public override void Measuring(SweepRun run, int number, int count)
    {
        Tell($"measuring {run.Name} ({number} of {count}): {run.Label}");
        _isRepeated = number > 1;
    }

    public override void Planned(int runs, long most, double seconds) =>
        Tell($"{runs} runs, the best of them {most} steps: at most about {Show.Duration(TimeSpan.FromSeconds(Math.Min(seconds, 1e9)))} from the start");

    public override void GoesOn(SweepRun run, int rung, int rungs, long until) => Tell($"rung {rung + 1} of {rungs}: {run.Name} to step {until} ({run.Label})");

    public override void Judged(SweepRun run, SweepScore score) =>
        Tell(string.Create(CultureInfo.InvariantCulture, $"{run.Name}: held out {score.Loss:0.0000}{(double.IsFinite(score.BitsPerByte) ? string.Create(CultureInfo.InvariantCulture, $", {score.BitsPerByte:0.0000} bits per byte") : "")}"));

    public override void Lost(SweepRun run, string reason)
    {
        Clear();
        session.Warn($"{run.Name} ({run.Label}) is out: {reason}");
    }

    public override void RungOver(SweepResult result) => keep(result);

    public void Dispose() => Clear();

    private void Tell(string sentence)
    {
        Clear();
        session.Tell(sentence);
    }

    private void Clear()
    {
        _bar?.Dispose();
        _preparing?.Dispose();
        (_bar, _preparing, _stage) = (null, null, "");
    }
}
