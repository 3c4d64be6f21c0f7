// Sums over rows that become gradients of parameters. Knows no op.
using System.Numerics.Tensors;

namespace Kidogo.Tensors.Ops;

/// <summary>Adds up what rows contribute to a parameter, in an order that depends on no thread.</summary>
internal static class GradientSums
{
    /// <summary>Adds rows to a gradient of one row, one after another.</summary>
    /// <param name="rows">[n, D]</param>
    /// <param name="gradient">[1, D], or any shape of D values.</param>
    public static void AddRows(Tensor rows, Tensor gradient)
    {
        Span<float> target = gradient.Span;
        for (int row = 0; row < rows.Rows; row++)
        {
            TensorPrimitives.Add(target, rows.Row(row), target);
        }
    }

    /// <summary>Adds the sum over all rows to the gradient of a parameter: in chunks by all threads, then chunk after chunk.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="rows">[T, D]</param>
    /// <param name="parameter">D values that need a gradient.</param>
    public static void AddColumnSums(ComputeContext context, Tensor rows, Tensor parameter)
    {
        Tensor sums = context.Rent(ChunkWork.Count(rows.Rows), rows.Columns);
        context.Works.Chunks.Run(context.Team, new ColumnSums(rows, sums), rows.Rows);
        AddRows(sums, context.GradientOf(parameter));
        context.Return(sums);
    }

    private sealed class ColumnSums(Tensor rows, Tensor sums) : IChunkOperation
    {
        public void Do(int chunk, int firstRow, int endRow)
        {
            Span<float> sum = sums.Row(chunk);
            rows.Row(firstRow).CopyTo(sum);
            for (int row = firstRow + 1; row < endRow; row++)
            {
                TensorPrimitives.Add(sum, rows.Row(row), sum);
            }
        }
    }
}
