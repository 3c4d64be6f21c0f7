// The op that docs/how-to/add-an-op.md adds: a test holds the two equal.
using System.Numerics.Tensors;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Tensor = Kidogo.Tensors.Tensor;

namespace Kidogo.KernelTests.Ops;

/// <summary>The product of two tensors, value by value.</summary>
public static class ProductOp
{
    /// <summary>a · b.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="a">[T, D]</param>
    /// <param name="b">[T, D]</param>
    /// <returns>[T, D]</returns>
    public static Tensor Apply(ComputeContext context, Tensor a, Tensor b)
    {
        if (a.Rows != b.Rows || a.Columns != b.Columns)
        {
            throw new ArgumentException($"{a.Rows} x {a.Columns} and {b.Rows} x {b.Columns} cannot be multiplied value by value.", nameof(b));
        }

        Tensor y = context.Rent(a.Rows, a.Columns);
        Operation operation = context.Works.Cached<Operation>();
        (operation.A, operation.B, operation.Y, operation.IsAdded) = (a, b, y, false);
        context.Works.Rows.Run(context.Team, operation, y.Rows, y.Columns);
        if (context.Records(a, b))
        {
            Record(context, a, b, y);
        }

        return y;
    }

    // da = dy · b, db = dy · a
    private static void Record(ComputeContext context, Tensor a, Tensor b, Tensor y) => context.Record(y, () =>
    {
        Flow(context, y.Gradient!, b, a);
        Flow(context, y.Gradient!, a, b);
    });

    private static void Flow(ComputeContext context, Tensor gradient, Tensor other, Tensor input)
    {
        if (!input.NeedsGradient)
        {
            return;
        }

        Tensor target = context.GradientOf(input, out bool isNew);
        Operation operation = context.Works.Cached<Operation>();
        (operation.A, operation.B, operation.Y, operation.IsAdded) = (gradient, other, target, !isNew);
        context.Works.Rows.Run(context.Team, operation, target.Rows, target.Columns);
    }

    private sealed class Operation : IRowOperation
    {
        public Tensor? A, B, Y;
        public bool IsAdded;

        public void Do(int row)
        {
            if (IsAdded)
            {
                TensorPrimitives.MultiplyAdd(A!.Row(row), B!.Row(row), Y!.Row(row), Y.Row(row));
            }
            else
            {
                TensorPrimitives.Multiply(A!.Row(row), B!.Row(row), Y!.Row(row));
            }
        }
    }
}
