// Runs a model over a text and gathers the mean squares of what goes into its matrices. Knows no text and no files.
using System.Numerics.Tensors;
using Kidogo.Models;
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Tensor = Kidogo.Tensors.Tensor;

namespace Kidogo.Compression.Calibration;

/// <summary>How a model is calibrated.</summary>
public sealed record CalibrationOptions
{
    /// <summary>Tokens of a sequence; a last one that is shorter is left out. Default 512.</summary>
    public int SequenceTokens { get; init; } = 512;

    /// <summary>Called with the tokens done and all; may be null.</summary>
    public Action<long, long>? Progress { get; init; }
}

/// <summary>Gathers an importance matrix.</summary>
public static class ImportanceCollector
{
    private const int TokensAtOnce = 2048;

    /// <summary>Calibrates.</summary>
    /// <param name="model">The model; its slots are wrapped meanwhile, so nobody else may use it.</param>
    /// <param name="context">A training context: nothing is recorded, but there are no caches and everything is in float32.</param>
    /// <param name="ids">The text, cut into sequences from its beginning.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellation">Looked at between blocks.</param>
    /// <exception cref="CalibrationException">The text is shorter than a sequence, or the model computes values that are infinite or no numbers.</exception>
    public static ImportanceMatrix Run(DecoderModel model, ComputeContext context, ReadOnlyMemory<int> ids, CalibrationOptions options, CancellationToken cancellation = default)
    {
        int length = options.SequenceTokens;
        ids = Whole(ids, length, model);
        using BlockWalk walk = new(model, context);
        Dictionary<string, ColumnSums> sums = new(StringComparer.Ordinal);
        model.Replace(layer => Watch(layer, sums));
        try
        {
            ColumnSums head = new(model.Config.HiddenSize);
            int pass = Math.Max(1, TokensAtOnce / length) * length;
            for (int first = 0; first < ids.Length; first += pass)
            {
                ReadOnlySpan<int> part = ids.Span.Slice(first, Math.Min(pass, ids.Length - first));
                Tensor x = Kept(context, walk.Embed(part, length));
                for (int block = 0; block < walk.Blocks; block++)
                {
                    cancellation.ThrowIfCancellationRequested();
                    x = Kept(context, walk.Run(block, x, part, length));
                    options.Progress?.Invoke(first + ((long)part.Length * (block + 1) / walk.Blocks), ids.Length);
                }

                head.Add(walk.Finish(x));
                context.Forget();
            }

            Dictionary<string, ColumnImportance> columns = new(StringComparer.Ordinal);
            foreach (Linear slot in model.Slots().OfType<Linear>().Where(slot => SlotInputs.TryFind(slot.Name, out _, out _)))
            {
                columns.Add($"{slot.Name}.weight", sums[InputOf(slot.Name)].Importance(slot.Name));
            }

            columns.Add(model.Config.TiedHead ? "token_embd.weight" : "output.weight", head.Importance("the head"));
            return new ImportanceMatrix(columns) { ChunkTokens = length };
        }
        finally
        {
            model.Replace(layer => layer is WatchedLinear watched ? watched.Inner : layer);
            context.Forget();
        }
    }

    /// <summary>Whole sequences only.</summary>
    internal static ReadOnlyMemory<int> Whole(ReadOnlyMemory<int> ids, int length, DecoderModel model)
    {
        if (length < 1 || length > model.Config.ContextLength)
        {
            throw new CalibrationException($"Sequences of {length} tokens; expected 1 to {model.Config.ContextLength}, the model's context.");
        }

        int outside = ids.Span.IndexOfAnyExceptInRange(0, model.Config.VocabSize - 1);
        if (outside >= 0)
        {
            throw new CalibrationException($"The token id {ids.Span[outside]} at position {outside} is outside the model's vocabulary of {model.Config.VocabSize} (0 to {model.Config.VocabSize - 1}).");
        }

        return ids.Length >= length
            ? ids[..(ids.Length / length * length)]
            : throw new CalibrationException($"The text has {ids.Length} tokens, fewer than one sequence of {length}. Give a longer text, or shorter sequences.");
    }

    /// <summary>The sequences of a text in passes of a few thousand tokens, embedded: what goes into the first block.</summary>
    /// <param name="walk">The model's blocks.</param>
    /// <param name="context">Its surroundings.</param>
    /// <param name="ids">Whole sequences (<see cref="Whole"/>).</param>
    /// <param name="length">Tokens of a sequence.</param>
    internal static Tensor[] Embedded(BlockWalk walk, ComputeContext context, ReadOnlyMemory<int> ids, int length)
    {
        int pass = Math.Max(1, TokensAtOnce / length) * length;
        List<Tensor> states = [];
        for (int first = 0; first < ids.Length; first += pass)
        {
            states.Add(Kept(context, walk.Embed(ids.Span.Slice(first, Math.Min(pass, ids.Length - first)), length)));
        }

        return [.. states];
    }

    /// <summary>Copies a rented tensor and gives all others back.</summary>
    internal static Tensor Kept(ComputeContext context, Tensor rented)
    {
        Tensor kept = new(rented.Rows, rented.Columns);
        rented.Span.CopyTo(kept.Span);
        context.Forget();
        return kept;
    }

    private static string InputOf(string slot)
    {
        SlotInputs.TryFind(slot, out int block, out int input);
        return $"{block}.{input}";
    }

    /// <summary>Of the slots that read one input, the first is watched.</summary>
    private static Layer Watch(Layer layer, Dictionary<string, ColumnSums> sums)
    {
        if (layer is not Linear linear || !SlotInputs.TryFind(layer.Name, out _, out _))
        {
            return layer;
        }

        ColumnSums own = new(linear.Weight.Columns);
        return sums.TryAdd(InputOf(layer.Name), own) ? new WatchedLinear(linear, own) : layer;
    }

    private sealed class WatchedLinear(Linear inner, ColumnSums sums) : Linear(inner.Name, inner.Weight, inner.Bias)
    {
        public Linear Inner => inner;

        public override Tensor Forward(ComputeContext context, Tensor x)
        {
            sums.Add(x);
            return inner.Forward(context, x);
        }
    }
}

/// <summary>Σ x² for each column: in float32 over some rows, in float64 over all.</summary>
internal sealed class ColumnSums(int columns)
{
    private const int RowsAtOnce = 64;
    private readonly float[] _part = new float[columns];
    private readonly double[] _sums = new double[columns];
    private long _rows;

    /// <summary>Adds rows.</summary>
    public void Add(Tensor x)
    {
        for (int first = 0; first < x.Rows; first += RowsAtOnce)
        {
            Array.Clear(_part);
            for (int row = first; row < Math.Min(first + RowsAtOnce, x.Rows); row++)
            {
                TensorPrimitives.MultiplyAdd(x.Row(row), x.Row(row), _part, _part);
            }

            for (int c = 0; c < _sums.Length; c++)
            {
                _sums[c] += _part[c];
            }
        }

        _rows += x.Rows;
    }

    /// <summary>The means.</summary>
    /// <exception cref="CalibrationException">A sum is infinite or no number.</exception>
    public ColumnImportance Importance(string slot)
    {
        float[] means = Array.ConvertAll(_sums, sum => (float)(sum / Math.Max(1, _rows)));
        int damaged = Array.FindIndex(means, mean => !float.IsFinite(mean));
        return damaged < 0
            ? new ColumnImportance(means, _rows)
            : throw new CalibrationException($"What goes into {slot} has values that are infinite or no numbers (column {damaged}). The model's weights are damaged; get the model again.");
    }
}
