// IQ2_XXS: 256 weights, eight to a point of a codebook of 256, with seven sign bits. GGUF type 16.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats;

/// <summary>256 weights in 8 groups of 32: w = ±(scale · (group scale + 1/2) / 4) · coordinate of a point.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct IQ2_XXS : IWeightBlock<IQ2_XXS>
{
    /// <summary>The scale of the group scales.</summary>
    public Half Scale;

    /// <summary>Two words a group: the first holds the numbers of four points, a byte each;
    /// the second four times seven signs from the lowest bit up, and the group scale in its top four bits.</summary>
    public DoubleWords16 Codes;

    /// <inheritdoc/>
    public static string Name => "IQ2_XXS";

    /// <inheritdoc/>
    public static uint GgufTypeId => 16;

    /// <inheritdoc/>
    public static int BlockSize => 256;

    /// <inheritdoc/>
    public static int BlockBytes => 66;

    /// <inheritdoc/>
    public static void Decode(in IQ2_XXS block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        ReadOnlySpan<uint> codes = block.Codes;
        for (int group = 0; group < 8; group++)
        {
            uint points = codes[2 * group];
            uint signs = codes[(2 * group) + 1];
            float groupScale = scale * (0.5f + (signs >> 28)) * 0.25f;
            Span<float> weights = destination.Slice(32 * group, 32);
            Codebook.WriteSigned(s_points[(byte)points], s_points[(byte)(points >> 8)], Codebook.EvenSigns(signs), groupScale, weights);
            Codebook.WriteSigned(s_points[(byte)(points >> 16)], s_points[points >> 24], Codebook.EvenSigns(signs >> 14), groupScale, weights[16..]);
        }
    }

    /// <inheritdoc/>
    public static LatticePoints? Lattice => s_lattice;

    /// <inheritdoc/>
    public static (float Scale, float Offset) ScaleOf(in IQ2_XXS block, int eight) => ((float)block.Scale * (0.5f + (block.Codes[(eight / 4 * 2) + 1] >> 28)) * 0.25f, 0);

    /// <inheritdoc/>
    public static void WriteEight(ref IQ2_XXS block, int eight, ReadOnlySpan<int> points, int signs)
    {
        CodePlaces.Write(ref block.Codes[eight / 4 * 2], eight % 4 * 8, 8, (uint)points[0]);
        CodePlaces.Write(ref block.Codes[(eight / 4 * 2) + 1], eight % 4 * 7, 7, (uint)signs & 127);
    }

    private static readonly ulong[] s_points = Codebook.Expand(CodebookPoints.IQ2_XXS, [8, 25, 43], 8);
    private static readonly LatticePoints s_lattice = new(s_points, 8, LatticeSigns.Even);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static ImportanceUse Importance => ImportanceUse.Required;

    /// <inheritdoc/>
    /// <remarks><see cref="CodebookScale"/>, started from a regular grid. Errors count importance · √(mean square of the block + x²).</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<IQ2_XXS> blocks)
    {
        CodebookLattice lattice = CodebookLattice.IQ2_XXS;
        Span<float> w = stackalloc float[256];
        Span<float> scales = stackalloc float[8];
        Span<byte> scaleCodes = stackalloc byte[8];
        Span<ushort> points = stackalloc ushort[4];
        Span<byte> signs = stackalloc byte[4];
        for (int i = 0; i < blocks.Length; i++)
        {
            ReadOnlySpan<float> x = row.Slice(256 * i, 256);
            CodebookBlock.Weigh(x, CodebookBlock.Slice(importance, i), GroupLanes.SumOfSquares(x) / 256, 0, w);
            ref IQ2_XXS block = ref blocks[i];
            float largest = 0;
            for (int group = 0; group < 8; group++)
            {
                scales[group] = CodebookScale.Search(lattice, s_steps, x.Slice(32 * group, 32), w.Slice(32 * group, 32), points, signs);
                largest = Math.Max(largest, scales[group]);
                block.Codes[2 * group] = points[0] | ((uint)points[1] << 8) | ((uint)points[2] << 16) | ((uint)points[3] << 24);
                block.Codes[(2 * group) + 1] = Codebook.SevenSigns(signs);
            }

            if (largest == 0)
            {
                block = default;
                continue;
            }

            block.Scale = (Half)CodebookBlock.RoundScales(scales, largest, scaleCodes);
            for (int group = 0; group < 8; group++)
            {
                block.Codes[(2 * group) + 1] |= (uint)scaleCodes[group] << 28;
            }
        }
    }

    private static readonly CodebookSteps s_steps = new(32, 6, 0.1f, 1e-15f, EvenSigns: true, RefitAll: true, FirstFit: true);
}
