// kidogo explain length: what attention costs as texts double, measured.
using System.CommandLine;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation.Explanations;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Cli.Explain;

internal static class ExplainLengthVerb
{
    private const int UsualLongest = 4096;
    private const double UsualSeconds = 20;

    private sealed record Options(ModelRequest Request, int? Longest, double Seconds, bool Json);

    public static Command Create(Session session)
    {
        Argument<string?> model = Opt.OptionalModel();
        Option<int?> longest = Opt.Int("--longest", $"Tokens of the longest text (default {UsualLongest}, or the model's context where that is shorter)", 2);
        Option<double?> seconds = Opt.Number("--seconds", $"Begin no length that would probably go beyond this time (default {UsualSeconds})", 0.1, 86_400);
        Option<int?> threads = Opt.Threads();
        Option<string?> loadAs = Opt.LoadAs();
        Option<bool> exact = Opt.Exact();
        Option<bool> json = Opt.Flag("--json", "Print one JSON object for each length");
        Command command = new("length", "Time and memory of attention as texts double, measured on this machine") { model, longest, seconds, threads, exact, loadAs, json };
        command.SetAction(parsed => Run(session, new Options(new ModelRequest(parsed.GetValue(model), parsed.GetValue(threads), parsed.GetValue(exact), parsed.GetValue(loadAs)), parsed.GetValue(longest),
            parsed.GetValue(seconds) ?? UsualSeconds, parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        ModelHeader header = OpenModel.OpenHeader(options.Request);
        if (options.Longest > header.Config.ContextLength)
        {
            using (header)
            {
                throw new FailureException($"--longest is {options.Longest}, more than the model's context of {header.Config.ContextLength} tokens.");
            }
        }

        int longest = Math.Min(options.Longest ?? UsualLongest, header.Config.ContextLength);
        using OpenModel open = OpenModel.Load(session, options.Request, header, longest, options.Request.Exact ? KvFormat.F32 : KvFormat.F16);
        List<LengthCost> costs = [];
        using (ProgressBar bar = new(session, "measuring", "tokens"))
        {
            foreach (LengthCost cost in LengthCosts.Measure(open.Model, open.Context, longest, TimeSpan.FromSeconds(options.Seconds), session.Interrupted))
            {
                costs.Add(cost);
                bar.Report(cost.Tokens, longest);
                if (options.Json)
                {
                    JsonOutput.Write(session, json =>
                    {
                        json.WriteNumber("tokens", cost.Tokens);
                        json.WriteNumber("seconds", cost.Seconds);
                        json.WriteNumber("attention_seconds", cost.AttentionSeconds);
                        json.WriteNumber("cache_bytes", cost.CacheBytes);
                        json.WriteNumber("matrix_bytes", cost.MatrixBytes);
                    });
                }
            }
        }

        if (!options.Json)
        {
            Write(session, costs, open.Config, longest);
        }

        return ExitCode.Done;
    }

    private static void Write(Session session, List<LengthCost> costs, DecoderConfig config, int longest)
    {
        MatrixText.Say(session, $"Reading texts that double, {config.NumLayers} layers:");
        session.Output.WriteLine();
        string Times(double before, double now) => before > 0 ? string.Create(CultureInfo.InvariantCulture, $"x{now / before:0.0}") : "";
        bool isNarrow = MatrixText.Columns < 66;
        string[] headings = isNarrow ? [">tokens", ">attention", ">", ">rest", ">"] : [">tokens", ">attention", ">", ">rest", ">", ">cache", ">T x T"];
        session.Output.Write(Show.Table(headings, costs.Select((cost, at) =>
        {
            LengthCost? before = at > 0 ? costs[at - 1] : null;
            string[] all = [$"{cost.Tokens}", Time(cost.AttentionSeconds), Times(before?.AttentionSeconds ?? 0, cost.AttentionSeconds), Time(cost.Seconds - cost.AttentionSeconds),
                Times(before is null ? 0 : before.Seconds - before.AttentionSeconds, cost.Seconds - cost.AttentionSeconds), Show.Bytes(cost.CacheBytes), Show.Bytes(cost.MatrixBytes)];
            return all[..headings.Length];
        })));
        session.Output.WriteLine();
        if (isNarrow)
        {
            session.Output.Write(Show.Table([">tokens", ">cache", ">T x T"], costs.Select(cost => (string[])[$"{cost.Tokens}", Show.Bytes(cost.CacheBytes), Show.Bytes(cost.MatrixBytes)])));
            session.Output.WriteLine();
        }

        int width = Math.Clamp(MatrixText.Columns - 20, 8, 60);
        session.Output.WriteLine(WordWrap.Wrap("time for each token (# attention, = rest):", MatrixText.Columns));
        double most = costs.Max(cost => cost.Seconds / cost.Tokens);
        foreach (LengthCost cost in costs)
        {
            string attention = MatrixText.Bar(cost.AttentionSeconds / cost.Tokens, most, width), whole = MatrixText.Bar(cost.Seconds / cost.Tokens, most, width, '=');
            session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{cost.Tokens,7} {1e6 * cost.Seconds / cost.Tokens,7:0} us {attention}{whole[Math.Min(attention.Length, whole.Length)..]}"));
        }

        session.Output.WriteLine();
        LengthCost last = costs[^1];
        MatrixText.Say(session, $"Attention compares each token with all before it: its time grows towards four times for twice the text, while that of the rest doubles. At {last.Tokens} tokens it is {100 * last.AttentionSeconds / last.Seconds:0} % of the time.");
        MatrixText.Say(session, $"The cache (keys and values, measured) doubles. The T x T weights of one layer's heads in float32 would take four times as much (computed): they are never kept whole, only a piece at a time.");
        if (2L * last.Tokens <= longest)
        {
            MatrixText.Say(session, $"Stopped here since {2 * last.Tokens} tokens would probably take too long; --seconds allows more.");
        }
    }

    private static string Time(double seconds) => seconds switch
    {
        < 0.1 => string.Create(CultureInfo.InvariantCulture, $"{1e3 * seconds:0.0} ms"),
        < 1 => string.Create(CultureInfo.InvariantCulture, $"{1e3 * seconds:0} ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{seconds:0.00} s"),
    };
}
