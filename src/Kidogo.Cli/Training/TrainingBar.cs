// The bar of a training run: steps, loss, tokens a second, time left. Silent when piped.
using System.Diagnostics;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Training;

namespace Kidogo.Cli.Training;

internal sealed class TrainingBar(Session session, TrainingPlan plan) : IDisposable
{
    private const int BarWidth = 24;
    private const int MillisecondsBetween = 100;
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private long _next;
    private long _made;
    private int _drawn;

    /// <summary>Shows a step.</summary>
    public void Report(StepRecord record)
    {
        _made++;
        if (!session.ShowsProgress || _clock.ElapsedMilliseconds < _next)
        {
            return;
        }

        _next = _clock.ElapsedMilliseconds + MillisecondsBetween;
        int filled = (int)((double)record.Step / plan.Steps * BarWidth);
        double left = (plan.Steps - record.Step) * _clock.Elapsed.TotalSeconds / _made;
        string line = string.Create(CultureInfo.InvariantCulture, $"step {record.Step}/{plan.Steps} [{new string('#', filled)}{new string('.', BarWidth - filled)}] loss {record.Loss:0.000}  {record.TokensPerSecond:0} tokens/s  {Show.Duration(TimeSpan.FromSeconds(Math.Min(left, 1e8)))} left");
        session.Error.Write($"\r{line.PadRight(_drawn)}");
        _drawn = line.Length;
    }

    /// <summary>Makes room for a line of text.</summary>
    public void Clear()
    {
        if (_drawn > 0)
        {
            session.Error.Write($"\r{new string(' ', _drawn)}\r");
            _drawn = 0;
        }
    }

    public void Dispose() => Clear();
}
