// kidogo village: stories about a simulated village, with questions and their answers.
using System.CommandLine;
using Kidogo.Cli.Shell;
using Kidogo.Data.Village;

namespace Kidogo.Cli.Verbs;

internal static class VillageVerb
{
    private sealed record Options(string Output, long Stories, VillageOptions Village, bool Json);

    public static Command Create(Session session)
    {
        Argument<string> output = new("OUT") { Description = "A folder for stories.jsonl, conversations.jsonl and stories.txt, or one file: NAME.txt is text, NAME.jsonl objects; - prints text" };
        Option<int?> stories = Opt.Int("--stories", "How many (default 1000)", 1);
        VillageArguments village = new(VillageSplit.Training);
        Option<bool> json = Opt.Json();
        Command command = new("village", "Write small stories about a simulated village, with questions whose answers are known") { output, stories, json };
        foreach (Option option in village.All)
        {
            command.Options.Add(option);
        }

        command.SetAction(parsed => Run(session, new Options(parsed.GetRequiredValue(output), parsed.GetValue(stories) ?? 1000, village.Read(parsed), parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        if (options.Output == "-")
        {
            foreach (VillageStory story in new VillageGenerator(options.Village).Stories(options.Stories))
            {
                session.Interrupted.ThrowIfCancellationRequested();
                VillageFiles.Write(session.OutputBytes, VillageForm.Text, story, options.Village);
            }

            return ExitCode.Done;
        }

        VillageForm? single = Path.GetExtension(options.Output).ToLowerInvariant() switch { ".jsonl" => VillageForm.Stories, ".txt" => VillageForm.Text, _ => null };
        if (single is null)
        {
            OutFolder.CheckWritable(options.Output);
            Directory.CreateDirectory(options.Output);
        }

        List<(VillageForm Form, string Path)> files = single is { } form ? [(form, options.Output)]
            : [.. Enum.GetValues<VillageForm>().Select(each => (each, Path.Combine(options.Output, VillageFiles.NameOf(each))))];
        foreach ((VillageForm each, string path) in files)
        {
            AtomicFile.Guarded(path, () => WriteFile(session, path, each, options));
        }

        if (options.Json)
        {
            JsonOutput.Write(session, json =>
            {
                json.WriteNumber("stories", options.Stories);
                json.WriteNumber("bytes", files.Sum(file => new FileInfo(file.Path).Length));
            });
            return ExitCode.Done;
        }

        session.Tell($"{options.Stories} stories in {options.Village.Language.Name}: {string.Join(", ", files.Select(file => $"{file.Path} ({Show.Bytes(new FileInfo(file.Path).Length)})"))}");
        return ExitCode.Done;
    }

    private static void WriteFile(Session session, string path, VillageForm form, Options options)
    {
        using ProgressBar bar = new(session, Path.GetFileName(path), "stories");
        using AtomicFile file = AtomicFile.Create(session, path);
        foreach (VillageStory story in new VillageGenerator(options.Village).Stories(options.Stories))
        {
            session.Interrupted.ThrowIfCancellationRequested();
            VillageFiles.Write(file.Stream, form, story, options.Village);
            bar.Report(story.Number + 1, options.Stories);
        }

        file.Commit();
    }
}
