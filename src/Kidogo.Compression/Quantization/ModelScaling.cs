// AWQ and SmoothQuant over a whole model: scales of columns, found block by block and folded into what comes before. Knows no command line and writes no model.
using Kidogo.Compression.Calibration;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;

namespace Kidogo.Compression.Quantization;

/// <summary>How scales are found.</summary>
public sealed record ModelScalingOptions
{
    /// <summary>Tokens of a sequence. Default 512.</summary>
    public int SequenceTokens { get; init; } = 512;

    /// <summary>Rows of inputs that AWQ judges each choice on. Default 128.</summary>
    public int SampleRows { get; init; } = 128;

    /// <summary>SmoothQuant's share of the difficulty that goes from activations to weights, 0 to 1; null for AWQ's search.</summary>
    public float? Smooth { get; init; }

    /// <summary>Called with the blocks done and all; may be null.</summary>
    public Action<long, long>? Progress { get; init; }
}

/// <summary>Scales, and the importance of inputs that are divided by them.</summary>
/// <param name="Scales">To be folded in.</param>
/// <param name="Importance">By tensor name the mean squares of the inputs, after the division.</param>
public sealed record ScaledModel(InputScales Scales, IReadOnlyDictionary<string, float[]> Importance)
{
    /// <summary>Formats with the importance of divided inputs, for tensors whose inputs were seen.</summary>
    /// <param name="choices">By tensor name.</param>
    public Dictionary<string, TensorChoice> WithImportance(Dictionary<string, TensorChoice> choices) =>
        choices.ToDictionary(each => each.Key, each => Importance.TryGetValue(each.Key, out float[]? own) ? each.Value with { Importance = own } : each.Value, choices.Comparer);
}

/// <summary>AWQ (Lin et al., arXiv 2306.00978) and SmoothQuant (Xiao et al., arXiv 2211.10438, equation 4) over the blocks of a model.</summary>
public static class ModelScaling
{
    /// <summary>Finds scales for every input that something before it can be divided for.</summary>
    /// <param name="model">The model; its slots are wrapped meanwhile.</param>
    /// <param name="context">A training context.</param>
    /// <param name="tensors">The tensors that will be written.</param>
    /// <param name="ids">The text to calibrate on.</param>
    /// <param name="formatOf">The format of a tensor; null for those that are kept.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellation">Looked at between passes.</param>
    public static ScaledModel Run(
        DecoderModel model, ComputeContext context, IReadOnlyList<ModelTensor> tensors, ReadOnlyMemory<int> ids, Func<string, WeightFormat?> formatOf, ModelScalingOptions options, CancellationToken cancellation = default)
    {
        InputScales scales = new(tensors, model.Config.Layers.All(layer => layer.NumHeads == layer.NumKvHeads));
        Dictionary<string, float[]> importance = new(StringComparer.Ordinal);
        InputSamples.Run(model, context, ids, options.SequenceTokens, options.SampleRows, (block, samples) =>
        {
            for (int input = 0; input < SlotInputs.Count; input++)
            {
                ModelTensor[] readers = [.. tensors.Where(tensor => !tensor.IsVector && SlotInputs.TryFind(tensor.Name, out int of, out int which) && of == block && which == input)];
                if (samples[input] is not { } sample || readers.Length == 0)
                {
                    continue;
                }

                float[] squares = sample.MeanSquares(readers[0].Name);
                if (scales.CanFold(block, input) && (options.Smooth is null || input is 0 or 2))
                {
                    float[]? found = options.Smooth is { } share ? SmoothScales(sample.Largest, readers, share) : AwqScales(sample, squares, readers, formatOf, context.Team.Threads);
                    if (found is not null)
                    {
                        scales.Set(block, input, found);
                        squares = [.. squares.Select((mean, c) => mean / (found[c] * found[c]))];
                    }
                }

                foreach (ModelTensor reader in readers)
                {
                    importance.Add(reader.Name, squares);
                }
            }

            options.Progress?.Invoke(block + 1, model.Config.NumLayers);
        }, cancellation);
        return new ScaledModel(scales, importance);
    }

    /// <summary>s = max|x|^α / max|w|^(1−α), at least 1e-5; 1 where either is 0.</summary>
    /// <param name="largestInputs">[C]</param>
    /// <param name="largestWeights">[C]</param>
    /// <param name="share">α</param>
    public static float[] SmoothScales(ReadOnlySpan<float> largestInputs, ReadOnlySpan<float> largestWeights, float share)
    {
        const float Least = 1e-5f;
        float[] scales = new float[largestInputs.Length];
        for (int c = 0; c < scales.Length; c++)
        {
            scales[c] = largestInputs[c] > 0 && largestWeights[c] > 0 ? MathF.Max(MathF.Pow(largestInputs[c], share) / MathF.Pow(largestWeights[c], 1 - share), Least) : 1;
        }

        return scales;
    }

    private static float[] SmoothScales(float[] largestInputs, ModelTensor[] readers, float share)
    {
        float[] largest = new float[largestInputs.Length], row = new float[largestInputs.Length];
        foreach (ModelTensor reader in readers)
        {
            for (int r = 0; r < reader.Rows; r++)
            {
                InputScales.ReadRow(reader, r, row);
                for (int c = 0; c < row.Length; c++)
                {
                    largest[c] = Math.Max(largest[c], Math.Abs(row[c]));
                }
            }
        }

        return SmoothScales(largestInputs, largest, share);
    }

    private static float[]? AwqScales(InputSample sample, float[] squares, ModelTensor[] readers, Func<string, WeightFormat?> formatOf, int threads)
    {
        WeightFormat? format = readers.OrderByDescending(reader => reader.Elements).Select(reader => formatOf(reader.Name)).FirstOrDefault(each => each is { BlockSize: > 1 });
        if (format is null)
        {
            return null;
        }

        Tensor weights = new(readers.Sum(reader => reader.Rows), readers[0].Columns);
        int row = 0;
        foreach (ModelTensor reader in readers)
        {
            for (int r = 0; r < reader.Rows; r++)
            {
                InputScales.ReadRow(reader, r, weights.Row(row++));
            }
        }

        AwqScales found = Awq.SearchScales(weights, sample.Rows(), () => new NearestGrid(format), AwqWeighting.Activations, threads, squares);
        return found.Ratio == 0 ? null : found.Scales;
    }
}
