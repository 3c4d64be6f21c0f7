// kidogo adapt: a small adapter over a model that stays as it is.
using System.CommandLine;
using Kidogo.Cli.Shell;
using Kidogo.Training.Recipes;

namespace Kidogo.Cli.Verbs;

internal static class AdaptVerb
{
    public static Command Create(Session session)
    {
        Argument<string[]> places = new("MODEL [OUT]")
        {
            Description = "The model that is adapted, in any format, and the folder that the adapter is written to (or --out); a name that ends in .yaml is a recipe",
            Arity = new ArgumentArity(0, 3),
        };
        Option<string?> resume = Opt.Text("--resume", "FOLDER", "Go on with the run of this folder, or from one of its checkpoints");
        Option<bool> json = Opt.Flag("--json", "Print one JSON object a step instead of text");
        Command command = new("adapt", "Train an adapter (LoRA, rsLoRA, DoRA, PiSSA) over a model that stays as it is") { places, resume, json };
        string[] notHere = ["from", "size", "shape"];
        List<(RecipeField Field, Option Option)> options = TrainVerb.AddFields(command, RecipeFields.OfAdapters.Concat(RecipeFields.All.Where(field => !notHere.Contains(field.Name))));
        command.SetAction(parsed =>
        {
            List<KeyValuePair<string, IReadOnlyList<string>>> given = TrainVerb.Given(parsed, options);
            string? file = null;
            foreach (string place in parsed.GetValue(places) ?? [])
            {
                bool isRecipe = Path.GetExtension(place) is ".yaml" or ".yml";
                if (isRecipe ? file is not null : given.Exists(field => field.Key == "from") && given.Exists(field => field.Key == "out"))
                {
                    throw new UsageException(isRecipe ? $"{file} and {place} are two recipes; give one." : $"kidogo adapt takes a model and a folder; there is no place for {place}.");
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

            Recipe start = new() { Adapter = new AdapterRecipe(), Output = new OutputRecipe { Folder = "kidogo-adapter" } };
            return TrainVerb.Run(session, start, file, parsed.GetValue(resume), given, parsed.GetValue(json));
        });
        return command;
    }
}
