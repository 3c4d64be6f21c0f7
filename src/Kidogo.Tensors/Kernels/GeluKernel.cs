// GELU by the error function and its slope, the same bits in every instruction tier. Knows no threads and no models.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Kernels;

/// <summary>f(x) = x Φ(x) (Hendrycks and Gimpel, arXiv 1606.08415, section 2) and f'(x) = Φ(x) + x φ(x).</summary>
/// <remarks>
/// Φ(-a) = ½ erfc(z) with z = a / √2 and a = |x|; erfc(z) = exp(-z²) · g(u) / (1 + 2z), where g is nearly flat over u = (z - 2) / (z + 2)
/// (Schonfelder 1978, "Chebyshev expansions for the error and related functions") and a polynomial of degree 9 whose coefficients make the largest relative error smallest, 3.9e-8.
/// a² is taken in two parts, so that the tail keeps its digits. From a = 13.2 on the tail is 0.
/// </remarks>
internal static class GeluKernel
{
    private const float Farthest = 16; // the tail is 0 there, and nothing overflows
    private const float RootHalf = 0.70710678f;
    private const float Density = 0.39894228f; // 1 / √(2π)
    private const float C0 = 1.2769783735275269f;
    private const float C1 = -0.0927639752626419f;
    private const float C2 = -0.1660313904285431f;
    private const float C3 = 0.16405527293682098f;
    private const float C4 = -0.05420470982789993f;
    private const float C5 = -0.008059599436819553f;
    private const float C6 = 0.008633270859718323f;
    private const float C7 = 0.0013137226924300194f;
    private const float C8 = -0.0012318773660808802f;
    private const float C9 = -0.00040171536966226995f;

    /// <summary>Values, and slopes where they are asked for.</summary>
    /// <param name="x">[n]</param>
    /// <param name="value">f(x) [n]; may be <paramref name="x"/> itself where there are no slopes.</param>
    /// <param name="slope">f'(x) [n], or empty.</param>
    public static void Apply(ReadOnlySpan<float> x, Span<float> value, Span<float> slope)
    {
        if (value.Length < x.Length || (slope.Length > 0 && slope.Length < x.Length))
        {
            throw new ArgumentException($"{x.Length} values do not fit {value.Length} values and {slope.Length} slopes.", nameof(value));
        }

        // Lanes: 16 or 8 neighbouring values, each computed as in the scalar twin.
        int done = 0;
        ref float source = ref MemoryMarshal.GetReference(x);
        ref float target = ref MemoryMarshal.GetReference(value);
        ref float slopes = ref MemoryMarshal.GetReference(slope);
        if (Vector512.IsHardwareAccelerated)
        {
            for (; done <= x.Length - Vector512<float>.Count; done += Vector512<float>.Count)
            {
                Vector512<float> v = Vector512.LoadUnsafe(ref source, (nuint)done);
                Vector512<float> below = Below(v, out Vector512<float> density);
                (v * below).StoreUnsafe(ref target, (nuint)done);
                if (slope.Length > 0)
                {
                    Vector512.FusedMultiplyAdd(v, density, below).StoreUnsafe(ref slopes, (nuint)done);
                }
            }
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            for (; done <= x.Length - Vector256<float>.Count; done += Vector256<float>.Count)
            {
                Vector256<float> v = Vector256.LoadUnsafe(ref source, (nuint)done);
                Vector256<float> below = Below(v, out Vector256<float> density);
                (v * below).StoreUnsafe(ref target, (nuint)done);
                if (slope.Length > 0)
                {
                    Vector256.FusedMultiplyAdd(v, density, below).StoreUnsafe(ref slopes, (nuint)done);
                }
            }
        }

        ApplyScalar(x[done..], value[done..], slope.Length > 0 ? slope[done..] : []);
    }

    /// <summary>The definition, and what is left after whole vectors.</summary>
    public static void ApplyScalar(ReadOnlySpan<float> x, Span<float> value, Span<float> slope)
    {
        for (int i = 0; i < x.Length; i++)
        {
            float v = x[i];
            float below = BelowScalar(v, out float density);
            value[i] = v * below;
            if (slope.Length > 0)
            {
                slope[i] = MathF.FusedMultiplyAdd(v, density, below);
            }
        }
    }

