// Gradients of the norms of one row. Knows no threads and no models.
using System.Numerics.Tensors;

namespace Kidogo.Tensors.Kernels;

/// <summary>How the gradient of a normalised row flows into the row and into the norm's parameters.</summary>
internal static class NormGradient
{
    /// <summary>With r = 1 / sqrt(mean(x²) + ε), h = x · r, u = dy · w: dx = r · (u - h · mean(u · h)), dw += dy · h.</summary>
    /// <param name="x">[D]</param>
    /// <param name="gradientY">dy [D]</param>
    /// <param name="weight">[D]</param>
    /// <param name="epsilon">ε</param>
    /// <param name="unitOffset">Whether the factor is 1 + w.</param>
    /// <param name="gradientX">[D]; dx is added to it. Empty where it is not needed.</param>
    /// <param name="gradientWeight">[D]; dw is added to it. Empty where it is not needed.</param>
    /// <param name="scratch">[2 D]</param>
    public static void RmsNorm(
        ReadOnlySpan<float> x, ReadOnlySpan<float> gradientY, ReadOnlySpan<float> weight, float epsilon, bool unitOffset, Span<float> gradientX, Span<float> gradientWeight, Span<float> scratch)
    {
        float inverse = 1f / MathF.Sqrt((TensorPrimitives.SumOfSquares(x) / x.Length) + epsilon);
        Span<float> h = scratch[..x.Length], u = scratch.Slice(x.Length, x.Length);
        TensorPrimitives.Multiply(x, inverse, h);
        if (!gradientWeight.IsEmpty)
        {
            TensorPrimitives.MultiplyAdd(gradientY, h, gradientWeight, gradientWeight);
        }

        if (!gradientX.IsEmpty)
        {
            TensorPrimitives.Multiply(gradientY, weight, u);
            if (unitOffset)
            {
                TensorPrimitives.Add(u, gradientY, u);
            }

            float mean = Lanes.Dot(u, h) / x.Length;
            Lanes.AddScaled(inverse, u, gradientX);
            Lanes.AddScaled(-inverse * mean, h, gradientX);
        }
    }

    /// <summary>With r = 1 / sqrt(variance + ε), h = (x - mean) · r, u = dy · w: dx = r · (u - mean(u) - h · mean(u · h)), dw += dy · h, db += dy.</summary>
    /// <param name="x">[D]</param>
    /// <param name="gradientY">dy [D]</param>
    /// <param name="weight">[D]</param>
    /// <param name="epsilon">ε</param>
    /// <param name="gradientX">[D]; dx is added to it. Empty where it is not needed.</param>
    /// <param name="gradientWeight">[D]; dw is added to it. Empty where it is not needed.</param>
    /// <param name="gradientBias">[D]; db is added to it. Empty where it is not needed.</param>
    /// <param name="scratch">[2 D]</param>
    public static void LayerNorm(
        ReadOnlySpan<float> x, ReadOnlySpan<float> gradientY, ReadOnlySpan<float> weight, float epsilon, Span<float> gradientX, Span<float> gradientWeight, Span<float> gradientBias, Span<float> scratch)
    {
        Span<float> h = scratch[..x.Length], u = scratch.Slice(x.Length, x.Length);
        TensorPrimitives.Subtract(x, TensorPrimitives.Sum(x) / x.Length, h);
        float inverse = 1f / MathF.Sqrt((TensorPrimitives.SumOfSquares<float>(h) / x.Length) + epsilon);
        TensorPrimitives.Multiply(h, inverse, h);
        if (!gradientWeight.IsEmpty)
        {
            TensorPrimitives.MultiplyAdd(gradientY, h, gradientWeight, gradientWeight);
        }

        if (!gradientBias.IsEmpty)
        {
            TensorPrimitives.Add(gradientBias, gradientY, gradientBias);
        }

        if (!gradientX.IsEmpty)
        {
            TensorPrimitives.Multiply(gradientY, weight, u);
            float mean = Lanes.Dot(u, h) / x.Length;
            TensorPrimitives.Subtract(u, TensorPrimitives.Sum<float>(u) / x.Length, u);
            Lanes.AddScaled(inverse, u, gradientX);
            Lanes.AddScaled(-inverse * mean, h, gradientX);
        }
    }
}
