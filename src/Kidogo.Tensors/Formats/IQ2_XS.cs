// IQ2_XS: 256 weights, eight to a point of a codebook of 512, with seven sign bits. GGUF type 17.
using Kidogo.Tensors.Formats.Encoding;
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

    /// <inheritdoc/>
    public static LatticePoints? Lattice => s_lattice;

    /// <inheritdoc/>
    public static (float Scale, float Offset) ScaleOf(in IQ2_XS block, int eight) => ((float)block.Scale * (0.5f + ((block.GroupScales[eight / 4] >> (eight / 2 % 2 * 4)) & 15)) * 0.25f, 0);

    /// <inheritdoc/>
    public static void WriteEight(ref IQ2_XS block, int eight, ReadOnlySpan<int> points, int signs) => block.Codes[eight] = (ushort)(points[0] | ((signs & 127) << 9));

    private static readonly ulong[] s_points = Codebook.Expand(CodebookPoints.IQ2_XS, [8, 25, 43], 8);
    private static readonly LatticePoints s_lattice = new(s_points, 8, LatticeSigns.Even);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static ImportanceUse Importance => ImportanceUse.Required;

    /// <inheritdoc/>
    /// <remarks><see cref="CodebookScale"/>. Errors count importance · √(mean square of the block + x²).</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<IQ2_XS> blocks)
    {
        CodebookLattice lattice = CodebookLattice.IQ2_XS;
        Span<float> w = stackalloc float[256];
        Span<float> scales = stackalloc float[16];
        Span<byte> scaleCodes = stackalloc byte[16];
        Span<ushort> points = stackalloc ushort[2];
        Span<byte> signs = stackalloc byte[2];
        for (int i = 0; i < blocks.Length; i++)
        {
            ReadOnlySpan<float> x = row.Slice(256 * i, 256);
            CodebookBlock.Weigh(x, CodebookBlock.Slice(importance, i), GroupLanes.SumOfSquares(x) / 256, 0, w);
            ref IQ2_XS block = ref blocks[i];
            block = default;
            float largest = 0;
            for (int group = 0; group < 16; group++)
            {
                scales[group] = CodebookScale.Search(lattice, s_steps, x.Slice(16 * group, 16), w.Slice(16 * group, 16), points, signs);
                largest = Math.Max(largest, scales[group]);
                block.Codes[2 * group] = (ushort)(points[0] | ((signs[0] & 127) << 9));
                block.Codes[(2 * group) + 1] = (ushort)(points[1] | ((signs[1] & 127) << 9));
            }

            if (largest == 0)
            {
                block = default;
                continue;
            }

            block.Scale = (Half)CodebookBlock.RoundScales(scales, largest, scaleCodes);
            for (int group = 0; group < 16; group++)
            {
                block.GroupScales[group / 2] |= (byte)(scaleCodes[group] << (group % 2 * 4));
            }
        }
    }

    private static readonly CodebookSteps s_steps = new(16, 9, 0.1f, 1e-15f, EvenSigns: true, RefitAll: false);
}
