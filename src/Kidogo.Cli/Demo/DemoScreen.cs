// What a person sees of a demo while it runs: its steps, a bar, the loss as it falls. Silent but for the steps where nobody watches.
using System.Diagnostics;
using Kidogo.Cli.Shell;
using Kidogo.Compression.Demo;
using Kidogo.Compression.Reports;
using Kidogo.Training;

namespace Kidogo.Cli.Demo;

internal sealed class DemoScreen : DemoObserver, IDisposable
{
    private readonly Session _session;
    private readonly Curve _curve;
    private StageBar? _bar;

    public DemoScreen(Session session)
    {
        _session = session;
        _curve = new Curve(session);
    }

    public override TrainingObserver Training => _curve;

    public override void Began(int number, int count, string title)
    {
        Clear();
        _session.Tell($"{number}/{count}  {title}");
    }

    public override void Finished(string title, TimeSpan time, bool wasKept)
    {
        Clear();
        _session.Tell(wasKept ? "      kept from before" : $"      {Show.Duration(time)}");
    }

    public override void Progress(string what, long done, long total) => (_bar ??= new StageBar(_session)).Report(what, done, total);

    public override void Judged(JudgedModel model)
    {
        if (model.Questions > 0)
        {
            _session.Tell(string.Create(System.Globalization.CultureInfo.InvariantCulture,
                $"      {100 * model.QuestionAccuracy:0.0} % of {model.Questions} questions right; the best guess without reading gets {100 * model.BaselineAccuracy:0.0} %"));
        }
    }

    /// <summary>Takes bars and curves off the screen.</summary>
    public void Clear()
    {
        _bar?.Dispose();
        _bar = null;
        _curve.Leave();
    }

    public void Dispose() => Clear();

    /// <summary>The loss as a curve that is drawn again every second, in place.</summary>
    private sealed class Curve(Session session) : TrainingObserver
    {
        private const int Height = 6;
        private readonly List<StepRecord> _steps = [];
        private readonly Stopwatch _clock = Stopwatch.StartNew();
        private TimeSpan _next;
        private int _lines;

        public override void Warn(string sentence)
        {
            Leave();
            session.Warn(sentence);
        }

        public override void Ready(TrainingPlan plan)
        {
            _steps.Clear();
            session.Tell($"      {Show.Count(plan.TrainableParameters)} of {Show.Count(plan.Parameters)} weights are trained, {plan.Steps} steps of {plan.TokensPerStep} tokens");
        }

        public override void Stepped(StepRecord record, TrainingPlan plan)
        {
            _steps.Add(record);
            if (!session.ShowsProgress || (_clock.Elapsed < _next && record.Step < plan.Steps))
            {
                return;
            }

            _next = _clock.Elapsed + TimeSpan.FromSeconds(1);
            string text = LossCurve.Text(_steps, LossCurve.ColumnsOfCurve(Session.Columns), Height);
            session.Error.Write($"{(_lines > 0 ? $"\e[{_lines}A" : "")}{text.Replace("\n", "\e[K\n", StringComparison.Ordinal)}");
            _lines = text.Count(c => c == '\n');
        }

        /// <summary>The curve stays; the next is drawn below it.</summary>
        public void Leave() => _lines = 0;
    }
}
