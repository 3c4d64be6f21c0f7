// kidogo distil: a small model taught by a larger one.
using System.CommandLine;
using Kidogo.Cli.Shell;
using Kidogo.Training.Recipes;

namespace Kidogo.Cli.Verbs;

internal static class DistilVerb
{
    public static Command Create(Session session)
    {
        Argument<string?> file = new("RECIPE") { Description = "A YAML file with the fields below; options go before it", Arity = ArgumentArity.ZeroOrOne };
        Option<string?> resume = Opt.Text("--resume", "FOLDER", "Go on with the run of this folder, or from one of its checkpoints");
        Option<bool> json = Opt.Flag("--json", "Print one JSON object a step instead of text");
        Command command = new("distil", "Teach a student what a larger model answers") { file, resume, json };
        string[] byStudent = ["from", "size"];
        List<(RecipeField Field, Option Option)> options = TrainVerb.AddFields(command, RecipeFields.OfDistillation.Concat(RecipeFields.All.Where(field => !byStudent.Contains(field.Name))));
        command.SetAction(parsed => TrainVerb.Run(
            session, new Recipe { Distillation = new DistillationRecipe() }, parsed.GetValue(file), parsed.GetValue(resume), TrainVerb.Given(parsed, options), parsed.GetValue(json)));
        return command;
    }
}
