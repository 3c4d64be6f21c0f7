// Pruning in rounds with training between and after them, the unpruned model as teacher. Knows no criterion and no loss.
using System.Globalization;
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Files;
using Kidogo.Tensors.Formats;
using Kidogo.Training;
using Kidogo.Training.Recipes;

namespace Kidogo.Compression.Pruning;

/// <summary>Heals pruned models by distillation (Muralidharan et al., arXiv 2407.14679, section 3), and prunes iteratively (Zhu and Gupta, arXiv 1710.01878).</summary>
/// <remarks>Every round is a folder: pruned, then trained. A process that was ended goes on with the last of them, training bit for bit.</remarks>
public sealed class Healing(ModelHeader teacher, PruneRequest request, HealRequest heal)
{
    private const string RequestName = "request.txt";

    /// <summary>Makes all rounds that are not there yet.</summary>
    /// <param name="cancellation">Ends it; finished rounds, and the checkpoints of the one that is not, stay.</param>
    /// <returns>The healed model, a folder.</returns>
    public ModelHeader Run(CancellationToken cancellation)
    {
        int rounds = request.Weights is null ? 1 : heal.Rounds;
        RefuseNoTexts();
        Begin();
        try
        {
            return Rounds(rounds, cancellation);
        }
        catch when (!Directory.EnumerateDirectories(heal.WorkFolder).Any())
        {
            Clean(heal.WorkFolder); // nothing was begun: the next command may be another
            throw;
        }
    }

    private ModelHeader Rounds(int rounds, CancellationToken cancellation)
    {
        string model = teacher.Path;
        for (int round = 1; round <= rounds; round++)
        {
            string pruned = Path.Combine(heal.WorkFolder, $"{round}-pruned"), healed = Path.Combine(heal.WorkFolder, $"{round}-healed");
            if (!Directory.Exists(pruned))
            {
                using ModelHeader header = ModelHeader.Open(model);
                Pruner.Decision decision = Pruner.Decide(header, pruned, request, SparsityOf(round, rounds), cancellation);
                ChangedModelOptions changed = new() { Change = decision.Weights is null ? null : decision.Weights.Change, Reshape = decision.Reshape, Format = WeightFormats.ForName("F32") };
                ChangedModel.Write(header, pruned, changed);
            }

            Train(pruned, healed, StepsOf(round, rounds), cancellation);
            model = healed;
        }

        return ModelHeader.Open(model);
    }

    /// <summary>Removes the rounds, once the model is written.</summary>
    public static void Clean(string workFolder)
    {
        if (File.Exists(Path.Combine(workFolder, RequestName)))
        {
            Directory.Delete(workFolder, recursive: true);
        }
    }

    private Sparsity? SparsityOf(int round, int rounds)
    {
        Sparsity? final = request.Weights?.Sparsity;
        return final is null || round == rounds ? final : new Sparsity(new GradualSchedule(final.Share, 0, rounds).At(round)); // groups come last: they need all that can go
    }

    private int StepsOf(int round, int rounds) => (heal.Steps * round / rounds) - (heal.Steps * (round - 1) / rounds);

    /// <summary>Makes the folder, or goes on with that of the same request.</summary>
    private void Begin()
    {
        string asked = string.Join('\n', [
            teacher.Path, $"{request.Weights}", $"{request.Structure}", string.Create(CultureInfo.InvariantCulture, $"{request.Ids.Length} {request.SequenceTokens} {heal.Steps} {heal.Rounds}"),
            .. heal.Fields.Where(field => field.Key != "threads").Select(field => $"{field.Key}: {string.Join(", ", field.Value)}")]);
        string path = Path.Combine(heal.WorkFolder, RequestName);
        if (File.Exists(path) && File.ReadAllText(path) == asked)
        {
            return;
        }

        if (Directory.Exists(heal.WorkFolder) && Directory.EnumerateFileSystemEntries(heal.WorkFolder).Any())
        {
            throw new IOException($"{heal.WorkFolder} holds the rounds of another pruning. Give the same options to go on with them, remove the folder, or name another (--work).");
        }

        Directory.CreateDirectory(heal.WorkFolder);
        NewFile.Write(path, System.Text.Encoding.UTF8.GetBytes(asked));
    }

    /// <summary>What cannot be trained on is said before anything is measured or pruned.</summary>
    private void RefuseNoTexts()
    {
        Recipe recipe = RecipeOf(teacher.Path, heal.WorkFolder, heal.Steps);
        if (!recipe.IsRandom && DataSize.TextBytes(recipe.Data.Sources) == 0)
        {
            throw new PruningException($"{string.Join(", ", recipe.Data.Sources.Select(source => source.Path))}: there are no texts to train on after pruning (0 bytes). Name others with --heal.");
        }

        if (recipe.Batch.Context is { } context && context > teacher.Config.ContextLength)
        {
            throw new PruningException($"--context {context} is more than the {teacher.Config.ContextLength} positions that {teacher.Path} was made for. Take a shorter one.");
        }
    }

    private Recipe RecipeOf(string pruned, string healed, int steps)
    {
        Dictionary<string, IReadOnlyList<string>> fields = new(heal.Fields)
        {
            ["from"] = [pruned],
            ["out"] = [healed],
            ["teacher"] = [teacher.Path],
            ["steps"] = [Math.Max(1, steps).ToString(CultureInfo.InvariantCulture)],
        };
        if (request.Weights is not null)
        {
            fields["keep_zeros"] = ["true"];
        }

        return RecipeReader.Read(null, fields);
    }

    private void Train(string pruned, string healed, int steps, CancellationToken cancellation)
    {
        if (!RunStarter.IsBegun(healed))
        {
            RunStarter.Begin(RecipeOf(pruned, healed, steps), heal.Observer, cancellation);
        }

        using TrainingRun run = TrainingRun.Open(healed, request.Threads, heal.Observer, cancellation);
        new Trainer(run, heal.Observer).Train(cancellation);
    }
}
