// What training takes of memory, from numbers alone. Measures nothing.
using System.Globalization;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
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
    private const long Program = 100L << 20; // the runtime, compiled code, tokenizer and batches: measured
    private const double MiB = 1024 * 1024;

    /// <summary>All together.</summary>
    public long TotalBytes => WeightBytes + GradientBytes + OptimizerBytes + ActivationBytes + ProgramBytes + TeacherBytes;

    /// <summary>A teacher's weights and its pass; 0 without one.</summary>
    public long TeacherBytes { get; init; }

    /// <summary>What a teacher takes: its weights as they are loaded, the activations of a pass, its logits.</summary>
    /// <param name="config">The teacher.</param>
    /// <param name="weightBytes">Bytes of its weights.</param>
    /// <param name="recipe">A resolved recipe.</param>
    public static long OfTeacher(DecoderConfig config, long weightBytes, Recipe recipe)
    {
        int tokens = (int)Math.Min(TokensOfPass(recipe), int.MaxValue);
        return weightBytes + MemoryEstimate.For(config, weightBytes, tokens, KvFormat.F16, passRows: tokens).WorkspaceBytes + (sizeof(float) * (long)tokens * config.VocabSize);
    }

    /// <summary>Estimates.</summary>
    /// <param name="config">The model.</param>
    /// <param name="recipe">A resolved recipe.</param>
    public static MemoryPlan For(DecoderConfig config, Recipe recipe)
    {
        long parameters = config.ParameterCount;
        long hidden = config.Layers.Sum(layer => (config.HiddenSize * ((2L * layer.QuerySize) + (2L * layer.KvSize)))
            + ((layer.Gated ? 3L : 2L) * config.HiddenSize * layer.IntermediateSize));
        long tokens = TokensOfPass(recipe);
        long directions = recipe.Optimizer.Kind == OptimizerKind.Muon ? 4 * config.Layers.Max(layer => Iterated(config.HiddenSize, layer)) : 0;
        return new MemoryPlan(
            4 * parameters,
            4 * parameters,
            OptimizerBytesFor(recipe.Optimizer, parameters, hidden) + directions,
            Activations(config, tokens, recipe.Precision),
            Program + Packed(config, tokens));
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
        Program + Packed(config, TokensOfPass(recipe)));

    private static long TokensOfPass(Recipe recipe) =>
        (long)recipe.Batch.Sequences!.Value / recipe.Batch.Accumulate!.Value * (recipe.Preference?.RowsPerItem ?? 1) * recipe.Batch.Context!.Value;

    private static long OptimizerBytesFor(OptimizerRecipe optimizer, long parameters, long hidden) => optimizer.Kind switch
    {
        OptimizerKind.Sgd => optimizer.Momentum == 0 ? 0 : 4 * parameters,
        OptimizerKind.Lion => 4 * parameters,
        OptimizerKind.Adafactor => (long)(0.02 * parameters),
        OptimizerKind.Muon => (8 * parameters) - (4 * hidden),
        _ => 8 * parameters,
    };

    /// <summary>Values that Muon works with beside its state: a direction for each shape of a matrix, an iterate as large as the largest, two squares.</summary>
    private static long Iterated(long hidden, LayerConfig layer)
    {
        long widest = Math.Max(layer.QuerySize, layer.IntermediateSize);
        long shapes = (hidden * layer.QuerySize * (layer.QuerySize == hidden ? 1 : 2)) + (layer.KvSize == layer.QuerySize ? 0 : hidden * layer.KvSize)
            + (2 * hidden * layer.IntermediateSize);
        long square = Math.Min(hidden, widest);
        return shapes + (hidden * widest) + (2 * square * square);
    }

    /// <summary>Why a run would not fit, with numbers and what to do; null where it fits.</summary>
    /// <param name="memory">What the machine has.</param>
    /// <param name="recipe">A resolved recipe.</param>
    public string? Refusal(MachineMemory memory, Recipe recipe)
    {
        if (TotalBytes <= memory.AvailableBytes)
        {
            return null;
        }

        string advice = TeacherBytes > TotalBytes / 2
            ? "Take a teacher with fewer bits per weight, such as load_as: Q4_0, or its answers from a file (teacher_outputs) that is made where there is more memory."
            : recipe.Precision.CheckpointActivations || ActivationBytes < TotalBytes / 4
            ? recipe.Batch.Accumulate < recipe.Batch.Sequences ? $"Raise accumulate (it is {recipe.Batch.Accumulate} of {recipe.Batch.Sequences} sequences), "
                + "or take a smaller size." : "Take a smaller size or a shorter context."
            : "Try checkpoint_activations: true, a higher accumulate, or a smaller size.";
        return string.Create(CultureInfo.InvariantCulture, $"This needs about {TotalBytes / MiB:0} MiB of memory (weights {WeightBytes / MiB:0}, gradients "
            + $"{GradientBytes / MiB:0}, optimizer {OptimizerBytes / MiB:0}, activations {ActivationBytes / MiB:0}{(TeacherBytes > 0 ? $", teacher {TeacherBytes / MiB:0}" : "")}), but {memory.AvailableBytes / MiB:0} MiB "
            + $"are available of {memory.UsableBytes / MiB:0}. {advice}");
    }

    /// <summary>The largest products: of activations with weights, and of the gradients of logits with either.</summary>
    private static long Packed(DecoderConfig config, long tokens)
    {
        long widest = config.Layers.Max(layer => Math.Max(config.HiddenSize, Math.Max(layer.QuerySize, layer.IntermediateSize)));
        long matrix = config.HiddenSize * Math.Max(widest, config.VocabSize);
        return ComputeContext.PackedBytes(Math.Max(tokens, config.VocabSize), Math.Max(tokens * widest, matrix));
    }

    /// <summary>What a pass keeps for its gradients, and what lies beside that where it takes most: in the last block, when the way back begins.</summary>
    internal static long Activations(DecoderConfig config, long tokens, PrecisionRecipe precision)
    {
        long hidden = config.HiddenSize;
        long kept = 0; // values for each token
        long wide = 0; // the same of one block that is there in float32, and its gradients
        long keys = 0;
        foreach (LayerConfig layer in config.Layers)
        {
            // norm, queries, keys, values, their rotations, heads, projection, sum, norm, gate, up, activation and product, projection, sum
            long inner = (layer.Gated ? 3L : 2L) * layer.IntermediateSize;
            long values = ((config.PostNorms ? 8 : 6) * hidden) + (3L * layer.QuerySize) + (3L * layer.KvSize) + inner;
            values += layer.QkNorm == QkNorm.None ? 0 : layer.QuerySize + layer.KvSize;
            kept += precision.CheckpointActivations ? hidden : values;
            wide = Math.Max(wide, precision.CheckpointActivations || precision.IsBFloat16 ? values + inner : inner); // gradients of the feed-forward
            keys = Math.Max(keys, layer.KvSize);
        }

        const int AroundBlocks = 3; // the embedding, the last norm, its gradient
        const int PackedKeys = 4; // keys and values in the two orders that attention reads them in
        int bytes = precision.IsBFloat16 ? sizeof(ushort) : sizeof(float);
        long ofToken = (bytes * kept) + (sizeof(float) * (wide + (AroundBlocks * hidden) + (PackedKeys * keys)));
        return (tokens * ofToken) + HeadLossOp.LogitBytes(tokens, config.VocabSize, config.LogitSoftcap != 0);
    }
}
