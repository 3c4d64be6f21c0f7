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
                GeluKernel.Apply(x, destination, []);
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
}
