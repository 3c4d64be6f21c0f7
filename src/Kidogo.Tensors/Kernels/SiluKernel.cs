// The SiLU function, the same bits in every instruction tier. Knows no threads and no models.
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Kernels;

/// <summary>x · sigmoid(x) = x · (x ≥ 0 ? 1 : e) / (1 + e) with e = exp(-|x|), which neither overflows nor cancels (Elfwing et al., arXiv 1702.03118, equation 2).</summary>
internal static class SiluKernel
{
    /// <summary>y = x · sigmoid(x).</summary>
    /// <param name="x">[n]</param>
    /// <param name="destination">[n]; may be <paramref name="x"/> itself.</param>
    public static void Apply(ReadOnlySpan<float> x, Span<float> destination)
    {
        if (destination.Length < x.Length)
        {
            throw new ArgumentException($"{x.Length} values do not fit {destination.Length} outputs.", nameof(destination));
        }

        int done = 0;
        if (Vector512.IsHardwareAccelerated)
        {
            ref float source = ref MemoryMarshal.GetReference(x);
            ref float target = ref MemoryMarshal.GetReference(destination);
            for (; done <= x.Length - Vector512<float>.Count; done += Vector512<float>.Count)
            {
                Vector512<float> v = Vector512.LoadUnsafe(ref source, (nuint)done);
                Vector512<float> e = ExpVectors.Exp(-Vector512.Abs(v));
                Vector512<float> top = Vector512.ConditionalSelect(Vector512.GreaterThanOrEqual(v, Vector512<float>.Zero), Vector512<float>.One, e);
                (v * (top / (Vector512<float>.One + e))).StoreUnsafe(ref target, (nuint)done);
            }
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            ref float source = ref MemoryMarshal.GetReference(x);
            ref float target = ref MemoryMarshal.GetReference(destination);
            for (; done <= x.Length - Vector256<float>.Count; done += Vector256<float>.Count)
            {
                Vector256<float> v = Vector256.LoadUnsafe(ref source, (nuint)done);
                Vector256<float> e = ExpVectors.Exp(-Vector256.Abs(v));
                Vector256<float> top = Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(v, Vector256<float>.Zero), Vector256<float>.One, e);
                (v * (top / (Vector256<float>.One + e))).StoreUnsafe(ref target, (nuint)done);
            }
        }

        ApplyScalar(x[done..], destination[done..]);
    }

    /// <summary>The definition, and what is left after whole vectors.</summary>
    public static void ApplyScalar(ReadOnlySpan<float> x, Span<float> destination)
    {
        for (int i = 0; i < x.Length; i++)
        {
            float e = ExpVectors.ExpScalar(-Math.Abs(x[i]));
            destination[i] = x[i] * ((x[i] >= 0 ? 1 : e) / (1 + e));
        }
    }
}
