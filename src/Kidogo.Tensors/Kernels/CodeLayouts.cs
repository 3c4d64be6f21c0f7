// How the codes of a block of weights lie in a panel: 1 to 8 bits of 32 columns in 16 rows. Knows no scales and no formats.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Kernels;

/// <summary>A way to keep the codes of 16 rows by 32 columns, and to read them back as unsigned bytes.</summary>
/// <remarks>
/// A word is 4 columns of a row, a byte each. A layout gives word j of the first 16 columns (<c>First</c>, j = 0 .. 3: columns 4j .. 4j + 3) and of the last 16
/// (<c>Second</c>: columns 16 + 4j .. 16 + 4j + 3), for one row, for 8 or for 16 of them side by side: lane r (32 bits) is the word of row r. Whatever belongs to row r lies at 4r of
/// some group of 64 bytes, so a reference moved by 4r bytes serves row r as the one before served row 0.
/// </remarks>
internal interface ICodeLayout
{
    /// <summary>Bytes of the codes of a block: 16 rows by 32 columns.</summary>
    static abstract int Bytes { get; }

    /// <summary>What is subtracted from a code: 0, or a power of two up to 128.</summary>
    static abstract int Center { get; }

    /// <summary>How many sums of two products of a code and an activation (127 at most) 16 bits can add up: 8 for codes to 15, 4 to 32, 2 to 64, 1 to 128; 0 for codes up to 255, whose very first sum may not fit.</summary>
    static abstract int Chain { get; }

    /// <summary>Word <paramref name="j"/> of the first 16 columns of 16 rows.</summary>
    static abstract Vector512<byte> First512(ref byte codes, int j);

    /// <summary>Word <paramref name="j"/> of the last 16 columns of 16 rows.</summary>
    static abstract Vector512<byte> Second512(ref byte codes, int j);

    /// <summary>As <see cref="First512"/> for 8 rows.</summary>
    static abstract Vector256<byte> First256(ref byte codes, int j);

    /// <summary>As <see cref="Second512"/> for 8 rows.</summary>
    static abstract Vector256<byte> Second256(ref byte codes, int j);

    /// <summary>As <see cref="First512"/> for one row.</summary>
    static abstract uint First(ref byte codes, int j);

    /// <summary>As <see cref="Second512"/> for one row.</summary>
    static abstract uint Second(ref byte codes, int j);

    /// <summary>Writes the codes of one row.</summary>
    /// <param name="codes">Where its lane begins; the block was zero, or is that row's again.</param>
    /// <param name="words">[8] The words of the first 16 columns, then those of the last.</param>
    static abstract void Write(ref byte codes, ReadOnlySpan<uint> words);
}

/// <summary>Bits of groups of 64 bytes (32 for half of the rows, 4 for one row).</summary>
internal static class Planes
{
    public const int Group = 64;
    public const uint EveryByte = 0x0101_0101;

    /// <summary>The bits <paramref name="shift"/> and up of each byte of group <paramref name="group"/> that <paramref name="mask"/> keeps.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Bits512(ref byte codes, int group, int shift, byte mask) =>
        Vector512.ShiftRightLogical(Vector512.LoadUnsafe(ref codes, (nuint)(Group * group)).AsUInt16(), shift).AsByte() & Vector512.Create(mask);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Bits256(ref byte codes, int group, int shift, byte mask) =>
        Vector256.ShiftRightLogical(Vector256.LoadUnsafe(ref codes, (nuint)(Group * group)).AsUInt16(), shift).AsByte() & Vector256.Create(mask);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Bits(ref byte codes, int group, int shift, byte mask) => (Word(ref codes, group) >> shift) & (mask * EveryByte);

