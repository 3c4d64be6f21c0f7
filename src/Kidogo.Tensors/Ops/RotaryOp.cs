// Rotary position embedding of all heads of all rows. Knows no layers.
using System.Numerics.Tensors;
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
        if (positions.Length != x.Rows || x.Columns % headDim != 0 || 2 * table.Pairs > headDim)
        {
            throw new ArgumentException($"{positions.Length} positions and heads of {headDim} values with {table.Pairs} pairs do not fit a tensor of {x.Rows} x {x.Columns}.", nameof(positions));
        }

        for (int row = 0; row < positions.Length; row++)
        {
            table.Prepare(positions[row]);
        }

        Tensor y = context.IsTraining ? context.Rent(x.Rows, x.Columns) : x;
        Turn(context, x, y, headDim, table, positions, isBack: false);
        context.Store(y);
        if (context.Records(x))
        {
            Record(context, x, headDim, table, positions.ToArray(), y);
        }

        return y;
    }

    // A rotation's transpose is the rotation back: the gradient is turned in its place.
    private static void Record(ComputeContext context, Tensor x, int headDim, RotaryTable table, int[] positions, Tensor y) => context.Record(y, () =>
    {
        Turn(context, y.Gradient!, y.Gradient!, headDim, table, positions, isBack: true);
        AddOp.PassOn(context, y, x);
    });

    private static void Turn(ComputeContext context, Tensor x, Tensor y, int headDim, RotaryTable table, ReadOnlySpan<int> positions, bool isBack)
    {
        Operation operation = context.Works.Cached<Operation>();
        operation.Begin(x, y, headDim, table, positions, isBack);
        context.Works.Rows.Run(context.Team, operation, x.Rows, x.Columns);
    }

    private sealed class Operation : IRowOperation
    {
        private const int StackLimit = 1024; // values

        private Tensor? _x, _y;
        private RotaryTable? _table;
        private int[] _positions = [];
        private int _headDim;
        private bool _isBack;

        public void Begin(Tensor x, Tensor y, int headDim, RotaryTable table, ReadOnlySpan<int> positions, bool isBack)
        {
            (_x, _y, _headDim, _table, _isBack) = (x, y, headDim, table, isBack);
            if (_positions.Length < positions.Length)
            {
                _positions = new int[positions.Length];
            }

            positions.CopyTo(_positions);
        }

        public void Do(int row)
        {
            ReadOnlySpan<float> turn = _table!.Row(_positions[row]);
            if (!_isBack)
            {
                Rotate(row, turn);
                return;
            }

            Span<float> back = turn.Length <= StackLimit ? stackalloc float[turn.Length] : new float[turn.Length];
            turn[.._table.Pairs].CopyTo(back);
            TensorPrimitives.Negate(turn[_table.Pairs..], back[_table.Pairs..]);
            Rotate(row, back);
        }

        private void Rotate(int row, ReadOnlySpan<float> turn)
        {
            Span<float> values = _y!.Row(row);
            if (_x != _y)
            {
                _x!.Row(row).CopyTo(values);
            }

            for (int head = 0; head < values.Length; head += _headDim)
            {
                RotaryKernel.Rotate(values.Slice(head, _headDim), turn, _table!.Layout);
            }
        }
    }
}
