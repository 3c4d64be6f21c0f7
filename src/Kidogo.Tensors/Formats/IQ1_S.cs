// IQ1_S: 256 weights, eight to a point of a codebook of 2048. GGUF type 19.
using Kidogo.Tensors.Formats.Encoding;
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

    /// <inheritdoc/>
    public static LatticePoints? Lattice => Points;

    /// <inheritdoc/>
    public static (float Scale, float Offset) ScaleOf(in IQ1_S block, int eight)
    {
        int bits = block.GroupBits[eight / 4];
        return ((float)block.Scale * ((2 * ((bits >> 12) & 7)) + 1), (bits & 0x8000) != 0 ? -0.125f : 0.125f);
    }

    /// <inheritdoc/>
    public static void WriteEight(ref IQ1_S block, int eight, ReadOnlySpan<int> points, int signs)
    {
        block.Codes[eight] = (byte)points[0];
        int shift = eight % 4 * 3;
        block.GroupBits[eight / 4] = (ushort)((block.GroupBits[eight / 4] & ~(7 << shift)) | (points[0] >> 8 << shift));
    }

    /// <summary>[2048] The codebook in eighths: coordinates are -8, 0 and 8 as signed bytes. IQ1_M has the same.</summary>
    internal static readonly ulong[] PointsInEighths = Codebook.Expand(CodebookPoints.IQ1, [0xF8, 0, 8], 8);

    /// <summary>The same as points of -1, 0 and 1.</summary>
    internal static readonly LatticePoints Points = new(PointsInEighths, 8, LatticeSigns.None, unit: 0.125f);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static ImportanceUse Importance => ImportanceUse.Required;

    /// <inheritdoc/>
    /// <remarks><see cref="TernaryCodebookScale"/>. Errors count importance · √(twice the mean square of the block + x²).</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<IQ1_S> blocks)
    {
        const float NoWeight = 1e-12f; // groups whose largest magnitude is below have scale 0
        const float Correction = 1.125f; // the format's: scales fitted group by group come out too small
        Span<float> w = stackalloc float[256];
        Span<float> scales = stackalloc float[8];
        Span<ushort> points = stackalloc ushort[4];
        for (int i = 0; i < blocks.Length; i++)
        {
            ReadOnlySpan<float> x = row.Slice(256 * i, 256);
            CodebookBlock.Weigh(x, importance.Slice(256 * i, 256), 2 * GroupLanes.SumOfSquares(x) / 256, 0, w);
            ref IQ1_S block = ref blocks[i];
            block = default;
            float largest = 0;
            int lessBits = 0;
            for (int group = 0; group < 8; group++)
            {
                ReadOnlySpan<float> own = x.Slice(32 * group, 32);
                scales[group] = 0;
                if (BlockRange.LargestMagnitude(own) < NoWeight)
                {
                    continue;
                }

                points.Clear();
                scales[group] = TernaryCodebookScale.SearchOne(own, w.Slice(32 * group, 32), points, out bool isLess);
                largest = Math.Max(largest, scales[group]);
                lessBits |= isLess ? 1 << group : 0;
                for (int k = 0; k < 4; k++)
                {
                    block.Codes[(4 * group) + k] = (byte)points[k];
                    block.GroupBits[group] |= (ushort)(points[k] >> 8 << (3 * k));
                }
            }

            if (largest == 0)
            {
                continue;
            }

            float scale = largest / 15;
            float inverse = 1 / scale;
            block.Scale = (Half)(scale * Correction);
            for (int group = 0; group < 8; group++)
            {
                int code = Math.Clamp(GroupLanes.Round(0.5f * ((inverse * scales[group]) - 1)), 0, 7);
                block.GroupBits[group] |= (ushort)((code | (((lessBits >> group) & 1) << 3)) << 12);
            }
        }
    }
}
