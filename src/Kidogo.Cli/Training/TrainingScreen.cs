// What a person, or a script, sees of a training run. Computes nothing but rates to show.
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Training;
using Kidogo.Training.Distillation;

namespace Kidogo.Cli.Training;

/// <summary>The plan, a bar, evaluations and samples on standard error; the curve, or a line of JSON a step, on standard output.</summary>
internal sealed class TrainingScreen(Session session, bool json) : TrainingObserver, IDisposable
{
    private readonly List<StepRecord> _made = [];
    private ProgressBar? _preparing;
    private string _stage = "";
    private TrainingBar? _bar;

    public override void Say(string sentence)
    {
        EndStage();
        session.Tell(sentence);
    }

    public override void Warn(string sentence)
    {
        EndStage();
        session.Warn(sentence);
    }

    public override void Preparing(string what, string unit, long done, long total)
    {
        if (_stage != what + unit)
        {
            EndStage();
            (_stage, _preparing) = (what + unit, new ProgressBar(session, what, unit));
        }

        _preparing!.Report(done, total);
    }

    public override void Ready(TrainingPlan plan)
    {
        EndStage();
        string layers = plan.Config.NumLayers == 1 ? "1 layer" : $"{plan.Config.NumLayers} layers";
        session.Tell($"model: {Show.Count(plan.Parameters)} parameters ({plan.Parameters}), {layers} of width {plan.Config.HiddenSize}, "
            + $"vocabulary {plan.Config.VocabSize}");
        if (plan.Recipe.Adapter is { } adapter)
        {
            session.Tell(string.Create(CultureInfo.InvariantCulture, $"adapter: {adapter.MethodName} of rank {adapter.Rank}, "
                + $"{Show.Count(plan.TrainableParameters)} trainable parameters ({plan.TrainableParameters}), "
                + $"{100.0 * plan.TrainableParameters / plan.Parameters:0.00} % of the model's"));
        }

        session.Tell($"memory: about {Show.Bytes(plan.Memory.TotalBytes)} (weights {Show.Bytes(plan.Memory.WeightBytes)}, gradients "
            + $"{Show.Bytes(plan.Memory.GradientBytes)}, optimizer {Show.Bytes(plan.Memory.OptimizerBytes)}, activations "
            + $"{Show.Bytes(plan.Memory.ActivationBytes)}{(plan.Memory.TeacherBytes > 0 ? $", teacher {Show.Bytes(plan.Memory.TeacherBytes)}" : "")})");
        string data = plan.TrainingTokens > 0 ? $"; {Show.Count(plan.TrainingTokens)} tokens of text, each read "
            + $"{Show.Number((double)plan.Steps * plan.TokensPerStep / plan.TrainingTokens)} times" : "";
        string time = plan.SecondsPerStep > 0 ? $", about {Show.Duration(plan.Expected)}" : "";
        session.Tell($"run: {plan.Steps} steps of {plan.TokensPerStep} tokens{(plan.FirstStep > 0 ? $", {plan.FirstStep} of them made" : "")}{time}{data}");
        session.Tell($"output: {plan.Recipe.Output.Folder}");
        _bar = new TrainingBar(session, plan);
    }

    public override void Stepped(StepRecord record, TrainingPlan plan)
    {
        _made.Add(record);
        if (json)
        {
            session.Output.Flush();
            using (System.Text.Json.Utf8JsonWriter writer = new(session.OutputBytes))
            {
                TrainingLog.Write(writer, record);
            }

            session.OutputBytes.WriteByte((byte)'\n');
            session.OutputBytes.Flush();
        }

        if (record.Evaluation is { } evaluation && !json)
        {
            string bits = double.IsFinite(evaluation.BitsPerByte) ? $", {Loss(evaluation.BitsPerByte)} bits per byte" : "";
            string terms = record.Terms.Count > 1 ? $" ({string.Join(", ", record.Terms.Select(term => $"{term.Name} {Loss(term.Value)}"))})" : "";
            bits += evaluation.Accuracy is { } accuracy ? string.Create(CultureInfo.InvariantCulture, $", {100 * accuracy:0.0} % told right") : "";
            _bar?.Clear();
            session.Tell($"step {record.Step}: loss {Loss(record.Loss)}{terms}, held out {Loss(evaluation.Loss)}{bits}");
            if (evaluation.Sources.Count > 0 && record.Step == plan.Steps)
            {
                TellSources(evaluation.Sources);
            }
        }

        _bar?.Report(record);
    }

