// Q2_K: 256 weights of 2 bits, 16 to a scale and a minimum of 4 bits. GGUF type 10.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>256 weights of 2 bits in 16 groups of 16: w = code · (group scale · scale) - group minimum · minimum scale.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Q2_K : IWeightBlock<Q2_K>
{
    /// <summary>A byte a group: its scale in the low nibble, its minimum in the high one.</summary>
    public Bytes16 GroupScales;

    /// <summary>Two runs of 32 bytes for 128 weights each: code 32l + j in bits 2l and 2l + 1 of byte j.</summary>
    public Bytes64 Codes;

    /// <summary>The scale of the group scales.</summary>
    public Half Scale;

    /// <summary>The scale of the group minima.</summary>
    public Half MinimumScale;

    /// <inheritdoc/>
    public static string Name => "Q2_K";

    /// <inheritdoc/>
    public static uint GgufTypeId => 10;

    /// <inheritdoc/>
    public static int BlockSize => 256;

    /// <inheritdoc/>
    public static int BlockBytes => 84;

    /// <inheritdoc/>
    public static void Decode(in Q2_K block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        float minimumScale = (float)block.MinimumScale;
        ReadOnlySpan<byte> groupScales = block.GroupScales;
        ReadOnlySpan<byte> codes = block.Codes;
        for (int group = 0; group < 16; group++)
        {
            float groupScale = scale * (groupScales[group] & 15);
            float groupMinimum = minimumScale * (groupScales[group] >> 4);
            Vector128<byte> packed = Vector128.Create(codes.Slice((group / 8 * 32) + (group % 2 * 16), 16));
            CodeWriter.Write(CodeWriter.Bits(packed, group / 2 % 4 * 2, 3).AsSByte(), groupScale, -groupMinimum, destination.Slice(16 * group, 16));
        }
    }

    /// <inheritdoc/>
    public static int CodeCount => 4;

    /// <inheritdoc/>
    public static void WriteCode(ref Q2_K block, int element, int code) =>
        CodePlaces.Write(ref block.Codes[(element / 128 * 32) + (element % 32)], element / 32 % 4 * 2, 2, code);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static ImportanceUse Importance => ImportanceUse.Optional;

    /// <inheritdoc/>
    /// <remarks><see cref="AffineSuperBlock"/></remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<Q2_K> blocks)
    {
        Span<byte> scales = stackalloc byte[16];
        Span<byte> minima = stackalloc byte[16];
        Span<byte> codes = stackalloc byte[256];
        for (int i = 0; i < blocks.Length; i++)
        {
            ref Q2_K block = ref blocks[i];
            (block.Scale, block.MinimumScale) = AffineSuperBlock.Encode(
                row.Slice(256 * i, 256), importance.IsEmpty ? importance : importance.Slice(256 * i, 256), s_shape, scales, minima, codes);
            for (int group = 0; group < 16; group++)
            {
                block.GroupScales[group] = (byte)(scales[group] | (minima[group] << 4));
            }

            CodePacking.PackPairs(codes, 0, block.Codes);
        }
    }

    private static readonly AffineShape s_shape = new(16, 3, 15, new AffineSteps(3, -0.5f, 0.1f, 15, Absolute: true), 1);
}
