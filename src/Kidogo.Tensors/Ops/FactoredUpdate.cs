// Adafactor's step: second moments of a matrix kept as means of its rows and columns. Knows no schedules.
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>Adafactor (Shazeer and Stern, arXiv 1804.04235, algorithms 4 and 5, without momentum).</summary>
public static class FactoredUpdate
{
    private const int RowsPerItem = 8;
    private const int ColumnsPerItem = 64;

    /// <summary>Added to squared gradients (ε₁ of the paper).</summary>
    public const float SquareEpsilon = 1e-30f;

    /// <summary>The least that a parameter's root mean square counts as (ε₂ of the paper).</summary>
    public const double LeastScale = 1e-3;

    /// <summary>Changes a parameter and clears its gradient.</summary>
    /// <param name="context">Lends its threads.</param>
    /// <param name="parameter">[R, C], with a gradient.</param>
    /// <param name="rows">Means of the rows of squares, [1, R]; or for a vector all squares, [1, C].</param>
    /// <param name="columns">Means of the columns of squares, [1, C]; null for a vector.</param>
    /// <param name="step">The numbers of this step; the decay is taken off apart from the gradient.</param>
    /// <param name="decayPower">β₂ = 1 - tᵖ with this power p, below 0.</param>
    /// <param name="threshold">The root mean square of the update is cut to this.</param>
    public static void Apply(ComputeContext context, Tensor parameter, Tensor rows, Tensor? columns, UpdateStep step, double decayPower, double threshold)
    {
        Tensor gradient = parameter.Gradient ?? throw new InvalidOperationException("The parameter has no gradient: no pass went back through it.");
        float beta2 = (float)(1 - Math.Pow(step.Number, decayPower));
        if (step.GradientScale != 1)
        {
            UpdateOps.Share(context, gradient.Length, (start, length) => Multiply(gradient.Span.Slice(start, length), step.GradientScale));
        }

        double size = Math.Sqrt(UpdateOps.SumOfSquares(context, parameter) / parameter.Length);
        if (columns is null)
        {
            UpdateSquares(gradient.Span, rows.Span, beta2);
        }
        else
        {
            UpdateMeans(context, gradient, rows.Span, columns.Span, beta2);
        }

        double updateSize = Math.Sqrt(UpdateOps.SumOfSquares(context, gradient) / gradient.Length);
        double rate = step.LearningRate * Math.Max(LeastScale, size) / Math.Max(1, updateSize / threshold);
        UpdateOps.Follow(context, parameter, 1 - (step.LearningRate * step.Decay), rate, gradient);
        UpdateOps.Share(context, gradient.Length, (start, length) => gradient.Span.Slice(start, length).Clear());
    }

    /// <summary>Not factored: v ← β₂ v + (1 - β₂)(g² + ε), g ← g / √v.</summary>
    private static void UpdateSquares(Span<float> g, Span<float> v, float beta2)
    {
        for (int i = 0; i < g.Length; i++)
        {
            v[i] = (beta2 * v[i]) + ((1 - beta2) * ((g[i] * g[i]) + SquareEpsilon));
            g[i] /= MathF.Sqrt(v[i]);
        }
    }

    /// <summary>R and C ← β₂ of themselves + (1 - β₂) of the new means, then g ← g / √(R Cᵀ / mean R).</summary>
    private static void UpdateMeans(ComputeContext context, Tensor gradient, Span<float> rows, Span<float> columns, float beta2)
    {
        (int height, int width) = (gradient.Rows, gradient.Columns);
        float[] rowMeans = new float[height];
        float[] columnMeans = new float[width];
        UpdateOps.ShareItems(context, (height + RowsPerItem - 1) / RowsPerItem, item =>
        {
            for (int r = item * RowsPerItem; r < Math.Min(height, (item + 1) * RowsPerItem); r++)
            {
                rowMeans[r] = (float)(SumKernel.OfSquares(gradient.Row(r)) / width) + SquareEpsilon;
            }
        });
        UpdateOps.ShareItems(context, (width + ColumnsPerItem - 1) / ColumnsPerItem, item =>
        {
            int first = item * ColumnsPerItem;
            Span<double> sums = stackalloc double[Math.Min(ColumnsPerItem, width - first)];
            sums.Clear();
            for (int r = 0; r < height; r++)
            {
                ReadOnlySpan<float> row = gradient.Row(r).Slice(first, sums.Length);
                for (int c = 0; c < sums.Length; c++)
                {
                    sums[c] += (double)row[c] * row[c];
                }
            }

            for (int c = 0; c < sums.Length; c++)
            {
                columnMeans[first + c] = (float)(sums[c] / height) + SquareEpsilon;
            }
        });

        double mean = 0;
        for (int r = 0; r < height; r++)
        {
            rows[r] = (beta2 * rows[r]) + ((1 - beta2) * rowMeans[r]);
            mean += rows[r];
        }

        mean /= height;
        for (int c = 0; c < width; c++)
        {
            columns[c] = (beta2 * columns[c]) + ((1 - beta2) * columnMeans[c]);
            columnMeans[c] = 1 / MathF.Sqrt(columns[c]);
        }

        for (int r = 0; r < height; r++)
        {
            rowMeans[r] = (float)(1 / Math.Sqrt(rows[r] / mean));
        }

        UpdateOps.ShareItems(context, (height + RowsPerItem - 1) / RowsPerItem, item =>
        {
            for (int r = item * RowsPerItem; r < Math.Min(height, (item + 1) * RowsPerItem); r++)
            {
                Span<float> row = gradient.Row(r);
                for (int c = 0; c < row.Length; c++)
                {
                    row[c] = row[c] * rowMeans[r] * columnMeans[c];
                }
            }
        });
    }

    private static void Multiply(Span<float> x, float factor)
    {
        for (int i = 0; i < x.Length; i++)
        {
            x[i] *= factor;
        }
    }
}
