// kidogo explain distil: the loss of one token of a student, at a temperature and with weights of one's own.
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Kidogo.Cli.Shell;
using Kidogo.Cli.Verbs;
using Kidogo.Evaluation.Explanations;
using Kidogo.Tensors.Ops;
using Kidogo.Training.Distillation;
using Kidogo.Training.Recipes;

namespace Kidogo.Cli.Explain;

internal static class ExplainDistilVerb
{
    private const string UsualTeacher = "4 3 1 0", UsualStudent = "2 3 1 1";
    private static readonly string[] s_fields = ["temperature", "teacher_weight", "label_weight", "distance", "mix"];

    public static Command Create(Session session)
    {
        Option<string?> teacher = Opt.Text("--teacher", "LOGITS", $"The teacher's logits (default \"{UsualTeacher}\")");
        Option<string?> student = Opt.Text("--student", "LOGITS", $"The student's logits (default \"{UsualStudent}\")");
        Option<int?> label = Opt.Int("--label", "The token that the text has, counted from 0 (default 0)", 0);
        Option<bool> json = Opt.Json();
        Command command = new("distil", "The loss of a student at your temperature and weights") { teacher, student, label, json };
        List<(RecipeField Field, Option Option)> options = TrainVerb.AddFields(command, RecipeFields.OfDistillation.Where(field => s_fields.Contains(field.Name)));
        command.SetAction(parsed =>
        {
            RecipeMap given = new("options", [.. TrainVerb.Given(parsed, options).Select(field => KeyValuePair.Create<string, RecipeNode>(field.Key, new RecipeText($"--{field.Key.Replace('_', '-')}", field.Value[0])))]);
            DistillationRecipe recipe = RecipeFields.Apply(new Recipe { Distillation = new DistillationRecipe() }, given).Distillation!;
            return Run(session, DistillationExample.Work(TypedMatrix.Parse(parsed.GetValue(teacher) ?? UsualTeacher, "--teacher"), TypedMatrix.Parse(parsed.GetValue(student) ?? UsualStudent, "--student"),
                parsed.GetValue(label) ?? 0, recipe), parsed.GetValue(json));
        });
        return command;
    }

    private static int Run(Session session, DistillationExample example, bool json)
    {
        DistillationRecipe recipe = example.Recipe;
        if (json)
        {
            JsonOutput.Write(session, writer =>
            {
                writer.WriteNumber("temperature", recipe.Temperature);
                writer.WriteNumber("teacher_weight", recipe.TeacherWeight);
                writer.WriteNumber("label_weight", recipe.LabelWeight);
                writer.WriteNumber("label", example.Label);
                Numbers(writer, "teacher", example.Teacher);
                Numbers(writer, "student", example.Student);
                writer.WriteNumber("distance", example.Distance);
                writer.WriteNumber("teacher_loss", example.TeacherLoss);
                writer.WriteNumber("label_loss", example.LabelLoss);
                writer.WriteNumber("loss", example.Loss);
                Numbers(writer, "gradient", example.Gradient);
            });
            return ExitCode.Done;
        }

        MatrixText.Say(session, $"Both answer softmax(logits / T). At T = {recipe.Temperature:G6} (and, in brackets, at T = 1, as they answer in use):");
        session.Output.WriteLine();
        int width = Math.Clamp(MatrixText.Columns - 31, 4, 40);
        double most = example.Teacher.Concat(example.Student).Max();
        for (int token = 0; token < Math.Max(example.Teacher.Count, example.Student.Count); token++)
        {
            string mark = token == example.Label ? "*" : " ";
            Bar("teacher", example.Teacher, example.SharpTeacher, '#');
            Bar("student", example.Student, example.SharpStudent, '=');
            void Bar(string who, IReadOnlyList<double> soft, IReadOnlyList<double> sharp, char with)
            {
                if (token < soft.Count)
                {
                    session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{mark}{token,2} {who} {100 * soft[token],5:0.0} ({100 * sharp[token],5:0.0}) % {MatrixText.Bar(soft[token], most, width, with)}").TrimEnd());
                }
            }
        }

        session.Output.WriteLine();
        MatrixText.Say(session, $"* is the text's own token. Higher temperatures flatten both, so that what the teacher thinks of the other tokens counts more.");
        session.Output.WriteLine();
        bool isSquared = example.TemperatureFactor != 1 || recipe.Distance == ResponseDistance.ForwardKl;
        session.Output.Write(Show.Table(["term", ">loss", ">weight", ">product"],
        [
            ["labels", Loss(example.LabelLoss), Loss(recipe.LabelWeight), Loss(recipe.LabelWeight * example.LabelLoss)],
            ["teacher", Loss(example.TeacherLoss), Loss(recipe.TeacherWeight), Loss(recipe.TeacherWeight * example.TeacherLoss)],
            ["loss", "", "", Loss(example.Loss)],
        ]));
        session.Output.WriteLine();
        MatrixText.Say(session, $"labels: -ln of the student's probability of the text's token at T = 1.");
        MatrixText.Say(session, $"teacher: {Name(recipe.Distance)} = {example.Distance:0.0000}{(isSquared ? string.Create(CultureInfo.InvariantCulture, $", times T squared = {example.TemperatureFactor:G6}, since gradients shrink by as much") : "")}.");
        MatrixText.Say(session, $"A step moves the student's logits against the gradient:");
        double steepest = example.Gradient.Max(Math.Abs);
        for (int token = 0; token < example.Gradient.Count; token++)
        {
            double slope = example.Gradient[token];
            session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{token,3} {slope,8:+0.0000;-0.0000;0.0000} {(slope < 0 ? "up  " : slope > 0 ? "down" : "")} {MatrixText.Bar(Math.Abs(slope), steepest, width)}").TrimEnd());
        }

        return ExitCode.Done;
    }

    private static string Loss(double value) => value.ToString("0.0000", CultureInfo.InvariantCulture);

    private static string Name(ResponseDistance distance) => distance switch
    {
        ResponseDistance.ForwardKl => "KL(teacher, student) at T",
        ResponseDistance.ReverseKl => "KL(student, teacher) at T",
        ResponseDistance.JensenShannon => "the Jensen-Shannon divergence at T",
        ResponseDistance.SkewedForward => "KL(teacher, a mix of both) at T",
        ResponseDistance.SkewedReverse => "KL(student, a mix of both) at T",
        ResponseDistance.TotalVariation => "the total variation at T",
        _ => "the difference of the sorted probabilities at T",
    };

    private static void Numbers(Utf8JsonWriter json, string name, IReadOnlyList<double> values)
    {
        json.WriteStartArray(name);
        foreach (double value in values)
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }
}
