// SparseGPT: weights go where the others can make good what they did, and those are changed to. Knows no model; grids are the quantisers'.
using System.Numerics.Tensors;
using Kidogo.Compression.Quantization;
using Tensor = Kidogo.Tensors.Tensor;

namespace Kidogo.Compression.Pruning;

/// <summary>How <see cref="SparseGpt"/> goes about it.</summary>
public sealed record SparseGptOptions
{
    /// <summary>How many weights go.</summary>
    public required Sparsity Sparsity { get; init; }

    /// <summary>What is added to the Hessian's diagonal, as a share of its mean; grows by itself where the factor does not exist. Default 0.01.</summary>
    public double Damping { get; init; } = 0.01;

    /// <summary>Columns whose weights are compared with each other, and whose errors are carried beyond them in one go. Default 128.</summary>
    public int BlockColumns { get; init; } = 128;

    /// <summary>Threads. Default: one per processor.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;
}

/// <summary>SparseGPT (Frantar and Alistarh, arXiv 2301.00774, algorithm 1).</summary>
/// <remarks>
/// A weight's score is w² / U², the error that is left once those behind it have made good what they can. As in the authors' program the threshold of a block of columns is the value at
/// int(share · n) of its sorted scores, and all up to it go, so that one weight more than the share does. Groups of N:M are chosen where they begin, from weights that hold all corrections so far.
/// </remarks>
public static class SparseGpt
{
    private const int RowsPerItem = 16;

    /// <summary>Prunes a matrix so that its outputs on the calibration change little.</summary>
    /// <param name="weights">[R, C]; holds the pruned weights afterwards.</param>
    /// <param name="hessian">[C, C]: 2 XᵀX of the layer's inputs, or any multiple of it.</param>
    /// <param name="options">How.</param>
    /// <param name="grids">To round what stays in the same pass (section 3.5): for each row a grid that rounds 0 to 0. Null for no rounding.</param>
    /// <param name="factor">The Hessian's factor with columns in their own order, where it is known; null to find it.</param>
    /// <returns>The weights that went.</returns>
    /// <exception cref="InvalidDataException">The Hessian is damaged.</exception>
    /// <exception cref="PruningException">A grid has no zero, or rows are no whole groups.</exception>
    public static WeightMask Prune(Tensor weights, ReadOnlySpan<float> hessian, SparseGptOptions options, IReadOnlyList<IRowGrid>? grids = null, ErrorPropagation? factor = null)
    {
        int columns = weights.Columns;
        if (hessian.Length != (long)columns * columns || (grids is not null && grids.Count != weights.Rows))
        {
            throw new ArgumentException($"A matrix of {weights.Rows} x {columns} needs a Hessian of {columns} x {columns} and a grid a row, not {hessian.Length} values and {grids?.Count ?? 0} grids.");
        }

        Sparsity sparsity = options.Sparsity;
        sparsity.CheckRow("The matrix", columns);
        ErrorPropagation propagation = factor ?? ErrorPropagation.Factor(hessian, null, options.Damping, options.Threads);
        FitWholeRows(weights, grids);
        for (int c = 0; c < columns; c++)
        {
            for (int row = 0; row < weights.Rows && hessian[(c * columns) + c] == 0; row++)
            {
                weights.Row(row)[c] = 0; // an input that is never there
            }
        }

        WeightMask mask = new(weights.Rows, columns);
        int block = sparsity.IsGrouped ? Math.Max(sparsity.Of, options.BlockColumns / sparsity.Of * sparsity.Of) : options.BlockColumns;
        ParallelOptions parallel = new() { MaxDegreeOfParallelism = options.Threads };
        for (int start = 0; start < columns; start += block)
        {
            int first = start, width = Math.Min(block, columns - start);
            if (!sparsity.IsGrouped)
            {
                MarkBlock(weights, propagation, first, width, sparsity.Share, mask);
            }

            Parallel.For(0, (weights.Rows + RowsPerItem - 1) / RowsPerItem, parallel, item =>
            {
                Span<float> errors = new float[width];
                for (int row = item * RowsPerItem; row < Math.Min(weights.Rows, (item + 1) * RowsPerItem); row++)
                {
                    PruneRow(weights.Row(row), row, propagation, (first, width), sparsity, mask, grids?[row], errors);
                }
            });
        }

        return mask;
    }

