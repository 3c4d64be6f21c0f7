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
        context.Store(sum);
        if (context.Records(x, y))
        {
            Record(context, x, y, sum);
        }

        return sum;
    }

    // Both inputs have the gradient of the sum: one gets a copy, and the other the thing itself.
    private static void Record(ComputeContext context, Tensor x, Tensor y, Tensor sum) => context.Record(sum, () =>
    {
        if (y.NeedsGradient && (x.NeedsGradient || !ComputeContext.HandOver(sum, y)))
        {
            AddTo(context, y, sum.Gradient!);
        }

        if (x.NeedsGradient)
        {
            PassOn(context, sum, x);
        }
    });

    /// <summary>Passes what is in the gradient of <paramref name="output"/> on to <paramref name="x"/>, of the same shape: the thing itself where nothing is there yet.</summary>
    internal static void PassOn(ComputeContext context, Tensor output, Tensor x)
    {
        if (!ComputeContext.HandOver(output, x))
        {
            AddTo(context, x, output.Gradient!);
        }
    }

    private static void AddTo(ComputeContext context, Tensor x, Tensor gradient)
    {
        if (x.Rows != gradient.Rows)
        {
            GradientSums.AddColumnSums(context, gradient, x); // one row that was added to all
            return;
        }

        Tensor target = context.GradientOf(x, out bool isNew);
        AddOperation operation = context.Works.Cached<AddOperation>();
        (operation.X, operation.Y, operation.Sum) = (isNew ? null : target, gradient, target);
        context.Works.Rows.Run(context.Team, operation, target.Rows, target.Columns);
    }

    private sealed class AddOperation : IRowOperation
    {
        public Tensor? X, Y, Sum;

        public void Do(int row)
        {
            ReadOnlySpan<float> y = Y!.Row(Y.Rows == 1 ? 0 : row);
            Span<float> sum = Sum!.Row(row);
            if (X is null)
            {
                y.CopyTo(sum); // the first that flows into a gradient
                return;
            }

            TensorPrimitives.Add(X.Row(row), y, sum);
        }
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
        Tensor y = context.IsTraining ? context.Rent(x.Rows, x.Columns) : x;
        SoftcapOperation operation = context.Works.Cached<SoftcapOperation>();
        (operation.X, operation.Y, operation.Cap) = (x, y, cap);
        context.Works.Rows.Run(context.Team, operation, x.Rows, x.Columns);
        if (context.Records(x))
        {
            Record(context, x, cap, y);
        }

        return y;
    }

    // By x, not by y: a loss may overwrite the logits.
    private static void Record(ComputeContext context, Tensor x, float cap, Tensor y) => context.Record(y, () =>
    {
        SoftcapBackward operation = context.Works.Cached<SoftcapBackward>();
        (operation.X, operation.Cap, operation.GradientY) = (x, cap, y.Gradient!);
        context.Works.Rows.Run(context.Team, operation, x.Rows, x.Columns);
        AddOp.PassOn(context, y, x);
    });

    private sealed class SoftcapOperation : IRowOperation
    {
        public Tensor? X, Y;
        public float Cap;

        public void Do(int row)
        {
            Span<float> y = Y!.Row(row);
            TensorPrimitives.Divide(X!.Row(row), Cap, y);
            TensorPrimitives.Tanh(y, y);
            TensorPrimitives.Multiply(y, Cap, y);
        }
    }

    /// <summary>dx = dy · (1 - tanh²(x / cap)), in the place of dy.</summary>
    private sealed class SoftcapBackward : IRowOperation
    {
        private const int Block = 256; // columns whose slopes lie on the stack

        public Tensor? X, GradientY;
        public float Cap;

        public void Do(int row)
        {
            Span<float> slopes = stackalloc float[Block];
            ReadOnlySpan<float> x = X!.Row(row);
            Span<float> gradient = GradientY!.Row(row);
            for (int first = 0; first < x.Length; first += Block)
            {
                int count = Math.Min(Block, x.Length - first);
                Span<float> slope = slopes[..count];
                TensorPrimitives.Divide(x.Slice(first, count), Cap, slope);
                TensorPrimitives.Tanh(slope, slope);
                TensorPrimitives.Multiply(slope, slope, slope);
                TensorPrimitives.Subtract(1f, slope, slope);
                TensorPrimitives.Multiply(gradient.Slice(first, count), slope, gradient.Slice(first, count));
            }
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
        Tensor y = context.IsTraining ? context.Rent(x.Rows, x.Columns) : x;
        Multiply(context, x, factor, y);
        if (context.Records(x))
        {
            Record(context, x, factor, y);
        }

        return y;
    }

    private static void Record(ComputeContext context, Tensor x, float factor, Tensor y) => context.Record(y, () =>
    {
        Multiply(context, y.Gradient!, factor, y.Gradient!);
        AddOp.PassOn(context, y, x);
    });

    private static void Multiply(ComputeContext context, Tensor x, float factor, Tensor y)
    {
        ScaleOperation operation = context.Works.Cached<ScaleOperation>();
        (operation.X, operation.Factor, operation.Y) = (x, factor, y);
        context.Works.Rows.Run(context.Team, operation, x.Rows, x.Columns);
    }

    private sealed class ScaleOperation : IRowOperation
    {
        public Tensor? X, Y;
        public float Factor;

        public void Do(int row) => TensorPrimitives.Multiply(X!.Row(row), Factor, Y!.Row(row));
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
        Tensor y = context.Rent(rows.Length, x.Columns);
        for (int i = 0; i < rows.Length; i++)
        {
            x.Row(rows[i]).CopyTo(y.Row(i));
        }

        if (context.Records(x))
        {
            Record(context, x, rows.ToArray(), y);
        }

        return y;
    }

    private static void Record(ComputeContext context, Tensor x, int[] rows, Tensor y) => context.Record(y, () =>
    {
        Tensor gradient = context.GradientOf(x);
        for (int i = 0; i < rows.Length; i++)
        {
            Span<float> target = gradient.Row(rows[i]);
            TensorPrimitives.Add(target, y.Gradient!.Row(i), target);
        }
    });
}
