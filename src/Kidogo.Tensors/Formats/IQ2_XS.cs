// IQ2_XS: 256 weights, eight to a point of a codebook of 512, with seven sign bits. GGUF type 17.
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats;

/// <summary>256 weights in 16 groups of 16: w = ±(scale · (group scale + 1/2) / 4) · coordinate of a point.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct IQ2_XS : IWeightBlock<IQ2_XS>
{
    /// <summary>The scale of the group scales.</summary>
    public Half Scale;

    /// <summary>For each eight weights the number of a point in the low nine bits, and seven signs above.</summary>
    public Words32 Codes;

    /// <summary>The scale of group g in nibble g % 2 of byte g / 2.</summary>
    public Bytes8 GroupScales;

    /// <inheritdoc/>
    public static string Name => "IQ2_XS";

    /// <inheritdoc/>
    public static uint GgufTypeId => 17;

    /// <inheritdoc/>
    public static int BlockSize => 256;

    /// <inheritdoc/>
    public static int BlockBytes => 74;

    /// <inheritdoc/>
    public static void Decode(in IQ2_XS block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        ReadOnlySpan<ushort> codes = block.Codes;
        ReadOnlySpan<byte> groupScales = block.GroupScales;
        for (int group = 0; group < 16; group++)
        {
            int groupCode = (groupScales[group / 2] >> (group % 2 * 4)) & 15;
            float groupScale = scale * (0.5f + groupCode) * 0.25f;
            int first = codes[2 * group];
            int second = codes[(2 * group) + 1];
            uint signs = Codebook.EvenSigns((uint)((first >> 9) | (second >> 9 << 7)));
            Codebook.WriteSigned(s_points[first & 511], s_points[second & 511], signs, groupScale, destination.Slice(16 * group, 16));
        }
    }

    private static readonly ulong[] s_points = Codebook.Expand(CodebookPoints.IQ2_XS, [8, 25, 43], 8);
}
