// IQ1_S: 256 weights, eight to a point of a codebook of 2048. GGUF type 19.
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats;

/// <summary>256 weights in 8 groups of 32: w = (scale · (2 · group scale + 1)) · (coordinate of a point ± 1/8).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct IQ1_S : IWeightBlock<IQ1_S>
{
    /// <summary>The scale of the group scales.</summary>
    public Half Scale;

    /// <summary>The low eight bits of the number of a point, for each eight weights.</summary>
    public Bytes32 Codes;

    /// <summary>A word a group: four times the high three bits of a point number from the lowest bit up,
    /// the group scale in bits 12-14, and in bit 15 whether 1/8 is subtracted.</summary>
    public Words8 GroupBits;

    /// <inheritdoc/>
    public static string Name => "IQ1_S";

    /// <inheritdoc/>
    public static uint GgufTypeId => 19;

    /// <inheritdoc/>
    public static int BlockSize => 256;

    /// <inheritdoc/>
    public static int BlockBytes => 50;

    /// <inheritdoc/>
    public static void Decode(in IQ1_S block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        ReadOnlySpan<byte> codes = block.Codes;
        ReadOnlySpan<ushort> groupBits = block.GroupBits;
        for (int group = 0; group < 8; group++)
        {
            int bits = groupBits[group];
            float groupScale = scale * ((2 * ((bits >> 12) & 7)) + 1);
            float shift = (bits & 0x8000) != 0 ? -Shift : Shift;
            for (int l = 4 * group; l < (4 * group) + 4; l++, bits >>= 3)
            {
                Codebook.WriteShifted(Points[codes[l] | ((bits & 7) << 8)], shift, groupScale, destination.Slice(8 * l, 8));
            }
        }
    }

    /// <summary>What is added to or subtracted from every coordinate. IQ1_M has the same.</summary>
    internal const float Shift = 0.125f;

    /// <summary>[2048] The codebook; coordinates are -1, 0 and 1 as signed bytes. IQ1_M has the same.</summary>
    internal static readonly ulong[] Points = Codebook.Expand(CodebookPoints.IQ1, [0xFF, 0, 1], 8);
}
