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

        for (int row = 0; row < x.Rows; row++)
        {
            ReadOnlySpan<float> turn = table.Row(positions[row]);
            Span<float> values = x.Row(row);
            for (int head = 0; head < values.Length; head += headDim)
            {
                RotaryKernel.Rotate(values.Slice(head, headDim), turn, table.Layout);
            }
        }

        return x;
    }
}
