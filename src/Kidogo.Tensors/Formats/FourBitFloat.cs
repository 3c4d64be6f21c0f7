// The 16 values of a 4-bit float, for MXFP4 and NVFP4. Knows no blocks.
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Kidogo.Tensors.Formats.Encoding;

namespace Kidogo.Tensors.Formats;

/// <summary>E2M1: one sign, two exponent and one mantissa bit (OCP Microscaling Formats 1.0, section 5.3.3).</summary>
internal static class FourBitFloat
{
    /// <summary>Twice the value of each code, so that all are whole: the scales they meet are halved.</summary>
    public static ReadOnlySpan<sbyte> Doubled => [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

    /// <summary>The codes of the nearest values; of equally near ones the first, so 0 is never -0.</summary>
    /// <param name="x">[B], a multiple of 16.</param>
    /// <param name="halfScale">What a doubled value is multiplied with.</param>
    /// <param name="codes">[B]</param>
    /// <remarks>Lanes: 8 weights each. Every distance is computed, as the scalar form does, so that ties fall the same way.</remarks>
    public static void Round(ReadOnlySpan<float> x, float halfScale, Span<byte> codes)
    {
        ref float source = ref MemoryMarshal.GetReference(x);
        ref byte target = ref MemoryMarshal.GetReference(codes[..x.Length]);
        for (int i = 0; i < x.Length; i += 2 * Vector256<float>.Count)
        {
            Vector256<int> a = Nearest(Vector256.LoadUnsafe(ref source, (nuint)i), halfScale);
            Vector256<int> b = Nearest(Vector256.LoadUnsafe(ref source, (nuint)i + 8), halfScale);
            BlockRange.NarrowToBytes(a, b).StoreUnsafe(ref target, (nuint)i);
        }
    }

    /// <summary>The scalar twin of <see cref="Round"/>.</summary>
    public static void RoundScalar(ReadOnlySpan<float> x, float halfScale, Span<byte> codes)
    {
        for (int i = 0; i < x.Length; i++)
        {
            float nearest = float.PositiveInfinity;
            codes[i] = 0;
            for (int code = 0; code < Doubled.Length; code++)
            {
                float distance = Math.Abs((Doubled[code] * halfScale) - x[i]);
                if (distance < nearest)
                {
                    nearest = distance;
                    codes[i] = (byte)code;
                }
            }
        }
    }

    private static Vector256<int> Nearest(Vector256<float> x, float halfScale)
    {
        Vector256<float> nearest = Vector256.Abs(x);
        Vector256<int> found = default;
        for (int code = 1; code < Doubled.Length; code++)
        {
            Vector256<float> distance = Vector256.Abs(Vector256.Create(Doubled[code] * halfScale) - x);
            Vector256<int> nearer = Vector256.LessThan(distance, nearest).AsInt32();
            nearest = Vector256.Min(distance, nearest);
            found = Vector256.ConditionalSelect(nearer, Vector256.Create(code), found);
        }

        return found;
    }
}
