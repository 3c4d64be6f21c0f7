// Rounds blocks of 32 activations to 8 bits with one scale. Knows no tiles and no weights.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Kidogo.Tensors.Kernels;

/// <summary>x ≈ code · scale with scale = max|x| / 127 and code = round(x / scale), half to even.</summary>
internal static class Int8Rounding
{
    private const int BlockColumns = 32;
    private const float LargestCode = 127f;
    private const float Vanishing = 1e-30f; // blocks below this become zeros: 127 / max|x| would overflow for the smallest of them

    /// <summary>Rounds one block.</summary>
    /// <param name="x">[32], finite.</param>
    /// <param name="codes">[32], -127 to 127.</param>
    /// <param name="lowPairSum">Sum of the codes of columns 0 and 1 modulo 4.</param>
    /// <param name="highPairSum">Sum of the codes of columns 2 and 3 modulo 4.</param>
    /// <returns>The scale; 0 for a block of zeros or of values below 1e-30.</returns>
    public static float Round(ReadOnlySpan<float> x, Span<sbyte> codes, out int lowPairSum, out int highPairSum) => Vector512.IsHardwareAccelerated && Avx512F.IsSupported
        ? RoundVector512(x, codes, out lowPairSum, out highPairSum)
        : Vector256.IsHardwareAccelerated
        ? RoundVector256(x, codes, out lowPairSum, out highPairSum)
        : RoundScalar(x, codes, out lowPairSum, out highPairSum);

    /// <summary>The sum of 16 codes.</summary>
    public static int Sum16(ReadOnlySpan<sbyte> codes)
    {
        (Vector128<short> low, Vector128<short> high) = Vector128.Widen(Vector128.Create(codes)); // 8 lanes: a code of each half
        return Vector128.Sum(low + high); // at most 16 · 127
    }

    /// <summary>What rounding leaves: x - code · scale, block by block.</summary>
    /// <param name="x">[C], whole blocks.</param>
    /// <param name="remainder">[C]</param>
    public static void Remainder(ReadOnlySpan<float> x, Span<float> remainder)
    {
        Span<sbyte> codes = stackalloc sbyte[BlockColumns];
        for (int start = 0; start < x.Length; start += BlockColumns)
        {
            float scale = Round(x.Slice(start, BlockColumns), codes, out _, out _);
            for (int i = 0; i < BlockColumns; i++)
            {
                remainder[start + i] = MathF.FusedMultiplyAdd(-codes[i], scale, x[start + i]);
            }
        }
    }

    /// <summary>The definition.</summary>
    public static float RoundScalar(ReadOnlySpan<float> x, Span<sbyte> codes, out int lowPairSum, out int highPairSum)
    {
        float largest = 0;
        for (int i = 0; i < BlockColumns; i++)
        {
            largest = Math.Max(largest, Math.Abs(x[i]));
        }

        if (largest < Vanishing)
        {
            largest = 0;
        }

        float inverse = largest == 0 ? 0 : LargestCode / largest;
        lowPairSum = highPairSum = 0;
        for (int i = 0; i < BlockColumns; i++)
        {
            int code = Code(x[i] * inverse);
            codes[i] = (sbyte)code;
            if ((i & 2) == 0)
            {
                lowPairSum += code;
            }
            else
            {
                highPairSum += code;
            }
        }

        return largest / LargestCode;
    }

