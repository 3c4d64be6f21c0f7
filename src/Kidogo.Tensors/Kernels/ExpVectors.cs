// The exponential function for softmax, the same bits in every instruction tier. Knows nothing of attention.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Kernels;

/// <summary>exp(x) for x ≤ 0, with an error below one unit in the last place; 0 below -87 and for NaN.</summary>
/// <remarks>
/// x = n ln 2 + r with |r| ≤ ½ ln 2; exp(r) by 1 + r + r² · (a polynomial of degree 4 whose coefficients make the largest relative error smallest, 3.1e-9; Taylor's
/// would leave 1.2e-7, two units), then n is added to the exponent. The smallest x has n = -126 and r > 0, so that no result is subnormal.
/// Every step is a fused multiply-add, so vectors and the scalar twin agree to the bit.
/// </remarks>
internal static class ExpVectors
{
    private const float Smallest = -87f;
    private const float Log2E = 1.44269504f;
    private const float Ln2High = 0.693359375f; // 9 bits: n · Ln2High is exact
    private const float Ln2Low = -2.12194440e-4f;
    private const float Magic = 12582912f; // 1.5 · 2^23: adding it rounds to an integer
    private const float C2 = 0.49999994f;
    private const float C3 = 0.166665211f;
    private const float C4 = 0.041668389f;
    private const float C5 = 0.00836872403f;
    private const float C6 = 0.00138145837f;

    /// <summary>The definition.</summary>
    public static float ExpScalar(float x)
    {
        if (!(x >= Smallest))
        {
            return 0;
        }

        float shifted = MathF.FusedMultiplyAdd(x, Log2E, Magic);
        float n = shifted - Magic;
        float r = MathF.FusedMultiplyAdd(n, -Ln2Low, MathF.FusedMultiplyAdd(n, -Ln2High, x));
        float p = MathF.FusedMultiplyAdd(r, C6, C5);
        p = MathF.FusedMultiplyAdd(p, r, C4);
        p = MathF.FusedMultiplyAdd(p, r, C3);
        p = MathF.FusedMultiplyAdd(p, r, C2);
        p = MathF.FusedMultiplyAdd(p, r, 1f);
        p = MathF.FusedMultiplyAdd(p, r, 1f);
        int exponent = BitConverter.SingleToInt32Bits(shifted) - BitConverter.SingleToInt32Bits(Magic);
        return BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(p) + (exponent << 23));
    }

    /// <summary>16 values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        Vector512<float> magic = Vector512.Create(Magic);
        Vector512<float> shifted = Vector512.FusedMultiplyAdd(x, Vector512.Create(Log2E), magic);
        Vector512<float> n = shifted - magic;
        Vector512<float> r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-Ln2Low), Vector512.FusedMultiplyAdd(n, Vector512.Create(-Ln2High), x));
        Vector512<float> p = Vector512.FusedMultiplyAdd(r, Vector512.Create(C6), Vector512.Create(C5));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(C4));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(C3));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(C2));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512<float>.One);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512<float>.One);
        Vector512<int> exponent = shifted.AsInt32() - magic.AsInt32();
        Vector512<float> result = (p.AsInt32() + Vector512.ShiftLeft(exponent, 23)).AsSingle();
        return Vector512.ConditionalSelect(Vector512.GreaterThanOrEqual(x, Vector512.Create(Smallest)), result, Vector512<float>.Zero);
    }

    /// <summary>8 values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Exp(Vector256<float> x)
    {
        Vector256<float> magic = Vector256.Create(Magic);
        Vector256<float> shifted = Vector256.FusedMultiplyAdd(x, Vector256.Create(Log2E), magic);
        Vector256<float> n = shifted - magic;
        Vector256<float> r = Vector256.FusedMultiplyAdd(n, Vector256.Create(-Ln2Low), Vector256.FusedMultiplyAdd(n, Vector256.Create(-Ln2High), x));
        Vector256<float> p = Vector256.FusedMultiplyAdd(r, Vector256.Create(C6), Vector256.Create(C5));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(C4));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(C3));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(C2));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256<float>.One);
        p = Vector256.FusedMultiplyAdd(p, r, Vector256<float>.One);
        Vector256<int> exponent = shifted.AsInt32() - magic.AsInt32();
        Vector256<float> result = (p.AsInt32() + Vector256.ShiftLeft(exponent, 23)).AsSingle();
        return Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(x, Vector256.Create(Smallest)), result, Vector256<float>.Zero);
    }
}
