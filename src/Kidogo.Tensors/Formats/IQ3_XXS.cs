// IQ3_XXS: 256 weights, four to a point of a codebook of 256, with seven sign bits for eight. GGUF type 18.
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats;

/// <summary>256 weights in 8 groups of 32: w = ±(scale · (group scale + 1/2) / 2) · coordinate of a point.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct IQ3_XXS : IWeightBlock<IQ3_XXS>
{
    /// <summary>The scale of the group scales.</summary>
    public Half Scale;

    /// <summary>The number of a point, for each four weights.</summary>
    public Bytes64 Codes;

    /// <summary>A word a group: four times seven signs from the lowest bit up, and the group scale in the top four bits.</summary>
    public DoubleWords8 Signs;

    /// <inheritdoc/>
    public static string Name => "IQ3_XXS";

    /// <inheritdoc/>
    public static uint GgufTypeId => 18;

    /// <inheritdoc/>
    public static int BlockSize => 256;

    /// <inheritdoc/>
    public static int BlockBytes => 98;

    /// <inheritdoc/>
    public static void Decode(in IQ3_XXS block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        ReadOnlySpan<byte> codes = block.Codes;
        ReadOnlySpan<uint> allSigns = block.Signs;
        for (int i = 0; i < 16; i++)
        {
            // Sixteen i is one half of group i / 2.
            uint signs = allSigns[i / 2];
            float groupScale = scale * (0.5f + (signs >> 28)) * 0.5f;
            ReadOnlySpan<byte> four = codes.Slice(4 * i, 4);
            ulong first = s_points[four[0]] | (s_points[four[1]] << 32);
            ulong second = s_points[four[2]] | (s_points[four[3]] << 32);
            Codebook.WriteSigned(first, second, Codebook.EvenSigns(signs >> (i % 2 * 14)), groupScale, destination.Slice(16 * i, 16));
        }
    }

    private static readonly ulong[] s_points = Codebook.Expand(CodebookPoints.IQ3_XXS, [4, 12, 20, 28, 36, 44, 52, 62], 4);
}
