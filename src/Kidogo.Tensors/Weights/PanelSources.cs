// Where a stored format keeps its codes and scales, for packing. Knows no panels and no arithmetic.
using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Kidogo.Tensors.Formats;

namespace Kidogo.Tensors;

/// <summary>Takes a stored block apart into groups of 32 weights.</summary>
/// <typeparam name="TBlock">The block as stored.</typeparam>
internal interface IPanelSource<TBlock>
    where TBlock : unmanaged
{
    /// <summary>The codes of a group, a byte each, four to a word.</summary>
    /// <param name="block">The block.</param>
    /// <param name="group">Which 32 weights of the block.</param>
    /// <param name="words">[8]</param>
    static abstract void Codes(in TBlock block, int group, Span<uint> words);

    /// <summary>A float16 of the block: 0 its scale, 1 its minimum or the scale of the minima.</summary>
    static virtual Half Number(in TBlock block, int index) => default;

    /// <summary>What a number of the block is multiplied with where it is kept as float32: a power of two, so that nothing is lost.</summary>
    static virtual float Unit(int index) => 1;

    /// <summary>A byte that belongs to a group, as the scale layout wants it.</summary>
    static virtual byte Part(in TBlock block, int group, int index) => 0;
}

/// <summary>Words of 4 codes out of stored bytes.</summary>
internal static class CodeWords
{
    public const uint EveryByte = 0x0101_0101;
    public const uint Nibbles = 15 * EveryByte;

    public static uint At(ReadOnlySpan<byte> bytes, int start) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[start..]);

    /// <summary>16 bytes with code j in the low nibble of byte j and code j + 16 in the high one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void HalfAndHalf(ReadOnlySpan<byte> bytes, Span<uint> words)
    {
        ReadOnlySpan<uint> packed = MemoryMarshal.Cast<byte, uint>(bytes)[..4];
        words = words[..8];
        for (int j = 0; j < packed.Length; j++)
        {
            words[j] = packed[j] & Nibbles;
            words[j + 4] = (packed[j] >> 4) & Nibbles;
        }
    }

    /// <summary>The nibbles of 32 bytes, low or high.</summary>
    public static void Side(ReadOnlySpan<byte> bytes, int shift, Span<uint> words)
    {
        for (int j = 0; j < 8; j++)
        {
            words[j] = (At(bytes, 4 * j) >> shift) & Nibbles;
        }
    }

    /// <summary>Adds bit j of <paramref name="bits"/> to code j as its fifth.</summary>
    public static void AddFifth(uint bits, Span<uint> words)
    {
        const uint Spread = 0x0020_4081; // times 4 bits: bit i comes to lie at the beginning of byte i, among others
        for (int j = 0; j < 8; j++)
        {
            words[j] |= ((((bits >> (4 * j)) & 15) * Spread) & EveryByte) << 4;
        }
    }
}

internal readonly struct Q4_0Source : IPanelSource<Q4_0>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Codes(in Q4_0 block, int group, Span<uint> words) => CodeWords.HalfAndHalf(block.Codes, words);

    public static Half Number(in Q4_0 block, int index) => block.Scale;
}

internal readonly struct Q4_1Source : IPanelSource<Q4_1>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Codes(in Q4_1 block, int group, Span<uint> words) => CodeWords.HalfAndHalf(block.Codes, words);

    public static Half Number(in Q4_1 block, int index) => index == 0 ? block.Scale : block.Minimum;
}

internal readonly struct Q5_0Source : IPanelSource<Q5_0>
{
    public static void Codes(in Q5_0 block, int group, Span<uint> words)
    {
        CodeWords.HalfAndHalf(block.Codes, words);
        CodeWords.AddFifth(block.HighBits, words);
    }

    public static Half Number(in Q5_0 block, int index) => block.Scale;
}

internal readonly struct Q5_1Source : IPanelSource<Q5_1>
{
    public static void Codes(in Q5_1 block, int group, Span<uint> words)
    {
        CodeWords.HalfAndHalf(block.Codes, words);
        CodeWords.AddFifth(block.HighBits, words);
    }

    public static Half Number(in Q5_1 block, int index) => index == 0 ? block.Scale : block.Minimum;
}

internal readonly struct Q8_0Source : IPanelSource<Q8_0>
{
    private const uint SignBits = 0x8080_8080; // flipping the sign bit of a two's complement byte adds 128

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Codes(in Q8_0 block, int group, Span<uint> words)
    {
        ReadOnlySpan<uint> stored = MemoryMarshal.Cast<sbyte, uint>(block.Codes)[..8];
        words = words[..8];
        for (int j = 0; j < stored.Length; j++)
        {
            words[j] = stored[j] ^ SignBits;
        }
    }

    public static Half Number(in Q8_0 block, int index) => block.Scale;
}

internal readonly struct Q4_KSource : IPanelSource<Q4_K>
{
    public static void Codes(in Q4_K block, int group, Span<uint> words) =>
        CodeWords.Side(((ReadOnlySpan<byte>)block.Codes).Slice(group / 2 * 32, 32), group % 2 * 4, words);

    public static Half Number(in Q4_K block, int index) => index == 0 ? block.Scale : block.MinimumScale;

    public static byte Part(in Q4_K block, int group, int index) => KQuantScales.At(block.GroupScales, group, index == 1);
}

