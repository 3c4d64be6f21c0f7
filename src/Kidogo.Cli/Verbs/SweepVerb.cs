// kidogo sweep: a recipe with lists of values, tried by successive halving within a time.
using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Kidogo.Cli.Shell;
using Kidogo.Cli.Training;
using Kidogo.Compression.Reports;
using Kidogo.Evaluation.Machine;
using Kidogo.Models.Passports;
using Kidogo.Training.Recipes;
using Kidogo.Training.Sweeps;

namespace Kidogo.Cli.Verbs;

internal static class SweepVerb
{
    private static readonly TimeSpan s_timeToSave = TimeSpan.FromMinutes(10);
    private static readonly string[] s_own = ["minutes", "out"];

    public static Command Create(Session session)
    {
        Argument<string?> file = new("RECIPE") { Description = "A YAML file of kidogo train, distil or adapt in which fields have lists of values; options go before it", Arity = ArgumentArity.ZeroOrOne };
        Option<double?> minutes = Opt.Number("--minutes", "The time for all runs together; it says how many tokens each reads, unless steps or tokens do", 0, 1e6);
        minutes.Required = true;
        Option<string> output = new("--out") { Description = "The folder of all runs, and of the report", HelpName = "FOLDER", Required = true };
        Option<string?> verb = Opt.Choice("--as", "What each run is (default: as its fields say)", "train", "distil", "adapt");
        Option<bool> json = Opt.Json();
        Command command = new("sweep", "Try lists of values of a recipe, leave the worse half behind again and again, and keep everything") { file, minutes, output, verb, json };
        IEnumerable<RecipeField> fields = RecipeFields.All.Concat(RecipeFields.OfAdapters).Concat(RecipeFields.OfDistillation).Concat(RecipeFields.OfPreferences);
        List<(RecipeField Field, Option Option)> options = TrainVerb.AddFields(command, fields.Where(field => !s_own.Contains(field.Name)));
        command.SetAction(parsed => Run(session, parsed.GetValue(verb), parsed.GetValue(file), TrainVerb.Given(parsed, options), parsed.GetValue(minutes)!.Value, parsed.GetValue(output)!, parsed.GetValue(json)));
        return command;
    }

    private static int Run(Session session, string? verb, string? file, List<KeyValuePair<string, IReadOnlyList<string>>> given, double minutes, string output, bool json)
    {
        if (file is not null && !File.Exists(file))
        {
            throw new UsageException(Directory.Exists(file) ? $"{file} is a folder, where a recipe was expected." : $"There is no recipe {file}.");
        }

        session.Patience = s_timeToSave;
        OutFolder.CheckWritable(output);
        SweepGrid grid = SweepGrid.Read(verb, file, given, Path.GetFullPath(output));
        string again = $"kidogo sweep{(verb is null ? "" : $" --as {verb}")}{string.Concat(given.Select(field => string.Concat(field.Value.Select(value => $" --{field.Key.Replace('_', '-')} {Quoted(value)}"))))}"
            + $"{(file is null ? "" : $" {Quoted(file)}")} --minutes {minutes.ToString(CultureInfo.InvariantCulture)} --out {Quoted(output)}";
        SweepResult result;
        using (SweepScreen screen = new(session, found => Report(found, again).Write(found.Folder)))
        {
            try
            {
                result = new Sweep(grid, new SweepOptions { Folder = output, Time = TimeSpan.FromMinutes(minutes) }, screen).Run(session.Interrupted);
            }
            catch (OperationCanceledException)
            {
                session.Tell($"What is done is kept. To go on: {again}");
                throw;
            }
        }

        AtomicFile.Guarded(output, () => Report(result, again).Write(result.Folder));
        if (json)
        {
            JsonOutput.Write(session, writer => SweepReport.Write(writer, result));
        }
        else
        {
            session.Output.Write(SweepTable.Of(result, Console.IsOutputRedirected ? 120 : Session.Columns));
            session.Output.WriteLine(WordWrap.Wrap(End(result, again), Console.IsOutputRedirected ? int.MaxValue : Session.Columns));
        }

        return ExitCode.Done;
    }

    private static string End(SweepResult result, string again)
    {
        string report = $"Report: {Path.Combine(result.Folder, "report.html")}";
        return result.Best is not { } best ? $"The time was up before any run was judged. To go on: {again}"
            : result.IsComplete ? $"The best is {best.Run.Name} ({best.Run.Label}), in {best.Folder}. {report}"
            : $"The time was up; the best so far is {best.Run.Name} ({best.Run.Label}). {report}. To go on: {again}";
    }

    private static SweepReport Report(SweepResult result, string again) => new(result,
        [
            ("processor", MachineInfo.Read().Processor),
            ("system", $"{RuntimeInformation.OSDescription}, {RuntimeInformation.FrameworkDescription}"),
            ("Kidogo", PassportRecipe.ThisProgram),
        ], [again]);

    private static string Quoted(string text) => text.Length > 0 && text.All(c => char.IsAsciiLetterOrDigit(c) || "-_./:=+,@%".Contains(c, StringComparison.Ordinal)) ? text : $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
