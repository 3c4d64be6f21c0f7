// Q6_K: 256 weights of 6 bits, 16 to a scale of 8 bits. GGUF type 14.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>256 weights of 6 bits in 16 groups of 16: w = (scale · group scale) · (code - 32).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Q6_K : IWeightBlock<Q6_K>
{
    /// <summary>64 bytes for each 128 weights: the low four bits of code j (j &lt; 64) in the low nibble of byte j,
    /// those of code j + 64 in the high one.</summary>
    public Bytes128 LowBits;

    /// <summary>32 bytes for each 128 weights: the high two bits of code 32l + j in bits 2l and 2l + 1 of byte j.</summary>
    public Bytes64 HighBits;

    /// <summary>The scale of each group.</summary>
    public SignedBytes16 GroupScales;

    /// <summary>The scale of the group scales.</summary>
    public Half Scale;

    /// <inheritdoc/>
    public static string Name => "Q6_K";

    /// <inheritdoc/>
    public static uint GgufTypeId => 14;

    /// <inheritdoc/>
    public static int BlockSize => 256;

    /// <inheritdoc/>
    public static int BlockBytes => 210;

    /// <inheritdoc/>
    public static void Decode(in Q6_K block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        ReadOnlySpan<sbyte> groupScales = block.GroupScales;
        ReadOnlySpan<byte> lowBits = block.LowBits;
        ReadOnlySpan<byte> highBits = block.HighBits;
        for (int group = 0; group < 16; group++)
        {
            float groupScale = scale * groupScales[group];
            Vector128<byte> low = CodeWriter.Bits(Vector128.Create(lowBits.Slice((group / 8 * 64) + (group % 4 * 16), 16)), group / 4 % 2 * 4, 15);
            Vector128<byte> high = CodeWriter.Bits(Vector128.Create(highBits.Slice((group / 8 * 32) + (group % 2 * 16), 16)), group / 2 % 4 * 2, 3) << 4;
            CodeWriter.Write((low | high).AsSByte() - Vector128.Create((sbyte)32), groupScale, destination.Slice(16 * group, 16));
        }
    }

    /// <inheritdoc/>
    public static int CodeCount => 64;

    /// <inheritdoc/>
    public static void WriteCode(ref Q6_K block, int element, int code)
    {
        CodePlaces.Write(ref block.LowBits[(element / 128 * 64) + (element % 64)], element / 64 % 2 * 4, 4, code);
        CodePlaces.Write(ref block.HighBits[(element / 128 * 32) + (element % 32)], element / 32 % 4 * 2, 2, code >> 4);
    }

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static ImportanceUse Importance => ImportanceUse.Optional;

    /// <inheritdoc/>
    /// <remarks><see cref="SymmetricScale"/> for the groups, where errors count x², or importance alone; the group scale of the largest magnitude becomes
    /// -128.</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<Q6_K> blocks)
    {
        const float NoScale = 1e-15f; // a block whose scales are all below becomes zeros
        Span<Vector256<float>> x = stackalloc Vector256<float>[SymmetricSuperBlock.Vectors];
        Span<Vector256<float>> w = stackalloc Vector256<float>[SymmetricSuperBlock.Vectors];
        Span<Vector256<int>> found = stackalloc Vector256<int>[SymmetricSuperBlock.Vectors];
        Span<float> scales = stackalloc float[16];
        Span<byte> codes = stackalloc byte[256];
        for (int i = 0; i < blocks.Length; i++)
        {
            SymmetricSuperBlock.Load(row.Slice(256 * i, 256), x);
            if (importance.IsEmpty)
            {
                GroupLanes.Square(x, w);
            }
            else
            {
                SymmetricSuperBlock.Load(importance.Slice(256 * i, 256), w);
            }

            SymmetricSuperBlock.Search(x, w, 32, found, scales);
            float largest = SymmetricScale.FirstOfLargestMagnitude(scales);
            ref Q6_K block = ref blocks[i];
            if (Math.Abs(largest) < NoScale)
            {
                block = default;
                continue;
            }

            float inverse = -128f / largest;
            block.Scale = (Half)(1 / inverse);
            for (int group = 0; group < 16; group++)
            {
                block.GroupScales[group] = (sbyte)Math.Min(127, GroupLanes.Round(inverse * scales[group]));
                scales[group] = (float)block.Scale * block.GroupScales[group];
            }

            SymmetricSuperBlock.RoundToGrid(x, scales, 32, found, codes);
            CodePacking.PackPairs(codes, 4, block.HighBits);
            CodePacking.PackNibbles(codes[..128], block.LowBits);
            CodePacking.PackNibbles(codes[128..], block.LowBits[64..]);
        }
    }
}
