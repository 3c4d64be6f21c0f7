// kidogo train: from texts to a model, or on from a checkpoint.
using System.CommandLine;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Cli.Training;
using Kidogo.Models.Files;
using Kidogo.Training;
using Kidogo.Training.Distillation;
using Kidogo.Training.Recipes;

namespace Kidogo.Cli.Verbs;

internal static class TrainVerb
{
    private static readonly TimeSpan s_timeToSave = TimeSpan.FromMinutes(10);

    public static Command Create(Session session)
    {
        Argument<string?> file = new("RECIPE") { Description = "A YAML file with the fields below; options go before it", Arity = ArgumentArity.ZeroOrOne };
        Option<string?> resume = Opt.Text("--resume", "FOLDER", "Go on with the run of this folder, or from one of its checkpoints");
        Option<bool> json = Opt.Flag("--json", "Print one JSON object a step instead of text");
        Command command = new("train", "Train a model: from nothing, on from one that exists, or on conversations") { file, resume, json };
        List<(RecipeField Field, Option Option)> options = AddFields(command, RecipeFields.All);
        command.SetAction(parsed => Run(session, new Recipe(), parsed.GetValue(file), parsed.GetValue(resume), Given(parsed, options), parsed.GetValue(json)));
        return command;
    }

    /// <summary>Gives a verb an option for each field.</summary>
    internal static List<(RecipeField Field, Option Option)> AddFields(Command command, IEnumerable<RecipeField> fields)
    {
        List<(RecipeField Field, Option Option)> options = [];
        foreach (RecipeField field in fields)
        {
            Option option = field.IsList
                ? Opt.Texts(field.Option, "VALUE", $"{field.Meaning}; may be given several times")
                : new Option<string?>(field.Option)
                {
                    Description = $"{field.Meaning} ({field.Range}; default: {field.Default})",
                    HelpName = "VALUE",
                    Arity = field.IsSwitch ? ArgumentArity.ZeroOrOne : ArgumentArity.ExactlyOne,
                };
            options.Add((field, option));
            command.Options.Add(option);
        }

        return options;
    }

    /// <summary>MODEL and OUT, or a recipe.</summary>
    internal static Argument<string[]> Places() => new("MODEL [OUT]")
    {
        Description = "The model, in any format, and the folder that is written to (or --out); a name that ends in .yaml is a recipe",
        Arity = new ArgumentArity(0, 3),
    };

    /// <summary>Makes fields of the model and the folder that were named.</summary>
    /// <param name="verb">The verb, for messages.</param>
    /// <param name="places">What was named.</param>
    /// <param name="given">The fields given as options, to which they are added.</param>
    /// <returns>The recipe that was named; null for none.</returns>
    internal static string? Take(string verb, IEnumerable<string> places, List<KeyValuePair<string, IReadOnlyList<string>>> given)
    {
        string? file = null;
        foreach (string place in places)
        {
            bool isRecipe = Path.GetExtension(place) is ".yaml" or ".yml";
            if (isRecipe ? file is not null : given.Exists(field => field.Key == "from") && given.Exists(field => field.Key == "out"))
            {
                throw new UsageException(isRecipe ? $"{file} and {place} are two recipes; give one." : $"kidogo {verb} takes a model and a folder; there is no place for {place}.");
            }

            if (isRecipe)
            {
                file = place;
            }
            else
            {
                given.Add(KeyValuePair.Create<string, IReadOnlyList<string>>(given.Exists(field => field.Key == "from") ? "out" : "from", [place]));
            }
        }

        return file;
    }

    /// <summary>The fields that were given as options.</summary>
    internal static List<KeyValuePair<string, IReadOnlyList<string>>> Given(ParseResult parsed, List<(RecipeField Field, Option Option)> options)
    {
        List<KeyValuePair<string, IReadOnlyList<string>>> given = [];
        foreach ((RecipeField field, Option option) in options)
        {
            if (parsed.GetResult(option) is { Implicit: false } result)
            {
                given.Add(KeyValuePair.Create(field.Name,
                    (IReadOnlyList<string>)(result.Tokens.Count == 0 ? ["true"] : [.. result.Tokens.Select(token => token.Value)])));
            }
        }

        return given;
    }

    /// <summary>The text of a field that was given as an option; null for none.</summary>
    internal static string? TextOf(List<KeyValuePair<string, IReadOnlyList<string>>> given, string name) => given.Find(field => field.Key == name).Value?[0];

