// Sums of squares in float64, always in one order. Knows not what the values are.
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Kernels;

/// <summary>Sums whose bits depend neither on the width of vectors nor on threads.</summary>
internal static class SumKernel
{
    private const int Lanes = 8;

    /// <summary>Σ x²: value i goes to lane i mod 8, and the lanes are added from first to last.</summary>
    /// <remarks>
    /// Eight float64 lanes are one vector of 512 bits, or two or four narrower ones that the runtime makes of it: the sums are the same. Squares of float32
    /// values are exact in float64 and at most 1.2e77, so nothing overflows; what is no number stays none.
    /// </remarks>
    public static double OfSquares(ReadOnlySpan<float> x)
    {
        ref float first = ref MemoryMarshal.GetReference(x);
        Vector512<double> sums = Vector512<double>.Zero;
        int i = 0;
        for (; i <= x.Length - Lanes; i += Lanes)
        {
            (Vector256<double> low, Vector256<double> high) = Vector256.Widen(Vector256.LoadUnsafe(ref first, (nuint)i));
            Vector512<double> values = Vector512.Create(low, high);
            sums += values * values;
        }

        Span<double> lanes = stackalloc double[Lanes];
        sums.CopyTo(lanes);
        return Finish(x[i..], lanes);
    }

    /// <summary>The scalar twin of <see cref="OfSquares"/>.</summary>
    public static double OfSquaresScalar(ReadOnlySpan<float> x)
    {
        Span<double> lanes = stackalloc double[Lanes];
        lanes.Clear();
        int whole = x.Length / Lanes * Lanes;
        for (int i = 0; i < whole; i++)
        {
            lanes[i % Lanes] += (double)x[i] * x[i];
        }

        return Finish(x[whole..], lanes);
    }

    private static double Finish(ReadOnlySpan<float> rest, Span<double> lanes)
    {
        for (int i = 0; i < rest.Length; i++)
        {
            lanes[i] += (double)rest[i] * rest[i];
        }

        double sum = 0;
        foreach (double lane in lanes)
        {
            sum += lane;
        }

        return sum;
    }
}
