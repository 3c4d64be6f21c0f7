// Products with weights in training, forward and backward. Knows no layers and no formats.
using System.Numerics.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>y = x Wᵀ + b, dx = dy W, dW = dyᵀ x, db = Σ dy.</summary>
/// <remarks>
/// Trainable weights are packed while they are multiplied, from the rows that the optimiser changes: there is no second copy. Frozen ones, in whatever format, multiply as in inference;
/// for dx some of their rows at a time are decoded.
/// </remarks>
internal static class LinearTraining
{
    private const int MostWeights = 4;
    private const int DecodedRows = ProductWork.BlockDepth;

    /// <summary>Multiplies, and records the backward where it is asked for.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="x">[T, C], T above 0.</param>
    /// <param name="weights">[R_i, C] each; at most four.</param>
    /// <param name="biases">[R_i] each, or null.</param>
    /// <param name="outputs">[T, R_i] each.</param>
    /// <param name="stores">Whether the outputs are activations, which are stored as the context says; logits are not.</param>
    public static void Run(ComputeContext context, Tensor x, ReadOnlySpan<Weight> weights, ReadOnlySpan<Tensor?> biases, ReadOnlySpan<Tensor> outputs, bool stores)
    {
        if (weights.Length > MostWeights)
        {
            throw new ArgumentException($"{weights.Length} weights at once; at most {MostWeights} can share their activations.", nameof(weights));
        }

        Span<ProductOperand> operands = new ProductOperand[weights.Length];
        Span<Tensor> trained = new Tensor[weights.Length];
        int count = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            if (ParameterOf(weights[i]) is { } parameter)
            {
                operands[count] = ProductOperand.OverColumns(parameter, context.StoresBFloat16);
                trained[count++] = outputs[i];
            }
            else
            {
                LinearOp.Multiply(context, x, weights.Slice(i, 1), [null], outputs.Slice(i, 1));
            }
        }

        if (count > 0)
        {
            context.Works.Products.Run(context, ProductOperand.OverColumns(x), operands[..count], trained[..count], onto: false);
        }

        for (int i = 0; i < weights.Length; i++)
        {
            AddBias(context, biases[i], outputs[i]);
            if (stores)
            {
                context.Store(outputs[i]);
            }

            if (context.Records(x, ParameterOf(weights[i]), biases[i]))
            {
                Record(context, x, weights[i], biases[i], outputs[i]);
            }
        }
    }

    internal static void AddBias(ComputeContext context, Tensor? bias, Tensor y)
    {
        if (bias is not null)
        {
            BiasOperation operation = context.Works.Cached<BiasOperation>();
            (operation.Y, operation.Bias) = (y, context.Stored(bias));
            context.Works.Rows.Run(context.Team, operation, y.Rows, y.Columns);
        }
    }

    /// <summary>The parameter in a weight, or null where it is frozen.</summary>
    internal static Tensor? ParameterOf(Weight weight) => (weight as TrainableWeight)?.Values;

    private static void Record(ComputeContext context, Tensor x, Weight weight, Tensor? bias, Tensor y) => context.Record(y, () =>
    {
        Tensor gradient = y.Gradient!;
        if (bias is { NeedsGradient: true })
        {
            GradientSums.AddColumnSums(context, gradient, bias);
        }

        if (ParameterOf(weight) is { NeedsGradient: true } parameter)
        {
            Tensor sum = context.GradientOf(parameter, out bool isNew);
            context.Works.Products.Run(context, ProductOperand.OverRows(gradient), [ProductOperand.OverRows(x)], [sum], onto: !isNew);
        }

        if (x.NeedsGradient)
        {
            Tensor sum = context.GradientOf(x, out bool isNew);
            if (ParameterOf(weight) is { } values)
            {
                context.Works.Products.Run(context, ProductOperand.OverColumns(gradient), [ProductOperand.OverRows(values, context.StoresBFloat16)], [sum], onto: !isNew);
            }
            else
            {
                FlowThroughFrozen(context, weight, gradient, sum, isNew);
            }
        }
    });

    /// <summary>dx = dy W, some rows of W at a time: they are columns of dy.</summary>
    internal static void FlowThroughFrozen(ComputeContext context, Weight weight, Tensor gradient, Tensor sum, bool isNew, int firstOutputRow = 0)
    {
        for (int first = 0; first < weight.Rows; first += DecodedRows)
        {
            int rows = Math.Min(DecodedRows, weight.Rows - first);
            Tensor decoded = context.Rent(rows, weight.Columns), part = context.Rent(gradient.Rows, rows);
            DecodeOperation operation = context.Works.Cached<DecodeOperation>();
            (operation.Weight, operation.First, operation.Decoded) = (weight, first, decoded);
            context.Works.Rows.Run(context.Team, operation, rows, weight.Columns);
            operation.Weight = null;
            for (int t = 0; t < gradient.Rows; t++)
            {
                gradient.Row(t).Slice(first, rows).CopyTo(part.Row(t));
            }

            context.Works.Products.Run(context, ProductOperand.OverColumns(part), [ProductOperand.OverRows(decoded)], [sum], onto: !isNew || first > 0, firstOutputRow);
            context.Return(decoded);
            context.Return(part);
        }
    }

    private sealed class BiasOperation : IRowOperation
    {
        public Tensor? Y, Bias;

        public void Do(int row) => TensorPrimitives.Add(Y!.Row(row), Bias!.Span, Y.Row(row));
    }

    private sealed class DecodeOperation : IRowOperation
    {
        public Weight? Weight;
        public Tensor? Decoded;
        public int First;

        public void Do(int row) => Weight!.DecodeRow(First + row, Decoded!.Row(row));
    }
}
