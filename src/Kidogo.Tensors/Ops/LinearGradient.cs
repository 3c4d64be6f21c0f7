// The backward pass of y = x Wᵀ + b, plainly. Knows no layers and no formats.
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>dx = dy W, dW = dyᵀ x, db = Σ dy.</summary>
internal static class LinearGradient
{
    /// <summary>The parameter in a weight, or null where it is frozen.</summary>
    public static Tensor? ParameterOf(Weight weight) => (weight as TrainableWeight)?.Values;

    /// <summary>Records the backward of a product.</summary>
    public static void Record(ComputeContext context, Tensor x, Weight weight, Tensor? bias, Tensor y) => context.Record(y, () =>
    {
        if (bias is { NeedsGradient: true })
        {
            GradientSums.AddColumnSums(context, y.Gradient!, bias);
        }

        if (ParameterOf(weight) is { NeedsGradient: true } parameter)
        {
            context.Works.Chunks.Run(context.Team, new IntoWeight(x, y.Gradient!, context.GradientOf(parameter)), weight.Rows);
        }

        if (x.NeedsGradient)
        {
            context.Works.Chunks.Run(context.Team, new IntoInput(weight, y.Gradient!, context.GradientOf(x)), x.Rows);
        }
    });

    /// <summary>dW: rows of the weight in chunks, tokens in order.</summary>
    private sealed class IntoWeight(Tensor x, Tensor gradientY, Tensor gradient) : IChunkOperation
    {
        public void Do(int chunk, int firstRow, int endRow)
        {
            for (int t = 0; t < x.Rows; t++)
            {
                for (int row = firstRow; row < endRow; row++)
                {
                    Lanes.AddScaled(gradientY.Row(t)[row], x.Row(t), gradient.Row(row));
                }
            }
        }
    }

    /// <summary>dx: tokens in chunks, rows of the weight in order, each decoded once for a chunk.</summary>
    private sealed class IntoInput(Weight weight, Tensor gradientY, Tensor gradient) : IChunkOperation
    {
        public void Do(int chunk, int firstRow, int endRow)
        {
            float[] decoded = new float[weight.Columns];
            for (int row = 0; row < weight.Rows; row++)
            {
                weight.DecodeRow(row, decoded);
                for (int t = firstRow; t < endRow; t++)
                {
                    Lanes.AddScaled(gradientY.Row(t)[row], decoded, gradient.Row(t));
                }
            }
        }
    }
}
