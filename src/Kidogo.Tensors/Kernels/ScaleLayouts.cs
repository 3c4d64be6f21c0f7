// How the scales of a block of weights lie in a panel. Knows no codes and no formats.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Kidogo.Tensors.Kernels;

/// <summary>A way to keep the scales (and minima) of 16 rows, in one of two kinds.</summary>
/// <remarks>
/// A panel is a sequence of superblocks: a header of <see cref="Numbers"/> times 16 numbers, then <see cref="SuperBlocks"/> blocks of 32 columns, each <see cref="Parts"/>
/// times 16 bytes before its codes. The numbers of row r lie at r times their bytes, its bytes at r, so that moved references serve other rows.
/// <para>
/// One scale a block: w = code · Scale + Minimum. One scale for each half of a block (<see cref="PerHalf"/>): w = code · Multiplier(half) · Scale - MinimumMultiplier(half) · Minimum,
/// where the multipliers are whole numbers, so that both halves meet in one exact integer. Two scales a block: w = code · Scale in the first half, code · SecondScale in the last.
/// </para>
/// </remarks>
internal interface IScaleLayout
{
    /// <summary>Blocks of 32 columns that share a header.</summary>
    static abstract int SuperBlocks { get; }

    /// <summary>Numbers of a row in a header: scale, minimum.</summary>
    static abstract int Numbers { get; }

    /// <summary>Bytes of such a number: 2 for float16, 4 for float32.</summary>
    /// <remarks>The scale of 256 weights is often below 6e-5, a subnormal float16, and widening those (<see cref="HalfVectors"/>) makes the processor stumble for a hundred cycles. Float32 costs 2 bytes in 256 weights.</remarks>
    static abstract int NumberBytes { get; }

    /// <summary>Bytes of a row in a block.</summary>
    static abstract int Parts { get; }

    static abstract bool HasMinimum { get; }

    static virtual bool PerHalf => false;

    /// <summary>Whether each half of a block has a scale of its own that is no whole multiple of anything shared: then the halves are summed one after the other.</summary>
    static virtual bool HasTwoScales => false;

    static abstract Vector512<float> Scale512(ref byte header, ref byte parts);

    static abstract Vector256<float> Scale256(ref byte header, ref byte parts);

    static abstract float Scale(ref byte header, ref byte parts);

    /// <summary>The scale of the last 16 columns, where there are two.</summary>
    static virtual Vector512<float> SecondScale512(ref byte header, ref byte parts) => default;

    static virtual Vector256<float> SecondScale256(ref byte header, ref byte parts) => default;

    static virtual float SecondScale(ref byte header, ref byte parts) => 0;

    static virtual Vector512<float> Minimum512(ref byte header, ref byte parts) => default;

    static virtual Vector256<float> Minimum256(ref byte header, ref byte parts) => default;

    static virtual float Minimum(ref byte header, ref byte parts) => 0;

    /// <summary>The multiplier of 16 rows, twice in the 32 bits of each.</summary>
    static virtual Vector512<short> Multiplier512(ref byte parts, int half) => Vector512<short>.One;

    static virtual Vector256<short> Multiplier256(ref byte parts, int half) => Vector256<short>.One;

    static virtual int Multiplier(ref byte parts, int half) => 1;

    /// <summary>The multipliers of the minima of 16 rows, that of the first half in the low 16 bits of each lane, that of the second in the high ones.</summary>
    static virtual Vector512<short> MinimumMultipliers512(ref byte parts) => default;

    static virtual Vector256<short> MinimumMultipliers256(ref byte parts) => default;

    static virtual int MinimumMultiplier(ref byte parts, int half) => 0;
}

