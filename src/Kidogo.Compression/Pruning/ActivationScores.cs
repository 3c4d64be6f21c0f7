// Scores of structure from what flows through a model: neurons, heads, channels and whole layers in one pass. Finds no gradients.
using System.Numerics.Tensors;
using Kidogo.Compression.Calibration;
using Kidogo.Models;
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Tensor = Kidogo.Tensors.Tensor;

namespace Kidogo.Compression.Pruning;

/// <summary>What the pass saw of a layer.</summary>
/// <param name="Neurons">[F] ‖column j of down‖₂ · √(mean over tokens of a_j²), a what goes into down.</param>
/// <param name="NeuronActivations">[F] Minitron's: the mean of |a_j| over a sequence, L2 over sequences.</param>
/// <param name="Heads">[H] The same of the norm of a head's output.</param>
/// <param name="BlockInfluence">1 − the mean cosine of what goes into the layer and what comes out (Men et al., arXiv 2403.03853, equation 1).</param>
public sealed record LayerActivations(double[] Neurons, double[] NeuronActivations, double[] Heads, double BlockInfluence);

/// <summary>Scores by activations.</summary>
/// <param name="Layers">Layer by layer.</param>
/// <param name="Hidden">[D] Minitron's, of what the norms before attention and feed-forward give, summed over all of them.</param>
public sealed record ActivationScores(IReadOnlyList<LayerActivations> Layers, double[] Hidden)
{
    /// <summary>Runs a text through the model.</summary>
    /// <param name="model">The model; its slots are wrapped meanwhile.</param>
    /// <param name="context">A training context.</param>
    /// <param name="ids">The text, cut into sequences from its beginning.</param>
    /// <param name="length">Tokens of a sequence.</param>
    /// <param name="progress">Called with the blocks done and all; may be null.</param>
    /// <param name="cancellation">Looked at between passes.</param>
    /// <exception cref="CalibrationException">The text is too short.</exception>
    public static ActivationScores Run(DecoderModel model, ComputeContext context, ReadOnlyMemory<int> ids, int length, Action<long, long>? progress = null, CancellationToken cancellation = default)
    {
        ids = ImportanceCollector.Whole(ids, length, model);
        using BlockWalk walk = new(model, context);
        Tensor[] states = ImportanceCollector.Embedded(walk, context, ids, length);

        double[] hidden = new double[model.Config.HiddenSize];
        List<LayerActivations> layers = [];
        for (int block = 0; block < walk.Blocks; block++)
        {
            LayerConfig layer = model.Config.Layers[block];
            Watch watch = new(layer, model.Config, length);
            Dictionary<string, Linear> originals = [];
            foreach (Linear slot in walk.Slots(block).OfType<Linear>())
            {
                if (watch.Of(slot.Name) is not null)
                {
                    originals.Add(slot.Name, slot);
                }
            }

            model.Replace(slot => originals.TryGetValue(slot.Name, out Linear? own) ? new ObservedLinear(own, watch.Of(own.Name), computes: true) : slot);
            try
            {
                for (int i = 0, first = 0; i < states.Length; first += states[i].Rows, i++)
                {
                    cancellation.ThrowIfCancellationRequested();
                    Tensor after = walk.Run(block, states[i], ids.Span.Slice(first, states[i].Rows), length);
                    watch.AddCosines(states[i], after);
                    after.Span.CopyTo(states[i].Span);
                    context.Forget();
                }
            }
            finally
            {
                model.Replace(slot => originals.TryGetValue(slot.Name, out Linear? own) ? own : slot);
                context.Forget();
            }

            Linear down = originals.Values.First(slot => slot.Name.EndsWith("ffn_down", StringComparison.Ordinal));
            Tensor weights = new(down.Weight.Rows, down.Weight.Columns);
            for (int row = 0; row < weights.Rows; row++)
            {
                down.Weight.DecodeRow(row, weights.Row(row));
            }

            layers.Add(watch.Layer(ColumnNorms(weights), ids.Length));
            watch.AddHidden(hidden);
            progress?.Invoke(block + 1, walk.Blocks);
        }

        return new ActivationScores(layers, hidden);
    }

    /// <summary>The scores to choose by.</summary>
    /// <param name="config">The model.</param>
    /// <param name="isMinitron">Whether neurons go by their activations alone.</param>
    public StructureScores Scores(DecoderConfig config, bool isMinitron) => new(
        [.. Layers.Select((layer, i) => new LayerScores(isMinitron ? layer.NeuronActivations : layer.Neurons, layer.Heads, OfGroups(layer.Heads, config.Layers[i]), layer.BlockInfluence))],
        Hidden);

