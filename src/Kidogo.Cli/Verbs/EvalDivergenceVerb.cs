// kidogo eval divergence: how far a model is from another on a text.
using System.CommandLine;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Cli.Verbs;

internal static class EvalDivergenceVerb
{
    private sealed record Options(ModelRequest Request, string Base, string? Ids, string? Text, bool Json);

    public static Command Create(Session session)
    {
        Argument<string> model = Opt.Model();
        Option<string> against = new("--base") { Description = "What to measure against: a model, or logits that kidogo logits wrote", HelpName = "MODEL2|FILE.f32", Required = true };
        Option<string?> text = Opt.Text("--text", "FILE", "The text");
        Option<string?> ids = Opt.Text("--ids", "FILE", "The text as token ids");
        Option<int?> threads = Opt.Threads();
        Option<string?> loadAs = Opt.LoadAs();
        Option<string?> adapter = Opt.Adapter();
        Option<bool> exact = Opt.Exact();
        Option<bool> json = Opt.Json();
        Command command = new("divergence", "Measure how far a model's predictions are from a base's") { model, against, text, ids, threads, exact, loadAs, adapter, json };
        command.SetAction(parsed => Run(session, new Options(
            new ModelRequest(parsed.GetRequiredValue(model), parsed.GetValue(threads), parsed.GetValue(exact), parsed.GetValue(loadAs)) { Adapter = parsed.GetValue(adapter) },
            parsed.GetRequiredValue(against), parsed.GetValue(ids), parsed.GetValue(text), parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        using ModelHeader header = OpenModel.OpenHeader(options.Request);
        int[] ids = EvalVerb.ReadIds(options.Ids, options.Text, header);
        if (ids.Length == 0)
        {
            throw new FailureException($"{options.Ids ?? options.Text} holds no tokens; give at least one.");
        }

        KvFormat format = options.Request.Exact ? KvFormat.F32 : KvFormat.F16;
        int length = Math.Min(ids.Length, header.Config.ContextLength);
        bool isFile = options.Base.EndsWith(".f32", StringComparison.OrdinalIgnoreCase);
        using ModelHeader? baseHeader = isFile ? null : OpenModel.OpenHeader(options.Request with { Model = options.Base, LoadAs = null });
        using OpenModel open = OpenModel.Load(session, options.Request, header, length, format);
        using OpenModel? other = baseHeader is null ? null : OpenModel.Load(session, options.Request with { Adapter = null }, baseHeader, length, format);
        using ProgressBar bar = new(session, "comparing", "tokens");
        DivergenceReport report = other is null
            ? DivergenceRun.AgainstFile(open.Model, open.Context, InputFile.Existing(options.Base), ids, (done, total) => bar.Report(done, total), session.Interrupted)
            : DivergenceRun.AgainstModel(open.Model, open.Context, other.Model, other.Context, ids, (done, total) => bar.Report(done, total), session.Interrupted);
        bar.Dispose();
        if (options.Json)
        {
            JsonOutput.Write(session, json =>
            {
                json.WriteFinite("kl_divergence", report.MeanKl);
                json.WriteFinite("kl_p99", report.KlP99);
                json.WriteFinite("top1_agreement", report.Top1Agreement);
                json.WriteNumber("tokens", report.Tokens);
            });
            return ExitCode.Done;
        }

        session.Output.Write(Show.Table(["", ">"],
        [
            ["mean divergence", report.MeanKl.ToString("0.000000", CultureInfo.InvariantCulture)],
            ["99th percentile", report.KlP99.ToString("0.000000", CultureInfo.InvariantCulture)],
            ["same first choice", $"{(100 * report.Top1Agreement).ToString("0.00", CultureInfo.InvariantCulture)} %"],
            ["tokens", report.Tokens.ToString(CultureInfo.InvariantCulture)],
        ]).TrimStart('\n', ' '));
        return ExitCode.Done;
    }
}
