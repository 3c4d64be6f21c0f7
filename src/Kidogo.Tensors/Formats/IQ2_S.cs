// IQ2_S: 256 weights, eight to a point of a codebook of 1024, with eight sign bits. GGUF type 22.
using Kidogo.Tensors.Formats.Encoding;
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

    /// <inheritdoc/>
    public static LatticePoints? Lattice => s_lattice;

    /// <inheritdoc/>
    public static (float Scale, float Offset) ScaleOf(in IQ2_S block, int eight) => ((float)block.Scale * (0.5f + ((block.GroupScales[eight / 4] >> (eight / 2 % 2 * 4)) & 15)) * 0.25f, 0);

    /// <inheritdoc/>
    public static void WriteEight(ref IQ2_S block, int eight, ReadOnlySpan<int> points, int signs)
    {
        block.Codes[eight] = (byte)points[0];
        CodePlaces.Write(ref block.HighBits[eight / 4], eight % 4 * 2, 2, points[0] >> 8);
        block.Signs[eight] = (byte)signs;
    }

    private static readonly ulong[] s_points = Codebook.Expand(CodebookPoints.IQ2_S, [8, 25, 43], 8);
    private static readonly LatticePoints s_lattice = new(s_points, 8, LatticeSigns.Free);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static ImportanceUse Importance => ImportanceUse.Optional;

    /// <inheritdoc/>
    /// <remarks><see cref="CodebookScale"/>. Errors count a quarter of twice the mean square of the block + x², or importance · √(twice the mean square +
    /// x²).</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<IQ2_S> blocks)
    {
        const float Correction = 0.9875f; // the format's: scales fitted group by group come out a little too large
        CodebookLattice lattice = CodebookLattice.IQ2_S;
        Span<float> w = stackalloc float[256];
        Span<float> scales = stackalloc float[16];
        Span<byte> scaleCodes = stackalloc byte[16];
        Span<ushort> points = stackalloc ushort[2];
        for (int i = 0; i < blocks.Length; i++)
        {
            ReadOnlySpan<float> x = row.Slice(256 * i, 256);
            float mean = 2 * GroupLanes.SumOfSquares(x) / 256;
            CodebookBlock.Weigh(x, CodebookBlock.Slice(importance, i), mean, 0.25f * mean, w);
            ref IQ2_S block = ref blocks[i];
            block = default;
            float largest = 0;
            for (int group = 0; group < 16; group++)
            {
                scales[group] = CodebookScale.Search(
                    lattice, s_steps, x.Slice(16 * group, 16), w.Slice(16 * group, 16), points, block.Signs[(2 * group)..((2 * group) + 2)]);
                largest = Math.Max(largest, scales[group]);
                block.Codes[2 * group] = (byte)points[0];
                block.Codes[(2 * group) + 1] = (byte)points[1];
                block.HighBits[group / 2] |= (byte)(((points[0] >> 8) | (points[1] >> 8 << 2)) << (group % 2 * 4));
            }

            if (largest == 0)
            {
                continue;
            }

            block.Scale = (Half)(CodebookBlock.RoundScales(scales, largest, scaleCodes) * Correction);
            for (int group = 0; group < 16; group++)
            {
                block.GroupScales[group / 2] |= (byte)(scaleCodes[group] << (group % 2 * 4));
            }
        }
    }

    private static readonly CodebookSteps s_steps = new(16, 9, 0.1f, 1e-8f, EvenSigns: false, RefitAll: false);
}
