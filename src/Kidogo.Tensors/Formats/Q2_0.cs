// Q2_0: 64 weights of 2 bits with one scale. GGUF type 42.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>64 weights of 2 bits: w = (code - 1) · scale, so -1, 0, 1 or 2 scales.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Q2_0 : IWeightBlock<Q2_0>
{
    /// <summary>The scale.</summary>
    public Half Scale;

    /// <summary>Code 4i + j in bits 2j and 2j + 1 of byte i.</summary>
    public Bytes16 Codes;

    /// <inheritdoc/>
    public static string Name => "Q2_0";

    /// <inheritdoc/>
    public static uint GgufTypeId => 42;

    /// <inheritdoc/>
    public static int BlockSize => 64;

    /// <inheritdoc/>
    public static int BlockBytes => 18;

    /// <inheritdoc/>
    public static void Decode(in Q2_0 block, Span<float> destination)
    {
        // Lanes 4i to 4i + 3 are copies of byte i, of which each keeps its own two bits.
        Vector128<byte> lowBit = Vector128.Create(0x4010_0401).AsByte();
        Vector128<byte> highBit = Vector128.Create(0x8020_0802).AsByte();
        Vector128<byte> one = Vector128.Create((byte)1);
        Vector128<byte> two = Vector128.Create((byte)2);
        float scale = (float)block.Scale;
        ReadOnlySpan<byte> codes = block.Codes;
        for (int i = 0; i < 4; i++)
        {
            const uint EveryByte = 0x0101_0101;
            ReadOnlySpan<byte> four = codes.Slice(4 * i, 4);
            Vector128<byte> copies = (Vector128.Create(four[0], four[1], four[2], (uint)four[3]) * EveryByte).AsByte();
            Vector128<byte> values = (Vector128.Equals(copies & lowBit, lowBit) & one) | (Vector128.Equals(copies & highBit, highBit) & two);
            CodeWriter.Write((values - one).AsSByte(), scale, destination.Slice(16 * i, 16));
        }
    }

    /// <inheritdoc/>
    public static int CodeCount => 3;

    /// <inheritdoc/>
    public static void WriteCode(ref Q2_0 block, int element, int code) => CodePlaces.Write(ref block.Codes[element / 4], element % 4 * 2, 2, code);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    /// <remarks>The scale is the largest magnitude; weights round to the nearest of -1, 0 and 1 scales, half away from zero. Code 3 is not written.</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<Q2_0> blocks)
    {
        Span<byte> trits = stackalloc byte[64];
        for (int i = 0; i < blocks.Length; i++)
        {
            blocks[i].Scale = TernaryRounding.Round(row.Slice(64 * i, 64), trits);
            for (int j = 0; j < 16; j++)
            {
                blocks[i].Codes[j] = (byte)(trits[4 * j] | (trits[(4 * j) + 1] << 2) | (trits[(4 * j) + 2] << 4) | (trits[(4 * j) + 3] << 6));
            }
        }
    }
}
