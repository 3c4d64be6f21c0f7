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
        for (int i = 0; i < 16; i++)
        {
            // Sixteen i is one half of group i / 2.
            int bits = groupBits[i / 2];
            float groupScale = scale * ((2 * ((bits >> 12) & 7)) + 1);
            bool isLess = (bits & 0x8000) != 0;
            int high = bits >> (i % 2 * 6);
            ulong first = PointsInEighths[codes[2 * i] | ((high & 7) << 8)];
            ulong second = PointsInEighths[codes[(2 * i) + 1] | ((high & 56) << 5)];
            Codebook.WriteShifted(first, second, isLess, isLess, groupScale, destination.Slice(16 * i, 16));
        }
    }

    /// <summary>[2048] The codebook in eighths: coordinates are -8, 0 and 8 as signed bytes. IQ1_M has the same.</summary>
    internal static readonly ulong[] PointsInEighths = Codebook.Expand(CodebookPoints.IQ1, [0xF8, 0, 8], 8);
}
