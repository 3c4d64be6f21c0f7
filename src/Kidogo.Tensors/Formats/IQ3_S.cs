// IQ3_S: 256 weights, four to a point of a codebook of 512, with eight sign bits for eight. GGUF type 21.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats;

/// <summary>256 weights in 8 groups of 32: w = ±(scale · (2 · group scale + 1)) · coordinate of a point.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct IQ3_S : IWeightBlock<IQ3_S>
{
    /// <summary>The scale of the group scales.</summary>
    public Half Scale;

    /// <summary>The low eight bits of the number of a point, for each four weights.</summary>
    public Bytes64 Codes;

    /// <summary>The ninth bit of point number 8i + j is bit j of byte i.</summary>
    public Bytes8 HighBits;

    /// <summary>Bit j is set where weight j of eight is negative.</summary>
    public Bytes32 Signs;

    /// <summary>The scale of group g in nibble g % 2 of byte g / 2.</summary>
    public Bytes4 GroupScales;

    /// <inheritdoc/>
    public static string Name => "IQ3_S";

    /// <inheritdoc/>
    public static uint GgufTypeId => 21;

    /// <inheritdoc/>
    public static int BlockSize => 256;

    /// <inheritdoc/>
    public static int BlockBytes => 110;

    /// <inheritdoc/>
    public static void Decode(in IQ3_S block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        ReadOnlySpan<byte> codes = block.Codes;
        ReadOnlySpan<byte> highBits = block.HighBits;
        ReadOnlySpan<ushort> signs = MemoryMarshal.Cast<byte, ushort>(block.Signs);
        ReadOnlySpan<byte> groupScales = block.GroupScales;
        for (int i = 0; i < 16; i++)
        {
            // Sixteen i is one half of group i / 2.
            int group = i / 2;
            int groupCode = (groupScales[group / 2] >> (group % 2 * 4)) & 15;
            float groupScale = scale * ((2 * groupCode) + 1);
            int high = highBits[group] >> (i % 2 * 4);
            ReadOnlySpan<byte> four = codes.Slice(4 * i, 4);
            ulong first = s_points[four[0] | ((high & 1) << 8)] | (s_points[four[1] | ((high & 2) << 7)] << 32);
            ulong second = s_points[four[2] | ((high & 4) << 6)] | (s_points[four[3] | ((high & 8) << 5)] << 32);
            Codebook.WriteSigned(first, second, signs[i], groupScale, destination.Slice(16 * i, 16));
        }
    }

    /// <inheritdoc/>
    public static LatticePoints? Lattice => s_lattice;

    /// <inheritdoc/>
    public static (float Scale, float Offset) ScaleOf(in IQ3_S block, int eight) => ((float)block.Scale * ((2 * ((block.GroupScales[eight / 8] >> (eight / 4 % 2 * 4)) & 15)) + 1), 0);

    /// <inheritdoc/>
    public static void WriteEight(ref IQ3_S block, int eight, ReadOnlySpan<int> points, int signs)
    {
        (block.Codes[2 * eight], block.Codes[(2 * eight) + 1]) = ((byte)points[0], (byte)points[1]);
        CodePlaces.Write(ref block.HighBits[eight / 4], eight % 4 * 2, 2, (points[0] >> 8) | (points[1] >> 8 << 1));
        block.Signs[eight] = (byte)signs;
    }

    private static readonly ulong[] s_points = Codebook.Expand(CodebookPoints.IQ3_S, [1, 3, 5, 7, 9, 11, 13, 15], 4);
    private static readonly LatticePoints s_lattice = new(s_points, 4, LatticeSigns.Free);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static ImportanceUse Importance => ImportanceUse.Optional;

    /// <inheritdoc/>
    /// <remarks>
    /// <see cref="CodebookScale"/>. Errors count x², or importance · √(twice the mean square of the block + x²).
    /// <para>
    /// Where a block has a group of zeros and others that are not, the encoder of llama.cpp writes no codes and signs for the zeros and does not leave their
    /// place free either: those of all later
    /// groups move up, and these groups decode to other weights. The same bytes are written here. Weights with whole groups of zeros are better stored in
    /// another format.
    /// </para>
    /// </remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<IQ3_S> blocks)
    {
        const float Correction = 1.033f; // the format's: scales fitted group by group come out a little too small
        CodebookLattice lattice = CodebookLattice.IQ3_S;
        Span<float> w = stackalloc float[256];
        Span<float> scales = stackalloc float[8];
        Span<byte> scaleCodes = stackalloc byte[8];
        Span<ushort> points = stackalloc ushort[8];
        for (int i = 0; i < blocks.Length; i++)
        {
            ReadOnlySpan<float> x = row.Slice(256 * i, 256);
            CodebookBlock.Weigh(x, CodebookBlock.Slice(importance, i), 2 * GroupLanes.SumOfSquares(x) / 256, 0, w);
            ref IQ3_S block = ref blocks[i];
            block = default;
            float largest = 0;
            int place = 0; // of the group's codes and signs: behind those of the last group that was not zeros
            for (int group = 0; group < 8; group++)
            {
                ReadOnlySpan<float> own = x.Slice(32 * group, 32);
                scales[group] = CodebookScale.Search(lattice, s_steps, own, w.Slice(32 * group, 32), points, block.Signs[(4 * place)..((4 * place) + 4)]);
                largest = Math.Max(largest, scales[group]);
                if (!own.ContainsAnyExcept(0f))
                {
                    continue;
                }

                for (int k = 0; k < 8; k++)
                {
                    block.Codes[(8 * place) + k] = (byte)points[k];
                    block.HighBits[group] |= (byte)(points[k] >> 8 << k);
                }

                place++;
            }

            if (largest == 0)
            {
                continue;
            }

            block.Scale = (Half)(CodebookBlock.RoundScales(scales, largest, scaleCodes) * Correction);
            for (int group = 0; group < 8; group++)
            {
                block.GroupScales[group / 2] |= (byte)(scaleCodes[group] << (group % 2 * 4));
            }
        }
    }

    private static readonly CodebookSteps s_steps = new(32, 9, 0.2f, float.Epsilon, EvenSigns: false, RefitAll: true);
}
