// Where the formats of codebooks keep their points, signs and scales, for packing: a coordinate becomes a small code of its own. Knows no panels.
using System.Runtime.InteropServices;
using Kidogo.Tensors.Formats;

namespace Kidogo.Tensors;

/// <summary>Codes of eight weights out of points and signs.</summary>
/// <remarks>A coordinate takes one of 3 or 8 values, so its place among them, with the sign above, is a code of 3 or 4 bits: what 8 weights shared on disk is spelled out in memory.</remarks>
internal static class LatticeWords
{
    /// <summary>What lies in the top four bits of a word of signs.</summary>
    public const int ScaleShift = 28;

    /// <summary>[256] Byte j is bit j of the index.</summary>
    private static readonly ulong[] s_bits = Spread();

    /// <summary>Byte j is bit j of <paramref name="bits"/>.</summary>
    public static ulong Bits(int bits) => s_bits[bits & 255];

    /// <summary>Eight signs of which the last is whatever makes their number even.</summary>
    public static ulong EvenSigns(uint seven) => Bits((int)((seven & 127) | (((uint)uint.PopCount(seven & 127) & 1) << 7)));

    /// <summary>Writes codes 8 · <paramref name="index"/> and on of a group.</summary>
    public static void Write(ulong eight, int index, Span<uint> words) => (words[2 * index], words[(2 * index) + 1]) = ((uint)eight, (uint)(eight >> 32));

    /// <summary>The group scale of a nibble: the odd number 2 · nibble + 1.</summary>
    public static byte Odd(int nibble) => (byte)((2 * (nibble & 15)) + 1);

    private static ulong[] Spread()
    {
        ulong[] spread = new ulong[256];
        for (int bits = 0; bits < spread.Length; bits++)
        {
            for (int j = 0; j < 8; j++)
            {
                spread[bits] |= (ulong)((bits >> j) & 1) << (8 * j);
            }
        }

        return spread;
    }
}

internal readonly struct IQ2_XXSSource : IPanelSource<IQ2_XXS>
{
    private static readonly ulong[] s_digits = Codebook.Expand(CodebookPoints.IQ2_XXS, [0, 1, 2], 8);

    public static void Codes(in IQ2_XXS block, int group, Span<uint> words)
    {
        (uint points, uint signs) = (block.Codes[2 * group], block.Codes[(2 * group) + 1]);
        for (int k = 0; k < 4; k++)
        {
            LatticeWords.Write(s_digits[(byte)(points >> (8 * k))] | (LatticeWords.EvenSigns(signs >> (7 * k)) << 2), k, words);
        }
    }

    public static Half Number(in IQ2_XXS block, int index) => block.Scale;

    public static float Unit(int index) => 0.125f;

    public static byte Part(in IQ2_XXS block, int group, int index) => LatticeWords.Odd((int)(block.Codes[(2 * group) + 1] >> LatticeWords.ScaleShift));
}

internal readonly struct IQ2_XSSource : IPanelSource<IQ2_XS>
{
    private static readonly ulong[] s_digits = Codebook.Expand(CodebookPoints.IQ2_XS, [0, 1, 2], 8);

    public static void Codes(in IQ2_XS block, int group, Span<uint> words)
    {
        for (int k = 0; k < 4; k++)
        {
            int code = block.Codes[(4 * group) + k];
            LatticeWords.Write(s_digits[code & 511] | (LatticeWords.EvenSigns((uint)code >> 9) << 2), k, words);
        }
    }

    public static Half Number(in IQ2_XS block, int index) => block.Scale;

    public static float Unit(int index) => 0.125f;

    public static byte Part(in IQ2_XS block, int group, int index) => LatticeWords.Odd(block.GroupScales[group] >> (4 * index));
}

internal readonly struct IQ2_SSource : IPanelSource<IQ2_S>
{
    private static readonly ulong[] s_digits = Codebook.Expand(CodebookPoints.IQ2_S, [0, 1, 2], 8);

    public static void Codes(in IQ2_S block, int group, Span<uint> words)
    {
        for (int k = 0; k < 4; k++)
        {
            int point = block.Codes[(4 * group) + k] | (((block.HighBits[group] >> (2 * k)) & 3) << 8);
            LatticeWords.Write(s_digits[point] | (LatticeWords.Bits(block.Signs[(4 * group) + k]) << 2), k, words);
        }
    }

    public static Half Number(in IQ2_S block, int index) => block.Scale;

    public static float Unit(int index) => 0.125f;

    public static byte Part(in IQ2_S block, int group, int index) => LatticeWords.Odd(block.GroupScales[group] >> (4 * index));
}

