// AWQ: input columns that matter are scaled up before rounding, so that their errors shrink; outliers of weights may be clipped. Knows no formats but as a grid.
using System.Numerics.Tensors;
using Tensor = Kidogo.Tensors.Tensor;

namespace Kidogo.Compression.Quantization;

/// <summary>How <see cref="Awq"/> weighs a column.</summary>
public enum AwqWeighting
{
    /// <summary>s = mean|x|^α: the paper's.</summary>
    Activations,

    /// <summary>s = mean|x|^α / (ŵ^(1-α) + 1e-4), ŵ the mean of a column's |w| in shares of the largest of its group: AutoAWQ's.</summary>
    ActivationsAndWeights,
}

/// <summary>What <see cref="Awq.SearchScales"/> found.</summary>
/// <param name="Scales">[C]: what each column is multiplied with, and its input divided by.</param>
/// <param name="Ratio">The α of these.</param>
/// <param name="Loss">The mean square error of the outputs with them.</param>
/// <param name="Losses">The error for each α that was tried.</param>
public sealed record AwqScales(float[] Scales, double Ratio, double Loss, double[] Losses);

/// <summary>Activation-aware weight quantisation (Lin et al., arXiv 2306.00978, section 3.2). Sums are in float64.</summary>
public static class Awq
{
    private const int Ratios = 20;
    private const double LeastScale = 1e-4;
    private const int ClipSteps = 10; // the smallest limit tried is 0.55 of the largest weight, as in the authors' loop
    private const double ClipStep = 1.0 / 20;
    private const int RowsPerItem = 8;

    /// <summary>Finds the scales of input columns that keep the outputs closest: 20 ratios from 0 (none), the first of equals.</summary>
    /// <param name="weights">[R, C]; not changed.</param>
    /// <param name="inputs">[T, C]: a sample of the layer's inputs.</param>
    /// <param name="grid">A new grid for a row.</param>
    /// <param name="weighting">How columns are weighed.</param>
    /// <param name="threads">Threads.</param>
    /// <param name="meanSquares">[C] The mean squares of the inputs, for grids that weigh errors by importance: it is divided by s². Empty: all columns alike.</param>
    public static AwqScales SearchScales(Tensor weights, Tensor inputs, Func<IRowGrid> grid, AwqWeighting weighting, int threads, float[]? meanSquares = null)
    {
        if (inputs.Columns != weights.Columns || inputs.Rows == 0)
        {
            throw new ArgumentException($"Inputs of {inputs.Rows} x {inputs.Columns} cannot judge a matrix of {weights.Rows} x {weights.Columns}.", nameof(inputs));
        }

        double[] activation = MeanMagnitudes(inputs);
        double[] weight = weighting == AwqWeighting.Activations ? [] : WeightShares(weights, grid().GroupColumns);
        double[] losses = new double[Ratios];
        double[] wide = Wide(inputs);
        AwqScales? best = null;
        for (int i = 0; i < Ratios; i++)
        {
            double ratio = (double)i / Ratios;
            float[] scales = Scales(activation, weight, ratio);
            losses[i] = Loss(weights, wide, scales, grid, threads, Scaled(meanSquares, scales));
            if (best is null || losses[i] < best.Loss)
            {
                best = new AwqScales(scales, ratio, losses[i], losses);
            }
        }

        return best!;
    }

    /// <summary>Rounds a matrix whose columns are scaled, and takes the scales out again: w becomes Q(w · s) / s.</summary>
    /// <param name="weights">[R, C]</param>
    /// <param name="scales">[C]</param>
    /// <param name="grids">For each row its grid; holds the codes of w · s afterwards.</param>
    public static void Round(Tensor weights, ReadOnlySpan<float> scales, IReadOnlyList<IRowGrid> grids)
    {
        for (int r = 0; r < weights.Rows; r++)
        {
            RoundScaled(weights.Row(r), scales, grids[r], weights.Row(r), []);
        }
    }

    /// <summary>Finds for each group of each row the magnitude beyond which weights are clipped, because the finer steps win more than the outliers lose.</summary>
    /// <param name="weights">[R, C]; not changed.</param>
    /// <param name="inputs">[T, C]: a sample of the layer's inputs.</param>
    /// <param name="grid">A new grid for a row.</param>
    /// <param name="threads">Threads.</param>
    /// <returns>[R, groups]</returns>
    public static Tensor SearchClipping(Tensor weights, Tensor inputs, Func<IRowGrid> grid, int threads)
    {
        int group = grid().GroupColumns;
        int groups = (weights.Columns + group - 1) / group;
        Tensor limits = new(weights.Rows, groups);
        double[] wide = Wide(inputs);
        Parallel.For(0, weights.Rows, new ParallelOptions { MaxDegreeOfParallelism = threads }, r =>
        {
            IRowGrid own = grid();
            float[] clipped = new float[group];
            double[] difference = new double[group];
            for (int g = 0; g < groups; g++)
            {
                Span<float> row = weights.Row(r).Slice(g * group, Math.Min(group, weights.Columns - (g * group)));
                float largest = Math.Abs(TensorPrimitives.MaxMagnitude<float>(row));
                double least = double.PositiveInfinity;
                for (int step = 0; step < ClipSteps; step++)
                {
                    float limit = (float)(largest * (1 - (step * ClipStep)));
                    Span<float> part = clipped.AsSpan(0, row.Length);
                    Clip(row, limit, part);
                    own.Fit(g, part, []);
                    for (int c = 0; c < row.Length; c++)
                    {
                        difference[c] = (double)row[c] - own.Round(g, (g * group) + c, part[c]);
                    }

                    double error = MeanSquare(wide, inputs.Columns, g * group, difference.AsSpan(0, row.Length));
                    if (error < least)
                    {
                        least = error;
                        limits.Row(r)[g] = limit;
                    }
                }
            }
        });
        return limits;
    }

