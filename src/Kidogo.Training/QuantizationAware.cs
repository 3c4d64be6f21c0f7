// Weights that passes see as a file with fewer bits will have them, while training changes finer ones. Knows no optimiser and no files.
using Kidogo.Models;
using Kidogo.Models.Families;
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;
using Kidogo.Training.Recipes;

namespace Kidogo.Training;

/// <summary>Quantisation-aware training by the straight-through estimator (Bengio et al., arXiv 1308.3432, section 4): passes compute with the matrices of
/// all blocks rounded to a format, and what flows into a rounded
/// weight flows into the weight behind it as it is.</summary>
/// <remarks>
/// Rounded weights are those that the format stores: encoded and decoded, so that the exported file has them bit for bit. To the ternary formats weights are
/// rounded as BitNet b1.58 does (Ma et al., arXiv
/// 2402.17764, section 2), to -1, 0 or 1 times the mean size of the whole matrix, which the formats hold as the one scale of every block. Embedding, head and
/// vectors stay as they are, and activations too.
/// </remarks>
internal sealed class QuantizationAware
{
    private readonly WeightFormat _format;
    private readonly (Tensor Fine, Tensor Seen)[] _pairs;

    private QuantizationAware(WeightFormat format, (Tensor Fine, Tensor Seen)[] pairs, IReadOnlyList<ModelParameter> parameters) => (_format, _pairs, Parameters) = (format, pairs, parameters);

    /// <summary>What is trained: the finer weights in the place of those that passes see.</summary>
    public IReadOnlyList<ModelParameter> Parameters { get; }

    /// <summary>The format of a recipe's word; null where it cannot be trained towards.</summary>
    public static WeightFormat? FormatOf(string word) => WeightFormats.ForName(word.ToUpperInvariant()) is { CanEncode: true, BlockSize: > 1 } format ? format : null;

    /// <summary>Makes the passes of a model see rounded weights.</summary>
    /// <param name="model">With all weights trainable; they become the finer ones.</param>
    /// <param name="parameters">All of these.</param>
    /// <param name="format">The format.</param>
    /// <exception cref="RecipeException">A matrix does not fit the format's blocks.</exception>
    public static QuantizationAware Of(DecoderModel model, IReadOnlyList<ModelParameter> parameters, WeightFormat format)
    {
        Dictionary<Tensor, Tensor> fine = [];
        foreach (Linear linear in model.Slots().OfType<Linear>().Where(linear => CanonicalNames.TrySplitLayer(linear.Name, out _, out _)))
        {
            Tensor seen = ((TrainableWeight)linear.Weight).Values;
            if (seen.Columns % format.BlockSize != 0)
            {
                throw new RecipeException($"quantization_aware: {format.Name} has blocks of {format.BlockSize} weights, but {linear.Name} has rows of {seen.Columns}. Take another format, or widths that are a multiple of it.");
            }

            Tensor behind = new Tensor(seen.Rows, seen.Columns).AsParameter();
            seen.Span.CopyTo(behind.Span);
            seen.ShareGradient(behind);
            fine.Add(seen, behind);
        }

        QuantizationAware made = new(format, [.. fine.Select(pair => (pair.Value, pair.Key))],
            [.. parameters.Select(parameter => fine.TryGetValue(parameter.Values, out Tensor? behind) ? parameter with { Values = behind } : parameter)]);
        made.Refresh();
        return made;
    }

    /// <summary>Rounds what passes see anew, after the finer weights have changed.</summary>
    public void Refresh()
    {
        foreach ((Tensor fine, Tensor seen) in _pairs)
        {
            double scale = IsTernary ? MeanSize(fine) : 0;
            Parallel.For(0, fine.Rows, row => Round(fine.Row(row), scale, seen.Row(row)));
        }
    }

    private bool IsTernary => _format.Name is "TQ1_0" or "TQ2_0";

    /// <summary>The mean of |w|, as float16 holds it.</summary>
    private static double MeanSize(Tensor weights)
    {
        double sum = 0;
        foreach (float weight in weights.Span)
        {
            sum += Math.Abs(weight);
        }

        return (double)(Half)(sum / weights.Length);
    }

    private void Round(ReadOnlySpan<float> fine, double scale, Span<float> seen)
    {
        fine.CopyTo(seen);
        for (int i = 0; i < seen.Length && IsTernary; i++)
        {
            seen[i] = scale == 0 ? 0 : (float)(Math.Clamp(Math.Round(fine[i] / scale), -1, 1) * scale);
        }

        byte[] blocks = new byte[_format.RowBytes(seen.Length)];
        _format.Encode(seen, [], blocks);
        _format.Decode(blocks, seen);
    }
}
