// Scores of structure from gradients: what the loss would change by, to first order, without a part. Changes no weight.
using Kidogo.Compression.Calibration;
using Kidogo.Models;
using Kidogo.Models.Families;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Compression.Pruning;

/// <summary>Scores by gradients of the mean loss over a text.</summary>
/// <remarks>
/// Taylor: Σ |gradient · weight| over the weights that are a part's alone: of a query head its rows of q and columns of o, of a key and value head its rows of k and v, of a neuron its rows of gate and up and
/// its column of down, of a channel its rows and columns everywhere. Gate (heads): the mean over sequences of |Σ output · gradient| of a head before o, which is the sum of weight · gradient over the head's
/// columns of o, sequence by sequence. In memory are the weights in float32 and their gradients.
/// </remarks>
public static class TaylorScores
{
    /// <summary>Runs a text through the model and back.</summary>
    /// <param name="model">The model; all its weights are decoded to float32 and stay so.</param>
    /// <param name="context">A training context.</param>
    /// <param name="ids">The text, cut into sequences from its beginning.</param>
    /// <param name="length">Tokens of a sequence, 2 or more.</param>
    /// <param name="isGate">Whether heads go by their gates.</param>
    /// <param name="progress">Called with the sequences done and all; may be null.</param>
    /// <param name="cancellation">Looked at between sequences.</param>
    /// <exception cref="CalibrationException">The text is too short, or the loss is no number.</exception>
    public static StructureScores Run(DecoderModel model, ComputeContext context, ReadOnlyMemory<int> ids, int length, bool isGate, Action<long, long>? progress = null, CancellationToken cancellation = default)
    {
        ids = ImportanceCollector.Whole(ids, length, model);
        if (length < 2)
        {
            throw new CalibrationException("Sequences of one token have no loss. Give sequences of 2 tokens or more.");
        }

        Dictionary<string, Tensor> parameters = ModelParameters.MakeTrainable(model).ToDictionary(parameter => parameter.Name, parameter => parameter.Values, StringComparer.Ordinal);
        int sequences = ids.Length / length;
        double[][] gates = [.. model.Config.Layers.Select(layer => new double[layer.NumHeads])];
        Clear(parameters);
        for (int i = 0; i < sequences; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            Backward(model, context, ids.Span.Slice(i * length, length), sequences * (length - 1));
            if (isGate)
            {
                AddGates(model.Config, parameters, gates, sequences);
                Clear(parameters);
            }

            progress?.Invoke(i + 1, sequences);
        }

        if (isGate)
        {
            // What is not a head goes by all gradients together.
            for (int i = 0; i < sequences; i++)
            {
                Backward(model, context, ids.Span.Slice(i * length, length), sequences * (length - 1));
            }
        }

        return Scores(model.Config, parameters, isGate ? gates : null);
    }

    private static void Clear(Dictionary<string, Tensor> parameters)
    {
        foreach (Tensor values in parameters.Values)
        {
            values.ClearGradient();
        }
    }

    private static void Backward(DecoderModel model, ComputeContext context, ReadOnlySpan<int> ids, int targets)
    {
        using SequenceBatch batch = new();
        batch.Add(null, ids, LogitRows.All);
        int[] next = [.. ids[1..], CrossEntropyOp.NoTarget];
        CrossEntropyResult result = model.Loss(context, batch, next, new CrossEntropyOptions { Count = targets });
        if (!double.IsFinite(result.Value))
        {
            throw new CalibrationException("The loss on the text is no finite number. The model's weights are damaged; get the model again.");
        }

        context.Backward(result.Loss);
    }

    private static void AddGates(DecoderConfig config, Dictionary<string, Tensor> parameters, double[][] gates, int sequences)
    {
        for (int i = 0; i < config.NumLayers; i++)
        {
            LayerConfig layer = config.Layers[i];
            Tensor output = parameters[CanonicalNames.InLayer(i, "attn_output.weight")];
            double[] sums = new double[layer.NumHeads];
            for (int row = 0; row < output.Rows; row++)
            {
                ReadOnlySpan<float> weights = output.Row(row), gradients = output.Gradient!.Row(row);
                for (int c = 0; c < weights.Length; c++)
                {
                    sums[c / layer.HeadDim] += (double)weights[c] * gradients[c];
                }
            }

            for (int head = 0; head < sums.Length; head++)
            {
                gates[i][head] += Math.Abs(sums[head]) / sequences;
            }
        }
    }

    private static StructureScores Scores(DecoderConfig config, Dictionary<string, Tensor> parameters, double[][]? gates)
    {
        double[] hidden = new double[config.HiddenSize];
        LayerScores[] layers = new LayerScores[config.NumLayers];
        for (int i = 0; i < layers.Length; i++)
        {
            LayerConfig layer = config.Layers[i];
            double[] neurons = new double[layer.IntermediateSize], heads = new double[layer.NumHeads], keys = new double[layer.NumKvHeads];
            int number = i;
            Products Of(string name) => new(parameters.GetValueOrDefault(CanonicalNames.InLayer(number, name)));
            Of("attn_q.weight").Add(heads, hidden, layer.HeadDim);
            Of("attn_output.weight").Add(hidden, heads, columnsOfPart: layer.HeadDim);
            Of("attn_k.weight").Add(keys, hidden, layer.HeadDim);
            Of("attn_v.weight").Add(keys, hidden, layer.HeadDim);
            Of("ffn_gate.weight").Add(neurons, hidden);
            Of("ffn_up.weight").Add(neurons, hidden);
            Of("ffn_down.weight").Add(hidden, neurons);
            Of("attn_norm.weight").Add(null, hidden);
            Of("ffn_norm.weight").Add(null, hidden);
            double whole = heads.Sum() + keys.Sum() + neurons.Sum();
            heads = gates?[i] ?? heads;
            double[] groups = [.. ActivationScores.OfGroups(heads, layer).Select((sum, head) => (gates is null ? keys[head] : 0) + sum)];
            layers[i] = new LayerScores(neurons, heads, groups, whole) { KeysAndValues = keys };
        }

        foreach (string name in (string[])["token_embd.weight", "output.weight", "output_norm.weight"])
        {
            new Products(parameters.GetValueOrDefault(name)).Add(null, hidden);
        }

        return new StructureScores(layers, hidden) { AreComparable = true };
    }

    /// <summary>|gradient · weight| of a matrix or vector, added to what its rows and columns are of.</summary>
    private readonly struct Products(Tensor? values)
    {
        public void Add(double[]? rows, double[] columns, int rowsOfPart = 1, int columnsOfPart = 1)
        {
            if (values?.Gradient is not { } gradient)
            {
                return;
            }

            for (int row = 0; row < values.Rows; row++)
            {
                ReadOnlySpan<float> weights = values.Row(row), slopes = gradient.Row(row);
                for (int c = 0; c < weights.Length; c++)
                {
                    double product = Math.Abs((double)weights[c] * slopes[c]);
                    columns[c / columnsOfPart] += product;
                    if (rows is not null)
                    {
                        rows[row / rowsOfPart] += product;
                    }
                }
            }
        }
    }
}
