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
        double left = (plan.Steps - record.Step) * _clock.Elapsed.TotalSeconds / _made;
        string line = Line(record, plan.Steps, TimeSpan.FromSeconds(Math.Min(left, 1e8)), Session.Columns);
        session.Error.Write($"\r{line.PadRight(_drawn)}");
        _drawn = line.Length;
    }

    /// <summary>What fits into so many columns: the bar goes first, then the speed, for a line that is too long would be drawn again and again below
    /// itself.</summary>
    internal static string Line(StepRecord record, long steps, TimeSpan left, int columns)
    {
        int filled = (int)((double)record.Step / steps * BarWidth);
        string step = string.Create(CultureInfo.InvariantCulture, $"step {record.Step}/{steps} ");
        string bar = $"[{new string('#', filled)}{new string('.', BarWidth - filled)}] ";
        string loss = string.Create(CultureInfo.InvariantCulture, $"loss {record.Loss:0.000}");
        string speed = string.Create(CultureInfo.InvariantCulture, $"{record.TokensPerSecond:0} tokens/s");
        string time = $"{Show.Duration(left)} left";
        string[] lines = [$"{step}{bar}{loss}  {speed}  {time}", $"{step}{loss}  {speed}  {time}", $"{step}{loss} {time}", step + loss];
        string line = lines.FirstOrDefault(candidate => candidate.Length <= columns) ?? lines[^1];
        return line.Length <= columns ? line : line[..columns];
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
