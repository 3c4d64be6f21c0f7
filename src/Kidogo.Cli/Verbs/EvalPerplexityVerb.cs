// kidogo eval perplexity: how well a model predicts a text.
using System.CommandLine;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Cli.Verbs;

internal static class EvalPerplexityVerb
{
    private const int UsualContext = 512;

    private sealed record Options(ModelRequest Request, string? Ids, string? Text, int? Context, bool All, bool Accuracy, bool Json);

    public static Command Create(Session session)
    {
        Argument<string> model = Opt.Model();
        Option<string?> text = Opt.Text("--text", "FILE", "The text");
        Option<string?> ids = Opt.Text("--ids", "FILE", "The text as token ids");
        Option<int?> context = Opt.Int("--context", $"Tokens of a window; the second half of each is scored (default {UsualContext}, or the model's context where that is shorter)", 2);
        Option<bool> all = Opt.Flag("--all", "Score every position but the first of each window");
        Option<bool> accuracy = Opt.Flag("--accuracy", "Say also how many of the tokens were the likeliest ones");
        Option<int?> threads = Opt.Threads();
        Option<string?> loadAs = Opt.LoadAs();
        Option<string?> adapter = Opt.Adapter();
        Option<bool> exact = Opt.Exact();
        Option<bool> json = Opt.Json();
        Command command = new("perplexity", "Measure how well a model predicts a text") { model, text, ids, context, all, accuracy, threads, exact, loadAs, adapter, json };
        command.SetAction(parsed => Run(session, new Options(
            new ModelRequest(parsed.GetRequiredValue(model), parsed.GetValue(threads), parsed.GetValue(exact), parsed.GetValue(loadAs)) { Adapter = parsed.GetValue(adapter) },
            parsed.GetValue(ids), parsed.GetValue(text), parsed.GetValue(context), parsed.GetValue(all), parsed.GetValue(accuracy), parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        using ModelHeader header = OpenModel.OpenHeader(options.Request);
        int[] ids = EvalVerb.ReadIds(options.Ids, options.Text, header);
        int window = options.Context ?? Math.Min(UsualContext, header.Config.ContextLength);
        if (window > header.Config.ContextLength)
        {
            throw new FailureException($"--context {window} is more than the model's context of {header.Config.ContextLength}. Give that or less.");
        }

        using OpenModel open = OpenModel.Load(session, options.Request, header, window, options.Request.Exact ? KvFormat.F32 : KvFormat.F16);
        using ProgressBar bar = new(session, "scoring", "windows");
        PerplexityReport report = Perplexity.Measure(open.Model, open.Context, ids, new PerplexityOptions
        {
            WindowLength = window,
            ScoreAll = options.All,
            Progress = (done, total) => bar.Report(done, total),
            BytesOf = open.Text.HasTokenizer ? id => id < open.Text.Tokenizer.VocabularySize ? open.Text.Tokenizer.PieceBytes(id).Length : 0 : null,
        }, session.Interrupted);
        bar.Dispose();
        if (options.Json)
        {
            JsonOutput.Write(session, json =>
            {
                json.WriteFinite("nll", report.MeanNll);
                json.WriteFinite("perplexity", report.Perplexity);
                json.WriteFinite("bits_per_byte", report.BitsPerByte);
                json.WriteNumber("tokens", report.Tokens);
                if (options.Accuracy)
                {
                    json.WriteFinite("next_token_accuracy", report.NextTokenAccuracy);
                }
            });
            return ExitCode.Done;
        }

        List<string[]> rows =
        [
            ["negative log-likelihood", report.MeanNll.ToString("0.000000", CultureInfo.InvariantCulture)],
            ["perplexity", report.Perplexity.ToString("0.0000", CultureInfo.InvariantCulture)],
            ["bits per byte", report.BitsPerByte.ToString("0.0000", CultureInfo.InvariantCulture)],
            ["tokens", report.Tokens.ToString(CultureInfo.InvariantCulture)],
        ];
        if (options.Accuracy)
        {
            rows.Add(["likeliest tokens that came", report.NextTokenAccuracy.ToString("0.0 %", CultureInfo.InvariantCulture)]);
        }

        session.Output.Write(Show.Table(["", ">"], rows).TrimStart('\n', ' '));
        return ExitCode.Done;
    }
}
