// What is looked at before a row is encoded. Knows no format.
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>Finds weights and importances that cannot be used.</summary>
internal static class RowChecks
{
    /// <summary>Below this no format's scale can overflow: float16 ends at 65504, and no scale or minimum is three times the largest weight.</summary>
    public const float SurelySmall = 20_000f;

    private const uint Infinity = 0x7F80_0000;
    private const uint Magnitude = 0x7FFF_FFFF;

    /// <summary>The index of the first weight that is infinite or no number, or -1.</summary>
    /// <param name="row">[C]</param>
    /// <param name="largest">The largest magnitude, where all are finite.</param>
    /// <remarks>Without their sign, the bits of floats order as the floats do, and what is not finite comes last. Lanes: 8 weights each, one by one at the end.</remarks>
    public static int FirstNotFinite(ReadOnlySpan<float> row, out float largest)
    {
        ReadOnlySpan<uint> bits = MemoryMarshal.Cast<float, uint>(row);
        ref uint first = ref MemoryMarshal.GetReference(bits);
        uint greatest = 0;
        int i = 0;
        if (bits.Length >= Vector256<uint>.Count)
        {
            Vector256<uint> lanes = default;
            Vector256<uint> mask = Vector256.Create(Magnitude);
            for (; i <= bits.Length - Vector256<uint>.Count; i += Vector256<uint>.Count)
            {
                lanes = Vector256.Max(lanes, Vector256.LoadUnsafe(ref first, (nuint)i) & mask);
            }

            for (int lane = 0; lane < Vector256<uint>.Count; lane++)
            {
                greatest = Math.Max(greatest, lanes[lane]);
            }
        }

        for (; i < bits.Length; i++)
        {
            greatest = Math.Max(greatest, bits[i] & Magnitude);
        }

        largest = BitConverter.UInt32BitsToSingle(greatest);
        if (greatest < Infinity)
        {
            return -1;
        }

        i = 0;
        while ((bits[i] & Magnitude) < Infinity)
        {
            i++;
        }

        return i;
    }

    /// <summary>The index of the first importance that is negative, infinite or no number, or -1. Minus zero is zero.</summary>
    public static int FirstUnusableImportance(ReadOnlySpan<float> importance)
    {
        for (int i = 0; i < importance.Length; i++)
        {
            if (!(importance[i] >= 0 && importance[i] <= float.MaxValue))
            {
                return i;
            }
        }

        return -1;
    }

    /// <summary>Where the largest magnitude is.</summary>
    public static int IndexOfLargest(ReadOnlySpan<float> weights) => TensorPrimitives.IndexOfMaxMagnitude(weights);
}
