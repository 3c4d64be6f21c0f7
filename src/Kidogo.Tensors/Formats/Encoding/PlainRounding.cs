// Weights to codes where the scale is known without a search. Knows no blocks.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>Rounds blocks of a multiple of 32 weights.</summary>
/// <remarks>Lanes: 8 weights each. Every product and sum is a float32 rounding of its own, as in the scalar twins. Conversions to int cannot overflow: quotients are at most 128.</remarks>
internal static class PlainRounding
{
    /// <summary>code = (x - minimum) · inverse + offset, cut off towards zero, at most <paramref name="top"/>.</summary>
    /// <param name="x">[B]</param>
    /// <param name="minimum">What code 0 stands for, or 0.</param>
    /// <param name="inverse">1 / scale.</param>
    /// <param name="offset">A half, and the code of 0.</param>
    /// <param name="top">The largest code.</param>
    /// <param name="codes">[B]</param>
    public static void Round(ReadOnlySpan<float> x, float minimum, float inverse, float offset, int top, Span<byte> codes)
    {
        ref float source = ref MemoryMarshal.GetReference(x);
        ref byte target = ref MemoryMarshal.GetReference(codes[..x.Length]);
        Vector256<float> minima = Vector256.Create(minimum);
        Vector256<float> inverses = Vector256.Create(inverse);
        Vector256<float> offsets = Vector256.Create(offset);
        Vector256<int> tops = Vector256.Create(top);
        for (int i = 0; i < x.Length; i += 2 * Vector256<float>.Count)
        {
            Vector256<float> a = ((Vector256.LoadUnsafe(ref source, (nuint)i) - minima) * inverses) + offsets;
            Vector256<float> b = ((Vector256.LoadUnsafe(ref source, (nuint)i + 8) - minima) * inverses) + offsets;
            Vector256<int> ia = Vector256.Min(Vector256.ConvertToInt32Native(a), tops);
            Vector256<int> ib = Vector256.Min(Vector256.ConvertToInt32Native(b), tops);
            BlockRange.NarrowToBytes(ia, ib).StoreUnsafe(ref target, (nuint)i);
        }
    }

    /// <summary>The scalar twin of <see cref="Round"/>.</summary>
    public static void RoundScalar(ReadOnlySpan<float> x, float minimum, float inverse, float offset, int top, Span<byte> codes)
    {
        for (int i = 0; i < x.Length; i++)
        {
            codes[i] = (byte)Math.Min((int)(((x[i] - minimum) * inverse) + offset), top);
        }
    }

    /// <summary>code = x · inverse, rounded half away from zero.</summary>
    public static void RoundAwayFromZero(ReadOnlySpan<float> x, float inverse, Span<sbyte> codes)
    {
        ref float source = ref MemoryMarshal.GetReference(x);
        ref sbyte target = ref MemoryMarshal.GetReference(codes[..x.Length]);
        Vector256<float> inverses = Vector256.Create(inverse);
        for (int i = 0; i < x.Length; i += 2 * Vector256<float>.Count)
        {
            Vector256<int> a = AwayFromZero(Vector256.LoadUnsafe(ref source, (nuint)i) * inverses);
            Vector256<int> b = AwayFromZero(Vector256.LoadUnsafe(ref source, (nuint)i + 8) * inverses);
            Vector256<short> words = Vector256.Narrow(a, b);
            Vector128.Narrow(words.GetLower(), words.GetUpper()).StoreUnsafe(ref target, (nuint)i);
        }
    }

    /// <summary>The scalar twin of <see cref="RoundAwayFromZero"/>.</summary>
    public static void RoundAwayFromZeroScalar(ReadOnlySpan<float> x, float inverse, Span<sbyte> codes)
    {
        for (int i = 0; i < x.Length; i++)
        {
            codes[i] = (sbyte)MathF.Round(x[i] * inverse, MidpointRounding.AwayFromZero);
        }
    }

    /// <summary>Cuts off, and goes one further where what was cut off (which is exact) is a half or more. Adding a half first would round 0.49999997 up.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> AwayFromZero(Vector256<float> value)
    {
        Vector256<int> whole = Vector256.ConvertToInt32Native(value);
        Vector256<float> rest = value - Vector256.ConvertToSingle(whole);
        Vector256<int> up = Vector256.GreaterThanOrEqual(rest, Vector256.Create(0.5f)).AsInt32();
        Vector256<int> down = Vector256.LessThanOrEqual(rest, Vector256.Create(-0.5f)).AsInt32();
        return whole - up + down;
    }
}
