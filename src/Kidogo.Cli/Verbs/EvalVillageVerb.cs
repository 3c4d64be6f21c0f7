// kidogo eval village: what a model knows of stories about the village.
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Kidogo.Cli.Shell;
using Kidogo.Data.Village;
using Kidogo.Evaluation.Tasks;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Cli.Verbs;

internal static class EvalVillageVerb
{
    private sealed record Options(ModelRequest Request, VillageOptions Village, int Stories, bool Json);

    public static Command Create(Session session)
    {
        Argument<string> model = Opt.Model();
        Option<int?> stories = Opt.Int("--stories", "How many stories are told (default 50)", 1);
        VillageArguments village = new(VillageSplit.Test);
        Option<int?> threads = Opt.Threads();
        Option<string?> loadAs = Opt.LoadAs();
        Option<string?> adapter = Opt.Adapter();
        Option<bool> exact = Opt.Exact();
        Option<bool> json = Opt.Json();
        Command command = new("village", "Ask a model about stories of a simulated village whose answers are known") { model, stories, threads, exact, loadAs, adapter, json };
        foreach (Option option in village.All)
        {
            command.Options.Add(option);
        }

        command.SetAction(parsed => Run(session, new Options(
            new ModelRequest(parsed.GetRequiredValue(model), parsed.GetValue(threads), parsed.GetValue(exact), parsed.GetValue(loadAs)) { Adapter = parsed.GetValue(adapter) },
            village.Read(parsed), parsed.GetValue(stories) ?? 50, parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        using ModelHeader header = OpenModel.OpenHeader(options.Request);
        using OpenModel open = OpenModel.Load(session, options.Request, header, header.Config.ContextLength, options.Request.Exact ? KvFormat.F32 : KvFormat.F16);
        if (!open.Text.HasTokenizer)
        {
            throw new FailureException($"{header.Path} has no tokenizer, so it cannot be asked in words.");
        }

        VillageReport report;
        using (ProgressBar bar = new(session, "asking", "stories"))
        {
            report = VillageTask.Measure(open.Model, open.Text, open.Context, new VillageTaskOptions { Village = options.Village, Stories = options.Stories, Progress = bar.Report }, session.Interrupted);
        }

        if (options.Json)
        {
            JsonOutput.Write(session, json => WriteJson(json, report));
            return ExitCode.Done;
        }

        session.Output.Write(Show.Table(["questions", ">asked", ">right", ">word for word", ">without reading"],
        [
            .. report.Kinds.Select(kind => Row(VillageFiles.KindName(kind.Kind).Replace('_', ' '), kind.Questions, kind.Accuracy, kind.Exact, kind.Baseline)),
            Row("all", report.Questions, report.Accuracy, report.Exact, report.Baseline),
        ]));
        VillageHonesty honesty = report.Honesty;
        session.Output.Write("\n" + Show.Table(["", ">"],
        [
            ["says \"nobody knows\" where that is right", Percent(honesty.Recall)],
            ["is right when it says so", Percent(honesty.Precision)],
            ["says so where the story answers", Percent(honesty.FalseAlarms)],
            ["Brier score of \"nobody knows\"", Number(honesty.Brier)],
            ["calibration error", Number(report.CalibrationError)],
            ["perplexity of the right answers", Number(report.AnswerPerplexity)],
            .. double.IsNaN(report.Summaries) ? (string[][])[] : [["summaries, word for word", Percent(report.Summaries)]],
        ]).TrimStart('\n', ' '));
        return ExitCode.Done;
    }

    private static string[] Row(string name, int questions, double accuracy, double exact, double baseline) =>
        [name, questions.ToString(CultureInfo.InvariantCulture), Percent(accuracy), Percent(exact), Percent(baseline)];

    private static string Percent(double share) => double.IsNaN(share) ? "-" : string.Create(CultureInfo.InvariantCulture, $"{100 * share:0.0} %");

    private static string Number(double value) => value.ToString("0.0000", CultureInfo.InvariantCulture);

    private static void WriteJson(Utf8JsonWriter json, VillageReport report)
    {
        json.WriteNumber("questions", report.Questions);
        json.WriteFinite("question_accuracy", report.Accuracy);
        json.WriteFinite("exact_accuracy", report.Exact);
        json.WriteFinite("baseline_accuracy", report.Baseline);
        json.WriteStartObject("kinds");
        foreach (VillageKindScore kind in report.Kinds)
        {
            json.WriteStartObject(VillageFiles.KindName(kind.Kind));
            json.WriteNumber("questions", kind.Questions);
            json.WriteFinite("accuracy", kind.Accuracy);
            json.WriteFinite("exact", kind.Exact);
            json.WriteFinite("baseline", kind.Baseline);
            json.WriteEndObject();
        }

        json.WriteEndObject();
        VillageHonesty honesty = report.Honesty;
        json.WriteFinite("unknown_recall", honesty.Recall);
        json.WriteFinite("unknown_precision", honesty.Precision);
        json.WriteFinite("unknown_false_alarms", honesty.FalseAlarms);
        json.WriteFinite("unknown_brier", honesty.Brier);
        json.WriteFinite("calibration_error", report.CalibrationError);
        json.WriteFinite("answer_nll", report.AnswerNll);
        json.WriteFinite("answer_perplexity", report.AnswerPerplexity);
        json.WriteFinite("summary_accuracy", report.Summaries);
    }
}
