// kidogo distil: a small model taught by a larger one, or texts that the larger one writes.
using System.CommandLine;
using Kidogo.Cli.Shell;
using Kidogo.Cli.Training;
using Kidogo.Evaluation.Machine;
using Kidogo.Training.Distillation;
using Kidogo.Training.Recipes;

namespace Kidogo.Cli.Verbs;

internal static class DistilVerb
{
    private static readonly string[] s_ofTexts = ["teacher", "data", "seed", "threads", "temperature"];

    public static Command Create(Session session)
    {
        Argument<string?> file = new("RECIPE") { Description = "A YAML file with the fields below; options go before it", Arity = ArgumentArity.ZeroOrOne };
        Option<string?> resume = Opt.Text("--resume", "FOLDER", "Go on with the run of this folder, or from one of its checkpoints");
        Option<bool> json = Opt.Flag("--json", "Print one JSON object a step instead of text");
        Option<string?> write = Opt.Text("--write-texts", "FILE", "Train nothing: write a .jsonl file of texts that the teacher makes of the beginnings, or the questions, of --data");
        Option<int?> texts = Opt.Int("--texts", "Of --write-texts: texts to write (default: one for each that is read)", 1);
        Option<int?> prompt = Opt.Int("--prompt-tokens", "Of --write-texts: tokens of a text that the teacher goes on with (default 16)", 1);
        Option<int?> most = Opt.Int("--max-tokens", "Of --write-texts: tokens that it writes at most (default 256)", 1);
        Command command = new("distil", "Teach a student what a larger model answers") { file, resume, json, write, texts, prompt, most };
        string[] byStudent = ["from", "size"];
        List<(RecipeField Field, Option Option)> options = TrainVerb.AddFields(command, RecipeFields.OfDistillation.Concat(RecipeFields.All.Where(field => !byStudent.Contains(field.Name))));
        command.SetAction(parsed =>
        {
            List<KeyValuePair<string, IReadOnlyList<string>>> given = TrainVerb.Given(parsed, options);
            if (parsed.GetValue(write) is { } output)
            {
                string? foreign = parsed.GetValue(file) ?? parsed.GetValue(resume) ?? given.Find(field => !s_ofTexts.Contains(field.Key)).Key;
                return foreign is not null
                    ? throw new UsageException($"--write-texts trains nothing, so it does not go with {foreign}. It takes --teacher, --data, --texts, --prompt-tokens, --max-tokens, --temperature, --seed, --threads.")
                    : WriteTexts(session, new TeacherTextOptions
                    {
                        Teacher = TrainVerb.TextOf(given, "teacher") ?? throw new UsageException("--write-texts needs the teacher that writes: --teacher MODEL."),
                        Paths = given.Find(field => field.Key == "data").Value ?? throw new UsageException("--write-texts needs texts to begin with: --data FOLDER."),
                        Output = output,
                        Texts = parsed.GetValue(texts) ?? int.MaxValue,
                        PromptTokens = parsed.GetValue(prompt) ?? 16,
                        MostTokens = parsed.GetValue(most) ?? 256,
                        Temperature = TrainVerb.NumberOf(given, "temperature", 0.8, 0, 100),
                        Seed = TrainVerb.SeedOf(given),
                        LoadAs = TrainVerb.TextOf(given, "load_as"),
                        Threads = (int)TrainVerb.NumberOf(given, "threads", MachineInfo.CountPhysicalCores(), 1, 1024),
                    });
            }

            if (((Option[])[texts, prompt, most]).FirstOrDefault(option => Opt.IsGiven(parsed, option)) is { } alone)
            {
                throw new UsageException($"{alone.Name} goes with --write-texts FILE.");
            }

            return TrainVerb.Run(session, new Recipe { Distillation = new DistillationRecipe() }, parsed.GetValue(file), parsed.GetValue(resume), given, parsed.GetValue(json));
        });
        return command;
    }

    private static int WriteTexts(Session session, TeacherTextOptions options)
    {
        using TrainingScreen screen = new(session, json: false);
        int count = TeacherTexts.Write(options, screen, session.Interrupted);
        screen.Say($"{count} texts of the teacher are in {options.Output}. Try: kidogo train --data {options.Output}");
        return ExitCode.Done;
    }
}
