// IQ1_M: 256 weights, eight to a point of a codebook of 2048, with finer scales. GGUF type 29.
using Kidogo.Tensors.Formats.Encoding;
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

    /// <summary>The scale of the group scales, put together.</summary>
    internal readonly Half Scale => BitConverter.UInt16BitsToHalf(
        (ushort)((GroupScales[0] >> 12) | ((GroupScales[1] >> 8) & 0x00F0) | ((GroupScales[2] >> 4) & 0x0F00) | (GroupScales[3] & 0xF000)));

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
        float scale = (float)block.Scale;
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

    /// <inheritdoc/>
    public static LatticePoints? Lattice => IQ1_S.Points;

    /// <inheritdoc/>
    public static (float Scale, float Offset) ScaleOf(in IQ1_M block, int eight)
    {
        int code = (block.GroupScales[eight / 8] >> (eight / 2 % 4 * 3)) & 7;
        return ((float)block.Scale * ((2 * code) + 1), ((block.HighBits[eight / 2] >> (eight % 2 * 4)) & 8) != 0 ? -0.125f : 0.125f);
    }

    /// <inheritdoc/>
    public static void WriteEight(ref IQ1_M block, int eight, ReadOnlySpan<int> points, int signs)
    {
        block.Codes[eight] = (byte)points[0];
        CodePlaces.Write(ref block.HighBits[eight / 2], eight % 2 * 4, 3, points[0] >> 8);
    }

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static ImportanceUse Importance => ImportanceUse.Optional;

    /// <inheritdoc/>
    /// <remarks><see cref="TernaryCodebookScale"/>; at the end the block's scale is fitted to all weights. Errors count x², or importance · √(twice the mean
    /// square of the block + x²).</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<IQ1_M> blocks)
    {
        const float NoWeight = 1e-7f; // groups whose largest magnitude is below have scale 0
        const float Correction = 1.1125f; // the format's
        Span<float> w = stackalloc float[256];
        Span<float> scales = stackalloc float[16];
        Span<ushort> points = stackalloc ushort[32];
        Span<int> shifts = stackalloc int[16];
        for (int i = 0; i < blocks.Length; i++)
        {
            ReadOnlySpan<float> x = row.Slice(256 * i, 256);
            CodebookBlock.Weigh(x, CodebookBlock.Slice(importance, i), 2 * GroupLanes.SumOfSquares(x) / 256, 0, w);
            ref IQ1_M block = ref blocks[i];
            block = default;
            points.Clear();
            shifts.Clear();
            scales.Clear();
            float largest = 0;
            for (int group = 0; group < 16; group++)
            {
                ReadOnlySpan<float> own = x.Slice(16 * group, 16);
                if (BlockRange.LargestMagnitude(own) < NoWeight)
                {
                    continue;
                }

                scales[group] = TernaryCodebookScale.SearchTwo(own, w.Slice(16 * group, 16), points.Slice(2 * group, 2), out shifts[group]);
                largest = Math.Max(largest, scales[group]);
                block.Codes[2 * group] = (byte)points[2 * group];
                block.Codes[(2 * group) + 1] = (byte)points[(2 * group) + 1];
                block.HighBits[group] = (byte)((points[2 * group] >> 8) | (points[(2 * group) + 1] >> 8 << 4));
            }

            if (largest == 0)
            {
                continue;
            }

            float scale = largest / 15;
            float inverse = 1 / scale;
            float products = 0;
            float squares = 0;
            for (int group = 0; group < 16; group++)
            {
                int code = Math.Clamp(GroupLanes.Round(0.5f * ((inverse * scales[group]) - 1)), 0, 7);
                block.GroupScales[group / 4] |= (ushort)(code << (3 * (group % 4)));
                block.HighBits[group] |= (byte)(((shifts[group] & 2) != 0 ? 0x08 : 0) | ((shifts[group] & 1) != 0 ? 0x80 : 0));
                for (int k = 0; k < 2; k++)
                {
                    int start = (16 * group) + (8 * k);
                    bool isLess = (shifts[group] & (2 >> k)) != 0;
                    TernaryCodebookScale.Add(points[(2 * group) + k], isLess, (2 * code) + 1, x.Slice(start, 8), w.Slice(start, 8), ref products, ref squares);
                }
            }

            scale = squares > 0 ? products / squares : scale;
            int bits = BitConverter.HalfToUInt16Bits((Half)(scale * Correction));
            for (int word = 0; word < 4; word++)
            {
                block.GroupScales[word] |= (ushort)(((bits >> (4 * word)) & 15) << 12);
            }
        }
    }
}
