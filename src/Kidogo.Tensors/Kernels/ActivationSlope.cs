// Activation functions with their slopes. Knows no threads and no models.
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Kidogo.Tensors.Ops;

namespace Kidogo.Tensors.Kernels;

/// <summary>f(x) and f'(x) of the non-linear functions of feed-forward layers.</summary>
/// <remarks>
/// SiLU and GELU by tanh are both x · s with s = sigmoid(z): z = x, and z = 2 √(2/π) (x + 0.044715 x³), since ½ (1 + tanh(u)) = sigmoid(2u). Then
/// f' = s + x · s · (1 - s) · z'. Both s and 1 - s are quotients of 1 or e = exp(-|z|) by 1 + e, so neither loses digits far from 0.
/// </remarks>
internal static class ActivationSlope
{
    private const float Linear = 1.5957691216f; // 2 √(2/π)
    private const float Cubic = 0.0713548162726f; // 0.044715 · 2 √(2/π)
    private const float LargestSquare = 1e4f; // of |x| = 100, where s is 0 or 1 already: larger ones could make 0 · ∞

    /// <summary>Values and slopes.</summary>
    /// <param name="x">[n]</param>
    /// <param name="kind">f</param>
    /// <param name="value">f(x) [n]; must not overlap <paramref name="x"/>.</param>
    /// <param name="slope">f'(x) [n]; where f has a corner, 0.</param>
    public static void Apply(ReadOnlySpan<float> x, Activation kind, Span<float> value, Span<float> slope)
    {
        if (value.Length < x.Length || slope.Length < x.Length)
        {
            throw new ArgumentException($"{x.Length} values do not fit {value.Length} values and {slope.Length} slopes.", nameof(value));
        }

        switch (kind)
        {
            case Activation.Silu:
                ApplySigmoid(x, 1, 0, value, slope);
                break;
            case Activation.GeluTanh:
                ApplySigmoid(x, Linear, Cubic, value, slope);
                break;
            case Activation.GeluErf:
                GeluKernel.Apply(x, value, slope);
                break;
            case Activation.Relu:
                ActivationKernel.Apply(x, kind, value);
                for (int i = 0; i < x.Length; i++)
                {
                    slope[i] = x[i] > 0 ? 1 : 0;
                }

                break;
            case Activation.ReluSquared:
                ActivationKernel.Apply(x, kind, value);
                TensorPrimitives.Max(x, 0f, slope);
                TensorPrimitives.Multiply(slope[..x.Length], 2f, slope);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(kind), $"There is no activation {kind}.");
        }
    }

    /// <summary>x · sigmoid(z) and its slope, with z = linear · x + cubic · x³.</summary>
    private static void ApplySigmoid(ReadOnlySpan<float> x, float linear, float cubic, Span<float> value, Span<float> slope)
    {
        int done = 0;
        if (Vector256.IsHardwareAccelerated)
        {
            // Lanes: 8 neighbouring values, each computed as in the scalar twin.
            ref float source = ref MemoryMarshal.GetReference(x);
            Vector256<float> one = Vector256<float>.One, a = Vector256.Create(linear), b = Vector256.Create(cubic), b3 = Vector256.Create(3 * cubic);
            for (; done <= x.Length - Vector256<float>.Count; done += Vector256<float>.Count)
            {
                Vector256<float> v = Vector256.LoadUnsafe(ref source, (nuint)done);
                Vector256<float> square = Vector256.Min(v * v, Vector256.Create(LargestSquare));
                Vector256<float> z = v * Vector256.FusedMultiplyAdd(b, square, a);
                Vector256<float> e = ExpVectors.Exp(-Vector256.Abs(z));
                Vector256<float> isUp = Vector256.GreaterThanOrEqual(z, Vector256<float>.Zero);
                Vector256<float> inverse = one / (one + e);
                Vector256<float> s = Vector256.ConditionalSelect(isUp, one, e) * inverse;
                Vector256<float> rest = Vector256.ConditionalSelect(isUp, e, one) * inverse;
                (v * s).StoreUnsafe(ref MemoryMarshal.GetReference(value), (nuint)done);
                Vector256<float> bend = v * (s * rest);
                Vector256.FusedMultiplyAdd(bend, Vector256.FusedMultiplyAdd(b3, square, a), s).StoreUnsafe(ref MemoryMarshal.GetReference(slope), (nuint)done);
            }
        }

        ApplySigmoidScalar(x[done..], linear, cubic, value[done..], slope[done..]);
    }

    /// <summary>The definition, and what is left after whole vectors.</summary>
    public static void ApplySigmoidScalar(ReadOnlySpan<float> x, float linear, float cubic, Span<float> value, Span<float> slope)
    {
        for (int i = 0; i < x.Length; i++)
        {
            float square = MathF.Min(x[i] * x[i], LargestSquare);
            float z = x[i] * MathF.FusedMultiplyAdd(cubic, square, linear);
            float e = ExpVectors.ExpScalar(-MathF.Abs(z));
            float inverse = 1 / (1 + e);
            float s = (z >= 0 ? 1 : e) * inverse;
            float rest = (z >= 0 ? e : 1) * inverse;
            value[i] = x[i] * s;
            slope[i] = MathF.FusedMultiplyAdd(x[i] * (s * rest), MathF.FusedMultiplyAdd(3 * cubic, square, linear), s);
        }
    }
}
