// What a product of two thin matrices adds to the output of a linear layer. Knows no layers and no files.
using System.Buffers;
using System.Numerics.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>A change of a matrix by a product of two thin ones: ΔW = s · B A, and less s · B₀ A₀ where it began at those.</summary>
/// <param name="A">[r, C]</param>
/// <param name="B">[R, r]</param>
/// <param name="Scale">s</param>
/// <param name="StartA">[r, C] A₀, which is not trained; null for none.</param>
/// <param name="StartB">[R, r] B₀; null for none.</param>
/// <remarks>A change that begins away from zero (PiSSA, arXiv 2404.02948) takes its start off, so that the matrix itself stays as it is, in whatever
/// format.</remarks>
public sealed record LowRankChange(Tensor A, Tensor B, float Scale, Tensor? StartA = null, Tensor? StartB = null)
{
    /// <summary>r: rows of A.</summary>
    public int Rank => A.Rows;

    /// <exception cref="ArgumentException">The shapes do not belong together.</exception>
    internal void Check(int inputs, int outputs)
    {
        bool fits = A.Columns == inputs && B.Rows == outputs && B.Columns == A.Rows
            && (StartA is null) == (StartB is null) && (StartA is null || (StartA.Rows == A.Rows && StartA.Columns == A.Columns && StartB!.Rows == B.Rows && StartB.Columns == B.Columns));
        if (!fits)
        {
            throw new ArgumentException($"A change of {B.Rows} x {B.Columns} times {A.Rows} x {A.Columns} does not fit a matrix of {outputs} x {inputs}.");
        }
    }
}

/// <summary>A change in the form that rows are added to with in inference.</summary>
/// <param name="A">[r, C]</param>
/// <param name="TransposedB">[r, R]</param>
/// <param name="Scale">s</param>
/// <param name="StartA">[r, C], or null.</param>
/// <param name="TransposedStartB">[r, R], or null.</param>
public sealed record PreparedChange(Tensor A, Tensor TransposedB, float Scale, Tensor? StartA, Tensor? TransposedStartB)
{
    /// <summary>Prepares a change.</summary>
    /// <param name="change">The change, which must stay as it is as long as the result is used.</param>
    public static PreparedChange Of(LowRankChange change) =>
        new(change.A, Transposed(change.B), change.Scale, change.StartA, change.StartB is null ? null : Transposed(change.StartB));

    private static Tensor Transposed(Tensor b)
    {
        Tensor turned = new(b.Columns, b.Rows);
        for (int row = 0; row < b.Rows; row++)
        {
            for (int k = 0; k < b.Columns; k++)
            {
                turned.Row(k)[row] = b.Row(row)[k];
            }
        }

        return turned;
    }
}

/// <summary>y + s (x Aᵀ) Bᵀ (Hu et al., arXiv 2106.09685, equation 3).</summary>
public static class LowRankOp
{
    /// <summary>Adds to all rows, with gradients of x, y, A and B.</summary>
    /// <param name="context">A training context.</param>
    /// <param name="x">[T, C]</param>
    /// <param name="y">[T, R] The output of the layer itself, which nothing may read afterwards: the sum takes its storage.</param>
    /// <param name="change">What is added.</param>
    /// <param name="stores">Whether the sum is an activation, which is stored as the context says; logits are not.</param>
    /// <returns>[T, R]</returns>
    /// <exception cref="ArgumentException">The shapes do not belong together.</exception>
    public static Tensor Apply(ComputeContext context, Tensor x, Tensor y, LowRankChange change, bool stores = true)
    {
        change.Check(x.Columns, y.Columns);
        if (x.Rows != y.Rows)
        {
            throw new ArgumentException($"{x.Rows} rows of inputs meet {y.Rows} rows of outputs.", nameof(y));
        }

        Tensor inner = Down(context, x, change.A, change.Scale);
        if (change.StartA is null)
        {
            Up(context, inner, change.B, y, onto: true);
        }
        else
        {
            AddDifference(context, x, y, inner, change);
        }

        if (stores)
        {
            context.Store(y);
        }

        if (!context.Records(x, change.A, change.B) && !y.NeedsGradient)
        {
            return y;
        }

        bool flowsOn = y.NeedsGradient;
        Tensor sum = context.Overwrite(y);
        if (context.IsRecording)
        {
            Record(context, x, y, flowsOn, inner, change, sum);
        }

        return sum;
    }

