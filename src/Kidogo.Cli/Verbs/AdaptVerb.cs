// kidogo adapt: a small adapter over a model that stays as it is, by texts or by preferences; or a classifier that looks through it.
using System.CommandLine;
using Kidogo.Cli.Shell;
using Kidogo.Training.Recipes;

namespace Kidogo.Cli.Verbs;

internal static class AdaptVerb
{
    public static Command Create(Session session)
    {
        Argument<string[]> places = TrainVerb.Places();
        Option<string?> resume = Opt.Text("--resume", "FOLDER", "Go on with the run of this folder, or from one of its checkpoints");
        Option<bool> json = Opt.Flag("--json", "Print one JSON object a step instead of text");
        Command command = new("adapt", "Train an adapter (LoRA, rsLoRA, DoRA, PiSSA) over a model that stays as it is, or a classifier (--task classify)") { places, resume, json };
        ClassifierOption classifier = new(command);
        string[] notHere = ["from", "size", "shape"];
        List<(RecipeField Field, Option Option)> options =
            TrainVerb.AddFields(command, RecipeFields.OfPreferences.Concat(RecipeFields.OfAdapters).Concat(RecipeFields.All.Where(field => !notHere.Contains(field.Name))));
        command.SetAction(parsed =>
        {
            List<KeyValuePair<string, IReadOnlyList<string>>> given = TrainVerb.Given(parsed, options);
            string? file = TrainVerb.Take("adapt", parsed.GetValue(places) ?? [], given);
            if (given.Find(field => field.Key == "task").Value is ["classify"])
            {
                return classifier.Train(session, parsed, file ?? parsed.GetValue(resume), given, parsed.GetValue(json));
            }

            classifier.RefuseElsewhere(parsed);
            Recipe start = new() { Adapter = new AdapterRecipe(), Output = new OutputRecipe { Folder = "kidogo-adapter" } };
            return TrainVerb.Run(session, start, file, parsed.GetValue(resume), given, parsed.GetValue(json));
        });
        return command;
    }
}
