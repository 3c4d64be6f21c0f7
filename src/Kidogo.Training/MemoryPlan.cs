// What training takes of memory, from numbers alone. Measures nothing.
using System.Globalization;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;
using Kidogo.Training.Recipes;

namespace Kidogo.Training;

/// <summary>Bytes that a run takes.</summary>
/// <param name="WeightBytes">Weights in float32; where passes see them as bfloat16 they are rounded as they are read.</param>
/// <param name="GradientBytes">Their gradients.</param>
/// <param name="OptimizerBytes">What the optimiser remembers.</param>
/// <param name="ActivationBytes">What a micro-batch keeps for its gradients.</param>
/// <param name="ProgramBytes">The program itself and its buffers.</param>
public sealed record MemoryPlan(long WeightBytes, long GradientBytes, long OptimizerBytes, long ActivationBytes, long ProgramBytes)
{
    private const long Program = 88L << 20; // the runtime, compiled code, tokenizer and batches: measured
    private const double MiB = 1024 * 1024;

    /// <summary>All together.</summary>
    public long TotalBytes => WeightBytes + GradientBytes + OptimizerBytes + ActivationBytes + ProgramBytes;

    /// <summary>Estimates.</summary>
    /// <param name="config">The model.</param>
    /// <param name="recipe">A resolved recipe.</param>
    public static MemoryPlan For(DecoderConfig config, Recipe recipe)
    {
        long parameters = config.ParameterCount;
        long hidden = config.Layers.Sum(layer => (config.HiddenSize * ((2L * layer.QuerySize) + (2L * layer.KvSize))) + ((layer.Gated ? 3L : 2L) * config.HiddenSize * layer.IntermediateSize));
        return new MemoryPlan(
            4 * parameters,
            4 * parameters,
            OptimizerBytesFor(recipe.Optimizer, parameters, hidden),
            Activations(config, TokensOfPass(recipe), recipe.Precision),
            Program);
    }

    /// <summary>Estimates the training of an adapter: the model keeps its format, and has neither gradients nor an optimiser's state.</summary>
    /// <param name="config">The model.</param>
    /// <param name="weightBytes">Bytes that its weights take.</param>
    /// <param name="trained">Weights of the adapter.</param>
    /// <param name="recipe">A resolved recipe.</param>
    public static MemoryPlan ForAdapter(DecoderConfig config, long weightBytes, long trained, Recipe recipe) => new(
        weightBytes + (4 * trained),
        4 * trained,
        OptimizerBytesFor(recipe.Optimizer, trained, trained),
        Activations(config, TokensOfPass(recipe), recipe.Precision),
        Program);

    private static long TokensOfPass(Recipe recipe) => (long)recipe.Batch.Sequences!.Value / recipe.Batch.Accumulate!.Value * recipe.Batch.Context!.Value;

    private static long OptimizerBytesFor(OptimizerRecipe optimizer, long parameters, long hidden) => optimizer.Kind switch
    {
        OptimizerKind.Sgd => optimizer.Momentum == 0 ? 0 : 4 * parameters,
        OptimizerKind.Lion => 4 * parameters,
        OptimizerKind.Adafactor => (long)(0.02 * parameters),
        OptimizerKind.Muon => (8 * parameters) - (4 * hidden),
        _ => 8 * parameters,
    };

    /// <summary>Why a run would not fit, with numbers and what to do; null where it fits.</summary>
    /// <param name="memory">What the machine has.</param>
    /// <param name="recipe">A resolved recipe.</param>
    public string? Refusal(MachineMemory memory, Recipe recipe)
    {
        if (TotalBytes <= memory.AvailableBytes)
        {
            return null;
        }

        string advice = recipe.Precision.CheckpointActivations || ActivationBytes < TotalBytes / 4
            ? recipe.Batch.Accumulate < recipe.Batch.Sequences ? $"Raise accumulate (it is {recipe.Batch.Accumulate} of {recipe.Batch.Sequences} sequences), or take a smaller size." : "Take a smaller size or a shorter context."
            : "Try checkpoint_activations: true, a higher accumulate, or a smaller size.";
        return string.Create(CultureInfo.InvariantCulture, $"This needs about {TotalBytes / MiB:0} MiB of memory (weights {WeightBytes / MiB:0}, gradients {GradientBytes / MiB:0}, optimizer {OptimizerBytes / MiB:0}, activations {ActivationBytes / MiB:0}), but {memory.AvailableBytes / MiB:0} MiB are available of {memory.UsableBytes / MiB:0}. {advice}");
    }

    /// <summary>Float32 values that a pass keeps: what each op's backward reads, and in the peak the gradients that flow through a layer.</summary>
    internal static long Activations(DecoderConfig config, long tokens, PrecisionRecipe precision)
    {
        long hidden = config.HiddenSize;
        long kept = 0;
        long widest = 0;
        foreach (LayerConfig layer in config.Layers)
        {
            // norm, queries, keys, values, their rotations, heads, projection, sum, norm, gate, up, activation and product, projection, sum
            long values = (6 * hidden) + (3L * layer.QuerySize) + (3L * layer.KvSize) + ((layer.Gated ? 3L : 2L) * layer.IntermediateSize);
            kept += precision.CheckpointActivations ? hidden : values;
            widest = Math.Max(widest, values + (2L * layer.IntermediateSize));
        }

        long logits = config.VocabSize;
        long peak = Math.Max(logits + (2 * hidden), precision.CheckpointActivations ? 2 * widest : widest);
        int bytes = precision is { IsBFloat16: true, CheckpointActivations: true } ? sizeof(ushort) : sizeof(float); // values are rounded where they lie; only what is kept for recomputing is packed
        return (bytes * tokens * kept) + (sizeof(float) * tokens * peak);
    }
}