    /// <summary>The sums of the query heads of each key and value head. [K]</summary>
    internal static double[] OfGroups(double[] heads, LayerConfig layer)
    {
        double[] sums = new double[layer.NumKvHeads];
        for (int head = 0; head < heads.Length; head++)
        {
            sums[head / (layer.NumHeads / layer.NumKvHeads)] += heads[head];
        }

        return sums;
    }

    /// <summary>The length of each column. [C]</summary>
    internal static double[] ColumnNorms(Tensor weights)
    {
        double[] squares = new double[weights.Columns];
        for (int r = 0; r < weights.Rows; r++)
        {
            ReadOnlySpan<float> row = weights.Row(r);
            for (int c = 0; c < row.Length; c++)
            {
                squares[c] += (double)row[c] * row[c];
            }
        }

        return Array.ConvertAll(squares, Math.Sqrt);
    }

    /// <summary>Sums over one layer.</summary>
    private sealed class Watch(LayerConfig layer, DecoderConfig config, int length)
    {
        private readonly double[] _squares = new double[layer.IntermediateSize];
        private readonly SequenceMeans _neurons = new(layer.IntermediateSize, length);
        private readonly SequenceMeans _heads = new(layer.NumHeads, length);
        private readonly SequenceMeans[] _norms = [new(config.HiddenSize, length), new(config.HiddenSize, length)];
        private double _cosines;

        /// <summary>What to do with the inputs of a slot; null where they are not looked at.</summary>
        public Action<ComputeContext, Tensor>? Of(string slot) => slot[(slot.LastIndexOf('.') + 1)..] switch
        {
            "attn_q" => (_, x) => _norms[0].Add(x, x.Columns, (row, means) => TensorPrimitives.Abs(row, means)),
            "ffn_up" when config.Residual != ResidualKind.ParallelOneNorm => (_, x) => _norms[1].Add(x, x.Columns, (row, means) => TensorPrimitives.Abs(row, means)),
            "attn_output" => (_, x) => _heads.Add(x, layer.NumHeads, HeadNorms),
            "ffn_down" => (_, x) =>
            {
                _neurons.Add(x, x.Columns, (row, means) => TensorPrimitives.Abs(row, means));
                for (int t = 0; t < x.Rows; t++)
                {
                    ReadOnlySpan<float> row = x.Row(t);
                    for (int c = 0; c < row.Length; c++)
                    {
                        _squares[c] += (double)row[c] * row[c];
                    }
                }
            },
            _ => null,
        };

        public void AddCosines(Tensor before, Tensor after)
        {
            for (int t = 0; t < before.Rows; t++)
            {
                double dot = 0, one = 0, two = 0;
                ReadOnlySpan<float> x = before.Row(t), y = after.Row(t);
                for (int c = 0; c < x.Length; c++)
                {
                    (dot, one, two) = (dot + ((double)x[c] * y[c]), one + ((double)x[c] * x[c]), two + ((double)y[c] * y[c]));
                }

                _cosines += one == 0 || two == 0 ? 0 : dot / Math.Sqrt(one * two);
            }
        }

        public LayerActivations Layer(double[] columnNorms, int tokens) => new(
            [.. _squares.Select((square, j) => columnNorms[j] * Math.Sqrt(square / tokens))], _neurons.Scores(), _heads.Scores(), 1 - (_cosines / tokens));

        public void AddHidden(double[] hidden)
        {
            foreach (double[] scores in _norms.Select(norm => norm.Scores()))
            {
                for (int c = 0; c < hidden.Length; c++)
                {
                    hidden[c] += scores[c];
                }
            }
        }

        private void HeadNorms(ReadOnlySpan<float> row, Span<float> norms)
        {
            for (int head = 0; head < norms.Length; head++)
            {
                norms[head] = TensorPrimitives.Norm(row.Slice(head * layer.HeadDim, layer.HeadDim));
            }
        }
    }

    private delegate void RowReading(ReadOnlySpan<float> row, Span<float> values);

    /// <summary>Means over each sequence, and the root of the sum of their squares over all.</summary>
    private sealed class SequenceMeans(int width, int length)
    {
        private readonly double[] _squares = new double[width];

        public void Add(Tensor x, int values, RowReading read)
        {
            float[] row = new float[values];
            double[] sums = new double[values];
            for (int t = 0; t < x.Rows; t++)
            {
                read(x.Row(t), row);
                for (int c = 0; c < values; c++)
                {
                    sums[c] += row[c];
                }

                if ((t + 1) % length == 0)
                {
                    for (int c = 0; c < values; c++)
                    {
                        _squares[c] += sums[c] / length * (sums[c] / length);
                    }

                    Array.Clear(sums);
                }
            }
        }

        public double[] Scores() => Array.ConvertAll(_squares, Math.Sqrt);
    }
}
