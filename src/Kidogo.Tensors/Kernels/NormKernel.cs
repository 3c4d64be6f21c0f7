// Normalisation of one row. Knows no threads and no models.
using System.Numerics.Tensors;

namespace Kidogo.Tensors.Kernels;

/// <summary>Root-mean-square and layer normalisation of rows.</summary>
internal static class NormKernel
{
    /// <summary>y = x / sqrt(mean(x²) + ε) · w, or · (1 + w). (Zhang and Sennrich, arXiv 1910.07467, equation 4)</summary>
    /// <param name="x">[D]</param>
    /// <param name="weight">[D]</param>
    /// <param name="epsilon">Added to the mean square before the root.</param>
    /// <param name="unitOffset">Whether 1 is added to the weight (Gemma).</param>
    /// <param name="destination">[D]; may be <paramref name="x"/> itself.</param>
    public static void RmsNorm(ReadOnlySpan<float> x, ReadOnlySpan<float> weight, float epsilon, bool unitOffset, Span<float> destination)
    {
        float inverse = 1f / MathF.Sqrt((TensorPrimitives.SumOfSquares(x) / x.Length) + epsilon);
        TensorPrimitives.Multiply(x, inverse, destination);
        if (unitOffset)
        {
            TensorPrimitives.MultiplyAdd(destination, weight, destination, destination);
        }
        else
        {
            TensorPrimitives.Multiply(destination, weight, destination);
        }
    }

    /// <summary>y = (x - mean) / sqrt(variance + ε) · w + b, with the biased variance. (Ba et al., arXiv 1607.06450, equation 4)</summary>
    /// <param name="x">[D]</param>
    /// <param name="weight">[D]</param>
    /// <param name="bias">[D], or empty.</param>
    /// <param name="epsilon">Added to the variance before the root.</param>
    /// <param name="destination">[D]; may be <paramref name="x"/> itself.</param>
    public static void LayerNorm(ReadOnlySpan<float> x, ReadOnlySpan<float> weight, ReadOnlySpan<float> bias, float epsilon, Span<float> destination)
    {
        TensorPrimitives.Subtract(x, TensorPrimitives.Sum(x) / x.Length, destination);
        float inverse = 1f / MathF.Sqrt((TensorPrimitives.SumOfSquares<float>(destination) / x.Length) + epsilon);
        TensorPrimitives.Multiply(destination, inverse, destination);
        TensorPrimitives.Multiply(destination, weight, destination);
        if (!bias.IsEmpty)
        {
            TensorPrimitives.Add(destination, bias, destination);
        }
    }
}
