// The extreme weights of a block, and float32 to half. Knows no format.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>Looks for the extremes of a few weights, in multiples of 8.</summary>
/// <remarks>Lanes: 8 weights each. Largest and smallest do not depend on the order; where equal values differ in sign, or a magnitude occurs with both signs,
/// the first in the block is looked up afterwards, as a loop from the first weight to the last finds it.</remarks>
internal static class BlockRange
{
    /// <summary>max|x|.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float LargestMagnitude(ReadOnlySpan<float> x)
    {
        ref float first = ref MemoryMarshal.GetReference(x);
        Vector256<float> lanes = default;
        for (int i = 0; i < x.Length; i += Vector256<float>.Count)
        {
            lanes = Vector256.Max(lanes, Vector256.Abs(Vector256.LoadUnsafe(ref first, (nuint)i)));
        }

        return Fold(Vector128.Max(lanes.GetLower(), lanes.GetUpper()));
    }

    /// <summary>The first weight of the largest magnitude; 0 where all are zeros of either sign.</summary>
    public static float FirstOfLargestMagnitude(ReadOnlySpan<float> x)
    {
        float largest = LargestMagnitude(x);
        if (largest == 0)
        {
            return 0;
        }

        ref float first = ref MemoryMarshal.GetReference(x);
        Vector256<float> wanted = Vector256.Create(largest);
        for (int i = 0; ; i += Vector256<float>.Count)
        {
            uint found = Vector256.Equals(Vector256.Abs(Vector256.LoadUnsafe(ref first, (nuint)i)), wanted).ExtractMostSignificantBits();
            if (found != 0)
            {
                return x[i + int.TrailingZeroCount((int)found)];
            }
        }
    }

    /// <summary>The smallest and the largest weight; of zeros of both signs, the first.</summary>
    public static (float Smallest, float Largest) Range(ReadOnlySpan<float> x)
    {
        ref float first = ref MemoryMarshal.GetReference(x);
        Vector256<float> low = Vector256.LoadUnsafe(ref first);
        Vector256<float> high = low;
        for (int i = Vector256<float>.Count; i < x.Length; i += Vector256<float>.Count)
        {
            Vector256<float> eight = Vector256.LoadUnsafe(ref first, (nuint)i);
            low = Vector256.Min(low, eight);
            high = Vector256.Max(high, eight);
        }

        float smallest = -Fold(Vector128.Max(-low.GetLower(), -low.GetUpper()));
        float largest = Fold(Vector128.Max(high.GetLower(), high.GetUpper()));
        return (smallest == 0 ? FirstZero(x) : smallest, largest == 0 ? FirstZero(x) : largest);
    }

    /// <summary>1 / scale; 0 where the scale is 0, or so small that the reciprocal is infinite. A scale that small is 0 as a float16.</summary>
    public static float ReciprocalOrZero(float scale)
    {
        float reciprocal = 1f / scale;
        return float.IsFinite(reciprocal) ? reciprocal : 0f;
    }

    /// <summary>Widens eight bits of lanes: numbers 0 to 255 as integers in floats' order to bytes.</summary>
    /// <param name="a">Codes 0 to 7.</param>
    /// <param name="b">Codes 8 to 15.</param>
    /// <returns>Codes 0 to 15 as bytes.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> NarrowToBytes(Vector256<int> a, Vector256<int> b)
    {
        Vector256<ushort> words = Vector256.Narrow(a.AsUInt32(), b.AsUInt32());
        return Vector128.Narrow(words.GetLower(), words.GetUpper());
    }

    private static float FirstZero(ReadOnlySpan<float> x)
    {
        foreach (float weight in x)
        {
            if (weight == 0)
            {
                return weight;
            }
        }

        return 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Fold(Vector128<float> four)
    {
        four = Vector128.Max(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        return Vector128.Max(four, Vector128.Shuffle(four, Vector128.Create(1, 0, 3, 2))).ToScalar();
    }
}