internal readonly struct Q5_KSource : IPanelSource<Q5_K>
{
    public static void Codes(in Q5_K block, int group, Span<uint> words)
    {
        CodeWords.Side(((ReadOnlySpan<byte>)block.Codes).Slice(group / 2 * 32, 32), group % 2 * 4, words);
        ReadOnlySpan<byte> high = block.HighBits;
        for (int j = 0; j < 8; j++)
        {
            words[j] |= ((CodeWords.At(high, 4 * j) >> group) & CodeWords.EveryByte) << 4;
        }
    }

    public static Half Number(in Q5_K block, int index) => index == 0 ? block.Scale : block.MinimumScale;

    public static byte Part(in Q5_K block, int group, int index) => KQuantScales.At(block.GroupScales, group, index == 1);
}

internal readonly struct Q6_KSource : IPanelSource<Q6_K>
{
    public static void Codes(in Q6_K block, int group, Span<uint> words)
    {
        // Group g is part g % 4 of 128 weights: parts 0 and 2 share 32 bytes of low bits, as do 1 and 3; all four share 32 bytes of high bits.
        int part = group % 4;
        CodeWords.Side(((ReadOnlySpan<byte>)block.LowBits).Slice((group / 4 * 64) + (part % 2 * 32), 32), part / 2 * 4, words);
        ReadOnlySpan<byte> high = ((ReadOnlySpan<byte>)block.HighBits).Slice(group / 4 * 32, 32);
        for (int j = 0; j < 8; j++)
        {
            words[j] |= ((CodeWords.At(high, 4 * j) >> (2 * part)) & (3 * CodeWords.EveryByte)) << 4;
        }
    }

    public static Half Number(in Q6_K block, int index) => block.Scale;

    public static byte Part(in Q6_K block, int group, int index) => (byte)block.GroupScales[(2 * group) + index];
}

internal readonly struct Q3_KSource : IPanelSource<Q3_K>
{
    public static void Codes(in Q3_K block, int group, Span<uint> words)
    {
        ReadOnlySpan<byte> low = ((ReadOnlySpan<byte>)block.Codes).Slice(group / 4 * 32, 32), high = block.HighBits;
        for (int j = 0; j < 8; j++)
        {
            words[j] = ((CodeWords.At(low, 4 * j) >> (group % 4 * 2)) & (3 * CodeWords.EveryByte))
                | (((CodeWords.At(high, 4 * j) >> group) & CodeWords.EveryByte) << 2);
        }
    }

    public static Half Number(in Q3_K block, int index) => block.Scale;

    public static byte Part(in Q3_K block, int group, int index)
    {
        int sixteen = (2 * group) + index;
        int low = (block.GroupScales[sixteen % 8] >> (sixteen / 8 * 4)) & 15;
        int high = (block.GroupScales[8 + (sixteen % 4)] >> (sixteen / 4 * 2)) & 3;
        return (byte)((low | (high << 4)) - 32);
    }
}

internal readonly struct Q2_KSource : IPanelSource<Q2_K>
{
    public static void Codes(in Q2_K block, int group, Span<uint> words)
    {
        ReadOnlySpan<byte> codes = ((ReadOnlySpan<byte>)block.Codes).Slice(group / 4 * 32, 32);
        for (int j = 0; j < 8; j++)
        {
            words[j] = (CodeWords.At(codes, 4 * j) >> (group % 4 * 2)) & (3 * CodeWords.EveryByte);
        }
    }

    public static Half Number(in Q2_K block, int index) => index == 0 ? block.Scale : block.MinimumScale;

    public static byte Part(in Q2_K block, int group, int index) => block.GroupScales[(2 * group) + index];
}

internal readonly struct TQ2_0Source : IPanelSource<TQ2_0>
{
    public static void Codes(in TQ2_0 block, int group, Span<uint> words)
    {
        ReadOnlySpan<byte> codes = ((ReadOnlySpan<byte>)block.Codes).Slice(group / 4 * 32, 32);
        for (int j = 0; j < 8; j++)
        {
            words[j] = (CodeWords.At(codes, 4 * j) >> (group % 4 * 2)) & (3 * CodeWords.EveryByte);
        }
    }

    public static Half Number(in TQ2_0 block, int index) => block.Scale;
}

internal readonly struct IQ4_NLSource : IPanelSource<IQ4_NL>
{
    public static void Codes(in IQ4_NL block, int group, Span<uint> words) => CodeWords.HalfAndHalf(block.Codes, words);

    public static Half Number(in IQ4_NL block, int index) => block.Scale;
}

internal readonly struct IQ4_XSSource : IPanelSource<IQ4_XS>
{
    public static void Codes(in IQ4_XS block, int group, Span<uint> words) => CodeWords.HalfAndHalf(((ReadOnlySpan<byte>)block.Codes).Slice(16 * group, 16), words);

    public static Half Number(in IQ4_XS block, int index) => block.Scale;

    public static byte Part(in IQ4_XS block, int group, int index)
    {
        int low = (block.GroupScalesLow[group / 2] >> (group % 2 * 4)) & 15;
        int high = (block.GroupScalesHigh >> (group * 2)) & 3;
        return (byte)((low | (high << 4)) - 32);
    }
}

internal readonly struct MXFP4Source : IPanelSource<MXFP4>
{
    public static void Codes(in MXFP4 block, int group, Span<uint> words) => CodeWords.HalfAndHalf(block.Codes, words);

    public static byte Part(in MXFP4 block, int group, int index) => block.Exponent;
}
