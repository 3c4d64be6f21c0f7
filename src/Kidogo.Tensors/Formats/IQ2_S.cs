// IQ2_S: 256 weights, eight to a point of a codebook of 1024, with eight sign bits. GGUF type 22.
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats;

/// <summary>256 weights in 16 groups of 16: w = ±(scale · (group scale + 1/2) / 4) · coordinate of a point.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct IQ2_S : IWeightBlock<IQ2_S>
{
    /// <summary>The scale of the group scales.</summary>
    public Half Scale;

    /// <summary>The low eight bits of the number of a point, for each eight weights.</summary>
    public Bytes32 Codes;

    /// <summary>Bit j is set where weight j of the eight is negative.</summary>
    public Bytes32 Signs;

    /// <summary>The high two bits of point number 4i + j in bits 2j and 2j + 1 of byte i.</summary>
    public Bytes8 HighBits;

    /// <summary>The scale of group g in nibble g % 2 of byte g / 2.</summary>
    public Bytes8 GroupScales;

    /// <inheritdoc/>
    public static string Name => "IQ2_S";

    /// <inheritdoc/>
    public static uint GgufTypeId => 22;

    /// <inheritdoc/>
    public static int BlockSize => 256;

    /// <inheritdoc/>
    public static int BlockBytes => 82;

    /// <inheritdoc/>
    public static void Decode(in IQ2_S block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        ReadOnlySpan<byte> codes = block.Codes;
        ReadOnlySpan<byte> highBits = block.HighBits;
        ReadOnlySpan<ushort> signs = MemoryMarshal.Cast<byte, ushort>(block.Signs);
        ReadOnlySpan<byte> groupScales = block.GroupScales;
        for (int group = 0; group < 16; group++)
        {
            int groupCode = (groupScales[group / 2] >> (group % 2 * 4)) & 15;
            float groupScale = scale * (0.5f + groupCode) * 0.25f;
            int high = highBits[group / 2] >> (group % 2 * 4);
            int first = codes[2 * group] | ((high & 3) << 8);
            int second = codes[(2 * group) + 1] | ((high & 12) << 6);
            Codebook.WriteSigned(s_points[first], s_points[second], signs[group], groupScale, destination.Slice(16 * group, 16));
        }
    }

    private static readonly ulong[] s_points = Codebook.Expand(CodebookPoints.IQ2_S, [8, 25, 43], 8);
}