    /// <summary>Adds to some rows in place. For inference: a row's result depends on no other row.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="x">[T, C]</param>
    /// <param name="y">[T, R]</param>
    /// <param name="rows">Which rows.</param>
    /// <param name="change">What is added.</param>
    /// <exception cref="ArgumentException">The shapes do not belong together.</exception>
    public static void AddTo(ComputeContext context, Tensor x, Tensor y, RowVariant rows, PreparedChange change)
    {
        if (change.A.Columns != x.Columns || change.TransposedB.Columns != y.Columns || rows.FirstRow + rows.Rows > Math.Min(x.Rows, y.Rows))
        {
            throw new ArgumentException($"A change of {change.TransposedB.Columns} x {change.A.Columns} does not fit {rows.Rows} rows of {x.Columns} and {y.Columns} columns.", nameof(change));
        }

        RowOperation operation = context.Works.Cached<RowOperation>();
        (operation.X, operation.Y, operation.Change, operation.First) = (x, y, change, rows.FirstRow);
        context.Works.Rows.Run(context.Team, operation, rows.Rows, change.A.Rows * (x.Columns + y.Columns));
        (operation.X, operation.Y, operation.Change) = (null, null, null);
    }

    /// <summary>s · x Aᵀ. [T, r]</summary>
    private static Tensor Down(ComputeContext context, Tensor x, Tensor a, float scale)
    {
        Tensor inner = context.Rent(x.Rows, a.Rows);
        context.Works.Products.Run(context, ProductOperand.OverColumns(x), [ProductOperand.OverColumns(a, context.StoresBFloat16)], [inner], onto: false);
        TensorPrimitives.Multiply(inner.Span, scale, inner.Span);
        return inner;
    }

    /// <summary>y = u Bᵀ, or y + u Bᵀ.</summary>
    private static void Up(ComputeContext context, Tensor inner, Tensor b, Tensor y, bool onto) =>
        context.Works.Products.Run(context, ProductOperand.OverColumns(inner), [ProductOperand.OverColumns(b, context.StoresBFloat16)], [y], onto);

    // The two products are found apart and taken from each other before they meet y: as long as they are the same, y keeps its bits.
    private static void AddDifference(ComputeContext context, Tensor x, Tensor y, Tensor inner, LowRankChange change)
    {
        Tensor now = context.Rent(y.Rows, y.Columns), start = context.Rent(y.Rows, y.Columns), startInner = Down(context, x, change.StartA!, change.Scale);
        Up(context, inner, change.B, now, onto: false);
        Up(context, startInner, change.StartB!, start, onto: false);
        DifferenceOperation operation = context.Works.Cached<DifferenceOperation>();
        (operation.Now, operation.Start, operation.Y) = (now, start, y);
        context.Works.Rows.Run(context.Team, operation, y.Rows, y.Columns);
        (operation.Now, operation.Start, operation.Y) = (null, null, null);
        context.Return(startInner);
        context.Return(start);
        context.Return(now);
    }

