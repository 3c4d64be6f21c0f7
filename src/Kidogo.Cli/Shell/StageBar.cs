// A bar for each stage of work that has several, one after the other. Knows not what they do.
namespace Kidogo.Cli.Shell;

/// <summary>Shows how far the stage is that reported last.</summary>
internal sealed class StageBar(Session session) : IDisposable
{
    private ProgressBar? _bar;
    private string _stage = "";

    /// <summary>Says how much of a stage is done.</summary>
    public void Report(string stage, long done, long total)
    {
        session.Interrupted.ThrowIfCancellationRequested();
        if (_stage != stage)
        {
            _bar?.Dispose();
            _bar = new ProgressBar(session, stage, "steps");
            _stage = stage;
        }

        _bar!.Report(done, total);
    }

    public void Dispose() => _bar?.Dispose();
}
