// What a recipe leaves open, chosen by the size of model and data. Reads no files.
using Kidogo.Data;

namespace Kidogo.Training.Recipes;

/// <summary>Good numbers where a recipe gives none.</summary>
public static class RecipeDefaults
{
    private const long Small = 5_000_000, Medium = 30_000_000; // parameters
    private const int TokensOfMicroBatch = 4096;
    private const double OfContinued = 0.1, OfPrincipalComponents = 0.3, OfPreferences = 0.1; // of the learning rate of a new model

    /// <summary>Parameters of a new model, by the bytes of text there are to learn from.</summary>
    public static long SizeFor(long textBytes) => textBytes switch
    {
        < 1_000_000 => 1_000_000,
        < 10_000_000 => 3_000_000,
        < 100_000_000 => 10_000_000,
        _ => 30_000_000,
    };

    /// <summary>Entries of a tokenizer to train, by the bytes of text; small models get less, so that the embedding leaves room for layers.</summary>
    public static int VocabularyFor(long textBytes, long parameters)
    {
        int byData = textBytes switch { < 100_000 => 512, < 1_000_000 => 2048, < 10_000_000 => 4096, < 100_000_000 => 8192,
            < 1_000_000_000 => 16_384, _ => 32_768 };
        int byModel = parameters switch { < 300_000 => 512, < 1_500_000 => 2048, < Small => 4096, < Medium => 8192, < 300_000_000 => 16_384, _ => 32_768 };
        return Math.Min(byData, byModel);
    }

    /// <summary>Tokens of a sequence.</summary>
    /// <param name="parameters">Parameters of the model.</param>
    /// <param name="modelContext">Positions that a model gone on from was made for; 0 for a new one.</param>
    public static int ContextFor(long parameters, int modelContext)
    {
        int usual = parameters switch { < Small => 256, < Medium => 512, _ => 1024 };
        return modelContext == 0 ? usual : Math.Min(usual, modelContext);
    }

    /// <summary>The recipe with everything given but when to stop, and what depends on it.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="parameters">Parameters of the model.</param>
    /// <param name="modelContext">Positions that a model gone on from was made for; 0 for a new one.</param>
    /// <exception cref="RecipeException">Numbers contradict each other.</exception>
    public static Recipe Resolve(Recipe recipe, long parameters, int modelContext)
    {
        double cautious = recipe.Preference is null ? 1 : OfPreferences; // what is known already is to stay
        int context = recipe.Batch.Context ?? ContextFor(parameters, modelContext);
        int sequences = recipe.Batch.Sequences ?? Sequences(parameters, context, recipe.Batch.Accumulate ?? 1);
        int accumulate = recipe.Batch.Accumulate ?? Accumulate(sequences, context);
        if (sequences % accumulate != 0)
        {
            throw new RecipeException($"accumulate: {accumulate} does not divide batch: {sequences}. Micro-batches are of one size: take a divisor of the "
                + "batch.");
        }

        return recipe with
        {
            Batch = new BatchRecipe { Context = context, Sequences = sequences, Accumulate = accumulate },
            Optimizer = recipe.Adapter is { } adapter
                ? Resolve(recipe.Optimizer with { WeightDecay = recipe.Optimizer.WeightDecay ?? 0 }, parameters,
                    cautious * (adapter.Method == Models.Adapters.AdapterMethod.Pissa ? OfPrincipalComponents : 1))
                : Resolve(recipe.Optimizer, parameters, cautious * (recipe.Model.From is null ? 1 : OfContinued)),
            Data = recipe.Data with
            {
                Sources = [.. recipe.Data.Sources.Select(Absolute)],
                Cache = Path.GetFullPath(recipe.Data.Cache ?? Path.Combine(recipe.Output.Folder, "shards")),
            },
            Output = recipe.Output with
            {
                Folder = Path.GetFullPath(recipe.Output.Folder),
                Measure = recipe.Output.Measure is { } text ? Path.GetFullPath(text) : null,
            },
        };
    }

    /// <summary>Steps in all.</summary>
    /// <param name="recipe">A resolved recipe.</param>
    /// <param name="parameters">Parameters of the model.</param>
    /// <param name="epochPositions">Positions of one round of the data; 0 where it has no end.</param>
    /// <param name="secondsPerStep">Measured.</param>
    public static long Steps(Recipe recipe, long parameters, long epochPositions, double secondsPerStep)
    {
        const double TokensPerParameter = 20; // Hoffmann et al., arXiv 2203.15556
        double rounds = recipe.Adapter is null ? 10 : 3; // Muennighoff et al., arXiv 2305.16264: more often teaches little; fine-tuning overfits sooner
        const double Night = 8 * 3600;
        double tokensOfStep = (double)recipe.Batch.Sequences!.Value * recipe.Batch.Context!.Value;
        double mostTokens = epochPositions > 0 ? rounds * epochPositions : double.MaxValue;
        double steps = recipe.Stop switch
        {
            { Steps: { } given } => given,
            { Tokens: { } tokens } => Math.Ceiling(tokens / tokensOfStep),
            { Minutes: { } minutes } => Math.Floor(minutes * 60 / secondsPerStep),
            _ => Math.Min(Math.Min(TokensPerParameter * parameters, mostTokens) / tokensOfStep, Night / secondsPerStep),
        };
        return (long)Math.Clamp(steps, 1, 1e9);
    }

    /// <summary>Steps of the warm-up.</summary>
    public static long Warmup(Recipe recipe, long steps) => recipe.Optimizer.Warmup ?? Math.Min(1000, steps < 50 ? steps / 10 : steps / 50);

    // An adapter's matrices begin at zero and take ten times the rate that is good for a trained model's own; principal components begin large.
    private static OptimizerRecipe Resolve(OptimizerRecipe optimizer, long parameters, double share)
    {
        double adam = Math.Clamp(3e-3 * Math.Pow(Math.Max(1, parameters / 3e6), -0.4), 2e-4, 3e-3) * share;
        double rate = optimizer.LearningRate ?? optimizer.Kind switch
        {
            OptimizerKind.Lion => adam / 5,
            OptimizerKind.Sgd => share / 10,
            OptimizerKind.Adafactor => 0.02 * share,
            _ => adam,
        };
        double decay = optimizer.WeightDecay ?? optimizer.Kind switch
        {
            OptimizerKind.Lion => 0.3,
            OptimizerKind.Sgd or OptimizerKind.Adafactor => 0,
            _ => 0.1,
        };
        return optimizer with
        {
            LearningRate = rate,
            WeightDecay = decay,
            MatrixLearningRate = optimizer.Kind == OptimizerKind.Muon ? optimizer.MatrixLearningRate ?? (0.02 * share) : null,
        };
    }

    private static int Sequences(long parameters, int context, int accumulate)
    {
        int tokens = parameters switch { < Small => 4096, < Medium => 8192, _ => 16_384 };
        int sequences = Math.Max(1, tokens / context);
        return Math.Max(accumulate, sequences / accumulate * accumulate);
    }

    /// <summary>The fewest micro-batches of one size that have no more than so many tokens.</summary>
    private static int Accumulate(int sequences, int context)
    {
        int most = Math.Max(1, TokensOfMicroBatch / context);
        return Enumerable.Range(1, sequences).First(parts => sequences % parts == 0 && sequences / parts <= most);
    }

    private static DataSource Absolute(DataSource source) => source.Kind == SourceKind.Random ? source : source with { Path = Path.GetFullPath(source.Path) };
}
