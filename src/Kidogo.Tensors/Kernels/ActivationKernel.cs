// Activation functions on spans. Knows no threads and no models.
using System.Numerics.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Tensors.Kernels;

/// <summary>The non-linear functions of feed-forward layers.</summary>
internal static class ActivationKernel
{
    private const float RootTwoOverPi = 0.7978845608f;
    private const float CubicShare = 0.044715f;

    /// <summary>y = f(x).</summary>
    /// <param name="x">[n]</param>
    /// <param name="kind">f</param>
    /// <param name="destination">[n]; must not overlap <paramref name="x"/>.</param>
    public static void Apply(ReadOnlySpan<float> x, Activation kind, Span<float> destination)
    {
        switch (kind)
        {
            case Activation.Silu:
                SiluKernel.Apply(x, destination);
                break;
            case Activation.GeluTanh: // ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))), arXiv 1606.08415, section 2
                TensorPrimitives.Multiply(x, x, destination);
                TensorPrimitives.Multiply(destination, RootTwoOverPi * CubicShare, destination);
                TensorPrimitives.Add(destination, RootTwoOverPi, destination);
                TensorPrimitives.Multiply(destination, x, destination);
                TensorPrimitives.Tanh(destination, destination);
                TensorPrimitives.Add(destination, 1f, destination);
                TensorPrimitives.Multiply(destination, x, destination);
                TensorPrimitives.Multiply(destination, 0.5f, destination);
                break;
            case Activation.GeluErf: // x Φ(x)
                for (int i = 0; i < x.Length; i++)
                {
                    destination[i] = (float)(0.5 * x[i] * ErfComplement(-x[i] / Math.Sqrt(2)));
                }

                break;
            case Activation.Relu:
                TensorPrimitives.Max(x, 0f, destination);
                break;
            case Activation.ReluSquared: // arXiv 2109.08668, section 3
                TensorPrimitives.Max(x, 0f, destination);
                TensorPrimitives.Multiply(destination, destination, destination);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(kind), $"There is no activation {kind}.");
        }
    }

    /// <summary>The slope of x Φ(x): Φ(x) + x φ(x).</summary>
    public static float GeluErfSlope(float x) =>
        (float)((0.5 * ErfComplement(-x / Math.Sqrt(2))) + (x * Math.Exp(-0.5 * x * x) / Math.Sqrt(2 * Math.PI)));

    // erfc by the continued fraction (Abramowitz and Stegun 7.1.14) for |x| > 2.5 and the power series (7.1.6) below: double precision in both.
    private static double ErfComplement(double x)
    {
        double magnitude = Math.Abs(x);
        if (magnitude > 2.5)
        {
            double fraction = magnitude;
            for (int k = 40; k > 0; k--)
            {
                fraction = magnitude + (k / 2.0 / fraction);
            }

            double tail = Math.Exp(-magnitude * magnitude) / (fraction * Math.Sqrt(Math.PI));
            return x > 0 ? tail : 2 - tail;
        }

        double term = magnitude, sum = magnitude;
        for (int n = 1; n < 60 && term > 1e-17 * sum; n++)
        {
            term *= 2 * magnitude * magnitude / ((2 * n) + 1);
            sum += term;
        }

        double erf = 2 / Math.Sqrt(Math.PI) * Math.Exp(-magnitude * magnitude) * sum;
        return x > 0 ? 1 - erf : 1 + erf;
    }
}
