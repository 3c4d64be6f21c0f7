// IQ3_XXS: 256 weights, four to a point of a codebook of 256, with seven sign bits for eight. GGUF type 18.
using Kidogo.Tensors.Formats.Encoding;
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

    /// <inheritdoc/>
    public static LatticePoints? Lattice => s_lattice;

    /// <inheritdoc/>
    public static (float Scale, float Offset) ScaleOf(in IQ3_XXS block, int eight) => ((float)block.Scale * (0.5f + (block.Signs[eight / 4] >> 28)) * 0.5f, 0);

    /// <inheritdoc/>
    public static void WriteEight(ref IQ3_XXS block, int eight, ReadOnlySpan<int> points, int signs)
    {
        (block.Codes[2 * eight], block.Codes[(2 * eight) + 1]) = ((byte)points[0], (byte)points[1]);
        CodePlaces.Write(ref block.Signs[eight / 4], eight % 4 * 7, 7, (uint)signs & 127);
    }

    private static readonly ulong[] s_points = Codebook.Expand(CodebookPoints.IQ3_XXS, [4, 12, 20, 28, 36, 44, 52, 62], 4);
    private static readonly LatticePoints s_lattice = new(s_points, 4, LatticeSigns.Even);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static ImportanceUse Importance => ImportanceUse.Optional;

    /// <inheritdoc/>
    /// <remarks><see cref="CodebookScale"/>. Errors count x², or importance · √(twice the mean square of the block + x²).</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<IQ3_XXS> blocks)
    {
        const float Correction = 1.0125f; // the format's: scales fitted group by group come out a little too small
        CodebookLattice lattice = CodebookLattice.IQ3_XXS;
        Span<float> w = stackalloc float[256];
        Span<float> scales = stackalloc float[8];
        Span<byte> scaleCodes = stackalloc byte[8];
        Span<ushort> points = stackalloc ushort[8];
        Span<byte> signs = stackalloc byte[4];
        for (int i = 0; i < blocks.Length; i++)
        {
            ReadOnlySpan<float> x = row.Slice(256 * i, 256);
            CodebookBlock.Weigh(x, CodebookBlock.Slice(importance, i), 2 * GroupLanes.SumOfSquares(x) / 256, 0, w);
            ref IQ3_XXS block = ref blocks[i];
            float largest = 0;
            for (int group = 0; group < 8; group++)
            {
                scales[group] = CodebookScale.Search(lattice, s_steps, x.Slice(32 * group, 32), w.Slice(32 * group, 32), points, signs);
                largest = Math.Max(largest, scales[group]);
                for (int k = 0; k < 8; k++)
                {
                    block.Codes[(8 * group) + k] = (byte)points[k];
                }

                block.Signs[group] = Codebook.SevenSigns(signs);
            }

            if (largest == 0)
            {
                block = default;
                continue;
            }

            block.Scale = (Half)(CodebookBlock.RoundScales(scales, largest, scaleCodes) * Correction);
            for (int group = 0; group < 8; group++)
            {
                block.Signs[group] |= (uint)scaleCodes[group] << 28;
            }
        }
    }

    private static readonly CodebookSteps s_steps = new(32, 15, 0.2f, 1e-8f, EvenSigns: true, RefitAll: false);
}
