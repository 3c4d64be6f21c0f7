// Sums, factors, soft caps and choices of rows. Knows no layers.
using System.Numerics.Tensors;

namespace Kidogo.Tensors.Ops;

/// <summary>The residual sum.</summary>
public static class AddOp
{
    /// <summary>x + y.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="x">[T, D]: the residual stream. In inference the sum takes its storage, so x itself is gone.</param>
    /// <param name="y">[T, D], or one row [1, D] that is added to every row.</param>
    /// <returns>[T, D]</returns>
    public static Tensor Apply(ComputeContext context, Tensor x, Tensor y)
    {
        if (x.Columns != y.Columns || (x.Rows != y.Rows && y.Rows != 1))
        {
            throw new ArgumentException($"{x.Rows} x {x.Columns} and {y.Rows} x {y.Columns} cannot be added.", nameof(y));
        }

        Tensor sum = context.IsTraining ? context.Rent(x.Rows, x.Columns) : x;
        AddOperation operation = context.Works.Cached<AddOperation>();
        (operation.X, operation.Y, operation.Sum) = (x, y, sum);
        context.Works.Rows.Run(context.Team, operation, x.Rows, x.Columns);
        if (context.Records(x, y))
        {
            Record(context, x, y, sum);
        }

        return sum;
    }

    private static void Record(ComputeContext context, Tensor x, Tensor y, Tensor sum) => context.Record(sum, () =>
    {
        AddTo(context, x, sum.Gradient!);
        AddTo(context, y, sum.Gradient!);
    });

    private static void AddTo(ComputeContext context, Tensor x, Tensor gradient)
    {
        if (!x.NeedsGradient)
        {
            return;
        }

        Tensor sum = context.GradientOf(x);
        for (int row = 0; row < gradient.Rows; row++)
        {
            Span<float> target = sum.Row(sum.Rows == 1 ? 0 : row);
            TensorPrimitives.Add(target, gradient.Row(row), target);
        }
    }

    private sealed class AddOperation : IRowOperation
    {
        public Tensor? X, Y, Sum;

        public void Do(int row) => TensorPrimitives.Add(X!.Row(row), Y!.Row(Y.Rows == 1 ? 0 : row), Sum!.Row(row));
    }
}

/// <summary>cap · tanh(x / cap): keeps logits within ± cap (Gemma 2, arXiv 2408.00118, section 2).</summary>
public static class SoftcapOp
{
    /// <summary>Caps every value.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="x">[T, V]; in inference the result takes its storage.</param>
    /// <param name="cap">The bound, above 0.</param>
    /// <returns>[T, V]</returns>
    public static Tensor Apply(ComputeContext context, Tensor x, float cap)
    {
        context.RefuseGradient(nameof(SoftcapOp));
        SoftcapOperation operation = context.Works.Cached<SoftcapOperation>();
        (operation.X, operation.Cap) = (x, cap);
        context.Works.Rows.Run(context.Team, operation, x.Rows, x.Columns);
        return x;
    }

    private sealed class SoftcapOperation : IRowOperation
    {
        public Tensor? X;
        public float Cap;

        public void Do(int row)
        {
            Span<float> x = X!.Row(row);
            TensorPrimitives.Divide(x, Cap, x);
            TensorPrimitives.Tanh(x, x);
            TensorPrimitives.Multiply(x, Cap, x);
        }
    }
}

/// <summary>x · factor.</summary>
public static class ScaleOp
{
    /// <summary>Multiplies every value.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="x">[T, D]; in inference the result takes its storage.</param>
    /// <param name="factor">The factor.</param>
    /// <returns>[T, D]</returns>
    public static Tensor Apply(ComputeContext context, Tensor x, float factor)
    {
        context.RefuseGradient(nameof(ScaleOp));
        TensorPrimitives.Multiply(x.Span, factor, x.Span);
        return x;
    }
}

/// <summary>Picks rows.</summary>
public static class RowsOp
{
    /// <summary>Row i of the result is row <paramref name="rows"/>[i] of x.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="x">[T, D]</param>
    /// <param name="rows">Rows of x, in any order.</param>
    /// <returns>[rows, D]</returns>
    public static Tensor Apply(ComputeContext context, Tensor x, ReadOnlySpan<int> rows)
    {
        context.RefuseGradient(nameof(RowsOp));
        Tensor y = context.Rent(rows.Length, x.Columns);
        for (int i = 0; i < rows.Length; i++)
        {
            x.Row(rows[i]).CopyTo(y.Row(i));
        }

        return y;
    }
}
