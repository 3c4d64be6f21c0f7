// The format that docs/how-to/add-a-weight-format.md adds: a test holds the two equal.
using System.Runtime.InteropServices;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Formats.Encoding;

namespace Kidogo.KernelTests.Formats;

/// <summary>32 weights of 3 bits around zero: w = (code - 4) · scale.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Q3_0 : IWeightBlock<Q3_0>
{
    /// <summary>The scale.</summary>
    public Half Scale;

    /// <summary>Bit j is the third bit of code j.</summary>
    public uint HighBits;

    /// <summary>The low two bits of code 4i + j in bits 2j and 2j + 1 of byte i.</summary>
    public Bytes8 Codes;

    /// <inheritdoc/>
    public static string Name => "Q3_0";

    /// <inheritdoc/>
    public static uint GgufTypeId => 1000; // of an agreed number: other programs read it

    /// <inheritdoc/>
    public static int BlockSize => 32;

    /// <inheritdoc/>
    public static int BlockBytes => 14;

    /// <inheritdoc/>
    public static void Decode(in Q3_0 block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        for (int j = 0; j < 32; j++)
        {
            int code = ((block.Codes[j / 4] >> (j % 4 * 2)) & 3) | (int)(((block.HighBits >> j) & 1) << 2);
            destination[j] = (code - 4) * scale;
        }
    }

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<Q3_0> blocks)
    {
        Span<byte> codes = stackalloc byte[32];
        for (int i = 0; i < blocks.Length; i++)
        {
            ReadOnlySpan<float> x = row.Slice(32 * i, 32);
            float scale = BlockRange.FirstOfLargestMagnitude(x) / -4;
            PlainRounding.Round(x, 0, BlockRange.ReciprocalOrZero(scale), 4.5f, 7, codes);
            ref Q3_0 block = ref blocks[i];
            block = default;
            block.Scale = (Half)scale;
            for (int j = 0; j < 32; j++)
            {
                block.Codes[j / 4] |= (byte)((codes[j] & 3) << (j % 4 * 2));
                block.HighBits |= (uint)(codes[j] >> 2) << j;
            }
        }
    }
}