    /// <summary>Clips every group of a matrix to its limit.</summary>
    /// <param name="weights">[R, C]</param>
    /// <param name="limits">[R, groups]</param>
    /// <param name="groupColumns">Columns of a group.</param>
    public static void Clip(Tensor weights, Tensor limits, int groupColumns)
    {
        for (int r = 0; r < weights.Rows; r++)
        {
            for (int start = 0; start < weights.Columns; start += groupColumns)
            {
                Span<float> part = weights.Row(r).Slice(start, Math.Min(groupColumns, weights.Columns - start));
                Clip(part, limits.Row(r)[start / groupColumns], part);
            }
        }
    }

    private static void Clip(ReadOnlySpan<float> weights, float limit, Span<float> destination)
    {
        for (int c = 0; c < weights.Length; c++)
        {
            destination[c] = Math.Clamp(weights[c], -limit, limit);
        }
    }

    private static double[] MeanMagnitudes(Tensor inputs)
    {
        double[] means = new double[inputs.Columns];
        for (int t = 0; t < inputs.Rows; t++)
        {
            ReadOnlySpan<float> row = inputs.Row(t);
            for (int c = 0; c < means.Length; c++)
            {
                means[c] += Math.Abs((double)row[c]);
            }
        }

        return Array.ConvertAll(means, sum => sum / inputs.Rows);
    }

    private static double[] WeightShares(Tensor weights, int group)
    {
        double[] shares = new double[weights.Columns];
        for (int r = 0; r < weights.Rows; r++)
        {
            for (int start = 0; start < weights.Columns; start += group)
            {
                ReadOnlySpan<float> part = weights.Row(r).Slice(start, Math.Min(group, weights.Columns - start));
                double largest = Math.Abs(TensorPrimitives.MaxMagnitude(part));
                for (int c = 0; c < part.Length && largest > 0; c++)
                {
                    shares[start + c] += Math.Abs(part[c]) / largest;
                }
            }
        }

        return Array.ConvertAll(shares, sum => sum / weights.Rows);
    }

    private static float[] Scales(double[] activation, double[] weight, double ratio)
    {
        double[] scales = new double[activation.Length];
        for (int c = 0; c < scales.Length; c++)
        {
            double scale = Math.Pow(activation[c], ratio) / (weight.Length == 0 ? 1 : Math.Pow(weight[c], 1 - ratio) + LeastScale);
            scales[c] = Math.Max(scale, LeastScale);
        }

        double middle = Math.Sqrt(scales.Max() * scales.Min());
        return Array.ConvertAll(scales, scale => (float)(scale / middle));
    }

    private static double Loss(Tensor weights, double[] inputs, float[] scales, Func<IRowGrid> grid, int threads, float[] importance)
    {
        double[] losses = new double[weights.Rows]; // added up in the order of rows, whoever found them
        int items = (weights.Rows + RowsPerItem - 1) / RowsPerItem;
        Parallel.For(0, items, new ParallelOptions { MaxDegreeOfParallelism = threads }, item =>
        {
            IRowGrid own = grid();
            float[] rounded = new float[weights.Columns];
            double[] difference = new double[weights.Columns];
            for (int r = item * RowsPerItem; r < Math.Min((item + 1) * RowsPerItem, weights.Rows); r++)
            {
                ReadOnlySpan<float> row = weights.Row(r);
                RoundScaled(row, scales, own, rounded, importance);
                for (int c = 0; c < row.Length; c++)
                {
                    difference[c] = (double)row[c] - rounded[c];
                }

                losses[r] = MeanSquare(inputs, weights.Columns, 0, difference);
            }
        });
        return losses.Sum() / weights.Rows;
    }

    private static void RoundScaled(ReadOnlySpan<float> weights, ReadOnlySpan<float> scales, IRowGrid grid, Span<float> destination, ReadOnlySpan<float> importance)
    {
        TensorPrimitives.Multiply(weights, scales, destination);
        for (int start = 0; start < destination.Length; start += grid.GroupColumns)
        {
            Span<float> part = destination.Slice(start, Math.Min(grid.GroupColumns, destination.Length - start));
            int group = start / grid.GroupColumns;
            grid.Fit(group, part, importance.IsEmpty ? importance : importance.Slice(start, part.Length));
            for (int c = 0; c < part.Length; c++)
            {
                part[c] = grid.Round(group, start + c, part[c]);
            }
        }

        TensorPrimitives.Divide(destination, scales, destination);
    }

    private static double[] Wide(Tensor inputs)
    {
        double[] wide = new double[inputs.Length];
        TensorPrimitives.ConvertTruncating<float, double>(inputs.Span, wide);
        return wide;
    }

    /// <summary>What importance becomes where inputs are divided by their scales.</summary>
    private static float[] Scaled(float[]? meanSquares, float[] scales) => meanSquares is null ? [] : [.. meanSquares.Select((mean, c) => mean / (scales[c] * scales[c]))];

    /// <summary>The mean over inputs of (x · difference)², over some columns.</summary>
    private static double MeanSquare(ReadOnlySpan<double> inputs, int columns, int firstColumn, ReadOnlySpan<double> difference)
    {
        double sum = 0;
        int rows = inputs.Length / columns;
        for (int t = 0; t < rows; t++)
        {
            double output = TensorPrimitives.Dot(inputs.Slice((t * columns) + firstColumn, difference.Length), difference);
            sum += output * output;
        }

        return sum / rows;
    }
}