    // du = s dy B, dB = dyᵀ u, dA = duᵀ x, dx = du A (and the same, taken off, through a start); y passes its gradient on as it is.
    private static void Record(ComputeContext context, Tensor x, Tensor y, bool flowsOn, Tensor inner, LowRankChange change, Tensor sum) => context.Record(sum, () =>
    {
        Tensor gradient = sum.Gradient!;
        if (change.B.NeedsGradient)
        {
            Tensor ofB = context.GradientOf(change.B, out bool isNew);
            context.Works.Products.Run(context, ProductOperand.OverRows(gradient), [ProductOperand.OverRows(inner)], [ofB], onto: !isNew);
        }

        if (x.NeedsGradient || change.A.NeedsGradient)
        {
            Tensor ofInner = FlowDown(context, gradient, change.B, change.Scale);
            if (change.A.NeedsGradient)
            {
                Tensor ofA = context.GradientOf(change.A, out bool isNew);
                context.Works.Products.Run(context, ProductOperand.OverRows(ofInner), [ProductOperand.OverRows(x)], [ofA], onto: !isNew);
            }

            FlowOn(context, ofInner, change.A, x);
            context.Return(ofInner);
        }

        if (change.StartA is not null && x.NeedsGradient)
        {
            Tensor ofInner = FlowDown(context, gradient, change.StartB!, -change.Scale);
            FlowOn(context, ofInner, change.StartA, x);
            context.Return(ofInner);
        }

        if (flowsOn)
        {
            (y.Gradient, sum.Gradient) = (gradient, null); // y is empty, and whoever made it reads its gradient alone
        }
    });

    private static Tensor FlowDown(ComputeContext context, Tensor gradient, Tensor b, float scale)
    {
        Tensor ofInner = context.Rent(gradient.Rows, b.Columns);
        context.Works.Products.Run(context, ProductOperand.OverColumns(gradient), [ProductOperand.OverRows(b, context.StoresBFloat16)], [ofInner], onto: false);
        TensorPrimitives.Multiply(ofInner.Span, scale, ofInner.Span);
        return ofInner;
    }

    private static void FlowOn(ComputeContext context, Tensor ofInner, Tensor a, Tensor x)
    {
        if (x.NeedsGradient)
        {
            Tensor ofX = context.GradientOf(x, out bool isNew);
            context.Works.Products.Run(context, ProductOperand.OverColumns(ofInner), [ProductOperand.OverRows(a, context.StoresBFloat16)], [ofX], onto: !isNew);
        }
    }

    private sealed class RowOperation : IRowOperation
    {
        public Tensor? X, Y;
        public PreparedChange? Change;
        public int First;

        public void Do(int row)
        {
            PreparedChange change = Change!;
            ReadOnlySpan<float> x = X!.Row(First + row);
            Span<float> y = Y!.Row(First + row);
            if (change.StartA is null)
            {
                Add(x, change.A, change.TransposedB, change.Scale, y);
                return;
            }

            // As in training: two sums that are found apart, so that a change that is still at its start leaves y's bits.
            float[] room = ArrayPool<float>.Shared.Rent(2 * y.Length);
            Span<float> now = room.AsSpan(0, y.Length), start = room.AsSpan(y.Length, y.Length);
            now.Clear();
            start.Clear();
            Add(x, change.A, change.TransposedB, change.Scale, now);
            Add(x, change.StartA, change.TransposedStartB!, change.Scale, start);
            TensorPrimitives.Subtract(now, start, now);
            TensorPrimitives.Add(y, now, y);
            ArrayPool<float>.Shared.Return(room);
        }

        private static void Add(ReadOnlySpan<float> x, Tensor a, Tensor transposedB, float scale, Span<float> y)
        {
            for (int k = 0; k < a.Rows; k++)
            {
                Lanes.AddScaled(scale * Lanes.Dot(a.Row(k), x), transposedB.Row(k), y);
            }
        }
    }

    private sealed class DifferenceOperation : IRowOperation
    {
        public Tensor? Now, Start, Y;

        public void Do(int row)
        {
            Span<float> now = Now!.Row(row);
            TensorPrimitives.Subtract(now, Start!.Row(row), now);
            TensorPrimitives.Add(Y!.Row(row), now, Y.Row(row));
        }
    }
}
