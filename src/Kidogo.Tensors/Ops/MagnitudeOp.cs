// Columns brought to lengths that are learned. Knows no layers and no files.
using System.Buffers;
using System.Numerics.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>y = v · m / n, column by column: the magnitudes of DoRA (Liu et al., arXiv 2402.09353, equation 5), with n, the lengths of the rows of the changed
/// matrix, constant in the backward pass (section 4.3).</summary>
public static class MagnitudeOp
{
    /// <summary>Brings columns to their magnitudes.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="v">[T, R]; in inference the result takes its storage.</param>
    /// <param name="magnitudes">[1, R] m</param>
    /// <param name="lengths">[1, R] n, of <see cref="RowLengths"/>; no gradient flows into them.</param>
    /// <param name="stores">Whether the result is an activation, which is stored as the context says; logits are not.</param>
    /// <returns>[T, R]</returns>
    /// <exception cref="ArgumentException">The shapes do not belong together.</exception>
    public static Tensor Apply(ComputeContext context, Tensor v, Tensor magnitudes, Tensor lengths, bool stores = true)
    {
        if (magnitudes.Length != v.Columns || lengths.Length != v.Columns)
        {
            throw new ArgumentException($"{magnitudes.Length} magnitudes and {lengths.Length} lengths meet rows of {v.Columns}.", nameof(magnitudes));
        }

        Tensor factors = context.Rent(1, v.Columns);
        Factors(context.Stored(magnitudes), lengths, factors);
        Tensor y = context.IsTraining ? context.Rent(v.Rows, v.Columns) : v;
        Multiply(context, v, factors, y, new RowVariant(0, v.Rows, 0));
        if (stores)
        {
            context.Store(y);
        }

        if (context.Records(v, magnitudes))
        {
            Record(context, v, magnitudes, lengths, factors, y);
        }

        return y;
    }

    /// <summary>m / n.</summary>
    /// <param name="magnitudes">[1, R]</param>
    /// <param name="lengths">[1, R]</param>
    /// <param name="factors">[1, R]</param>
    public static void Factors(Tensor magnitudes, Tensor lengths, Tensor factors) => TensorPrimitives.Divide(magnitudes.Span, lengths.Span, factors.Span);

    /// <summary>Multiplies some rows with factors of columns, in place. For inference.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="y">[T, R]</param>
    /// <param name="rows">Which rows.</param>
    /// <param name="factors">[1, R]</param>
    public static void MultiplyRows(ComputeContext context, Tensor y, RowVariant rows, Tensor factors) => Multiply(context, y, factors, y, rows);

    /// <summary>The lengths of the rows of W + ΔW.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="weight">[R, C] W, in whatever format.</param>
    /// <param name="change">ΔW, or null for none.</param>
    /// <returns>[1, R], rented.</returns>
    public static Tensor RowLengths(ComputeContext context, Weight weight, LowRankChange? change)
    {
        change?.Check(weight.Columns, weight.Rows);
        Tensor lengths = context.Rent(1, weight.Rows);
        LengthOperation operation = context.Works.Cached<LengthOperation>();
        (operation.Weight, operation.Change, operation.Lengths) = (weight, change, lengths);
        context.Works.Rows.Run(context.Team, operation, weight.Rows, weight.Columns);
        (operation.Weight, operation.Change, operation.Lengths) = (null, null, null);
        return lengths;
    }

    // dm = Σ dy · v / n, dv = dy · m / n
    private static void Record(ComputeContext context, Tensor v, Tensor magnitudes, Tensor lengths, Tensor factors, Tensor y) => context.Record(y, () =>
    {
        Tensor gradient = y.Gradient!;
        if (magnitudes.NeedsGradient)
        {
            Tensor parts = context.Rent(y.Rows, y.Columns);
            PartOperation operation = context.Works.Cached<PartOperation>();
            (operation.V, operation.Gradient, operation.Lengths, operation.Parts) = (v, gradient, lengths, parts);
            context.Works.Rows.Run(context.Team, operation, y.Rows, y.Columns);
            (operation.V, operation.Gradient, operation.Lengths, operation.Parts) = (null, null, null, null);
            GradientSums.AddColumnSums(context, parts, magnitudes);
            context.Return(parts);
        }

        if (v.NeedsGradient)
        {
            Multiply(context, gradient, factors, gradient, new RowVariant(0, gradient.Rows, 0));
            AddOp.PassOn(context, y, v);
        }
    });

    private static void Multiply(ComputeContext context, Tensor v, Tensor factors, Tensor y, RowVariant rows)
    {
        FactorOperation operation = context.Works.Cached<FactorOperation>();
        (operation.V, operation.Factors, operation.Y, operation.First) = (v, factors, y, rows.FirstRow);
        context.Works.Rows.Run(context.Team, operation, rows.Rows, y.Columns);
        (operation.V, operation.Factors, operation.Y) = (null, null, null);
    }

    private sealed class FactorOperation : IRowOperation
    {
        public Tensor? V, Factors, Y;
        public int First;

        public void Do(int row) => TensorPrimitives.Multiply(V!.Row(First + row), Factors!.Span, Y!.Row(First + row));
    }

    private sealed class PartOperation : IRowOperation
    {
        public Tensor? V, Gradient, Lengths, Parts;

        public void Do(int row)
        {
            Span<float> parts = Parts!.Row(row);
            TensorPrimitives.Multiply(V!.Row(row), Gradient!.Row(row), parts);
            TensorPrimitives.Divide(parts, Lengths!.Span, parts);
        }
    }

    private sealed class LengthOperation : IRowOperation
    {
        public Weight? Weight;
        public LowRankChange? Change;
        public Tensor? Lengths;

        public void Do(int row)
        {
            float[] room = ArrayPool<float>.Shared.Rent(Weight!.Columns);
            Span<float> values = room.AsSpan(0, Weight.Columns);
            Weight.DecodeRow(row, values);
            if (Change is not null)
            {
                Add(Change.A, Change.B.Row(row), Change.Scale, values);
                if (Change.StartA is not null)
                {
                    Add(Change.StartA, Change.StartB!.Row(row), -Change.Scale, values);
                }
            }

            Lengths!.Span[row] = (float)Math.Sqrt(SumKernel.OfSquares(values));
            ArrayPool<float>.Shared.Return(room);
        }

        private static void Add(Tensor a, ReadOnlySpan<float> b, float scale, Span<float> values)
        {
            for (int k = 0; k < a.Rows; k++)
            {
                Lanes.AddScaled(scale * b[k], a.Row(k), values);
            }
        }
    }
}
