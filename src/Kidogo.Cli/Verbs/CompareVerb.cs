// kidogo compare: several models on the same texts and questions, as one table and one report.
using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Kidogo.Cli.Demo;
using Kidogo.Cli.Shell;
using Kidogo.Compression.Reports;
using Kidogo.Data.Village;
using Kidogo.Evaluation;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;
using Kidogo.Models.Passports;
using Kidogo.Tensors;

namespace Kidogo.Cli.Verbs;

internal static class CompareVerb
{
    private sealed record Options(string[] Models, string? Text, int Tokens, string[] Prompts, int Stories, VillageOptions Village, string? Output, double Loss, bool Times, int? Threads, bool Force, bool Json);

    public static Command Create(Session session)
    {
        Argument<string[]> models = new("MODEL…") { Description = "The models; the first is what the others are compared with", Arity = ArgumentArity.OneOrMore };
        Option<string?> text = Opt.Text("--text", "FILE", "A text to judge on: perplexity, bits per byte, divergence");
        Option<int?> tokens = Opt.Int("--tokens", "How many tokens of the text to read at most (default 4096)", 2);
        Option<string[]> prompts = Opt.Texts("--prompt", "TEXT", "Ask them all this, and show the answers side by side; may be given several times");
        Option<int?> stories = Opt.Int("--stories", "Ask about so many stories of the village (default 0: none)", 0);
        VillageArguments village = new(VillageSplit.Test);
        Option<double?> loss = Opt.Number("--loss", "What may be lost where the smallest is looked for: share of questions, or growth of bits per byte (default 0.02)", 0, 1);
        Option<bool> noSpeed = Opt.Flag("--no-speed", "Leave out the timing");
        Option<string?> output = Opt.Text("--out", "FOLDER", "Write report.html, report.md and report.json there");
        Option<bool> force = Opt.Flag("--force", "Write over a report that is there");
        Option<int?> threads = Opt.Threads();
        Option<bool> json = Opt.Flag("--json", "Print one JSON object for each model");
        Command command = new("compare", "Compare models on your texts and on questions: quality, size, speed") { models, text, tokens, prompts, stories, loss, noSpeed, output, force, threads, json };
        CompareAgainst against = new();
        foreach (Option option in village.All.Concat(against.All))
        {
            command.Options.Add(option);
        }

        command.SetAction(async (parsed, cancellation) => against.IsAsked(parsed)
            ? await against.RunAsync(session, parsed, parsed.GetRequiredValue(models), parsed.GetValue(threads), parsed.GetValue(json), cancellation).ConfigureAwait(false)
            : Run(session, new Options(
            parsed.GetRequiredValue(models), parsed.GetValue(text), parsed.GetValue(tokens) ?? 4096, parsed.GetValue(prompts) ?? [], parsed.GetValue(stories) ?? 0, village.Read(parsed), parsed.GetValue(output),
            parsed.GetValue(loss) ?? 0.02, !parsed.GetValue(noSpeed), parsed.GetValue(threads), parsed.GetValue(force), parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        string[] names = ["report.html", "report.md", "report.json"];
        if (options.Output is { } folder)
        {
            OutFolder.CheckWritable(folder);
            if (!options.Force && names.FirstOrDefault(name => Path.Exists(Path.Combine(folder, name))) is { } there)
            {
                throw new FailureException($"{Path.Combine(folder, there)} is there already. Give another --out, or --force to write over it.");
            }
        }

        int threads = options.Threads ?? MachineInfo.CountPhysicalCores();
        string[] paths = [.. options.Models.Select(ModelChoice.Locate)];
        foreach (string path in paths)
        {
            using ModelHeader header = ModelHeader.Open(path);
            if (MemoryCheck.Refusal(header, Math.Min(512, header.Config.ContextLength), KvFormat.F16, MachineMemory.Read()) is { } refusal)
            {
                throw new FailureException(refusal);
            }
        }

        List<JudgedModel> judged = [];
        using (StageBar bar = new(session))
        {
            ModelJudge judge = new(new JudgeOptions
            {
                Village = options.Stories > 0 ? options.Village : null,
                Stories = options.Stories,
                Text = options.Text is null ? default : InputFile.ReadAll(options.Text, InputFile.MaxTextBytes),
                TextName = Path.GetFileName(options.Text ?? ""),
                MostTokens = options.Tokens,
                Prompts = options.Prompts,
                Speed = options.Times ? new SpeedOptions { PromptTokens = 128, GeneratedTokens = 64 } : null,
                Threads = threads,
                Progress = bar.Report,
            });
            foreach ((string path, string given) in paths.Zip(options.Models))
            {
                session.Interrupted.ThrowIfCancellationRequested();
                judged.Add(judge.Judge(NameOf(path, options.Models, paths), given, path, null, session.Interrupted));
            }
        }

        Write(session, options, judged, threads);
        return ExitCode.Done;
    }

    private static void Write(Session session, Options options, List<JudgedModel> judged, int threads)
    {
        JudgedReport report = new()
        {
            Title = $"{judged.Count} {(judged.Count == 1 ? "model" : "models")} compared",
            Introduction =
            [
                $"{judged[0].Name} is what the others are compared with."
                    + (options.Text is null ? "" : $" Perplexity, bits per byte and divergence are of {Path.GetFileName(options.Text)}.")
                    + (options.Stories == 0 ? "" : $" Questions are about {options.Stories} stories of a simulated village in {options.Village.Language.Name}."),
            ],
            Models = judged,
            AcceptedLoss = options.Loss,
            Facts =
            [
                ("processor", $"{MachineInfo.Read().Processor}, {threads} threads"),
                ("system", $"{RuntimeInformation.OSDescription}, {RuntimeInformation.FrameworkDescription}"),
                ("Kidogo", PassportRecipe.ThisProgram),
            ],
            Commands =
            [
                $"kidogo compare {string.Join(' ', options.Models)}{(options.Text is null ? "" : $" --text {options.Text}")}"
                    + (options.Stories == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $" --stories {options.Stories} --seed {options.Village.Seed}")),
            ],
        };
        if (options.Output is { } folder)
        {
            Directory.CreateDirectory(folder);
            AtomicFile.Guarded(folder, () => report.Write(folder));
            session.Tell($"report: {Path.Combine(folder, "report.html")}");
        }

        if (options.Json)
        {
            foreach (JudgedModel model in judged)
            {
                JsonOutput.Write(session, model.Write);
            }

            return;
        }

        session.Output.Write(DemoTable.Of(judged, Console.IsOutputRedirected ? 120 : Session.Columns));
        if (report.Smallest is { } smallest)
        {
            session.Output.WriteLine($"\nsmallest within the accepted loss: {smallest.Name}{(report.Fastest is { } fastest ? $"; fastest of those: {fastest.Name}" : "")}");
        }

        foreach (JudgedSample asked in judged[0].Samples)
        {
            session.Output.WriteLine($"\n> {Session.OneLine(asked.Prompt)}");
            foreach (JudgedModel model in judged)
            {
                session.Output.WriteLine($"  {model.Name}: {Session.Visible(model.Samples.FirstOrDefault(sample => sample.Prompt == asked.Prompt)?.Answer ?? "")}");
            }
        }
    }

    /// <summary>The file's name, or, where two have the same, what was given.</summary>
    private static string NameOf(string path, string[] given, string[] paths)
    {
        string name = Path.GetFileName(Path.TrimEndingDirectorySeparator(path));
        return paths.Count(other => Path.GetFileName(Path.TrimEndingDirectorySeparator(other)) == name) > 1 ? given[Array.IndexOf(paths, path)] : name;
    }
}
