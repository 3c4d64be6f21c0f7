// kidogo demo: the whole life cycle on stories that come with the program.
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Kidogo.Cli.Demo;
using Kidogo.Cli.Shell;
using Kidogo.Compression.Demo;
using Kidogo.Compression.Reports;
using Kidogo.Models.Files;

namespace Kidogo.Cli.Verbs;

internal static class DemoVerb
{
    private static readonly TimeSpan s_timeToSave = TimeSpan.FromMinutes(2);

    private sealed record Options(DemoOptions Demo, bool Force, bool Json);

    public static Command Create(Session session)
    {
        Option<string?> output = Opt.Text("--out", "FOLDER", "Where everything goes (default kidogo-demo); an unfinished demo there is gone on with");
        Option<bool> force = Opt.Flag("--force", "Begin again: remove what an earlier demo wrote there");
        Option<bool> quick = Opt.Flag("--quick", "A few seconds of training, to see that everything works");
        Option<bool> isLong = Opt.Flag("--long", "About 30 minutes: all languages and kinds of questions");
        Option<ulong?> seed = Opt.Seed();
        seed.Description = "Decides stories, first weights and order (default 0)";
        Option<int?> threads = Opt.Threads();
        Option<bool> json = Opt.Flag("--json", "Print one JSON object for each model");
        Command command = new("demo", "Make a model from nothing, make it smaller, judge it, and write a report: two minutes") { output, force, quick, isLong, seed, threads, json };
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(quick) && parsed.GetValue(isLong))
            {
                throw new UsageException("--quick and --long exclude each other; give one.");
            }

            DemoOptions demo = new()
            {
                Folder = parsed.GetValue(output) ?? new DemoOptions().Folder,
                Length = parsed.GetValue(quick) ? DemoLength.Quick : parsed.GetValue(isLong) ? DemoLength.Long : DemoLength.Usual,
                Seed = parsed.GetValue(seed) ?? 0,
                Threads = parsed.GetValue(threads) ?? 0,
            };
            return Run(session, new Options(demo, parsed.GetValue(force), parsed.GetValue(json)));
        });
        return command;
    }

    private static int Run(Session session, Options options)
    {
        OutFolder.CheckWritable(options.Demo.Folder);
        session.Patience = s_timeToSave;
        if (options.Force)
        {
            DemoRun.Clear(options.Demo.Folder);
        }

        long start = Stopwatch.GetTimestamp();
        DemoResult result;
        using (DemoScreen screen = new(session))
        {
            try
            {
                result = new DemoRun(options.Demo, screen).Run(session.Interrupted);
            }
            catch (OperationCanceledException)
            {
                screen.Clear();
                session.Tell("What is finished is kept. To go on: the same command again.");
                throw;
            }
            catch (IOException failure) when (NewFile.IsDiskFull(failure))
            {
                throw new FailureException($"The disk is full ({failure.Message.TrimEnd('.')}). What is finished is kept: free some space, and give the same command again.");
            }
        }

        if (options.Json)
        {
            foreach (JudgedModel model in result.Models)
            {
                JsonOutput.Write(session, model.Write);
            }

            return ExitCode.Done;
        }

        session.Output.Write(DemoTable.Of(result.Models, Console.IsOutputRedirected ? 120 : Session.Columns));
        session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"\nThe report is {Path.Combine(options.Demo.Folder, "report.html")}; all of it took {Show.Duration(Stopwatch.GetElapsedTime(start))}. Talk to the result:\n"));
        session.Output.WriteLine($"  kidogo run {Path.Combine(options.Demo.Folder, DemoRun.TalkName)} --temperature 0 \"{result.ToTalkTo.Prompt}\"");
        return ExitCode.Done;
    }
}
