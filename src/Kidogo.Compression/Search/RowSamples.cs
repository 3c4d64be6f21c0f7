// What rounding some rows of matrices into many formats changes, by the method that will round all of them. Knows no models.
using System.Numerics.Tensors;
using Kidogo.Compression.Quantization;
using Kidogo.Tensors.Formats;
using Tensor = Kidogo.Tensors.Tensor;

namespace Kidogo.Compression.Search;

/// <summary>Some rows of a matrix, and the formats that it may get.</summary>
/// <param name="Rows">[n, C]</param>
/// <param name="Formats">The formats.</param>
internal sealed record RowSample(Tensor Rows, IReadOnlyList<WeightFormat> Formats);

/// <summary>Rounds samples.</summary>
internal static class RowSamples
{
    /// <summary>Rounds to nearest, with the mean squares of the inputs as importance.</summary>
    /// <param name="rows">[n, C]</param>
    /// <param name="format">The format.</param>
    /// <param name="importance">[C], or empty.</param>
    /// <param name="threads">Threads.</param>
    /// <returns>[n, C] The rows as they come back.</returns>
    public static Tensor Rounded(Tensor rows, WeightFormat format, float[] importance, int threads)
    {
        Tensor rounded = new(rows.Rows, rows.Columns);
        Parallel.For(0, rows.Rows, new ParallelOptions { MaxDegreeOfParallelism = threads }, row =>
        {
            byte[] bytes = new byte[format.RowBytes(rows.Columns)];
            format.Encode(rows.Row(row), importance, bytes);
            format.Decode(bytes, rounded.Row(row));
        });
        return rounded;
    }

    /// <summary>What rounding changes.</summary>
    /// <param name="samples">Samples of matrices that read the same inputs.</param>
    /// <param name="sums">[C, C] Products of the inputs.</param>
    /// <param name="importance">[C] Mean squares of the inputs.</param>
    /// <param name="ridge">What is added to the diagonal of the products, as a share of its mean: GPTQ's damping.</param>
    /// <param name="makesGood">Whether GPTQ rounds, where a format's weights have codes of their own.</param>
    /// <param name="threads">Threads.</param>
    /// <returns>For each sample and format the differences [n, C].</returns>
    public static Tensor[][] Differences(IReadOnlyList<RowSample> samples, Tensor sums, float[] importance, double ridge, bool makesGood, int threads)
    {
        Tensor[][] differences = [.. samples.Select(sample => new Tensor[sample.Formats.Count])];
        List<(int Sample, int Format)> propagated = [];
        for (int s = 0; s < samples.Count; s++)
        {
            for (int f = 0; f < samples[s].Formats.Count; f++)
            {
                if (makesGood && samples[s].Formats[f].CodeCount > 0)
                {
                    propagated.Add((s, f));
                    continue;
                }

                differences[s][f] = Difference(Rounded(samples[s].Rows, samples[s].Formats[f], importance, threads), 0, samples[s].Rows);
            }
        }

        GptqOptions options = GptqOptions.ForBlocks(ridge, threads);
        ErrorPropagation? factor = propagated.Count > 0 ? Gptq.Factor(sums.Span, options) : null;
        foreach (IGrouping<int, (int Sample, int Format)> group in propagated.GroupBy(each => samples[each.Sample].Formats[each.Format].BlockSize))
        {
            (int Sample, int Format)[] own = [.. group];
            Tensor weights = new(own.Sum(each => samples[each.Sample].Rows.Rows), sums.Columns);
            BlockFormatGrid[] grids = new BlockFormatGrid[weights.Rows];
            int row = 0;
            foreach ((int s, int f) in own)
            {
                samples[s].Rows.Span.CopyTo(weights.Span[(row * weights.Columns)..]);
                for (int r = 0; r < samples[s].Rows.Rows; r++)
                {
                    grids[row++] = new BlockFormatGrid(samples[s].Formats[f], weights.Columns);
                }
            }

            Gptq.Quantize(weights, sums.Span, grids, options, factor);
            row = 0;
            foreach ((int s, int f) in own)
            {
                differences[s][f] = Difference(weights, row, samples[s].Rows);
                row += samples[s].Rows.Rows;
            }
        }

        return differences;
    }

    private static Tensor Difference(Tensor rounded, int first, Tensor rows)
    {
        Tensor difference = new(rows.Rows, rows.Columns);
        TensorPrimitives.Subtract(rounded.Span.Slice(first * rows.Columns, rows.Length), rows.Span, difference.Span);
        return difference;
    }
}