    /// <summary>The number of a field that was given as an option, where no recipe reads it.</summary>
    internal static double NumberOf(List<KeyValuePair<string, IReadOnlyList<string>>> given, string name, double usual, double min, double max) => TextOf(given, name) is not { } text ? usual
        : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && value >= min && value <= max ? value
        : throw new UsageException(string.Create(CultureInfo.InvariantCulture, $"--{name.Replace('_', '-')} is {text}; it has to be a number from {min} to {max}."));

    /// <summary>The seed, where no recipe reads it: all 64 bits of it, which a floating-point number would not hold.</summary>
    internal static ulong SeedOf(List<KeyValuePair<string, IReadOnlyList<string>>> given) => TextOf(given, "seed") is not { } text ? 0
        : ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong seed) ? seed
        : throw new UsageException($"--seed is {text}; it has to be a whole number from 0 to {ulong.MaxValue}.");

    /// <summary>Begins a run, or goes on with one, and makes its steps.</summary>
    /// <param name="session">Where everything goes.</param>
    /// <param name="start">What holds where neither the file nor options say otherwise.</param>
    /// <param name="file">A recipe; null for none.</param>
    /// <param name="resume">The run to go on with; null to begin one.</param>
    /// <param name="given">Fields given as options.</param>
    /// <param name="json">Whether steps are printed as JSON.</param>
    internal static int Run(Session session, Recipe start, string? file, string? resume, List<KeyValuePair<string, IReadOnlyList<string>>> given, bool json)
    {
        try
        {
            return Train(session, start, file, resume, given, json);
        }
        catch (IOException failure) when (NewFile.IsDiskFull(failure))
        {
            string go = resume is not null
                ? $"kidogo train --resume {resume}"
                : "the same command, or kidogo train --resume OUT if it says that there is a run already";
            throw new FailureException($"The disk is full ({failure.Message.TrimEnd('.')}). Checkpoints that were written are as they were. Free some space "
                + $"and go on: {go}.");
        }
    }

    private static int Train(Session session, Recipe start, string? file, string? resume, List<KeyValuePair<string, IReadOnlyList<string>>> given, bool json)
    {
        using TrainingScreen screen = new(session, json);
        session.Patience = s_timeToSave;
        string folder;
        int threads = 0;
        if (resume is not null)
        {
            threads = Threads(file, given);
            folder = resume;
        }
        else
        {
            if (file is not null && !File.Exists(file))
            {
                throw new UsageException(Directory.Exists(file) ? $"{file} is a folder. To train on its texts: kidogo train --data {file}. To go on with its "
                    + $"run: kidogo train --resume {file}" : $"There is no recipe {file}.");
            }

            Recipe recipe = RecipeReader.Read(start, file, given);
            RunStarter.Begin(recipe, screen, session.Interrupted);
            folder = recipe.Output.Folder;
        }

        try
        {
            using (TrainingRun run = Open(folder, threads, isNew: resume is null, screen, session))
            {
                TrainingResult result = new Trainer(run, screen).Train(session.Interrupted);
                screen.Finish(run, result);
                folder = result.Folder;
            }

            if (StudentComparison.IsAsked(folder))
            {
                screen.Compared(StudentComparison.Run(folder, threads, screen, session.Interrupted));
            }

            return ExitCode.Done;
        }
        catch (OperationCanceledException) when (RunStarter.IsBegun(folder))
        {
            screen.Say($"What is done is kept. To go on: kidogo train --resume {folder}");
            throw;
        }
    }

    private static TrainingRun Open(string folder, int threads, bool isNew, TrainingScreen screen, Session session)
    {
        try
        {
            return TrainingRun.Open(folder, threads, screen, session.Interrupted);
        }
        catch (Exception failure) when (isNew && failure is not OperationCanceledException)
        {
            RunStarter.TakeBack(Path.GetFullPath(folder));
            throw;
        }
    }

    /// <summary>A run goes on as it was begun; only the threads, which change no bit, may be others.</summary>
    private static int Threads(string? file, List<KeyValuePair<string, IReadOnlyList<string>>> given)
    {
        string? other = file ?? given.FirstOrDefault(field => field.Key != "threads").Key;
        if (other is not null)
        {
            throw new UsageException($"--resume goes on with the recipe in the folder, so that the result is that of a run never stopped; "
                + $"{(file is not null ? file : $"--{other.Replace('_', '-')}")} cannot be given with it. To train further with other settings: kidogo train "
                + "--from FOLDER --out ANOTHER.");
        }

        string? text = given.FirstOrDefault(field => field.Key == "threads").Value?[0];
        return text is null ? 0 : int.TryParse(text, out int threads) && threads is >= 1 and <= 1024 ? threads
            : throw new UsageException($"--threads is {text}; it has to be a whole number, 1 to 1,024.");
    }
}