    /// <summary>Φ(x) and φ(x).</summary>
    private static float BelowScalar(float x, out float density)
    {
        float a = MathF.Abs(x) < Farthest ? MathF.Abs(x) : Farthest; // a value that is no number comes back by the last product
        float square = a * a;
        float rest = MathF.FusedMultiplyAdd(a, a, -square);
        float e = ExpVectors.ExpScalar(square * -0.5f) * MathF.FusedMultiplyAdd(rest, -0.5f, 1);
        density = e * Density;
        float z = a * RootHalf;
        float u = (z - 2) / (z + 2);
        float g = MathF.FusedMultiplyAdd(u, C9, C8);
        g = MathF.FusedMultiplyAdd(g, u, C7);
        g = MathF.FusedMultiplyAdd(g, u, C6);
        g = MathF.FusedMultiplyAdd(g, u, C5);
        g = MathF.FusedMultiplyAdd(g, u, C4);
        g = MathF.FusedMultiplyAdd(g, u, C3);
        g = MathF.FusedMultiplyAdd(g, u, C2);
        g = MathF.FusedMultiplyAdd(g, u, C1);
        g = MathF.FusedMultiplyAdd(g, u, C0);
        float tail = e * 0.5f * (g / MathF.FusedMultiplyAdd(z, 2, 1));
        return x >= 0 ? 1 - tail : tail;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Below(Vector512<float> x, out Vector512<float> density)
    {
        Vector512<float> one = Vector512<float>.One, two = Vector512.Create(2f), farthest = Vector512.Create(Farthest);
        Vector512<float> a = Vector512.Abs(x);
        a = Vector512.ConditionalSelect(Vector512.LessThan(a, farthest), a, farthest);
        Vector512<float> square = a * a;
        Vector512<float> rest = Vector512.FusedMultiplyAdd(a, a, -square);
        Vector512<float> e = ExpVectors.Exp(square * -0.5f) * Vector512.FusedMultiplyAdd(rest, Vector512.Create(-0.5f), one);
        density = e * Density;
        Vector512<float> z = a * RootHalf;
        Vector512<float> u = (z - two) / (z + two);
        Vector512<float> g = Vector512.FusedMultiplyAdd(u, Vector512.Create(C9), Vector512.Create(C8));
        g = Vector512.FusedMultiplyAdd(g, u, Vector512.Create(C7));
        g = Vector512.FusedMultiplyAdd(g, u, Vector512.Create(C6));
        g = Vector512.FusedMultiplyAdd(g, u, Vector512.Create(C5));
        g = Vector512.FusedMultiplyAdd(g, u, Vector512.Create(C4));
        g = Vector512.FusedMultiplyAdd(g, u, Vector512.Create(C3));
        g = Vector512.FusedMultiplyAdd(g, u, Vector512.Create(C2));
        g = Vector512.FusedMultiplyAdd(g, u, Vector512.Create(C1));
        g = Vector512.FusedMultiplyAdd(g, u, Vector512.Create(C0));
        Vector512<float> tail = e * 0.5f * (g / Vector512.FusedMultiplyAdd(z, two, one));
        return Vector512.ConditionalSelect(Vector512.GreaterThanOrEqual(x, Vector512<float>.Zero), one - tail, tail);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Below(Vector256<float> x, out Vector256<float> density)
    {
        Vector256<float> one = Vector256<float>.One, two = Vector256.Create(2f), farthest = Vector256.Create(Farthest);
        Vector256<float> a = Vector256.Abs(x);
        a = Vector256.ConditionalSelect(Vector256.LessThan(a, farthest), a, farthest);
        Vector256<float> square = a * a;
        Vector256<float> rest = Vector256.FusedMultiplyAdd(a, a, -square);
        Vector256<float> e = ExpVectors.Exp(square * -0.5f) * Vector256.FusedMultiplyAdd(rest, Vector256.Create(-0.5f), one);
        density = e * Density;
        Vector256<float> z = a * RootHalf;
        Vector256<float> u = (z - two) / (z + two);
        Vector256<float> g = Vector256.FusedMultiplyAdd(u, Vector256.Create(C9), Vector256.Create(C8));
        g = Vector256.FusedMultiplyAdd(g, u, Vector256.Create(C7));
        g = Vector256.FusedMultiplyAdd(g, u, Vector256.Create(C6));
        g = Vector256.FusedMultiplyAdd(g, u, Vector256.Create(C5));
        g = Vector256.FusedMultiplyAdd(g, u, Vector256.Create(C4));
        g = Vector256.FusedMultiplyAdd(g, u, Vector256.Create(C3));
        g = Vector256.FusedMultiplyAdd(g, u, Vector256.Create(C2));
        g = Vector256.FusedMultiplyAdd(g, u, Vector256.Create(C1));
        g = Vector256.FusedMultiplyAdd(g, u, Vector256.Create(C0));
        Vector256<float> tail = e * 0.5f * (g / Vector256.FusedMultiplyAdd(z, two, one));
        return Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(x, Vector256<float>.Zero), one - tail, tail);
    }
}
