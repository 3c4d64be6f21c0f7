// Rotary position embedding of all heads of all rows. Knows no layers.
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>Turns queries and keys by their positions.</summary>
public static class RotaryOp
{
    /// <summary>Turns every head of row t by <paramref name="positions"/>[t].</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="x">[T, heads · E]; in inference the result takes its storage.</param>
    /// <param name="headDim">E</param>
    /// <param name="table">The rotation.</param>
    /// <param name="positions">[T]</param>
    /// <returns>[T, heads · E]</returns>
    public static Tensor Apply(ComputeContext context, Tensor x, int headDim, RotaryTable table, ReadOnlySpan<int> positions)
    {
        context.RefuseGradient(nameof(RotaryOp));
        if (positions.Length != x.Rows || x.Columns % headDim != 0 || 2 * table.Pairs > headDim)
        {
            throw new ArgumentException($"{positions.Length} positions and heads of {headDim} values with {table.Pairs} pairs do not fit a tensor of {x.Rows} x {x.Columns}.", nameof(positions));
        }

        for (int row = 0; row < positions.Length; row++)
        {
            table.Prepare(positions[row]);
        }

        Operation operation = context.Works.Cached<Operation>();
        operation.Begin(x, headDim, table, positions);
        context.Works.Rows.Run(context.Team, operation, x.Rows, x.Columns);
        return x;
    }

    private sealed class Operation : IRowOperation
    {
        private Tensor? _x;
        private RotaryTable? _table;
        private int[] _positions = [];
        private int _headDim;

        public void Begin(Tensor x, int headDim, RotaryTable table, ReadOnlySpan<int> positions)
        {
            (_x, _headDim, _table) = (x, headDim, table);
            if (_positions.Length < positions.Length)
            {
                _positions = new int[positions.Length];
            }

            positions.CopyTo(_positions);
        }

        public void Do(int row)
        {
            ReadOnlySpan<float> turn = _table!.Row(_positions[row]);
            Span<float> values = _x!.Row(row);
            for (int head = 0; head < values.Length; head += _headDim)
            {
                RotaryKernel.Rotate(values.Slice(head, _headDim), turn, _table.Layout);
            }
        }
    }
}
