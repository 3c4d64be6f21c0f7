// kidogo prune: a model without the weights, neurons, heads, channels or layers that matter least.
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Kidogo.Cli.Shell;
using Kidogo.Cli.Training;
using Kidogo.Compression.Passports;
using Kidogo.Compression.Pruning;
using Kidogo.Compression.Reports;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Passports;

namespace Kidogo.Cli.Verbs;

internal static class PruneVerb
{
    private const int MostTokens = 65536;

    public static Command Create(Session session)
    {
        Argument<string> model = Opt.Model();
        Argument<string> output = Opt.Out();
        PruneOptions options = new();
        Command command = new("prune", "Make a model smaller by leaving out what matters least: weights, neurons, heads, layers") { model, output };
        foreach (Option option in options.All)
        {
            command.Options.Add(option);
        }

        command.SetAction(parsed => Run(session, parsed.GetRequiredValue(model), parsed.GetRequiredValue(output), options, parsed));
        return command;
    }

    private static int Run(Session session, string name, string output, PruneOptions options, ParseResult parsed)
    {
        options.Check(parsed);
        string model = ModelChoice.Locate(name);
        (string? text, string? idFile) = (parsed.GetValue(options.Text), parsed.GetValue(options.Ids));
        (string? report, string? reportText, string? reportIds) = (parsed.GetValue(options.Report), parsed.GetValue(options.ReportText), parsed.GetValue(options.ReportIds));
        using ModelHeader header = ModelHeader.Open(model);
        string? calibration = parsed.GetValue(options.Calibration);
        Overwriting.Refuse(output, header, text, idFile, calibration, reportText, reportIds);
        if (!output.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) && Directory.Exists(output) && Directory.EnumerateFileSystemEntries(output).Any())
        {
            throw new FailureException($"The folder {output} is there already and not empty. Name a new one, so that no files of two models are mixed up.");
        }

