// Normalisation of all rows of a tensor. Knows no layers.
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>Root-mean-square normalisation.</summary>
public static class RmsNormOp
{
    /// <summary>y = x / sqrt(mean(x²) + ε) · w, over each row or over groups of its columns.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="x">[T, D]</param>
    /// <param name="weight">[D], or [group].</param>
    /// <param name="epsilon">Added to the mean square before the root. 1e-6 to 1e-5 in practice.</param>
    /// <param name="unitOffset">Whether 1 is added to the weight (Gemma).</param>
    /// <param name="groupSize">Columns that are normalised together (the heads of q and k); 0 for the whole row.</param>
    /// <returns>[T, D]</returns>
    public static Tensor Apply(ComputeContext context, Tensor x, Tensor weight, float epsilon, bool unitOffset, int groupSize = 0)
    {
        int group = groupSize == 0 ? x.Columns : groupSize;
        if (weight.Length != group || x.Columns % group != 0)
        {
            throw new ArgumentException($"A norm of {weight.Length} weights meets rows of {x.Columns} in groups of {group}.", nameof(weight));
        }

        Tensor y = context.Rent(x.Rows, x.Columns);
        Operation operation = context.Works.Cached<Operation>();
        (operation.X, operation.Weight, operation.Y, operation.Epsilon, operation.UnitOffset, operation.Group) = (x, context.Stored(weight), y, epsilon, unitOffset, group);
        context.Works.Rows.Run(context.Team, operation, x.Rows, x.Columns);
        context.Store(y);
        if (context.Records(x, weight))
        {
            Record(context, x, weight, epsilon, unitOffset, group, y);
        }

        return y;
    }

    private static void Record(ComputeContext context, Tensor x, Tensor weight, float epsilon, bool unitOffset, int group, Tensor y) => context.Record(
        y, () => NormBackward.Run(context, x, weight, null, y, new NormBackward { IsRms = true, Epsilon = epsilon, UnitOffset = unitOffset, Group = group }));

    private sealed class Operation : IRowOperation
    {
        public Tensor? X, Weight, Y;
        public float Epsilon;
        public bool UnitOffset;
        public int Group;

        public void Do(int row)
        {
            ReadOnlySpan<float> x = X!.Row(row);
            Span<float> y = Y!.Row(row);
            for (int start = 0; start < x.Length; start += Group)
            {
                NormKernel.RmsNorm(x.Slice(start, Group), Weight!.Span, Epsilon, UnitOffset, y.Slice(start, Group));
            }
        }
    }
}

/// <summary>Layer normalisation.</summary>
public static class LayerNormOp
{
    /// <summary>y = (x - mean) / sqrt(variance + ε) · w + b, over each row.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="x">[T, D]</param>
    /// <param name="weight">[D]</param>
    /// <param name="bias">[D], or null.</param>
    /// <param name="epsilon">Added to the variance before the root.</param>
    /// <returns>[T, D]</returns>
    public static Tensor Apply(ComputeContext context, Tensor x, Tensor weight, Tensor? bias, float epsilon)
    {
        if (weight.Length != x.Columns || (bias is not null && bias.Length != x.Columns))
        {
            throw new ArgumentException($"A norm of {weight.Length} weights meets rows of {x.Columns}.", nameof(weight));
        }

        Tensor y = context.Rent(x.Rows, x.Columns);
        Operation operation = context.Works.Cached<Operation>();
        (operation.X, operation.Weight, operation.Bias, operation.Y, operation.Epsilon) = (x, context.Stored(weight), bias is null ? null : context.Stored(bias), y, epsilon);
        context.Works.Rows.Run(context.Team, operation, x.Rows, x.Columns);
        context.Store(y);
        if (context.Records(x, weight, bias))
        {
            Record(context, x, weight, bias, epsilon, y);
        }

        return y;
    }

    private static void Record(ComputeContext context, Tensor x, Tensor weight, Tensor? bias, float epsilon, Tensor y) =>
        context.Record(y, () => NormBackward.Run(context, x, weight, bias, y, new NormBackward { Epsilon = epsilon, Group = x.Columns }));

    private sealed class Operation : IRowOperation
    {
        public Tensor? X, Weight, Bias, Y;
        public float Epsilon;

        public void Do(int row) => NormKernel.LayerNorm(X!.Row(row), Weight!.Span, Bias is null ? [] : Bias.Span, Epsilon, Y!.Row(row));
    }
}
