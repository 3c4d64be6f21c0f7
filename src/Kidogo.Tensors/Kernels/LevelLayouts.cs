// Codes that number the levels of a table: those of uneven 4-bit formats, and of lattices, whose points have few coordinates. Knows no scales.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Kidogo.Tensors.Formats;

namespace Kidogo.Tensors.Kernels;

/// <summary>A table of up to 16 levels that codes stand for.</summary>
internal interface ILevels
{
    /// <summary>What is subtracted from a level to get its value.</summary>
    static abstract int Center { get; }

    /// <summary>See <see cref="ICodeLayout.Chain"/>.</summary>
    static abstract int Chain { get; }

    /// <summary>[16] Value + <see cref="Center"/> of each code; codes that are none mean 0.</summary>
    static abstract ReadOnlySpan<byte> Raised { get; }
}

/// <summary>The uneven levels of IQ4_NL and IQ4_XS: -127 to 113.</summary>
internal readonly struct UnevenLevels : ILevels
{
    public static int Center => 128;

    public static int Chain => 0;

    public static ReadOnlySpan<byte> Raised => [1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241];
}

/// <summary>Twice the values of E2M1: -12 to 12 (<see cref="FourBitFloat"/>).</summary>
internal readonly struct FourBitFloatLevels : ILevels
{
    public static int Center => 16;

    public static int Chain => 4;

    public static ReadOnlySpan<byte> Raised => [16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4];
}

/// <summary>What a coordinate of an IQ2 point is, 8, 25 or 43; bit 2 of the code is the sign.</summary>
internal readonly struct ThreeMagnitudes : ILevels
{
    public static int Center => 64;

    public static int Chain => 1;

    public static ReadOnlySpan<byte> Raised => [72, 89, 107, 64, 56, 39, 21, 64, 72, 89, 107, 64, 56, 39, 21, 64];
}

/// <summary>Half of what a coordinate of an IQ3_XXS point is: 2, 6, 10, 14, 18, 22, 26 or 31; bit 3 of the code is the sign.</summary>
internal readonly struct EightMagnitudes : ILevels
{
    public static int Center => 32;

    public static int Chain => 2;

    public static ReadOnlySpan<byte> Raised => [34, 38, 42, 46, 50, 54, 58, 63, 30, 26, 22, 18, 14, 10, 6, 1];
}

/// <summary>What a coordinate of an IQ3_S point is: the odd numbers to 15; bit 3 of the code is the sign.</summary>
internal readonly struct OddMagnitudes : ILevels
{
    public static int Center => 16;

    public static int Chain => 4;

    public static ReadOnlySpan<byte> Raised => [17, 19, 21, 23, 25, 27, 29, 31, 15, 13, 11, 9, 7, 5, 3, 1];
}

/// <summary>Trits -1, 0 and 1 in eighths, plus an eighth, or less one where bit 2 of the code is set: IQ1_M.</summary>
internal readonly struct ShiftedTrits : ILevels
{
    public static int Center => 16;

    public static int Chain => 4;

    public static ReadOnlySpan<byte> Raised => [9, 17, 25, 16, 7, 15, 23, 16, 9, 17, 25, 16, 7, 15, 23, 16];
}

/// <summary>Codes of up to 4 bits, kept as <typeparamref name="TPlanes"/>, that number levels. A byte shuffle reads the table, once for all tokens of a tile.</summary>
internal readonly struct LevelCodes<TPlanes, TLevels> : ICodeLayout
    where TPlanes : struct, ICodeLayout
    where TLevels : struct, ILevels
{
    public static int Bytes => TPlanes.Bytes;

    public static int Center => TLevels.Center;

    public static int Chain => TLevels.Chain;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> First512(ref byte codes, int j) => Avx512BW.Shuffle(Vector512.Create(Table256(), Table256()), TPlanes.First512(ref codes, j));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Second512(ref byte codes, int j) => Avx512BW.Shuffle(Vector512.Create(Table256(), Table256()), TPlanes.Second512(ref codes, j));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> First256(ref byte codes, int j) => Avx2.Shuffle(Table256(), TPlanes.First256(ref codes, j));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Second256(ref byte codes, int j) => Avx2.Shuffle(Table256(), TPlanes.Second256(ref codes, j));

    public static uint First(ref byte codes, int j) => Look(TPlanes.First(ref codes, j));

    public static uint Second(ref byte codes, int j) => Look(TPlanes.Second(ref codes, j));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(ref byte codes, ReadOnlySpan<uint> words) => TPlanes.Write(ref codes, words);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Table256()
    {
        Vector128<byte> table = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(TLevels.Raised));
        return Vector256.Create(table, table);
    }

    private static uint Look(uint codes) =>
        TLevels.Raised[(int)(codes & 15)] | ((uint)TLevels.Raised[(int)((codes >> 8) & 15)] << 8)
        | ((uint)TLevels.Raised[(int)((codes >> 16) & 15)] << 16) | ((uint)TLevels.Raised[(int)(codes >> 24) & 15] << 24);
}
