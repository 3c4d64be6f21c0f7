// The head of a language model and its loss in one: logits exist for some rows at a time. Knows no vocabularies and no batches.
using System.Numerics.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>What lies between hidden rows and a loss.</summary>
/// <param name="Weight">[V, D]</param>
/// <param name="Bias">[V], or null.</param>
/// <param name="Scale">What logits are multiplied with; 1 for nothing.</param>
/// <param name="Softcap">Then they become cap · tanh(logit / cap); 0 for none.</param>
public readonly record struct LossHead(Weight Weight, Tensor? Bias = null, float Scale = 1, float Softcap = 0);

/// <summary>Cross entropy of logits that are never whole: of 2,048 rows and 49,152 classes they would take 400 MB.</summary>
/// <remarks>
/// Some rows at a time: logits, loss, the gradient in their place, and at once what it adds to the gradients of the weight and the rows, while it is in the caches.
/// The gradients are the bits of <see cref="LinearOp"/> and <see cref="CrossEntropyOp"/>. Since those of weight and bias are added in the forward pass, a pass that is forgotten leaves them behind,
/// and what comes after the loss must have a slope of 1.
/// </remarks>
public static class HeadLossOp
{
    private const int MostLogits = 4 << 20; // 16 MiB stay in a last-level cache
    private const int FewestRows = 256; // below, adding to the weight's gradient would be bound by memory

    private static readonly CrossEntropyOptions s_plain = new();

    /// <summary>Computes the loss, and where recorded its gradients.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="x">[T, D]</param>
    /// <param name="head">From rows to logits.</param>
    /// <param name="targets">[T]: an id in 0 .. V-1, or <see cref="CrossEntropyOp.NoTarget"/>.</param>
    /// <param name="options">What the loss is; null for plain cross entropy.</param>
    /// <exception cref="ArgumentException">There are not as many targets as rows, a target is no class, or the head does not fit.</exception>
    public static CrossEntropyResult Apply(ComputeContext context, Tensor x, in LossHead head, ReadOnlySpan<int> targets, CrossEntropyOptions? options = null)
    {
        options ??= s_plain;
        Weight weight = head.Weight;
        CrossEntropyOp.Check(x.Rows, weight.Rows, targets, options);
        if (x.Columns != weight.Columns || (head.Bias is not null && head.Bias.Length != weight.Rows))
        {
            throw new ArgumentException($"Rows of {x.Columns} columns meet a head of {weight.Rows} x {weight.Columns} with a bias of {head.Bias?.Length ?? weight.Rows}.", nameof(head));
        }

        Tensor? parameter = LinearTraining.ParameterOf(weight);
        bool isRecorded = context.Records(x, parameter, head.Bias);
        long present = targets.Length - targets.Count(CrossEntropyOp.NoTarget);
        double divisor = options.Count > 0 ? options.Count : Math.Max(1, present), entropy = 0, z = 0;
        Tensor? gradient = isRecorded && x.NeedsGradient ? context.Rent(x.Rows, x.Columns) : null;
        int most = RowsAtOnce(weight.Rows);
        for (int first = 0; first < x.Rows; first += most)
        {
            int rows = Math.Min(most, x.Rows - first);
            int mark = context.Mark();
            Tensor logits = context.Rent(rows, weight.Rows);
            Multiply(context, x, first, head, logits);
            Tensor? capped = isRecorded && head.Softcap != 0 ? context.Rent(rows, weight.Rows) : null;
            if (capped is not null)
            {
                logits.Span.CopyTo(capped.Span);
            }

            (double partEntropy, double partZ) = CrossEntropyOp.OfRows(context, logits, targets.Slice(first, rows), options, divisor, isRecorded);
            (entropy, z) = (entropy + partEntropy, z + partZ);
            if (isRecorded)
            {
                FlowBack(context, x, first, head, logits, capped, gradient);
            }

            if (capped is not null)
            {
                context.Return(capped);
            }

            context.Return(logits);
            context.ReleaseTo(mark);
        }

        Tensor loss = context.Rent(1, 1);
        loss.Span[0] = (float)(entropy + z);
        if (isRecorded)
        {
            Record(context, x, gradient, loss);
        }

        return new CrossEntropyResult(loss, entropy + z, entropy, present);
    }

    /// <summary>Bytes of the logits that exist at a time.</summary>
    /// <param name="rows">T</param>
    /// <param name="vocabulary">V</param>
    /// <param name="isCapped">Whether logits are capped: then what they were before is kept beside them.</param>
    public static long LogitBytes(long rows, int vocabulary, bool isCapped) =>
        (isCapped ? 2L : 1L) * sizeof(float) * vocabulary * Math.Min(rows, RowsAtOnce(vocabulary));