        int[] all = text is null && idFile is null ? [] : EvalVerb.ReadIds(idFile, text, header);
        int most = Math.Min(all.Length, parsed.GetValue(options.Tokens) ?? MostTokens);
        int threads = parsed.GetValue(options.Threads) ?? MachineInfo.CountPhysicalCores();
        bool isJson = parsed.GetValue(options.Json);
        using TrainingScreen screen = new(session, json: false);
        string work = parsed.GetValue(options.Work) ?? $"{output}.work";
        PruneRequest request = options.Request(parsed) with
        {
            Ids = all.AsMemory(0, most),
            Threads = threads,
            Calibration = calibration is null ? null : QuantizeText.ReadImportance(calibration, header),
        };
        if (request.Format is { Format.BlockSize: > 1 } mix && !output.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase))
        {
            throw new UsageException($"A folder holds no block formats such as {mix.Name}: give OUT a name that ends in .gguf, or take F32, F16 or BF16.");
        }

        request = request with { Heal = options.Heal(parsed, work, screen, threads) };
        session.Patience = request.Heal is null ? session.Patience : TimeSpan.FromMinutes(10);
        Func<ModelWriteOptions, ModelWriteOptions> passport = Provenance.Begin(session, header, Recipe(options, parsed), threads);
        PruneReport done;
        try
        {
            using StageBar stages = new(session);
            using ProgressBar bar = new(session, "writing", "bytes");
            done = ModelOutput.Guarded(session, output, write => Pruner.Run(header, output, request with { Progress = stages.Report }, write, session.Interrupted), bar, threads, passport);
        }
        catch (OperationCanceledException) when (request.Heal is not null)
        {
            session.Tell($"What is done is kept in {work}: the same command goes on.");
            throw;
        }

        if (request.Heal is not null)
        {
            Healing.Clean(work);
        }

        foreach (string remark in done.Remarks)
        {
            session.Warn(remark);
        }

        bool isOwn = reportText is null && reportIds is null;
        ReadOnlyMemory<int> judged = isOwn ? Judged(all, most) : EvalVerb.ReadIds(reportIds, reportText, header);
        ModelComparison? comparison = judged.Length < 2 ? null : Compare(session, model, output, judged, threads, isTimed: request.Structure is not null || request.Format is not null);
        if (comparison is not null && isOwn && judged.Length == all.Length)
        {
            session.Tell("both models are compared on the text that was measured on, which flatters: --report-text FILE names another");
        }

        if (report is not null)
        {
            PruneStory story = new(model, output, done, comparison, $"{MachineInfo.Read().Processor}, {threads} threads");
            AtomicFile.Guarded(report, () => PruneReportFile.Write(report, story));
        }

        Tell(session, output, done, comparison, isJson);
        return ExitCode.Done;
    }

    /// <summary>What was not calibrated on, where there is enough of it, else what was.</summary>
    private static ReadOnlyMemory<int> Judged(int[] all, int used)
    {
        const int Enough = 1024;
        return all.Length - used >= Enough ? all.AsMemory(used) : all;
    }

    private static ModelComparison Compare(Session session, string model, string output, ReadOnlyMemory<int> ids, int threads, bool isTimed)
    {
        using ProgressBar bar = new(session, "comparing", "tokens");
        ComparisonOptions options = new() { Threads = threads, Progress = bar.Report };
        options = isTimed ? options : options with { Speed = null }; // zeros alone change no speed
        return ModelComparison.Measure(model, output, ids.Span, options, session.Interrupted);
    }

    private static DerivationOptions Recipe(PruneOptions options, ParseResult parsed) => new()
    {
        Verb = SparseModel.Verb,
        Options = options.Described(parsed),
        Data = [.. options.DataFiles(parsed)],
        Measure = parsed.GetValue(options.Measure) ?? [],
    };

    private static void Tell(Session session, string output, PruneReport report, ModelComparison? comparison, bool isJson)
    {
        if (isJson)
        {
            JsonOutput.Write(session, json => WriteJson(json, report, comparison));
            return;
        }

        foreach (string what in report.Gone)
        {
            session.Tell($"gone: {what}");
        }

        List<string[]> rows =
        [
            ["parameters", Show.Count(report.ParametersBefore), Show.Count(report.Parameters)],
            ["bytes of weights, of files", Show.Bytes(report.BytesBefore), Show.Bytes(report.Bytes)],
        ];
        if (report.Sparsity > 0)
        {
            rows.Add(["zeros in the layers' matrices", "", string.Create(CultureInfo.InvariantCulture, $"{report.Sparsity:P1}")]);
        }

        if (comparison is not null)
        {
            static string Number(double value, string form) => value.ToString(form, CultureInfo.InvariantCulture);
            rows.Add(["perplexity", Number(comparison.Before.Text.Perplexity, "0.000"), Number(comparison.After.Text.Perplexity, "0.000")]);
            rows.Add(["divergence in nats, same first choice", "", string.Create(CultureInfo.InvariantCulture, $"{comparison.Divergence.MeanKl:0.0000}, {comparison.Divergence.Top1Agreement:P1}")]);
            if (comparison.Before.Speed is { } before && comparison.After.Speed is { } after)
            {
                rows.Add(["tokens a second", Number(before.DecodeTokensPerSecond, "0.0"), Number(after.DecodeTokensPerSecond, "0.0")]);
            }
        }

        session.Output.Write(Show.Table(["", ">before", ">after"], rows));
        session.Tell($"{output}: {Show.Bytes(report.Bytes)}");
    }

    private static void WriteJson(Utf8JsonWriter json, PruneReport report, ModelComparison? comparison)
    {
        json.WriteNumber("parameters", report.Parameters);
        json.WriteNumber("parameters_before", report.ParametersBefore);
        json.WriteFinite("sparsity", report.Sparsity);
        json.WriteNumber("bytes", report.Bytes);
        PruneReportFile.WriteTensors(json, report);
        if (comparison is not null)
        {
            PruneReportFile.WriteComparison(json, comparison);
        }
    }
}