    // Lanes: 16 columns each, 2 vectors a block; the processor's own conversion rounds half to even too.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // the quick first compilation would make it ten times slower
    private static float RoundVector512(ReadOnlySpan<float> x, Span<sbyte> codes, out int lowPairSum, out int highPairSum)
    {
        ref float source = ref MemoryMarshal.GetReference(x[..BlockColumns]);
        ref sbyte target = ref MemoryMarshal.GetReference(codes[..BlockColumns]);
        Vector512<float> a = Vector512.LoadUnsafe(ref source);
        Vector512<float> b = Vector512.LoadUnsafe(ref source, 16);
        Vector512<float> largestLanes = Vector512.Max(Vector512.Abs(a), Vector512.Abs(b));
        Vector256<float> eight = Vector256.Max(largestLanes.GetLower(), largestLanes.GetUpper());
        Vector128<float> four = Vector128.Max(eight.GetLower(), eight.GetUpper());
        four = Vector128.Max(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        four = Vector128.Max(four, Vector128.Shuffle(four, Vector128.Create(1, 0, 3, 2)));
        float largest = four.ToScalar();
        if (largest < Vanishing)
        {
            largest = 0;
        }

        Vector512<float> inverse = Vector512.Create(largest == 0 ? 0 : LargestCode / largest);
        Vector512<int> ia = Avx512F.ConvertToVector512Int32(a * inverse);
        Vector512<int> ib = Avx512F.ConvertToVector512Int32(b * inverse);
        Avx512F.ConvertToVector128SByte(ia).StoreUnsafe(ref target);
        Avx512F.ConvertToVector128SByte(ib).StoreUnsafe(ref target, 16);
        Vector512<int> sums = ia + ib;
        Vector256<int> half = sums.GetLower() + sums.GetUpper();
        Vector128<int> quarter = half.GetLower() + half.GetUpper(); // lane i: the columns i modulo 4
        lowPairSum = quarter[0] + quarter[1];
        highPairSum = quarter[2] + quarter[3];
        return largest / LargestCode;
    }

    // Lanes: 8 columns each, 4 vectors a block. Rounding by adding and taking away 1.5 · 2^23 is half to even and exact for |v| < 2^22; here |v| <= 127.0001.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float RoundVector256(ReadOnlySpan<float> x, Span<sbyte> codes, out int lowPairSum, out int highPairSum)
    {
        ref float source = ref MemoryMarshal.GetReference(x[..BlockColumns]);
        Vector256<float> a = Vector256.LoadUnsafe(ref source);
        Vector256<float> b = Vector256.LoadUnsafe(ref source, 8);
        Vector256<float> c = Vector256.LoadUnsafe(ref source, 16);
        Vector256<float> d = Vector256.LoadUnsafe(ref source, 24);
        Vector256<float> largestLanes = Vector256.Max(Vector256.Max(Vector256.Abs(a), Vector256.Abs(b)), Vector256.Max(Vector256.Abs(c), Vector256.Abs(d)));
        Vector128<float> half = Vector128.Max(largestLanes.GetLower(), largestLanes.GetUpper());
        half = Vector128.Max(half, Vector128.Shuffle(half, Vector128.Create(2, 3, 0, 1)));
        half = Vector128.Max(half, Vector128.Shuffle(half, Vector128.Create(1, 0, 3, 2)));
        float largest = half.ToScalar();
        if (largest < Vanishing)
        {
            largest = 0;
        }

        Vector256<float> inverse = Vector256.Create(largest == 0 ? 0 : LargestCode / largest);
        Vector256<int> ia = Codes(a * inverse);
        Vector256<int> ib = Codes(b * inverse);
        Vector256<int> ic = Codes(c * inverse);
        Vector256<int> id = Codes(d * inverse);
        Vector256<sbyte> narrow = Vector256.Narrow(Vector256.Narrow(ia, ib), Vector256.Narrow(ic, id));
        narrow.StoreUnsafe(ref MemoryMarshal.GetReference(codes[..BlockColumns]));
        Vector256<int> sums = ia + ib + ic + id; // lane i holds the columns i modulo 8
        Vector128<int> four = sums.GetLower() + sums.GetUpper(); // lane i: the columns i modulo 4
        lowPairSum = four[0] + four[1];
        highPairSum = four[2] + four[3];
        return largest / LargestCode;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Codes(Vector256<float> v)
    {
        Vector256<float> magic = Vector256.Create(12582912f);
        return (v + magic).AsInt32() - magic.AsInt32(); // the low bits of the sum are the integer
    }

    private static int Code(float v) => BitConverter.SingleToInt32Bits(v + 12582912f) - BitConverter.SingleToInt32Bits(12582912f);
}