internal readonly struct IQ3_XXSSource : IPanelSource<IQ3_XXS>
{
    private static readonly ulong[] s_digits = Codebook.Expand(CodebookPoints.IQ3_XXS, [0, 1, 2, 3, 4, 5, 6, 7], 4);

    public static void Codes(in IQ3_XXS block, int group, Span<uint> words)
    {
        uint signs = block.Signs[group];
        for (int k = 0; k < 4; k++)
        {
            int first = (8 * group) + (2 * k);
            ulong digits = s_digits[block.Codes[first]] | (s_digits[block.Codes[first + 1]] << 32);
            LatticeWords.Write(digits | (LatticeWords.EvenSigns(signs >> (7 * k)) << 3), k, words);
        }
    }

    public static Half Number(in IQ3_XXS block, int index) => block.Scale;

    public static float Unit(int index) => 0.5f; // a quarter, of coordinates that are halved

    public static byte Part(in IQ3_XXS block, int group, int index) => LatticeWords.Odd((int)(block.Signs[group] >> LatticeWords.ScaleShift));
}

internal readonly struct IQ3_SSource : IPanelSource<IQ3_S>
{
    private static readonly ulong[] s_digits = Codebook.Expand(CodebookPoints.IQ3_S, [0, 1, 2, 3, 4, 5, 6, 7], 4);

    public static void Codes(in IQ3_S block, int group, Span<uint> words)
    {
        int high = block.HighBits[group];
        for (int k = 0; k < 4; k++)
        {
            int first = (8 * group) + (2 * k);
            ulong digits = s_digits[block.Codes[first] | (((high >> (2 * k)) & 1) << 8)] | (s_digits[block.Codes[first + 1] | (((high >> ((2 * k) + 1)) & 1) << 8)] << 32);
            LatticeWords.Write(digits | (LatticeWords.Bits(block.Signs[(4 * group) + k]) << 3), k, words);
        }
    }

    public static Half Number(in IQ3_S block, int index) => block.Scale;

    public static byte Part(in IQ3_S block, int group, int index) => LatticeWords.Odd(block.GroupScales[group / 2] >> (group % 2 * 4));
}

/// <summary>w = group scale · trit less a seventh or ninth of eighths of it: what all 32 weights have in common is their minimum.</summary>
internal readonly struct IQ1_SSource : IPanelSource<IQ1_S>
{
    internal static readonly ulong[] Trits = Codebook.Expand(CodebookPoints.IQ1, [0, 1, 2], 8);

    public static void Codes(in IQ1_S block, int group, Span<uint> words)
    {
        int high = block.GroupBits[group];
        for (int k = 0; k < 4; k++)
        {
            LatticeWords.Write(Trits[block.Codes[(4 * group) + k] | (((high >> (3 * k)) & 7) << 8)], k, words);
        }
    }

    public static Half Number(in IQ1_S block, int index) => block.Scale;

    public static float Unit(int index) => index == 0 ? 1 : 0.125f;

    public static byte Part(in IQ1_S block, int group, int index)
    {
        int bits = block.GroupBits[group], scale = (2 * ((bits >> 12) & 7)) + 1;
        return (byte)(index == 0 ? scale : (bits & 0x8000) != 0 ? 9 * scale : 7 * scale); // 135 at most
    }
}

