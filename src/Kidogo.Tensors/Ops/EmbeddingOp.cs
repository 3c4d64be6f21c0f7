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
        for (int t = 0; t < ids.Length; t++)
        {
            if ((uint)ids[t] >= (uint)table.Rows)
            {
                throw new ArgumentOutOfRangeException(nameof(ids), $"Id {ids[t]} at position {t} is not in a table of {table.Rows} rows (0 to {table.Rows - 1}).");
            }
        }

        Tensor y = context.Rent(ids.Length, table.Columns);
        Operation operation = context.Works.Cached<Operation>();
        operation.Begin(table, ids, scale, context.StoresBFloat16, y);
        context.Works.Rows.Run(context.Team, operation, y.Rows, y.Columns);
        operation.End();
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

    private sealed class Operation : IRowOperation
    {
        private Weight? _table;
        private Tensor? _y;
        private int[] _ids = [];
        private float _scale;
        private bool _rounds;

        public void Begin(Weight table, ReadOnlySpan<int> ids, float scale, bool rounds, Tensor y)
        {
            (_table, _scale, _rounds, _y) = (table, scale, rounds, y);
            if (_ids.Length < ids.Length)
            {
                _ids = new int[ids.Length];
            }

            ids.CopyTo(_ids);
        }

        public void End() => (_table, _y) = (null, null);

        public void Do(int row)
        {
            Span<float> values = _y!.Row(row);
            _table!.DecodeRow(_ids[row], values);
            if (_rounds)
            {
                BFloat16Rounding.Round(values);
            }

            if (_scale != 1)
            {
                TensorPrimitives.Multiply(values, _scale, values);
                if (_rounds)
                {
                    BFloat16Rounding.Round(values);
                }
            }
        }
    }
}
