// What is asked of a pruning, and what it says at the end. Does nothing.
using Kidogo.Compression.Calibration;
using Kidogo.Models.Export;
using Kidogo.Training;

namespace Kidogo.Compression.Pruning;

/// <summary>Which single weights become zero.</summary>
/// <param name="Criterion">What they are chosen by.</param>
/// <param name="Sparsity">How many; null, with magnitudes, for all up to <paramref name="Threshold"/>.</param>
/// <param name="Threshold">The largest magnitude that goes.</param>
/// <param name="Scope">Among which weights magnitudes are compared.</param>
public sealed record WeightPruning(WeightCriterion Criterion, Sparsity? Sparsity, float Threshold = 0, PruneScope Scope = PruneScope.Layer);

/// <summary>Which parts of the structure go.</summary>
public sealed record StructurePruning
{
    /// <summary>How much of each kind; counts where there is no target.</summary>
    public StructureShares Shares { get; init; } = new();

    /// <summary>What they are chosen by.</summary>
    public StructureCriterion Criterion { get; init; }

    /// <summary>How they are chosen.</summary>
    public StructurePlanOptions Plan { get; init; } = new();

    /// <summary>With a target: what may go. Default neurons, and key and value heads with their query heads.</summary>
    public StructureKinds Kinds { get; init; } = StructureKinds.Neurons | StructureKinds.KvHeads;

    /// <summary>Parameters to have at most; null for no such target.</summary>
    public long? Parameters { get; init; }

    /// <summary>Bytes of the file to have at most; null for no such target.</summary>
    public long? Bytes { get; init; }

    /// <summary>The share of the parameters to have at most, above 0 and below 1; null for no such target.</summary>
    public double? Share { get; init; }

    /// <summary>How many times as fast as before a token is to be generated on this machine, above 1; null for no such target.</summary>
    public double? Speed { get; init; }

    /// <summary>Whether there is a target.</summary>
    public bool HasTarget => Parameters is not null || Bytes is not null || Share is not null || Speed is not null;
}

/// <summary>Training after pruning, and between its rounds, with the unpruned model as teacher.</summary>
public sealed record HealRequest
{
    /// <summary>Fields of a recipe as options: data, steps, and whatever else is not by default. The model, the teacher and the folder are set here.</summary>
    public required IReadOnlyList<KeyValuePair<string, IReadOnlyList<string>>> Fields { get; init; }

    /// <summary>Steps in all rounds together, 1 or more.</summary>
    public required int Steps { get; init; }

    /// <summary>Rounds of pruning and training, 1 or more: sparsity rises from round to round (<see cref="GradualSchedule"/>). Default 1.</summary>
    public int Rounds { get; init; } = 1;

    /// <summary>Where rounds are kept until the model is written; another run with the same options goes on from there.</summary>
    public required string WorkFolder { get; init; }

    /// <summary>Told what training does.</summary>
    public TrainingObserver Observer { get; init; } = new();
}

/// <summary>What is pruned, and how.</summary>
public sealed record PruneRequest
{
    /// <summary>Single weights; null for none.</summary>
    public WeightPruning? Weights { get; init; }

    /// <summary>Structure; null for none. One of the two.</summary>
    public StructurePruning? Structure { get; init; }

    /// <summary>The text to judge weights and structure on; empty for none, which is enough for magnitudes.</summary>
    public ReadOnlyMemory<int> Ids { get; init; }

    /// <summary>In place of a text, for Wanda, and for neurons by activation: mean squares of the inputs of the same model; null for none.</summary>
    public ImportanceMatrix? Calibration { get; init; }

    /// <summary>Tokens of a sequence of it. Default 512.</summary>
    public int SequenceTokens { get; init; } = 512;

    /// <summary>The formats of the result; null for those of the model, where they hold zeros. With SparseGPT and a format of blocks weights are pruned and rounded in one pass.</summary>
    public FormatMix? Format { get; init; }

    /// <summary>Training afterwards; null for none.</summary>
    public HealRequest? Heal { get; init; }

    /// <summary>Threads; results, but for a target of speed, are the same with any number. Default 1.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Called with what is being done, how far it is, and of how much; may be null.</summary>
    public Action<string, long, long>? Progress { get; init; }
}

/// <summary>A matrix of the result.</summary>
/// <param name="Name">The canonical name.</param>
/// <param name="Rows">Outputs.</param>
/// <param name="Columns">Inputs.</param>
/// <param name="Zeros">Weights of it that are zero.</param>
public sealed record PrunedTensor(string Name, int Rows, int Columns, long Zeros)
{
    /// <summary>The share of weights that are zero.</summary>
    public double Sparsity => (double)Zeros / ((long)Rows * Columns);
}

/// <summary>What pruning did.</summary>
/// <param name="ParametersBefore">Weights of the model.</param>
/// <param name="Parameters">Weights of the result, zeros among them.</param>
/// <param name="BytesBefore">Bytes of the model's weights.</param>
/// <param name="Bytes">Bytes of all files that were written.</param>
/// <param name="Tensors">The matrices of the result's layers.</param>
/// <param name="Gone">What went, in sentences.</param>
/// <param name="Remarks">What one should know, in sentences.</param>
public sealed record PruneReport(long ParametersBefore, long Parameters, long BytesBefore, long Bytes, IReadOnlyList<PrunedTensor> Tensors, IReadOnlyList<string> Gone, IReadOnlyList<string> Remarks)
{
    /// <summary>The share of zeros in the matrices of the layers.</summary>
    public double Sparsity => (double)Tensors.Sum(tensor => tensor.Zeros) / Math.Max(1, Tensors.Sum(tensor => (long)tensor.Rows * tensor.Columns));
}
