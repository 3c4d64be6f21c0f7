// kidogo prefer: answers that people prefer, learned by an adapter or by the model itself.
using System.CommandLine;
using Kidogo.Cli.Shell;
using Kidogo.Training.Recipes;

namespace Kidogo.Cli.Verbs;

internal static class PreferVerb
{
    public static Command Create(Session session)
    {
        Argument<string[]> places = TrainVerb.Places();
        Option<string?> weights = Opt.Choice("--weights", "What is trained: an adapter, or all weights of the model (default: adapter)", "adapter", "all");
        Option<string?> resume = Opt.Text("--resume", "FOLDER", "Go on with the run of this folder, or from one of its checkpoints");
        Option<bool> json = Opt.Flag("--json", "Print one JSON object a step instead of text");
        Command command = new("prefer", "Teach a model the answers that people prefer: pairs (DPO), or liked and disliked ones (KTO)") { places, weights, resume, json };
        string[] notHere = ["from", "size", "shape"];
        List<(RecipeField Field, Option Option)> options =
            TrainVerb.AddFields(command, RecipeFields.OfPreferences.Concat(RecipeFields.OfAdapters).Concat(RecipeFields.All.Where(field => !notHere.Contains(field.Name))));
        command.SetAction(parsed =>
        {
            List<KeyValuePair<string, IReadOnlyList<string>>> given = TrainVerb.Given(parsed, options);
            string? file = TrainVerb.Take("prefer", parsed.GetValue(places) ?? [], given);
            bool isWhole = parsed.GetValue(weights) == "all";
            if (isWhole && given.Find(field => RecipeFields.OfAdapters.Any(known => known.Name == field.Key)).Key is { } ofAdapter)
            {
                throw new UsageException($"--{ofAdapter.Replace('_', '-')} is of adapters, but --weights all trains the model itself. Leave one of them out.");
            }

            Recipe start = new()
            {
                Adapter = isWhole ? null : new AdapterRecipe(),
                Preference = new PreferenceRecipe { Kind = PreferenceKind.Dpo },
                Output = new OutputRecipe { Folder = isWhole ? "kidogo-model" : "kidogo-adapter" },
            };
            return TrainVerb.Run(session, start, file, parsed.GetValue(resume), given, parsed.GetValue(json));
        });
        return command;
    }
}
