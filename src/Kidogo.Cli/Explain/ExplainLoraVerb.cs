// kidogo explain lora: W' = W + BA, with the parameters that it saves.
using System.CommandLine;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation.Explanations;

namespace Kidogo.Cli.Explain;

internal static class ExplainLoraVerb
{
    private static readonly (int Rows, int Columns)[] s_sizes = [(64, 64), (576, 1536), (4096, 4096)];

    public static Command Create(Session session)
    {
        Option<string?> weights = Opt.Text("--weights", "ROWS", "W, which stays as it is: \"1 0 2; 0 1 0\" (default: a 4 x 4)");
        Option<string?> up = Opt.Text("--b", "ROWS", "B, as many rows as W and as many columns as the rank");
        Option<string?> down = Opt.Text("--a", "ROWS", "A, as many rows as the rank and as many columns as W");
        Option<double?> alpha = Opt.Number("--alpha", "The product is multiplied by alpha / rank (default: the rank, so that W' = W + BA)", 1e-6, 1e6);
        Option<bool> json = Opt.Json();
        Command command = new("lora", "What an adapter does to a matrix: W' = W + BA, and how many numbers are trained") { weights, up, down, alpha, json };
        command.SetAction(parsed =>
        {
            string? w = parsed.GetValue(weights), b = parsed.GetValue(up), a = parsed.GetValue(down);
            return (b is null) != (a is null) || (w is not null && b is null)
                ? throw new UsageException("W, B and A belong together: give --b and --a, or all three. Example: --weights \"1 0; 0 1\" --b \"1; 2\" --a \"0.5 -1\"")
                : Run(session, LowRankExample.Work(w is null ? LowRankExample.BuiltInWeights : TypedMatrix.Parse(w, "--weights"), b is null ? LowRankExample.BuiltInUp : TypedMatrix.Parse(b, "--b"),
                    a is null ? LowRankExample.BuiltInDown : TypedMatrix.Parse(a, "--a"), parsed.GetValue(alpha)), parsed.GetValue(json));
        });
        return command;
    }

    private static int Run(Session session, LowRankExample example, bool json)
    {
        if (json)
        {
            JsonOutput.Write(session, writer =>
            {
                MatrixText.WriteRows(writer, "weights", example.Weights);
                MatrixText.WriteRows(writer, "b", example.Up);
                MatrixText.WriteRows(writer, "a", example.Down);
                writer.WriteNumber("rank", example.Rank);
                writer.WriteNumber("alpha", example.Alpha);
                MatrixText.WriteRows(writer, "change", example.Change);
                MatrixText.WriteRows(writer, "adapted", example.Adapted);
                writer.WriteNumber("parameters", example.WeightCount);
                writer.WriteNumber("trainable_parameters", example.TrainedCount);
            });
            return ExitCode.Done;
        }

        (int rows, int columns, int rank) = (example.Weights.Rows, example.Weights.Columns, example.Rank);
        string typed = MatrixText.FormatOf(example.Weights, example.Up, example.Down), made = MatrixText.FormatOf(example.Change, example.Adapted);
        MatrixText.Write(session, $"W, {rows} x {columns}, frozen:", example.Weights, typed);
        MatrixText.Write(session, $"B, {rows} x {rank}, trained:", example.Up, typed);
        MatrixText.Write(session, $"A, {rank} x {columns}, trained:", example.Down, typed);
        session.Output.WriteLine();
        bool isScaled = example.Alpha != rank;
        MatrixText.Write(session, isScaled ? FormattableString.Invariant($"{example.Alpha:G6} / {rank} times BA (alpha / rank):") : "BA, what is added:", example.Change, made);
        MatrixText.Write(session, isScaled ? "W' = W + that:" : "W' = W + BA:", example.Adapted, made);
        session.Output.WriteLine();
        int width = Math.Clamp(MatrixText.Columns - 14, 8, 48);
        int most = Math.Max(example.WeightCount, example.TrainedCount);
        session.Output.WriteLine($"all of W {example.WeightCount,4} {MatrixText.Bar(example.WeightCount, most, width)}");
        session.Output.WriteLine($"B and A  {example.TrainedCount,4} {MatrixText.Bar(example.TrainedCount, most, width)}");
        session.Output.WriteLine();
        MatrixText.Say(session, $"{rows} x {columns} = {example.WeightCount} numbers stay; {rows} x {rank} + {rank} x {columns} = {example.TrainedCount} are trained, {100.0 * example.TrainedCount / example.WeightCount:0.##} %.");
        MatrixText.Say(session, $"W grows with rows times columns, B and A with their sum. At the same rank of {rank}:");
        session.Output.Write(Show.Table([">W", ">all", ">trained", ">share"], s_sizes.Select(size =>
        {
            long all = (long)size.Rows * size.Columns, trained = example.TrainedCountOf(size.Rows, size.Columns);
            return (string[])[$"{size.Rows} x {size.Columns}", Show.Count(all), Show.Count(trained), FormattableString.Invariant($"{100.0 * trained / all:0.##} %")];
        })));
        MatrixText.Say(session, $"B begins at zero in training, so that a fresh adapter changes nothing: try --b with zeros.");
        return ExitCode.Done;
    }
}
