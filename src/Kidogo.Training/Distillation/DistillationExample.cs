// The loss of one token of a student, worked on logits that are typed. Knows no models.
using Kidogo.Evaluation.Explanations;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Kidogo.Training.Recipes;

namespace Kidogo.Training.Distillation;

/// <summary>What a student's loss at one position is made of (Hinton et al., arXiv 1503.02531, section 2): the numbers are those of the ops that train.</summary>
public sealed record DistillationExample
{
    /// <summary>The temperature, the weights and the distance.</summary>
    public required DistillationRecipe Recipe { get; init; }

    /// <summary>The token that the text has, counted from 0.</summary>
    public required int Label { get; init; }

    /// <summary>softmax(teacher / T)</summary>
    public required IReadOnlyList<double> Teacher { get; init; }

    /// <summary>softmax(student / T)</summary>
    public required IReadOnlyList<double> Student { get; init; }

    /// <summary>softmax(teacher): what the teacher answers.</summary>
    public required IReadOnlyList<double> SharpTeacher { get; init; }

    /// <summary>softmax(student): what the student answers.</summary>
    public required IReadOnlyList<double> SharpStudent { get; init; }

    /// <summary>The distance of both at T, before T² and before its weight, in nats (total variation: a share).</summary>
    public required double Distance { get; init; }

    /// <summary>What the distance is multiplied by so that gradients do not shrink with the temperature: T² of forward KL, else 1.</summary>
    public required double TemperatureFactor { get; init; }

    /// <summary>The cross entropy with the label at a temperature of 1, before its weight, in nats.</summary>
    public required double LabelLoss { get; init; }

    /// <summary>The loss.</summary>
    public required double Loss { get; init; }

    /// <summary>∂loss/∂logit of the student: training goes against it.</summary>
    public required IReadOnlyList<double> Gradient { get; init; }

    /// <summary>The teacher's term, before its weight.</summary>
    public double TeacherLoss => TemperatureFactor * Distance;

    /// <summary>Works the example.</summary>
    /// <param name="teacher">The teacher's logits: one row of 2 or more.</param>
    /// <param name="student">The student's: as many.</param>
    /// <param name="label">The token that the text has.</param>
    /// <param name="recipe">The temperature, the weights and the distance.</param>
    /// <exception cref="ExplanationException">The logits do not belong together, or there is no such token.</exception>
    public static DistillationExample Work(TypedMatrix teacher, TypedMatrix student, int label, DistillationRecipe recipe)
    {
        int tokens = student.Columns;
        if (teacher.Rows != 1 || student.Rows != 1 || tokens < 2 || (teacher.Columns != tokens && recipe.Distance != ResponseDistance.SortedProbabilities))
        {
            throw new ExplanationException($"The teacher has {teacher.Rows} x {teacher.Columns} logits, the student {student.Rows} x {tokens}: both need one row of the same length, 2 or more. Example: --teacher \"4 2 1 0\" --student \"2 3 1 0\"");
        }

        if (label < 0 || label >= tokens)
        {
            throw new ExplanationException($"--label is {label}, but there are {tokens} tokens, 0 to {tokens - 1}.");
        }

        using ComputeContext context = ComputeContext.Training(1);
        Tensor logits = new Tensor(student.Values).AsParameter();
        Tensor taught = new(teacher.Values);
        ResponseLossOptions options = Distillation.Teacher.OptionsOf(recipe, 1);
        CrossEntropyResult labels = CrossEntropyOp.Apply(context, logits, [label]);
        CrossEntropyResult response = ResponseLossOp.Apply(context, logits, taught, [label], options);
        Tensor loss = AddOp.Apply(context, ScaleOp.Apply(context, labels.Loss, (float)recipe.LabelWeight), ScaleOp.Apply(context, response.Loss, (float)recipe.TeacherWeight));
        context.Backward(loss);
        double factor = options.ScalesByTemperature ? recipe.Temperature * recipe.Temperature : 1;
        return new DistillationExample
        {
            Recipe = recipe,
            Label = label,
            Teacher = Softmax(teacher.Values, recipe.Temperature),
            Student = Softmax(student.Values, recipe.Temperature),
            SharpTeacher = Softmax(teacher.Values, 1),
            SharpStudent = Softmax(student.Values, 1),
            Distance = response.Value / factor,
            TemperatureFactor = factor,
            LabelLoss = labels.CrossEntropy,
            Loss = (recipe.LabelWeight * labels.CrossEntropy) + (recipe.TeacherWeight * response.Value),
            Gradient = [.. logits.Gradient!.Span.ToArray().Select(value => (double)value)],
        };
    }

    private static double[] Softmax(float[] logits, double temperature)
    {
        double largest = logits.Max();
        double[] shares = Array.ConvertAll(logits, logit => Math.Exp((logit - largest) / temperature));
        double sum = shares.Sum();
        return Array.ConvertAll(shares, share => share / sum);
    }
}