    public override void Sampled(long step, string prompt, string text)
    {
        if (!json)
        {
            _bar?.Clear();
            session.Tell($"step {step}: {Session.Visible(prompt)}|{Session.Visible(text)}");
        }
    }

    /// <summary>What is there at the end.</summary>
    public void Finish(TrainingRun run, TrainingResult result)
    {
        _bar?.Dispose();
        if (json)
        {
            return;
        }

        int columns = LossCurve.ColumnsOfCurve(Console.IsOutputRedirected ? 79 : Session.Columns);
        session.Output.Write(LossCurve.Text(result.Records, columns));
        foreach (string term in result.Records.SelectMany(record => record.Terms).Select(term => term.Name).Distinct())
        {
            session.Output.WriteLine($"the {term} term:");
            session.Output.Write(LossCurve.Text([.. result.Records.Where(record => record.Terms.Any(each => each.Name == term))
                .Select(record => record with { Loss = record.Terms.First(each => each.Name == term).Value })], columns));
        }

        if (run.Plan.Recipe.IsRandom && TrainingSpeed.Of(run.Plan, _made, run.Threads) is { } speed)
        {
            session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{speed.TokensPerSecond:0} tokens/s, {speed.Gflops:0.0} GFLOP/s, {100 * speed.ShareOfPeak:0.0} % of the float32 peak of "
                    + $"{speed.PeakGflops:0.0} GFLOP/s ({run.Threads} threads, {run.Plan.Parameters} parameters)"));
        }

        if (result.General is { } general)
        {
            session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{run.Plan.Recipe.Output.Measure}: {general.Before:0.0000} bits per byte before, {general.After:0.0000} after ({100 * ((general.After / general.Before) - 1):+0.0;-0.0;0.0} %)"));
        }

        session.Output.WriteLine(run.Plan.Recipe.Adapter is null
            ? $"The model is in {result.Folder}. Try: kidogo run {result.Folder}"
            : $"The adapter is in {result.Folder}. Try: kidogo run {run.Plan.Recipe.Model.From} --adapter {result.Folder}");
    }

    /// <summary>What a teacher was worth.</summary>
    public void Compared(StudentComparison comparison)
    {
        _bar?.Dispose();
        if (!json)
        {
            session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"held-out texts: {comparison.WithTeacher.BitsPerByte:0.0000} bits per byte with the teacher, "
                + $"{comparison.WithoutTeacher.BitsPerByte:0.0000} without ({100 * ((comparison.WithTeacher.BitsPerByte / comparison.WithoutTeacher.BitsPerByte) - 1):+0.0;-0.0;0.0} %)"));
        }
    }

    public void Dispose()
    {
        EndStage();
        _bar?.Dispose();
    }

    private void TellSources(IReadOnlyList<SourceEvaluation> sources)
    {
        foreach (SourceEvaluation source in sources)
        {
            string bits = double.IsFinite(source.BitsPerByte) ? $", {Loss(source.BitsPerByte)} bits per byte" : "";
            session.Tell($"  {source.Path}: held out {Loss(source.Loss)}{bits}");
        }
    }

    private static string Loss(double loss) => loss.ToString("0.0000", CultureInfo.InvariantCulture);

    private void EndStage()
    {
        _preparing?.Dispose();
        (_preparing, _stage) = (null, "");
    }
}
