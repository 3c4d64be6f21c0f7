// IQ1_M: 256 weights, eight to a point of a codebook of 2048, with finer scales. GGUF type 29.
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats;

/// <summary>256 weights in 16 groups of 16: w = (scale · (2 · group scale + 1)) · (coordinate of a point ± 1/8),
/// with the codebook of <see cref="IQ1_S"/>.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct IQ1_M : IWeightBlock<IQ1_M>
{
    /// <summary>The low eight bits of the number of a point, for each eight weights.</summary>
    public Bytes32 Codes;

    /// <summary>A nibble for each eight weights: the high three bits of the point number, and in the top bit whether 1/8 is subtracted.</summary>
    public Bytes16 HighBits;

    /// <summary>The scale of group g in bits 3(g % 4) to 3(g % 4) + 2 of word g / 4;
    /// the four top nibbles are the float16 scale of the group scales, the lowest first.</summary>
    public Words4 GroupScales;

    /// <inheritdoc/>
    public static string Name => "IQ1_M";

    /// <inheritdoc/>
    public static uint GgufTypeId => 29;

    /// <inheritdoc/>
    public static int BlockSize => 256;

    /// <inheritdoc/>
    public static int BlockBytes => 56;

    /// <inheritdoc/>
    public static void Decode(in IQ1_M block, Span<float> destination)
    {
        ReadOnlySpan<ushort> groupScales = block.GroupScales;
        ushort scaleBits = (ushort)((groupScales[0] >> 12) | ((groupScales[1] >> 8) & 0x00F0) | ((groupScales[2] >> 4) & 0x0F00) | (groupScales[3] & 0xF000));
        float scale = (float)BitConverter.UInt16BitsToHalf(scaleBits);
        ReadOnlySpan<byte> codes = block.Codes;
        ReadOnlySpan<byte> highBits = block.HighBits;
        for (int group = 0; group < 16; group++)
        {
            int groupCode = (groupScales[group / 4] >> (group % 4 * 3)) & 7;
            float groupScale = scale * ((2 * groupCode) + 1);
            int high = highBits[group];
            ulong first = IQ1_S.PointsInEighths[codes[2 * group] | ((high & 0x07) << 8)];
            ulong second = IQ1_S.PointsInEighths[codes[(2 * group) + 1] | ((high & 0x70) << 4)];
            Codebook.WriteShifted(first, second, (high & 0x08) != 0, (high & 0x80) != 0, groupScale, destination.Slice(16 * group, 16));
        }
    }
}
