// Q3_K: 256 weights of 3 bits, 16 to a scale of 6 bits. GGUF type 11.
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>256 weights of 3 bits in 16 groups of 16: w = (code - 4) · ((group scale - 32) · scale).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Q3_K : IWeightBlock<Q3_K>
{
    /// <summary>The third bit of code 32i + j is bit i of byte j.</summary>
    public Bytes32 HighBits;

    /// <summary>Two runs of 32 bytes for 128 weights each: the low two bits of code 32l + j in bits 2l and 2l + 1 of byte j.</summary>
    public Bytes64 Codes;

    /// <summary>Scales of 6 bits: the low four of group g in nibble g / 8 of byte g % 8, the high two in bits 2(g / 4) of byte 8 + g % 4.</summary>
    public Bytes12 GroupScales;

    /// <summary>The scale of the group scales.</summary>
    public Half Scale;

    /// <inheritdoc/>
    public static string Name => "Q3_K";

    /// <inheritdoc/>
    public static uint GgufTypeId => 11;

    /// <inheritdoc/>
    public static int BlockSize => 256;

    /// <inheritdoc/>
    public static int BlockBytes => 110;

    /// <inheritdoc/>
    public static void Decode(in Q3_K block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        ReadOnlySpan<byte> groupScales = block.GroupScales;
        ReadOnlySpan<byte> codes = block.Codes;
        ReadOnlySpan<byte> highBits = block.HighBits;
        for (int group = 0; group < 16; group++)
        {
            int scaleLow = (groupScales[group % 8] >> (group / 8 * 4)) & 15;
            int scaleHigh = (groupScales[8 + (group % 4)] >> (group / 4 * 2)) & 3;
            float groupScale = scale * ((scaleLow | (scaleHigh << 4)) - 32);
            Vector128<byte> low = CodeWriter.Bits(Vector128.Create(codes.Slice((group / 8 * 32) + (group % 2 * 16), 16)), group / 2 % 4 * 2, 3);
            Vector128<byte> high = CodeWriter.Bits(Vector128.Create(highBits.Slice(group % 2 * 16, 16)), group / 2, 1) << 2;
            CodeWriter.Write((low | high).AsSByte() - Vector128.Create((sbyte)4), groupScale, destination.Slice(16 * group, 16));
        }
    }
}