    private static int RowsAtOnce(int vocabulary) => Math.Max(FewestRows, MostLogits / Math.Max(1, vocabulary));

    private static void Multiply(ComputeContext context, Tensor x, int first, in LossHead head, Tensor logits)
    {
        if (LinearTraining.ParameterOf(head.Weight) is { } parameter)
        {
            context.Works.Products.Run(context, new ProductOperand(x, first, logits.Rows, false), [ProductOperand.OverColumns(parameter, context.StoresBFloat16)], [logits], onto: false);
        }
        else
        {
            Tensor part = context.Rent(logits.Rows, x.Columns);
            x.Span.Slice(first * x.Columns, part.Length).CopyTo(part.Span);
            LinearOp.Multiply(context, part, [head.Weight], [null], [logits]);
            context.Return(part);
        }

        LinearTraining.AddBias(context, head.Bias, logits);
        if (head.Scale != 1 || head.Softcap != 0)
        {
            LogitOperation operation = context.Works.Cached<LogitOperation>();
            (operation.Logits, operation.Capped, operation.Scale, operation.Softcap) = (logits, null, head.Scale, head.Softcap);
            context.Works.Rows.Run(context.Team, operation, logits.Rows, logits.Columns);
        }
    }

    private static void FlowBack(ComputeContext context, Tensor x, int first, in LossHead head, Tensor logits, Tensor? capped, Tensor? gradient)
    {
        if (head.Scale != 1 || capped is not null)
        {
            LogitOperation operation = context.Works.Cached<LogitOperation>();
            (operation.Logits, operation.Capped, operation.Scale, operation.Softcap) = (logits, capped, head.Scale, capped is null ? 0 : head.Softcap);
            context.Works.Rows.Run(context.Team, operation, logits.Rows, logits.Columns);
        }

        if (head.Bias is { NeedsGradient: true })
        {
            GradientSums.AddColumnSums(context, logits, head.Bias);
        }

        Tensor? parameter = LinearTraining.ParameterOf(head.Weight);
        if (parameter is { NeedsGradient: true })
        {
            Tensor sum = context.GradientOf(parameter, out bool isNew);
            context.Works.Products.Run(context, ProductOperand.OverRows(logits), [new ProductOperand(x, first, logits.Rows, true)], [sum], onto: !isNew);
        }

        if (gradient is null)
        {
            return;
        }

        if (parameter is not null)
        {
            context.Works.Products.Run(context, ProductOperand.OverColumns(logits), [ProductOperand.OverRows(parameter, context.StoresBFloat16)], [gradient], onto: false, first);
        }
        else
        {
            LinearTraining.FlowThroughFrozen(context, head.Weight, logits, gradient, isNew: true, first);
        }
    }

    private static void Record(ComputeContext context, Tensor x, Tensor? gradient, Tensor loss) => context.Record(loss, () =>
    {
        float slope = loss.Gradient!.Span[0];
        if (slope != 1)
        {
            throw new InvalidOperationException($"The loss of a head must be what gradients are found of, but its slope is {slope}: use LinearOp and CrossEntropyOp, or scale the loss by its options.");
        }

        if (gradient is null)
        {
            return;
        }

        if (x.Gradient is null && !x.IsParameter)
        {
            x.Gradient = gradient;
        }
        else
        {
            Tensor sum = context.GradientOf(x); // a parameter's gradient outlives the pass
            TensorPrimitives.Add(sum.Span, gradient.Span, sum.Span);
        }
    });

    /// <summary>Scales and caps logits; or, given capped ones, scales their gradients by the slope of both.</summary>
    private sealed class LogitOperation : IRowOperation
    {
        public Tensor? Logits, Capped;
        public float Scale, Softcap;

        public void Do(int row)
        {
            Span<float> logits = Logits!.Row(row);
            if (Capped is not null)
            {
                Span<float> slope = Capped.Row(row);
                TensorPrimitives.Divide(slope, Softcap, slope);
                TensorPrimitives.Multiply(slope, slope, slope);
                TensorPrimitives.Subtract(1f, slope, slope);
                TensorPrimitives.Multiply(logits, slope, logits);
            }

            if (Scale != 1)
            {
                TensorPrimitives.Multiply(logits, Scale, logits);
            }

            if (Capped is null && Softcap != 0)
            {
                FlashKernel.Cap(logits, Softcap);
            }
        }
    }
}
