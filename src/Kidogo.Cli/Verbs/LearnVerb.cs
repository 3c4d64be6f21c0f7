// kidogo learn: thumbs become an adapter that is used only if it does no harm; versions, and the way back.
using System.CommandLine;
using System.Globalization;
using Kidogo.Cli.Learning;
using Kidogo.Cli.Shell;
using Kidogo.Serving.Access;

namespace Kidogo.Cli.Verbs;

internal static class LearnVerb
{
    private static readonly TimeSpan s_timeToSave = TimeSpan.FromMinutes(1);

    public static Command Create(Session session)
    {
        Argument<string?> model = Opt.OptionalModel();
        Option<string?> feedback = Opt.Text("--feedback", "FILE", "The ratings that kidogo serve --feedback keeps");
        Option<string?> answeredBy = Opt.Text("--answered-by", "NAME", "What the server called the model whose answers were rated (default: the name of MODEL); others' answers are left out");
        Option<string?> folder = Opt.Text("--out", "FOLDER", "The folder of versions; kidogo run MODEL --adapter FOLDER takes the one in use (default: kidogo-learned)");
        Option<string?> method = Opt.Choice("--method", "kto learns from liked and disliked answers, sft from liked ones alone (default: kto where there are both)", "kto", "sft");
        Option<double?> minutes = Opt.Number("--minutes", "Minutes that training may take, where --steps is not given (default 10)", 0.01, 10_000);
        Option<int?> steps = Opt.Int("--steps", "Steps (default: three rounds of the answers, within --minutes)", 1, 1_000_000);
        Option<double?> rate = Opt.Number("--learning-rate", "The highest learning rate (default: by the model's size)", 0, 10);
        Option<int?> least = Opt.Int("--least", "The fewest answers to learn from (default 20)", 4, 1_000_000);
        Option<double?> share = Opt.Number("--share", "The share of the answers that one person's ratings may have (default 0.25; an equal part where there are fewer people)", 0.001, 1);
        Option<string?> measure = Opt.Text("--measure", "FILE", "A text that is not to get worse by more than 2 % (default: a passage of English)");
        Option<ulong?> seed = Opt.Seed();
        Option<int?> threads = Opt.Threads();
        Option<string?> template = Opt.ChatTemplate();
        Option<bool> status = Opt.Flag("--status", "Show the versions, and learn nothing");
        Option<int?> use = Opt.Int("--use", "Put this version in use; 0 is the model as it is", 0);
        Option<bool> rollback = Opt.Flag("--rollback", "Go back to the version that was in use before");
        Command command = new("learn", "Learn from thumbs, and keep what was learned only if it does no harm")
        {
            model, feedback, answeredBy, folder, method, minutes, steps, rate, least, share, measure, seed, threads, template, status, use, rollback,
        };
        command.SetAction(parsed =>
        {
            string place = parsed.GetValue(folder) ?? "kidogo-learned";
            int asked = (parsed.GetValue(status) ? 1 : 0) + (parsed.GetValue(use) is null ? 0 : 1) + (parsed.GetValue(rollback) ? 1 : 0);
            if (asked > 1 || (asked == 1 && parsed.GetValue(feedback) is not null))
            {
                throw new UsageException("--status, --use and --rollback stand alone with --out: each does one thing, and none of them learns.");
            }

            return parsed.GetValue(status) ? Status(session, place)
                : parsed.GetValue(use) is { } number ? Use(session, place, number)
                : parsed.GetValue(rollback) ? Rollback(session, place)
                : Learn(session, new LearnOptions
                {
                    Model = parsed.GetValue(model),
                    Feedback = parsed.GetValue(feedback) ?? throw new UsageException("kidogo learn needs --feedback FILE, which kidogo serve MODEL --feedback FILE writes."),
                    AnsweredBy = parsed.GetValue(answeredBy),
                    Folder = place,
                    Method = parsed.GetValue(method) switch { "kto" => LearnMethod.Kto, "sft" => LearnMethod.Sft, _ => null },
                    Minutes = parsed.GetValue(minutes) ?? 10,
                    Steps = parsed.GetValue(steps),
                    LearningRate = parsed.GetValue(rate),
                    Least = parsed.GetValue(least) ?? 20,
                    Share = parsed.GetValue(share) ?? 0.25,
                    Measure = parsed.GetValue(measure),
                    Seed = parsed.GetValue(seed) ?? (ulong)Random.Shared.NextInt64(),
                    Threads = parsed.GetValue(threads),
                    ChatTemplate = parsed.GetValue(template),
                });
        });
        return command;
    }

    private static int Learn(Session session, LearnOptions options)
    {
        OutFolder.CheckWritable(options.Folder);
        session.Patience = s_timeToSave;
        VersionInfo version;
        try
        {
            version = new LearnRun(session, options).Run();
        }
        catch (ServerSetupException failure)
        {
            throw new FailureException(failure.Message);
        }

        session.Output.WriteLine($"version {version.Number}: {version.Scores}");
        if (version.Refusals.Count > 0)
        {
            session.Output.WriteLine($"It is not put in use: {string.Join("; ", version.Refusals)}. Version {version.Parent}{(version.Parent == 0 ? ", the model as it is," : "")} stays.");
            return ExitCode.Failed;
        }

        session.Output.WriteLine($"It is in use: kidogo run {options.Model ?? "MODEL"} --adapter {options.Folder}. To go back: kidogo learn --out {options.Folder} --rollback");
        return ExitCode.Done;
    }

    private static int Status(Session session, string folder)
    {
        Versions versions = Existing(folder);
        int current = versions.Current;
        session.Output.WriteLine(current == 0 ? "version 0, the model as it is, is in use" : string.Create(CultureInfo.InvariantCulture, $"version {current} is in use"));
        foreach (VersionInfo version in versions.All)
        {
            string verdict = version.Refusals.Count == 0 ? "passed" : $"refused: {string.Join("; ", version.Refusals)}";
            session.Output.WriteLine($"{version.Number}  {version.Created}  after {version.Parent}  {verdict}");
        }

        return ExitCode.Done;
    }

    private static int Use(Session session, string folder, int number)
    {
        Versions versions = Existing(folder);
        using FileStream held = LearnRun.Hold(folder);
        versions.Use(number);
        if (number > 0 && versions.Read(number).Refusals is { Count: > 0 } refusals)
        {
            session.Warn($"Version {number} had been refused: {string.Join("; ", refusals)}.");
        }

        session.Output.WriteLine(number == 0 ? "version 0, the model as it is, is in use" : $"version {number} is in use");
        return ExitCode.Done;
    }

    private static int Rollback(Session session, string folder)
    {
        Versions versions = Existing(folder);
        int current = versions.Current;
        return current > 0 ? Use(session, folder, versions.Read(current).Parent)
            : throw new FailureException("Version 0, the model as it is, is in use: there is nothing before it. kidogo learn --status shows the versions.");
    }

    private static Versions Existing(string folder) => Directory.Exists(folder) ? new Versions(folder)
        : throw new FailureException($"There is no folder {folder}. Name the one that kidogo learn has written: --out FOLDER.");
}
