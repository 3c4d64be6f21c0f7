// Prunes the matrices of a model's blocks, one block after the other, each with what the pruned ones before it give. Knows no files.
using Kidogo.Compression.Calibration;
using Kidogo.Compression.Quantization;
using Kidogo.Models;
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Ops;

namespace Kidogo.Compression.Pruning;

/// <summary>What weights are chosen by.</summary>
public enum WeightCriterion
{
    /// <summary><see cref="Pruning.Magnitude"/>.</summary>
    Magnitude,

    /// <summary><see cref="Pruning.Wanda"/>.</summary>
    Wanda,

    /// <summary><see cref="Pruning.SparseGpt"/>.</summary>
    SparseGpt,
}

/// <summary>How <see cref="ModelSparsity"/> goes about it.</summary>
public sealed record ModelSparsityOptions
{
    /// <summary>Wanda or SparseGPT; magnitudes need no text (<see cref="ModelMagnitude"/>).</summary>
    public required WeightCriterion Criterion { get; init; }

    /// <summary>How many weights go.</summary>
    public required Sparsity Sparsity { get; init; }

    /// <summary>Tokens of a sequence; a last one that is shorter is left out. Default 512.</summary>
    public int SequenceTokens { get; init; } = 512;

    /// <summary>As <see cref="SparseGptOptions.Damping"/>. Default 0.01.</summary>
    public double Damping { get; init; } = 0.01;

    /// <summary>Of SparseGPT: the format that a slot is rounded to in the same pass; gives null for none. Null for none at all.</summary>
    public Func<string, WeightFormat?>? FormatOf { get; init; }

    /// <summary>Called with the blocks done and all; may be null.</summary>
    public Action<long, long>? Progress { get; init; }
}

/// <summary>Wanda and SparseGPT of a whole model.</summary>
/// <remarks>
/// As in the authors' programs the inputs of a block's matrices are those that its unpruned matrices make of what the pruned blocks before it gave. In memory are the model, the residual stream of the
/// text (4 bytes for each token and hidden channel), one block's sums, a bit for each weight, and with SparseGPT the weights.
/// </remarks>
public static class ModelSparsity
{

    /// <summary>Prunes.</summary>
    /// <param name="model">The model; its slots are replaced meanwhile and put back.</param>
    /// <param name="context">A training context: nothing is recorded, but everything is in float32.</param>
    /// <param name="ids">The text to calibrate on, cut into sequences from its beginning.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellation">Looked at between passes.</param>
    /// <exception cref="CalibrationException">The text is too short, or activations are damaged.</exception>
    /// <exception cref="PruningException">Rows are no whole groups, or a format has no zero.</exception>
    public static PrunedWeights Run(DecoderModel model, ComputeContext context, ReadOnlyMemory<int> ids, ModelSparsityOptions options, CancellationToken cancellation = default)
    {
        ids = ImportanceCollector.Whole(ids, options.SequenceTokens, model);
        using BlockWalk walk = new(model, context);
        foreach (Linear slot in Enumerable.Range(0, walk.Blocks).SelectMany(walk.Slots).OfType<Linear>().Where(slot => SlotInputs.TryFind(slot.Name, out _, out _)))
        {
            options.Sparsity.CheckRow(slot.Name, slot.Weight.Columns); // before any work
        }

        Tensor[] states = ImportanceCollector.Embedded(walk, context, ids, options.SequenceTokens);

        Dictionary<string, PrunedMatrix> pruned = new(StringComparer.Ordinal);
        for (int block = 0; block < walk.Blocks; block++)
        {
            Dictionary<string, Linear> originals = walk.Slots(block).OfType<Linear>().Where(slot => SlotInputs.TryFind(slot.Name, out _, out _)).ToDictionary(slot => slot.Name, StringComparer.Ordinal);
            Dictionary<string, Linear> current = [];
            void Pass(bool keeps)
            {
                for (int i = 0, first = 0; i < states.Length; first += states[i].Rows, i++)
                {
                    cancellation.ThrowIfCancellationRequested();
                    Tensor after = walk.Run(block, states[i], ids.Span.Slice(first, states[i].Rows), options.SequenceTokens);
                    if (keeps)
                    {
                        after.Span.CopyTo(states[i].Span);
                    }

                    context.Forget();
                }
            }

            try
            {
                InputSums?[] sums = new InputSums?[SlotInputs.Count];
                model.Replace(layer => originals.TryGetValue(layer.Name, out Linear? slot) ? Watched(slot, sums, options.Criterion) : layer);
                Pass(keeps: false);
                foreach (IGrouping<int, Linear> readers in originals.Values.GroupBy(InputOf))
                {
                    foreach ((Linear slot, PrunedMatrix matrix) in Prune([.. readers], sums[readers.Key]!, options, context))
                    {
                        pruned.Add(slot.Name, matrix);
                        current.Add(slot.Name, Dense(slot, matrix));
                    }
                }

                model.Replace(layer => current.TryGetValue(layer.Name, out Linear? slot) ? slot : layer);
                Pass(keeps: true);
            }
            finally
            {
                model.Replace(layer => originals.TryGetValue(layer.Name, out Linear? slot) ? slot : layer);
                context.Forget();
                foreach (Linear slot in current.Values)
                {
                    slot.Weight.Dispose();
                }
            }

            options.Progress?.Invoke(block + 1, walk.Blocks);
        }

        return new PrunedWeights(model.Config, pruned);
    }