/// <summary>Reads what lies in headers and parts.</summary>
internal static class ScaleParts
{
    public const int HalvesBytes = 32; // 16 rows
    public const int FloatsBytes = 64;
    public const int PartBytes = 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Half(ref byte header) => (float)Unsafe.As<byte, Half>(ref header);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Float(ref byte header) => Unsafe.As<byte, float>(ref header);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Floats512(ref byte header) => Vector512.LoadUnsafe(ref Unsafe.As<byte, float>(ref header));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Floats256(ref byte header) => Vector256.LoadUnsafe(ref Unsafe.As<byte, float>(ref header));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Unsigned512(ref byte parts) => Avx512F.ConvertToVector512Int32(Vector128.LoadUnsafe(ref parts));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Unsigned256(ref byte parts) => Avx2.ConvertToVector256Int32(Vector128.CreateScalarUnsafe(Unsafe.As<byte, ulong>(ref parts)).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Signed512(ref byte parts) => Avx512F.ConvertToVector512Int32(Vector128.LoadUnsafe(ref parts).AsSByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Signed256(ref byte parts) => Avx2.ConvertToVector256Int32(Vector128.CreateScalarUnsafe(Unsafe.As<byte, ulong>(ref parts)).AsSByte());

    /// <summary>The low 16 bits of each lane, twice.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> Twice(Vector512<int> value) => Pairs(value, value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> Twice(Vector256<int> value) => Pairs(value, value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> Pairs(Vector512<int> low, Vector512<int> high) => ((low & Vector512.Create(0xFFFF)) | Vector512.ShiftLeft(high, 16)).AsInt16();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> Pairs(Vector256<int> low, Vector256<int> high) => ((low & Vector256.Create(0xFFFF)) | Vector256.ShiftLeft(high, 16)).AsInt16();
}

/// <summary>No scale in the panel: it belongs to whole rows, and is multiplied with the outputs.</summary>
internal readonly struct NoScale : IScaleLayout
{
    public static int SuperBlocks => 1;

    public static int Numbers => 0;

    public static int NumberBytes => 2;

    public static int Parts => 0;

    public static bool HasMinimum => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Scale512(ref byte header, ref byte parts) => Vector512<float>.One;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Scale256(ref byte header, ref byte parts) => Vector256<float>.One;

    public static float Scale(ref byte header, ref byte parts) => 1;
}

/// <summary>How many blocks share a number, as a constant for the compiler.</summary>
internal interface IBlockCount
{
    static abstract int Value { get; }
}

internal readonly struct OneBlock : IBlockCount
{
    public static int Value => 1;
}

internal readonly struct TwoBlocks : IBlockCount
{
    public static int Value => 2;
}

internal readonly struct FourBlocks : IBlockCount
{
    public static int Value => 4;
}

internal readonly struct EightBlocks : IBlockCount
{
    public static int Value => 8;
}

/// <summary>How a number lies in a header, as a constant for the compiler.</summary>
internal interface IHeaderNumber
{
    static abstract int Bytes { get; }

    static abstract Vector512<float> Read512(ref byte header);

    static abstract Vector256<float> Read256(ref byte header);

    static abstract float Read(ref byte header);
}

internal readonly struct HalfNumber : IHeaderNumber
{
    public static int Bytes => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Read512(ref byte header) => HalfVectors.Widen512(ref header);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Read256(ref byte header) => HalfVectors.Widen256(ref header);

    public static float Read(ref byte header) => ScaleParts.Half(ref header);
}

internal readonly struct FloatNumber : IHeaderNumber
{
    public static int Bytes => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Read512(ref byte header) => ScaleParts.Floats512(ref header);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Read256(ref byte header) => ScaleParts.Floats256(ref header);

    public static float Read(ref byte header) => ScaleParts.Float(ref header);
}

/// <summary>A number for one or some blocks. A float16 for each: Q4_0, Q5_0, Q8_0, IQ4_NL; for 64 columns: SQ4_0. A float32 for 64 columns in Q2_0, 128 in Q1_0, 256 in TQ1_0 and TQ2_0.</summary>
internal readonly struct BlockScale<TBlocks, TNumber> : IScaleLayout
    where TBlocks : struct, IBlockCount
    where TNumber : struct, IHeaderNumber
{
    public static int SuperBlocks => TBlocks.Value;

    public static int Numbers => 1;

    public static int NumberBytes => TNumber.Bytes;

    public static int Parts => 0;

    public static bool HasMinimum => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Scale512(ref byte header, ref byte parts) => TNumber.Read512(ref header);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Scale256(ref byte header, ref byte parts) => TNumber.Read256(ref header);

    public static float Scale(ref byte header, ref byte parts) => TNumber.Read(ref header);
}

/// <summary>A float16 scale and a float16 minimum for each block: Q4_1, Q5_1.</summary>
internal readonly struct BlockScaleAndMinimum : IScaleLayout
{
    public static int SuperBlocks => 1;

    public static int Numbers => 2;

    public static int NumberBytes => 2;

    public static int Parts => 0;

    public static bool HasMinimum => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Scale512(ref byte header, ref byte parts) => HalfVectors.Widen512(ref header);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Scale256(ref byte header, ref byte parts) => HalfVectors.Widen256(ref header);

    public static float Scale(ref byte header, ref byte parts) => ScaleParts.Half(ref header);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Minimum512(ref byte header, ref byte parts) => HalfVectors.Widen512(ref Unsafe.Add(ref header, ScaleParts.HalvesBytes));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Minimum256(ref byte header, ref byte parts) => HalfVectors.Widen256(ref Unsafe.Add(ref header, ScaleParts.HalvesBytes));

    public static float Minimum(ref byte header, ref byte parts) => ScaleParts.Half(ref Unsafe.Add(ref header, ScaleParts.HalvesBytes));
}

/// <summary>Two numbers for 256 columns; for each block an unsigned byte that the one is multiplied with, and another for minus the other: Q4_K, Q5_K, IQ1_S.</summary>
internal readonly struct GroupScaleAndMinimum : IScaleLayout
{
    public static int SuperBlocks => 8;

    public static int Numbers => 2;

    public static int NumberBytes => 4;

    public static int Parts => 2;

    public static bool HasMinimum => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Scale512(ref byte header, ref byte parts) => ScaleParts.Floats512(ref header) * Vector512.ConvertToSingle(ScaleParts.Unsigned512(ref parts));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Scale256(ref byte header, ref byte parts) => ScaleParts.Floats256(ref header) * Vector256.ConvertToSingle(ScaleParts.Unsigned256(ref parts));

    public static float Scale(ref byte header, ref byte parts) => ScaleParts.Float(ref header) * parts;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Minimum512(ref byte header, ref byte parts) => -(ScaleParts.Floats512(ref Unsafe.Add(ref header, ScaleParts.FloatsBytes))
        * Vector512.ConvertToSingle(ScaleParts.Unsigned512(ref Unsafe.Add(ref parts, ScaleParts.PartBytes))));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Minimum256(ref byte header, ref byte parts) => -(ScaleParts.Floats256(ref Unsafe.Add(ref header, ScaleParts.FloatsBytes))
        * Vector256.ConvertToSingle(ScaleParts.Unsigned256(ref Unsafe.Add(ref parts, ScaleParts.PartBytes))));

    public static float Minimum(ref byte header, ref byte parts) =>
        -(ScaleParts.Float(ref Unsafe.Add(ref header, ScaleParts.FloatsBytes)) * Unsafe.Add(ref parts, ScaleParts.PartBytes));
}

/// <summary>A number for 256 columns, and for each block a signed byte that it is multiplied with: IQ4_XS, IQ2_XXS, IQ3_XXS, IQ3_S.</summary>
internal readonly struct GroupScale : IScaleLayout
{
    public static int SuperBlocks => 8;

    public static int Numbers => 1;

    public static int NumberBytes => 4;

    public static int Parts => 1;

    public static bool HasMinimum => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Scale512(ref byte header, ref byte parts) => ScaleParts.Floats512(ref header) * Vector512.ConvertToSingle(ScaleParts.Signed512(ref parts));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Scale256(ref byte header, ref byte parts) => ScaleParts.Floats256(ref header) * Vector256.ConvertToSingle(ScaleParts.Signed256(ref parts));

    public static float Scale(ref byte header, ref byte parts) => ScaleParts.Float(ref header) * (sbyte)parts;
}

/// <summary>A number for 256 columns, and for each half of a block a signed byte: Q6_K, Q3_K, IQ2_XS, IQ2_S, IQ1_M.</summary>
internal readonly struct HalfBlockScales : IScaleLayout
{
    public static int SuperBlocks => 8;

    public static int Numbers => 1;

    public static int NumberBytes => 4;

    public static int Parts => 2;

    public static bool HasMinimum => false;

    public static bool PerHalf => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Scale512(ref byte header, ref byte parts) => ScaleParts.Floats512(ref header);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Scale256(ref byte header, ref byte parts) => ScaleParts.Floats256(ref header);

    public static float Scale(ref byte header, ref byte parts) => ScaleParts.Float(ref header);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> Multiplier512(ref byte parts, int half) => ScaleParts.Twice(ScaleParts.Signed512(ref Unsafe.Add(ref parts, ScaleParts.PartBytes * half)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> Multiplier256(ref byte parts, int half) => ScaleParts.Twice(ScaleParts.Signed256(ref Unsafe.Add(ref parts, ScaleParts.PartBytes * half)));

    public static int Multiplier(ref byte parts, int half) => (sbyte)Unsafe.Add(ref parts, ScaleParts.PartBytes * half);
}

/// <summary>Two numbers for 256 columns; for each half of a block a byte with a scale in the low nibble and a minimum in the high one: Q2_K.</summary>
internal readonly struct HalfBlockScalesAndMinima : IScaleLayout
{
    public static int SuperBlocks => 8;

    public static int Numbers => 2;

    public static int NumberBytes => 4;

    public static int Parts => 2;

    public static bool HasMinimum => true;

    public static bool PerHalf => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Scale512(ref byte header, ref byte parts) => ScaleParts.Floats512(ref header);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Scale256(ref byte header, ref byte parts) => ScaleParts.Floats256(ref header);

    public static float Scale(ref byte header, ref byte parts) => ScaleParts.Float(ref header);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Minimum512(ref byte header, ref byte parts) => ScaleParts.Floats512(ref Unsafe.Add(ref header, ScaleParts.FloatsBytes));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Minimum256(ref byte header, ref byte parts) => ScaleParts.Floats256(ref Unsafe.Add(ref header, ScaleParts.FloatsBytes));

    public static float Minimum(ref byte header, ref byte parts) => ScaleParts.Float(ref Unsafe.Add(ref header, ScaleParts.FloatsBytes));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> Multiplier512(ref byte parts, int half) =>
        ScaleParts.Twice(ScaleParts.Unsigned512(ref Unsafe.Add(ref parts, ScaleParts.PartBytes * half)) & Vector512.Create(15));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> Multiplier256(ref byte parts, int half) =>
        ScaleParts.Twice(ScaleParts.Unsigned256(ref Unsafe.Add(ref parts, ScaleParts.PartBytes * half)) & Vector256.Create(15));

    public static int Multiplier(ref byte parts, int half) => Unsafe.Add(ref parts, ScaleParts.PartBytes * half) & 15;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> MinimumMultipliers512(ref byte parts) => ScaleParts.Pairs(
        Vector512.ShiftRightLogical(ScaleParts.Unsigned512(ref parts), 4), Vector512.ShiftRightLogical(ScaleParts.Unsigned512(ref Unsafe.Add(ref parts, ScaleParts.PartBytes)), 4));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> MinimumMultipliers256(ref byte parts) => ScaleParts.Pairs(
        Vector256.ShiftRightLogical(ScaleParts.Unsigned256(ref parts), 4), Vector256.ShiftRightLogical(ScaleParts.Unsigned256(ref Unsafe.Add(ref parts, ScaleParts.PartBytes)), 4));

    public static int MinimumMultiplier(ref byte parts, int half) => Unsafe.Add(ref parts, ScaleParts.PartBytes * half) >> 4;
}

/// <summary>A power of two for each block, as the biased exponent of twice the scale: MXFP4.</summary>
internal readonly struct ExponentScale : IScaleLayout
{
    private const int SmallestHalf = 0x0020_0000; // 2^-128 as float32 bits

    public static int SuperBlocks => 1;

    public static int Numbers => 0;

    public static int NumberBytes => 2;

    public static int Parts => 1;

    public static bool HasMinimum => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Scale512(ref byte header, ref byte parts)
    {
        Vector512<int> exponent = ScaleParts.Unsigned512(ref parts);
        return Vector512.ConditionalSelect(
            Vector512.LessThan(exponent, Vector512.Create(2)), (exponent + Vector512<int>.One) * SmallestHalf, Vector512.ShiftLeft(exponent - Vector512<int>.One, 23)).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Scale256(ref byte header, ref byte parts)
    {
        Vector256<int> exponent = ScaleParts.Unsigned256(ref parts);
        return Vector256.ConditionalSelect(
            Vector256.LessThan(exponent, Vector256.Create(2)), (exponent + Vector256<int>.One) * SmallestHalf, Vector256.ShiftLeft(exponent - Vector256<int>.One, 23)).AsSingle();
    }

    public static float Scale(ref byte header, ref byte parts) => BitConverter.Int32BitsToSingle(parts < 2 ? (parts + 1) * SmallestHalf : (parts - 1) << 23);
}

/// <summary>A float of 8 bits for each half of a block, E4M3 without a sign, of which half is the scale: NVFP4.</summary>
/// <remarks>(8 + fraction) · 2^(exponent - 11), and fraction · 2^-10 where the exponent is 0: the whole number is converted, and the power of two put together of its bits.</remarks>
internal readonly struct HalfBlockFloats : IScaleLayout
{
    private const int Bias = 127 - 11;

    public static int SuperBlocks => 2;

    public static int Numbers => 0;

    public static int NumberBytes => 2;

    public static int Parts => 2;

    public static bool HasMinimum => false;

    public static bool HasTwoScales => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Scale512(ref byte header, ref byte parts)
    {
        Vector512<int> code = ScaleParts.Unsigned512(ref parts), exponent = Vector512.ShiftRightLogical(code, 3);
        Vector512<int> isNormal = Vector512.GreaterThan(exponent, Vector512<int>.Zero);
        Vector512<int> number = (code & Vector512.Create(7)) + (isNormal & Vector512.Create(8));
        return Vector512.ConvertToSingle(number) * Vector512.ShiftLeft(Vector512.Max(exponent, Vector512<int>.One) + Vector512.Create(Bias), 23).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Scale256(ref byte header, ref byte parts)
    {
        Vector256<int> code = ScaleParts.Unsigned256(ref parts), exponent = Vector256.ShiftRightLogical(code, 3);
        Vector256<int> isNormal = Vector256.GreaterThan(exponent, Vector256<int>.Zero);
        Vector256<int> number = (code & Vector256.Create(7)) + (isNormal & Vector256.Create(8));
        return Vector256.ConvertToSingle(number) * Vector256.ShiftLeft(Vector256.Max(exponent, Vector256<int>.One) + Vector256.Create(Bias), 23).AsSingle();
    }

    public static float Scale(ref byte header, ref byte parts)
    {
        int exponent = parts >> 3;
        return ((parts & 7) + (exponent > 0 ? 8 : 0)) * BitConverter.Int32BitsToSingle((Math.Max(exponent, 1) + Bias) << 23);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> SecondScale512(ref byte header, ref byte parts) => Scale512(ref header, ref Unsafe.Add(ref parts, ScaleParts.PartBytes));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> SecondScale256(ref byte header, ref byte parts) => Scale256(ref header, ref Unsafe.Add(ref parts, ScaleParts.PartBytes));

    public static float SecondScale(ref byte header, ref byte parts) => Scale(ref header, ref Unsafe.Add(ref parts, ScaleParts.PartBytes));
}
