// The backward passes of the norms over all rows. Knows no layers.
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>Gradients of a norm: rows in chunks, and a row of sums for each chunk, which are then added in order.</summary>
internal sealed class NormBackward : IChunkOperation
{
    public Tensor? X, Weight, GradientX, GradientY, WeightSums, BiasSums;
    public float Epsilon;
    public bool IsRms, UnitOffset, IsNew;
    public int Group;

    /// <summary>Lets the gradient of y flow into x, weight and bias.</summary>
    public static void Run(ComputeContext context, Tensor x, Tensor weight, Tensor? bias, Tensor y, NormBackward operation)
    {
        int chunks = ChunkWork.Count(x.Rows);
        operation.IsNew = false;
        (operation.X, operation.Weight, operation.GradientY) = (x, context.Stored(weight), y.Gradient!);
        operation.GradientX = x.NeedsGradient ? context.GradientOf(x, out operation.IsNew) : null;
        operation.WeightSums = weight.NeedsGradient ? context.Rent(chunks, weight.Length) : null;
        operation.BiasSums = bias is { NeedsGradient: true } ? context.Rent(chunks, weight.Length) : null;
        context.Works.Chunks.Run(context.Team, operation, x.Rows);
        AddUp(context, operation.WeightSums, weight);
        AddUp(context, operation.BiasSums, bias);
    }

    public void Do(int chunk, int firstRow, int endRow)
    {
        Span<float> scratch = Group <= 1024 ? stackalloc float[2 * Group] : new float[2 * Group];
        Span<float> weightSums = WeightSums is null ? [] : WeightSums.Row(chunk);
        Span<float> biasSums = BiasSums is null ? [] : BiasSums.Row(chunk);
        weightSums.Clear();
        biasSums.Clear();
        for (int row = firstRow; row < endRow; row++)
        {
            ReadOnlySpan<float> x = X!.Row(row), gradientY = GradientY!.Row(row);
            Span<float> gradientX = GradientX is null ? [] : GradientX.Row(row);
            if (IsNew)
            {
                gradientX.Clear();
            }

            for (int start = 0; start < x.Length; start += Group)
            {
                Span<float> part = gradientX.IsEmpty ? [] : gradientX.Slice(start, Group);
                if (IsRms)
                {
                    NormGradient.RmsNorm(x.Slice(start, Group), gradientY.Slice(start, Group), Weight!.Span, Epsilon, UnitOffset, part, weightSums, scratch);
                }
                else
                {
                    NormGradient.LayerNorm(x, gradientY, Weight!.Span, Epsilon, part, weightSums, biasSums, scratch);
                }
            }
        }
    }

    private static void AddUp(ComputeContext context, Tensor? sums, Tensor? parameter)
    {
        if (sums is not null)
        {
            GradientSums.AddRows(sums, context.GradientOf(parameter!));
            context.Return(sums);
        }
    }
}
