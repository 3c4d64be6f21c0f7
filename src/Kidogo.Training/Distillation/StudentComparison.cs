// The same student, the same tokens, no teacher: what the teacher was worth. Knows no loss.
using System.Text.Json;
using Kidogo.Models.Files;
using Kidogo.Training.Checkpoints;
using Kidogo.Training.Recipes;

namespace Kidogo.Training.Distillation;

/// <summary>What a teacher was worth, on the held-out texts.</summary>
/// <param name="WithTeacher">The student.</param>
/// <param name="WithoutTeacher">The same student, trained on the same tokens by their labels alone.</param>
public sealed record StudentComparison(EvaluationRecord WithTeacher, EvaluationRecord WithoutTeacher)
{
    /// <summary>The folder in that of the student.</summary>
    public const string FolderName = "without-teacher";

    /// <summary>The file in the folder of the student.</summary>
    public const string FileName = "comparison.json";

    /// <summary>Whether the recipe of a finished run asks for it.</summary>
    public static bool IsAsked(string output) => RecipeOf(output).Recipe.Distillation is { Compares: true };

    /// <summary>Trains the student without its teacher (or goes on, where that was begun), and compares.</summary>
    /// <param name="output">The folder of a finished student.</param>
    /// <param name="threads">Threads instead of the recipe's; 0 for those.</param>
    /// <param name="observer">Told what goes on.</param>
    /// <param name="cancellation">Ends it after the step that is being made; resuming goes on with it.</param>
    public static StudentComparison Run(string output, int threads, TrainingObserver observer, CancellationToken cancellation)
    {
        TrainingState state = RecipeOf(output);
        string folder = Path.Combine(Path.GetFullPath(output), FolderName);
        if (!RunStarter.IsBegun(folder))
        {
            observer.Say("now the same student on the same tokens, without its teacher");
            RunStarter.Begin(Alone(state, folder), observer, cancellation);
        }

        IReadOnlyList<StepRecord> alone;
        using (TrainingRun run = TrainingRun.Open(folder, threads, observer, cancellation))
        {
            alone = new Trainer(run, observer).Train(cancellation).Records;
        }

        StudentComparison comparison = new(Last(TrainingLog.Read(output)), Last(alone));
        NewFile.Write(Path.Combine(output, FileName), comparison.ToBytes());
        return comparison;
    }

    private static Recipe Alone(TrainingState state, string folder)
    {
        Recipe recipe = state.Recipe;
        DistillationRecipe taught = recipe.Distillation!;
        return recipe with
        {
            // What a student begins as may come from the teacher; what it learns here does not.
            Distillation = taught.EveryLayer == 0 ? null
                : taught with { TeacherWeight = 0, LabelWeight = 1, Features = new FeatureRecipe(), OnPolicy = 0, Outputs = null, Compares = false },
            Stop = recipe.Stop with { Steps = state.PlannedSteps ?? state.Step, Tokens = null, Minutes = null },
            Output = recipe.Output with { Folder = folder },
        };
    }

    private static TrainingState RecipeOf(string output)
    {
        CheckpointFolder checkpoints = new(Path.GetFullPath(output));
        return TrainingState.Read(Path.Combine(checkpoints.Of(checkpoints.Steps()[^1]), TrainingState.FileName));
    }

    private static EvaluationRecord Last(IReadOnlyList<StepRecord> records) => records.LastOrDefault(record => record.Evaluation is not null)?.Evaluation
        ?? throw new TrainingFailedException("Nothing was held out, so there is nothing to compare the students by. Begin again with held_out above 0.");

    private byte[] ToBytes()
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            Write(json, "with_teacher", WithTeacher);
            Write(json, "without_teacher", WithoutTeacher);
            json.WriteEndObject();
        }

        return bytes.ToArray();
    }

    private static void Write(Utf8JsonWriter json, string name, EvaluationRecord evaluation)
    {
        json.WriteStartObject(name);
        json.WriteNumber("loss", evaluation.Loss);
        if (double.IsFinite(evaluation.BitsPerByte))
        {
            json.WriteNumber("bits_per_byte", evaluation.BitsPerByte);
        }

        json.WriteEndObject();
    }
}
