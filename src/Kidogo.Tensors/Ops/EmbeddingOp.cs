// Looks rows of a table up. Knows no vocabularies.
using System.Numerics.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>Token and position embeddings.</summary>
public static class EmbeddingOp
{
    /// <summary>Row t of the result is row <paramref name="ids"/>[t] of the table, multiplied with <paramref name="scale"/>.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="table">[V, D]</param>
    /// <param name="ids">[T], each in 0 .. V-1.</param>
    /// <param name="scale">A factor; 1 for none.</param>
    /// <returns>[T, D]</returns>
    /// <exception cref="ArgumentOutOfRangeException">An id is no row of the table.</exception>
    public static Tensor Apply(ComputeContext context, Weight table, ReadOnlySpan<int> ids, float scale)
    {
        Tensor y = context.Rent(ids.Length, table.Columns);
        for (int t = 0; t < ids.Length; t++)
        {
            if ((uint)ids[t] >= (uint)table.Rows)
            {
                throw new ArgumentOutOfRangeException(nameof(ids), $"Id {ids[t]} at position {t} is not in a table of {table.Rows} rows (0 to {table.Rows - 1}).");
            }

            Span<float> row = y.Row(t);
            table.DecodeRow(ids[t], row);
            if (context.StoresBFloat16)
            {
                BFloat16Rounding.Round(row);
            }

            if (scale != 1)
            {
                TensorPrimitives.Multiply(row, scale, row);
                if (context.StoresBFloat16)
                {
                    BFloat16Rounding.Round(row);
                }
            }
        }

        if (table is TrainableWeight { Values: var values } && context.Records(values))
        {
            Record(context, values, ids.ToArray(), scale, y);
        }

        return y;
    }

    private const int ColumnsPerItem = 64;

    // In the order of positions: an id that comes again adds up. Threads share the columns, so that the order stays.
    private static void Record(ComputeContext context, Tensor values, int[] ids, float scale, Tensor y) => context.Record(y, () =>
    {
        Tensor gradient = context.GradientOf(values);
        UpdateOps.ShareItems(context, (values.Columns + ColumnsPerItem - 1) / ColumnsPerItem, item =>
        {
            int first = item * ColumnsPerItem;
            int count = Math.Min(ColumnsPerItem, values.Columns - first);
            for (int t = 0; t < ids.Length; t++)
            {
                Span<float> target = gradient.Row(ids[t]).Slice(first, count);
                TensorPrimitives.MultiplyAdd(y.Gradient!.Row(t).Slice(first, count), scale, target, target);
            }
        });
    });
}