    private static int InputOf(Linear slot) => SlotInputs.TryFind(slot.Name, out _, out int input) ? input : -1;

    /// <summary>Of the slots that read one input, the first is watched.</summary>
    private static Linear Watched(Linear slot, InputSums?[] sums, WeightCriterion criterion)
    {
        int input = InputOf(slot);
        if (sums[input] is not null)
        {
            return slot;
        }

        InputSums own = sums[input] = new InputSums(slot.Weight.Columns, criterion == WeightCriterion.SparseGpt);
        return new ObservedLinear(slot, own.Add, computes: true);
    }

    private static IEnumerable<(Linear Slot, PrunedMatrix Matrix)> Prune(Linear[] readers, InputSums sums, ModelSparsityOptions options, ComputeContext context)
    {
        ErrorPropagation? factor = null;
        foreach (Linear slot in readers)
        {
            Tensor weights = new(slot.Weight.Rows, slot.Weight.Columns);
            for (int row = 0; row < weights.Rows; row++)
            {
                slot.Weight.DecodeRow(row, weights.Row(row));
                BlockGptq.RefuseNotFinite($"{slot.Name}.weight", row, weights.Row(row));
            }

            if (options.Criterion != WeightCriterion.SparseGpt)
            {
                yield return (slot, new PrunedMatrix(Wanda.Mask(weights, sums.Norms(slot.Name), options.Sparsity)));
                continue;
            }

            factor ??= Factor(slot.Name, sums, options, context.Team.Threads);
            yield return (slot, PruneSparseGpt(slot, weights, sums, options, factor, context.Team.Threads));
        }
    }

    private static ErrorPropagation Factor(string slot, InputSums sums, ModelSparsityOptions options, int threads)
    {
        try
        {
            return ErrorPropagation.Factor(sums.Products!.Span, null, options.Damping, threads);
        }
        catch (InvalidDataException damage)
        {
            throw new CalibrationException($"{slot}: {damage.Message}", damage);
        }
    }

    private static PrunedMatrix PruneSparseGpt(Linear slot, Tensor weights, InputSums sums, ModelSparsityOptions options, ErrorPropagation factor, int threads)
    {
        SparseGptOptions how = new() { Sparsity = options.Sparsity, Damping = options.Damping, Threads = threads };
        if (options.FormatOf?.Invoke(slot.Name) is not { CodeCount: > 0 } format)
        {
            WeightMask mask = SparseGpt.Prune(weights, sums.Products!.Span, how, null, factor);
            WeightFormat kept = slot.Weight.Format.BlockSize == 1 ? slot.Weight.Format : WeightFormats.ForName("F32")!;
            byte[] rows = new byte[checked((int)kept.RowBytes(weights.Columns) * weights.Rows)];
            int width = (int)kept.RowBytes(weights.Columns);
            Parallel.For(0, weights.Rows, new ParallelOptions { MaxDegreeOfParallelism = threads }, row => kept.Encode(weights.Row(row), [], rows.AsSpan(row * width, width)));
            return new PrunedMatrix(mask) { Rows = rows, Format = kept };
        }

        UInt128[] keys = new UInt128[weights.Rows];
        IStoredGrid[] grids = new IStoredGrid[weights.Rows];
        for (int row = 0; row < weights.Rows; row++)
        {
            keys[row] = QuantizedRows.KeyOf(slot.Name, format, weights.Row(row));
            grids[row] = new BlockFormatGrid(format, weights.Columns);
        }

        WeightMask gone = SparseGpt.Prune(weights, sums.Products!.Span, how, grids, factor);
        return new PrunedMatrix(gone) { Rows = [.. grids.SelectMany(grid => grid.Bytes.ToArray())], Format = format, Keys = keys };
    }

    private static Linear Dense(Linear slot, PrunedMatrix matrix)
    {
        Tensor values = new(slot.Weight.Rows, slot.Weight.Columns);
        for (int row = 0; row < values.Rows; row++)
        {
            slot.Weight.DecodeRow(row, values.Row(row));
            matrix.Apply(row, values.Row(row));
        }

        return new Linear(slot.Name, Weight.FromDense(values), slot.Bias);
    }

    /// <summary>What was seen of an input: squares of its columns, or all products of them.</summary>
    private sealed class InputSums(int columns, bool keepsProducts)
    {
        private readonly ColumnSums _squares = new(columns);

        /// <summary>Σ x xᵀ [C, C]; null where only squares are kept.</summary>
        public Tensor? Products { get; } = keepsProducts ? new Tensor(columns, columns) : null;

        public void Add(ComputeContext context, Tensor x)
        {
            if (Products is null)
            {
                _squares.Add(x);
            }
            else
            {
                GramSums.Add(context, x, Products);
            }
        }

        /// <summary>The root of the mean square of each column, which ranks as its norm does.</summary>
        public float[] Norms(string slot) => Array.ConvertAll(_squares.Importance(slot).MeanSquares, MathF.Sqrt);
    }
}