    /// <summary>The same, moved up again: bits below <paramref name="to"/> are free for a lower part.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Raised512(ref byte codes, int group, int from, int to, byte mask)
    {
        Vector512<ushort> plane = Vector512.LoadUnsafe(ref codes, (nuint)(Group * group)).AsUInt16();
        return (from > to ? Vector512.ShiftRightLogical(plane, from - to) : Vector512.ShiftLeft(plane, to - from)).AsByte() & Vector512.Create((byte)(mask << to));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Raised256(ref byte codes, int group, int from, int to, byte mask)
    {
        Vector256<ushort> plane = Vector256.LoadUnsafe(ref codes, (nuint)(Group * group)).AsUInt16();
        return (from > to ? Vector256.ShiftRightLogical(plane, from - to) : Vector256.ShiftLeft(plane, to - from)).AsByte() & Vector256.Create((byte)(mask << to));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Raised(ref byte codes, int group, int from, int to, byte mask) => ((Word(ref codes, group) >> from) & (mask * EveryByte)) << to;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref uint Word(ref byte codes, int group) => ref Unsafe.As<byte, uint>(ref Unsafe.Add(ref codes, Group * group));
}

/// <summary>4 bits: word j of the first columns in the low nibbles of group j, of the last in the high ones. w = code · scale + minimum.</summary>
internal readonly struct Nibbles : ICodeLayout
{
    public static int Bytes => 4 * Planes.Group;

    public static int Center => 0;

    public static int Chain => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> First512(ref byte codes, int j) => Vector512.LoadUnsafe(ref codes, (nuint)(Planes.Group * j)) & Vector512.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Second512(ref byte codes, int j) => Planes.Bits512(ref codes, j, 4, 15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> First256(ref byte codes, int j) => Vector256.LoadUnsafe(ref codes, (nuint)(Planes.Group * j)) & Vector256.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Second256(ref byte codes, int j) => Planes.Bits256(ref codes, j, 4, 15);

    public static uint First(ref byte codes, int j) => Planes.Bits(ref codes, j, 0, 15);

    public static uint Second(ref byte codes, int j) => Planes.Bits(ref codes, j, 4, 15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(ref byte codes, ReadOnlySpan<uint> words)
    {
        words = words[..8];
        for (int j = 0; j < 4; j++)
        {
            Planes.Word(ref codes, j) = words[j] | (words[j + 4] << 4);
        }
    }
}

/// <summary>4 bits around 8, as <see cref="Nibbles"/>: w = (code - 8) · scale.</summary>
internal readonly struct CenteredNibbles : ICodeLayout
{
    public static int Bytes => Nibbles.Bytes;

    public static int Center => 8;

    public static int Chain => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> First512(ref byte codes, int j) => Nibbles.First512(ref codes, j);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Second512(ref byte codes, int j) => Nibbles.Second512(ref codes, j);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> First256(ref byte codes, int j) => Nibbles.First256(ref codes, j);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Second256(ref byte codes, int j) => Nibbles.Second256(ref codes, j);

    public static uint First(ref byte codes, int j) => Nibbles.First(ref codes, j);

    public static uint Second(ref byte codes, int j) => Nibbles.Second(ref codes, j);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(ref byte codes, ReadOnlySpan<uint> words) => Nibbles.Write(ref codes, words);
}

/// <summary>Which offset a layout of plain codes subtracts, as a constant for the compiler.</summary>
internal interface ICenter
{
    static abstract int Value { get; }
}

internal readonly struct Center0 : ICenter
{
    public static int Value => 0;
}

internal readonly struct Center1 : ICenter
{
    public static int Value => 1;
}

internal readonly struct Center16 : ICenter
{
    public static int Value => 16;
}

/// <summary>One bit, as code 0 or 2 around 1: word j of the first columns in bit j, of the last in bit 4 + j. w = ±scale.</summary>
internal readonly struct OneBit : ICodeLayout
{
    public static int Bytes => Planes.Group;

    public static int Center => 1;

    public static int Chain => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> First512(ref byte codes, int j) => Planes.Raised512(ref codes, 0, j, 1, 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Second512(ref byte codes, int j) => Planes.Raised512(ref codes, 0, 4 + j, 1, 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> First256(ref byte codes, int j) => Planes.Raised256(ref codes, 0, j, 1, 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Second256(ref byte codes, int j) => Planes.Raised256(ref codes, 0, 4 + j, 1, 1);

    public static uint First(ref byte codes, int j) => Planes.Raised(ref codes, 0, j, 1, 1);

    public static uint Second(ref byte codes, int j) => Planes.Raised(ref codes, 0, 4 + j, 1, 1);

    public static void Write(ref byte codes, ReadOnlySpan<uint> words)
    {
        uint plane = 0;
        for (int j = 0; j < 8; j++)
        {
            plane |= ((words[j] >> 1) & Planes.EveryByte) << j;
        }

        Planes.Word(ref codes, 0) = plane;
    }
}

/// <summary>2 bits: word j of the first columns in bits 2j and 2j + 1 of group 0, of the last of group 1.</summary>
internal readonly struct TwoBits<TCenter> : ICodeLayout
    where TCenter : struct, ICenter
{
    public static int Bytes => 2 * Planes.Group;

    public static int Center => TCenter.Value;

    public static int Chain => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> First512(ref byte codes, int j) => Planes.Bits512(ref codes, 0, 2 * j, 3);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Second512(ref byte codes, int j) => Planes.Bits512(ref codes, 1, 2 * j, 3);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> First256(ref byte codes, int j) => Planes.Bits256(ref codes, 0, 2 * j, 3);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Second256(ref byte codes, int j) => Planes.Bits256(ref codes, 1, 2 * j, 3);

    public static uint First(ref byte codes, int j) => Planes.Bits(ref codes, 0, 2 * j, 3);

    public static uint Second(ref byte codes, int j) => Planes.Bits(ref codes, 1, 2 * j, 3);

    public static void Write(ref byte codes, ReadOnlySpan<uint> words)
    {
        Planes.Word(ref codes, 0) = words[0] | (words[1] << 2) | (words[2] << 4) | (words[3] << 6);
        Planes.Word(ref codes, 1) = words[4] | (words[5] << 2) | (words[6] << 4) | (words[7] << 6);
    }
}

/// <summary>3 bits around 4: the low two as <see cref="TwoBits{TCenter}"/>, the third of word j in bit j (first columns) and 4 + j (last) of group 2.</summary>
internal readonly struct ThreeBits : ICodeLayout
{
    private const int High = 2;
    private const uint LowBits = 3 * Planes.EveryByte;

    public static int Bytes => 3 * Planes.Group;

    public static int Center => 4;

    public static int Chain => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> First512(ref byte codes, int j) => Planes.Bits512(ref codes, 0, 2 * j, 3) | Planes.Raised512(ref codes, High, j, 2, 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Second512(ref byte codes, int j) => Planes.Bits512(ref codes, 1, 2 * j, 3) | Planes.Raised512(ref codes, High, 4 + j, 2, 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> First256(ref byte codes, int j) => Planes.Bits256(ref codes, 0, 2 * j, 3) | Planes.Raised256(ref codes, High, j, 2, 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Second256(ref byte codes, int j) => Planes.Bits256(ref codes, 1, 2 * j, 3) | Planes.Raised256(ref codes, High, 4 + j, 2, 1);

    public static uint First(ref byte codes, int j) => Planes.Bits(ref codes, 0, 2 * j, 3) | Planes.Raised(ref codes, High, j, 2, 1);

    public static uint Second(ref byte codes, int j) => Planes.Bits(ref codes, 1, 2 * j, 3) | Planes.Raised(ref codes, High, 4 + j, 2, 1);

    public static void Write(ref byte codes, ReadOnlySpan<uint> words)
    {
        uint first = 0, second = 0, high = 0;
        for (int j = 0; j < 4; j++)
        {
            first |= (words[j] & LowBits) << (2 * j);
            second |= (words[4 + j] & LowBits) << (2 * j);
            high |= ((words[j] >> 2) & Planes.EveryByte) << j;
            high |= ((words[4 + j] >> 2) & Planes.EveryByte) << (4 + j);
        }

        (Planes.Word(ref codes, 0), Planes.Word(ref codes, 1), Planes.Word(ref codes, High)) = (first, second, high);
    }
}

/// <summary>5 bits: the low four as <see cref="Nibbles"/>, the fifth of word j in bit j (first columns) and 4 + j (last) of group 4.</summary>
internal readonly struct FiveBits<TCenter> : ICodeLayout
    where TCenter : struct, ICenter
{
    private const int High = 4;
    private const uint LowBits = 15 * Planes.EveryByte;

    public static int Bytes => 5 * Planes.Group;

    public static int Center => TCenter.Value;

    public static int Chain => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> First512(ref byte codes, int j) => Nibbles.First512(ref codes, j) | Planes.Raised512(ref codes, High, j, 4, 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Second512(ref byte codes, int j) => Nibbles.Second512(ref codes, j) | Planes.Raised512(ref codes, High, 4 + j, 4, 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> First256(ref byte codes, int j) => Nibbles.First256(ref codes, j) | Planes.Raised256(ref codes, High, j, 4, 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Second256(ref byte codes, int j) => Nibbles.Second256(ref codes, j) | Planes.Raised256(ref codes, High, 4 + j, 4, 1);

    public static uint First(ref byte codes, int j) => Nibbles.First(ref codes, j) | Planes.Raised(ref codes, High, j, 4, 1);

    public static uint Second(ref byte codes, int j) => Nibbles.Second(ref codes, j) | Planes.Raised(ref codes, High, 4 + j, 4, 1);

    public static void Write(ref byte codes, ReadOnlySpan<uint> words)
    {
        uint high = 0;
        for (int j = 0; j < 4; j++)
        {
            Planes.Word(ref codes, j) = (words[j] & LowBits) | ((words[4 + j] & LowBits) << 4);
            high |= ((words[j] >> 4) & Planes.EveryByte) << j;
            high |= ((words[4 + j] >> 4) & Planes.EveryByte) << (4 + j);
        }

        Planes.Word(ref codes, High) = high;
    }
}

/// <summary>6 bits around 32: the low four as <see cref="Nibbles"/>, the high two of word j in bits 2j and 2j + 1 of group 4 (first columns) and 5 (last).</summary>
internal readonly struct SixBits : ICodeLayout
{
    private const uint LowBits = 15 * Planes.EveryByte;
    private const uint HighBits = 3 * Planes.EveryByte;

    public static int Bytes => 6 * Planes.Group;

    public static int Center => 32;

    public static int Chain => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> First512(ref byte codes, int j) => Nibbles.First512(ref codes, j) | Planes.Raised512(ref codes, 4, 2 * j, 4, 3);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Second512(ref byte codes, int j) => Nibbles.Second512(ref codes, j) | Planes.Raised512(ref codes, 5, 2 * j, 4, 3);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> First256(ref byte codes, int j) => Nibbles.First256(ref codes, j) | Planes.Raised256(ref codes, 4, 2 * j, 4, 3);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Second256(ref byte codes, int j) => Nibbles.Second256(ref codes, j) | Planes.Raised256(ref codes, 5, 2 * j, 4, 3);

    public static uint First(ref byte codes, int j) => Nibbles.First(ref codes, j) | Planes.Raised(ref codes, 4, 2 * j, 4, 3);

    public static uint Second(ref byte codes, int j) => Nibbles.Second(ref codes, j) | Planes.Raised(ref codes, 5, 2 * j, 4, 3);

    public static void Write(ref byte codes, ReadOnlySpan<uint> words)
    {
        uint first = 0, second = 0;
        for (int j = 0; j < 4; j++)
        {
            Planes.Word(ref codes, j) = (words[j] & LowBits) | ((words[4 + j] & LowBits) << 4);
            first |= ((words[j] >> 4) & HighBits) << (2 * j);
            second |= ((words[4 + j] >> 4) & HighBits) << (2 * j);
        }

        (Planes.Word(ref codes, 4), Planes.Word(ref codes, 5)) = (first, second);
    }
}

/// <summary>8 bits around 128: word j of the first columns is group j, of the last group 4 + j.</summary>
internal readonly struct EightBits : ICodeLayout
{
    public static int Bytes => 8 * Planes.Group;

    public static int Center => 128;

    public static int Chain => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> First512(ref byte codes, int j) => Vector512.LoadUnsafe(ref codes, (nuint)(Planes.Group * j));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Second512(ref byte codes, int j) => Vector512.LoadUnsafe(ref codes, (nuint)(Planes.Group * (4 + j)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> First256(ref byte codes, int j) => Vector256.LoadUnsafe(ref codes, (nuint)(Planes.Group * j));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Second256(ref byte codes, int j) => Vector256.LoadUnsafe(ref codes, (nuint)(Planes.Group * (4 + j)));

    public static uint First(ref byte codes, int j) => Planes.Word(ref codes, j);

    public static uint Second(ref byte codes, int j) => Planes.Word(ref codes, 4 + j);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(ref byte codes, ReadOnlySpan<uint> words)
    {
        words = words[..8];
        for (int j = 0; j < 8; j++)
        {
            Planes.Word(ref codes, j) = words[j];
        }
    }
}