internal readonly struct IQ1_MSource : IPanelSource<IQ1_M>
{
    public static void Codes(in IQ1_M block, int group, Span<uint> words)
    {
        const ulong EveryByte = 0x0101_0101_0101_0101;
        for (int k = 0; k < 4; k++)
        {
            int high = block.HighBits[(2 * group) + (k / 2)] >> (k % 2 * 4);
            ulong isLess = (high & 8) != 0 ? 4 * EveryByte : 0;
            LatticeWords.Write(IQ1_SSource.Trits[block.Codes[(4 * group) + k] | ((high & 7) << 8)] | isLess, k, words);
        }
    }

    public static Half Number(in IQ1_M block, int index) => block.Scale;

    public static float Unit(int index) => 0.125f;

    public static byte Part(in IQ1_M block, int group, int index)
    {
        int sixteen = (2 * group) + index;
        return (byte)((2 * ((block.GroupScales[sixteen / 4] >> (sixteen % 4 * 3)) & 7)) + 1);
    }
}

internal readonly struct NVFP4Source : IPanelSource<NVFP4>
{
    private const int Magnitude = 0x7F;

    public static void Codes(in NVFP4 block, int group, Span<uint> words)
    {
        ReadOnlySpan<uint> codes = MemoryMarshal.Cast<byte, uint>(((ReadOnlySpan<byte>)block.Codes).Slice(16 * group, 16));
        for (int half = 0; half < 2; half++)
        {
            for (int j = 0; j < 2; j++)
            {
                uint packed = codes[(2 * half) + j];
                (words[(4 * half) + j], words[(4 * half) + 2 + j]) = (packed & CodeWords.Nibbles, (packed >> 4) & CodeWords.Nibbles);
            }
        }
    }

    /// <summary>The sign does not count, and the standard's NaN is 0.</summary>
    public static byte Part(in NVFP4 block, int group, int index) => block.Scales[(2 * group) + index] is var code && code == Magnitude ? (byte)0 : (byte)(code & Magnitude);
}

internal readonly struct TQ1_0Source : IPanelSource<TQ1_0>
{
    /// <summary>[5 digits, 256] A byte is a fraction of 256; its ternary digits are the trits.</summary>
    private static readonly byte[] s_trits = Digits();

    public static void Codes(in TQ1_0 block, int group, Span<uint> words)
    {
        // Groups 0 to 4 are one digit of the first 32 bytes, then come five digits of 16 bytes, then four of 4.
        Span<byte> codes = MemoryMarshal.AsBytes(words[..8]);
        for (int j = 0; j < codes.Length; j++)
        {
            int element = (32 * group) + j;
            (int place, int digit) = element < 160 ? (j, group) : element < 240 ? (32 + ((element - 160) % 16), (element - 160) / 16) : (element % 4, (element - 240) / 4);
            codes[j] = s_trits[(256 * digit) + (element < 240 ? block.Codes[place] : block.LastCodes[place])];
        }
    }

    public static Half Number(in TQ1_0 block, int index) => block.Scale;

    private static byte[] Digits()
    {
        byte[] digits = new byte[5 * 256];
        for (int code = 0; code < 256; code++)
        {
            int left = code;
            for (int digit = 0; digit < 5; digit++)
            {
                left *= 3;
                digits[(256 * digit) + code] = (byte)(left >> 8);
                left &= 255;
            }
        }

        return digits;
    }
}

internal readonly struct Q1_0Source : IPanelSource<Q1_0>
{
    public static void Codes(in Q1_0 block, int group, Span<uint> words)
    {
        for (int k = 0; k < 4; k++)
        {
            LatticeWords.Write(LatticeWords.Bits(block.Codes[(4 * group) + k]) << 1, k, words);
        }
    }

    public static Half Number(in Q1_0 block, int index) => block.Scale;
}

internal readonly struct Q2_0Source : IPanelSource<Q2_0>
{
    public static void Codes(in Q2_0 block, int group, Span<uint> words)
    {
        for (int k = 0; k < 8; k++)
        {
            uint four = block.Codes[(8 * group) + k];
            words[k] = (four | (four << 6) | (four << 12) | (four << 18)) & (3 * CodeWords.EveryByte);
        }
    }

    public static Half Number(in Q2_0 block, int index) => block.Scale;
}

internal readonly struct SQ4_0Source : IPanelSource<SQ4_0>
{
    public static void Codes(in SQ4_0 block, int group, Span<uint> words)
    {
        for (int k = 0; k < 8; k++)
        {
            words[k] = SQ4_0.Word(in block, (8 * group) + k);
        }
    }

    public static Half Number(in SQ4_0 block, int index) => block.Scale;
}