    private static void FitWholeRows(Tensor weights, IReadOnlyList<IRowGrid>? grids)
    {
        for (int row = 0; grids is not null && row < weights.Rows; row++)
        {
            if (grids[row].UnitColumns != 1)
            {
                throw new PruningException("Formats that round several weights together have no zeros of single weights. Take another format.");
            }

            if (grids[row].GroupColumns >= weights.Columns)
            {
                grids[row].Fit(0, weights.Row(row), []);
            }
        }
    }

    /// <summary>Chooses among all weights of a block of columns.</summary>
    private static void MarkBlock(Tensor weights, ErrorPropagation propagation, int start, int width, double share, WeightMask mask)
    {
        float[] scores = new float[checked(weights.Rows * width)];
        for (int row = 0; row < weights.Rows; row++)
        {
            for (int i = 0; i < width; i++)
            {
                scores[(row * width) + i] = Score(weights.Row(row)[start + i], propagation.Row(start + i)[0]);
            }
        }

        float[] sorted = [.. scores];
        Array.Sort(sorted);
        float threshold = sorted[(int)(sorted.Length * share)];
        for (int i = 0; i < scores.Length; i++)
        {
            mask[i / width, start + (i % width)] = scores[i] <= threshold;
        }
    }

    private static float Score(float weight, float diagonal) => weight * weight / (diagonal * diagonal);

    private static void PruneRow(Span<float> weights, int row, ErrorPropagation propagation, (int Start, int Width) block, Sparsity sparsity, WeightMask mask, IRowGrid? grid, Span<float> errors)
    {
        (int start, int width) = block;
        Span<float> own = weights.Slice(start, width);
        Span<float> scores = stackalloc float[sparsity.IsGrouped ? sparsity.Of : 0];
        for (int i = 0; i < width; i++)
        {
            int column = start + i;
            if (sparsity.IsGrouped && i % sparsity.Of == 0)
            {
                for (int j = 0; j < sparsity.Of; j++)
                {
                    scores[j] = Score(own[i + j], propagation.Row(column + j)[0]);
                }

                mask.Mark(row, column, scores, sparsity.Zeros);
            }

            if (grid is not null && grid.GroupColumns < weights.Length && column % grid.GroupColumns == 0)
            {
                FitGroup(weights, row, column, mask, grid);
            }

            float kept = mask[row, column] ? 0 : own[i];
            if (grid is not null)
            {
                kept = grid.Round(grid.GroupColumns < weights.Length ? column / grid.GroupColumns : 0, column, kept);
                if (mask[row, column] && kept != 0)
                {
                    throw new PruningException("A weight that is pruned would not be zero in this format. Take a format with a zero: Q4_0, Q8_0, Q3_K, Q6_K.");
                }
            }

            ReadOnlySpan<float> upper = propagation.Row(column)[..(width - i)];
            errors[i] = (own[i] - kept) / upper[0];
            TensorPrimitives.MultiplyAdd(upper, -errors[i], own[i..], own[i..]);
            own[i] = kept;
        }

        Span<float> rest = weights[(start + width)..];
        for (int i = 0; i < width && !rest.IsEmpty; i++)
        {
            TensorPrimitives.MultiplyAdd(propagation.Row(start + i)[(width - i)..], -errors[i], rest, rest);
        }
    }

    /// <summary>Scales of a group from the weights of it that stay, as far as they are chosen.</summary>
    private static void FitGroup(ReadOnlySpan<float> weights, int row, int column, WeightMask mask, IRowGrid grid)
    {
        float[] group = weights.Slice(column, Math.Min(grid.GroupColumns, weights.Length - column)).ToArray();
        for (int i = 0; i < group.Length; i++)
        {
            group[i] = mask[row, column + i] ? 0 : group[i];
        }

        grid.Fit(column / grid.GroupColumns, group, []);
    }
}
