// Rows of what goes into the matrices of one block, spread over a text, and the largest of each column. Knows no method.
using System.Numerics.Tensors;
using Kidogo.Models;
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Tensor = Kidogo.Tensors.Tensor;

namespace Kidogo.Compression.Calibration;

/// <summary>What was seen of one input.</summary>
/// <param name="columns">Columns.</param>
/// <param name="every">One row in how many is kept.</param>
public sealed class InputSample(int columns, int every)
{
    private readonly List<float[]> _rows = [];
    private readonly ColumnSums _sums = new(columns);
    private int _seen;

    /// <summary>The largest magnitude of each column.</summary>
    public float[] Largest { get; } = new float[columns];

    /// <summary>The mean square of each column.</summary>
    /// <param name="slot">What it goes into, for the message.</param>
    public float[] MeanSquares(string slot) => _sums.Importance(slot).MeanSquares;

    /// <summary>The rows that were kept. [n, C]</summary>
    public Tensor Rows()
    {
        Tensor rows = new(_rows.Count, columns);
        for (int i = 0; i < _rows.Count; i++)
        {
            _rows[i].CopyTo(rows.Row(i));
        }

        return rows;
    }

    internal void Add(Tensor x)
    {
        _sums.Add(x);
        float[] magnitudes = new float[columns];
        for (int row = 0; row < x.Rows; row++, _seen++)
        {
            TensorPrimitives.Abs(x.Row(row), magnitudes);
            TensorPrimitives.Max(Largest, magnitudes, Largest);
            if (_seen % every == every / 2)
            {
                _rows.Add(x.Row(row).ToArray());
            }
        }
    }
}

/// <summary>Goes over the blocks of a model with the inputs of each.</summary>
public static class InputSamples
{
    /// <summary>Runs a text through the model and shows for each block what went into its matrices.</summary>
    /// <param name="model">The model; its slots are wrapped meanwhile.</param>
    /// <param name="context">A training context.</param>
    /// <param name="ids">The text.</param>
    /// <param name="length">Tokens of a sequence.</param>
    /// <param name="kept">Rows to keep of each input, about.</param>
    /// <param name="seen">Called after each block with its number and its inputs (<see cref="SlotInputs"/>).</param>
    /// <param name="cancellation">Looked at between passes.</param>
    /// <exception cref="CalibrationException">The text is too short, or activations are damaged.</exception>
    public static void Run(DecoderModel model, ComputeContext context, ReadOnlyMemory<int> ids, int length, int kept, Action<int, InputSample?[]> seen, CancellationToken cancellation = default)
    {
        ids = ImportanceCollector.Whole(ids, length, model);
        int every = Math.Max(1, ids.Length / kept);
        using BlockWalk walk = new(model, context);
        Tensor[] states = ImportanceCollector.Embedded(walk, context, ids, length);

        for (int block = 0; block < walk.Blocks; block++)
        {
            InputSample?[] samples = new InputSample?[SlotInputs.Count];
            Dictionary<string, Linear> originals = [];
            foreach (Linear slot in walk.Slots(block).OfType<Linear>())
            {
                if (SlotInputs.TryFind(slot.Name, out _, out int input) && samples[input] is null)
                {
                    samples[input] = new InputSample(slot.Weight.Columns, every);
                    originals.Add(slot.Name, slot);
                }
            }

            model.Replace(layer => originals.TryGetValue(layer.Name, out Linear? slot) ? new ObservedLinear(slot, Sampler(samples, layer.Name), computes: true) : layer);
            try
            {
                for (int i = 0, first = 0; i < states.Length; first += states[i].Rows, i++)
                {
                    cancellation.ThrowIfCancellationRequested();
                    states[i] = ImportanceCollector.Kept(context, walk.Run(block, states[i], ids.Span.Slice(first, states[i].Rows), length));
                }
            }
            finally
            {
                model.Replace(layer => originals.TryGetValue(layer.Name, out Linear? slot) ? slot : layer);
                context.Forget();
            }

            seen(block, samples);
        }
    }

    private static Action<ComputeContext, Tensor> Sampler(InputSample?[] samples, string slot)
    {
        SlotInputs.TryFind(slot, out _, out int input);
        return (_, x) => samples[input]!.Add(x);
    }
}
