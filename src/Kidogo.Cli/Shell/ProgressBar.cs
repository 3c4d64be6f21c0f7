// A bar with rate and time left, on a terminal's standard error; silent when piped. Knows not what goes on.
using System.Diagnostics;

namespace Kidogo.Cli.Shell;

/// <summary>Shows how far long work is. Draws nothing in the first moments, so that short work leaves no trace.</summary>
internal sealed class ProgressBar(Session session, string what, string unit) : IDisposable
{
    /// <summary>The unit that is shown as KiB, MiB and so on.</summary>
    public const string Bytes = "bytes";

    private const int MillisecondsBeforeFirst = 400;
    private const int MillisecondsBetween = 100;
    private const int BarWidth = 24;
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly bool _shows = session.ShowsProgress;
    private readonly bool _countsBytes = unit == Bytes;
    private long _nextMilliseconds = MillisecondsBeforeFirst;
    private long? _first; // what was done before, and says nothing of the rate
    private bool _isDrawn;

    /// <summary>Says how much of the whole is done.</summary>
    public void Report(long done, long total)
    {
        _first ??= _countsBytes ? done : 0;
        if (!_shows || _clock.ElapsedMilliseconds < _nextMilliseconds || total <= 0)
        {
            return;
        }

        _nextMilliseconds = _clock.ElapsedMilliseconds + MillisecondsBetween;
        _isDrawn = true;
        double share = Math.Clamp((double)done / total, 0, 1);
        double rate = (done - _first.Value) / _clock.Elapsed.TotalSeconds;
        string left = rate > 0 ? Show.Duration(TimeSpan.FromSeconds(Math.Min((total - done) / rate, 1e6))) : "?";
        int filled = (int)(share * BarWidth);
        string line = $"{what} [{new string('#', filled)}{new string('.', BarWidth - filled)}] {(int)(share * 100)}%  {(_countsBytes ? $"{Show.Bytes(done)} of {Show.Bytes(total)}  {Show.Bytes(rate)}" : $"{Show.Number(rate)} {unit}")}/s  {left} left";
        int width = Session.Columns;
        session.Error.Write($"\r{(line.Length > width ? line[..width] : line.PadRight(width))}");
    }

    public void Dispose()
    {
        if (_isDrawn)
        {
            _isDrawn = false;
            session.Error.Write($"\r{new string(' ', Session.Columns)}\r");
        }
    }
}
