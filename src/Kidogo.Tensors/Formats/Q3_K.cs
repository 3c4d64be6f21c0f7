// Q3_K: 256 weights of 3 bits, 16 to a scale of 6 bits. GGUF type 11.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>256 weights of 3 bits in 16 groups of 16: w = (code - 4) · ((group scale - 32) · scale).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Q3_K : IWeightBlock<Q3_K>
{
    /// <summary>The third bit of code 32i + j is bit i of byte j.</summary>
    public Bytes32 HighBits;

    /// <summary>Two runs of 32 bytes for 128 weights each: the low two bits of code 32l + j in bits 2l and 2l + 1 of byte j.</summary>
    public Bytes64 Codes;

    /// <summary>Scales of 6 bits: the low four of group g in nibble g / 8 of byte g % 8, the high two in bits 2(g / 4) of byte 8 + g % 4.</summary>
    public Bytes12 GroupScales;

    /// <summary>The scale of the group scales.</summary>
    public Half Scale;

    /// <inheritdoc/>
    public static string Name => "Q3_K";

    /// <inheritdoc/>
    public static uint GgufTypeId => 11;

    /// <inheritdoc/>
    public static int BlockSize => 256;

    /// <inheritdoc/>
    public static int BlockBytes => 110;

    /// <inheritdoc/>
    public static void Decode(in Q3_K block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        ReadOnlySpan<byte> groupScales = block.GroupScales;
        ReadOnlySpan<byte> codes = block.Codes;
        ReadOnlySpan<byte> highBits = block.HighBits;
        for (int group = 0; group < 16; group++)
        {
            int scaleLow = (groupScales[group % 8] >> (group / 8 * 4)) & 15;
            int scaleHigh = (groupScales[8 + (group % 4)] >> (group / 4 * 2)) & 3;
            float groupScale = scale * ((scaleLow | (scaleHigh << 4)) - 32);
            Vector128<byte> low = CodeWriter.Bits(Vector128.Create(codes.Slice((group / 8 * 32) + (group % 2 * 16), 16)), group / 2 % 4 * 2, 3);
            Vector128<byte> high = CodeWriter.Bits(Vector128.Create(highBits.Slice(group % 2 * 16, 16)), group / 2, 1) << 2;
            CodeWriter.Write((low | high).AsSByte() - Vector128.Create((sbyte)4), groupScale, destination.Slice(16 * group, 16));
        }
    }

    /// <inheritdoc/>
    public static int CodeCount => 8;

    /// <inheritdoc/>
    public static void WriteCode(ref Q3_K block, int element, int code)
    {
        CodePlaces.Write(ref block.Codes[(element / 128 * 32) + (element % 32)], element / 32 % 4 * 2, 2, code);
        CodePlaces.Write(ref block.HighBits[element % 32], element / 32, 1, code >> 2);
    }

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static ImportanceUse Importance => ImportanceUse.Optional;

    /// <inheritdoc/>
    /// <remarks>Plain: <see cref="SymmetricDescent"/> for the groups, and the group scale of the largest magnitude becomes -32. With importance:
    /// <see cref="SymmetricScale"/> for the groups, and again for their scales.</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<Q3_K> blocks)
    {
        Span<Vector256<float>> x = stackalloc Vector256<float>[SymmetricSuperBlock.Vectors];
        Span<Vector256<float>> w = stackalloc Vector256<float>[SymmetricSuperBlock.Vectors];
        Span<Vector256<int>> found = stackalloc Vector256<int>[SymmetricSuperBlock.Vectors];
        Span<float> scales = stackalloc float[16];
        Span<float> totals = stackalloc float[16];
        Span<byte> scaleCodes = stackalloc byte[16];
        Span<byte> codes = stackalloc byte[256];
        for (int i = 0; i < blocks.Length; i++)
        {
            ReadOnlySpan<float> own = row.Slice(256 * i, 256);
            SymmetricSuperBlock.Load(own, x);
            float scale;
            if (importance.IsEmpty)
            {
                SymmetricDescent.Search(x[..16], 4, found[..16]).CopyTo(scales);
                SymmetricDescent.Search(x[16..], 4, found[16..]).CopyTo(scales[8..]);
                scale = RoundToLargest(scales, scaleCodes);
            }
            else
            {
                SymmetricSuperBlock.Load(importance.Slice(256 * i, 256), w);
                GroupLanes.Weigh(x, w, Vector256.Create(2 * GroupLanes.SumOfSquares(own) / 256));
                SymmetricSuperBlock.Totals(w, totals);
                SymmetricSuperBlock.Search(x, w, 4, found, scales);
                scale = SymmetricScale.SearchScalar(scales, totals, 32, scaleCodes);
            }

            ref Q3_K block = ref blocks[i];
            block.Scale = (Half)scale;
            Span<byte> packed = block.GroupScales;
            packed.Clear();
            for (int group = 0; group < 16; group++)
            {
                packed[group % 8] |= (byte)((scaleCodes[group] & 15) << (group / 8 * 4));
                packed[8 + (group % 4)] |= (byte)((scaleCodes[group] >> 4) << (group / 4 * 2));
                scales[group] = (float)block.Scale * (scaleCodes[group] - 32);
            }

            SymmetricSuperBlock.RoundToGrid(x, scales, 4, found, codes);
            CodePacking.PackPairs(codes, 0, block.Codes);
            CodePacking.PackBits(codes, 2, block.HighBits);
        }
    }

    private static float RoundToLargest(ReadOnlySpan<float> scales, Span<byte> codes)
    {
        float largest = SymmetricScale.FirstOfLargestMagnitude(scales);
        if (largest == 0)
        {
            codes.Clear();
            return 0;
        }

        float inverse = -32f / largest;
        for (int group = 0; group < codes.Length; group++)
        {
            codes[group] = (byte)(Math.Clamp((int)(sbyte)GroupLanes.Round(inverse * scales[group]), -32, 31) + 32);
        }

        return 1 / inverse;
    }
}
