// Q4_K: 256 weights of 4 bits, 32 to a scale and a minimum of 6 bits. GGUF type 12.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>256 weights of 4 bits in 8 groups of 32: w = code · (group scale · scale) - group minimum · minimum scale.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Q4_K : IWeightBlock<Q4_K>
{
    /// <summary>The scale of the group scales.</summary>
    public Half Scale;

    /// <summary>The scale of the group minima.</summary>
    public Half MinimumScale;

    /// <summary>The scales and minima of the groups, as <see cref="KQuantScales"/> unpacks them.</summary>
    public Bytes12 GroupScales;

    /// <summary>32 bytes for each two groups: code j of the first in the low nibble of byte j, code j of the second in the high one.</summary>
    public Bytes128 Codes;

    /// <inheritdoc/>
    public static string Name => "Q4_K";

    /// <inheritdoc/>
    public static uint GgufTypeId => 12;

    /// <inheritdoc/>
    public static int BlockSize => 256;

    /// <inheritdoc/>
    public static int BlockBytes => 144;

    /// <inheritdoc/>
    public static void Decode(in Q4_K block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        float minimumScale = (float)block.MinimumScale;
        Span<byte> groupScales = stackalloc byte[8];
        Span<byte> groupMinima = stackalloc byte[8];
        KQuantScales.Unpack(block.GroupScales, groupScales, groupMinima);
        ReadOnlySpan<byte> codes = block.Codes;
        for (int i = 0; i < 16; i++)
        {
            // Sixteen i is one half of group i / 2.
            int group = i / 2;
            float groupScale = scale * groupScales[group];
            float groupMinimum = minimumScale * groupMinima[group];
            Vector128<byte> packed = Vector128.Create(codes.Slice((i / 4 * 32) + (i % 2 * 16), 16));
            CodeWriter.Write(CodeWriter.Bits(packed, group % 2 * 4, 15).AsSByte(), groupScale, -groupMinimum, destination.Slice(16 * i, 16));
        }
    }

    /// <inheritdoc/>
    public static int CodeCount => 16;

    /// <inheritdoc/>
    public static void WriteCode(ref Q4_K block, int element, int code) =>
        CodePlaces.Write(ref block.Codes[(element / 64 * 32) + (element % 32)], element / 32 % 2 * 4, 4, code);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static ImportanceUse Importance => ImportanceUse.Optional;

    /// <inheritdoc/>
    /// <remarks><see cref="AffineSuperBlock"/></remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<Q4_K> blocks)
    {
        Span<byte> scales = stackalloc byte[8];
        Span<byte> minima = stackalloc byte[8];
        Span<byte> codes = stackalloc byte[256];
        for (int i = 0; i < blocks.Length; i++)
        {
            ref Q4_K block = ref blocks[i];
            (block.Scale, block.MinimumScale) = AffineSuperBlock.Encode(
                row.Slice(256 * i, 256), importance.IsEmpty ? importance : importance.Slice(256 * i, 256), s_shape, scales, minima, codes);
            KQuantScales.Pack(scales, minima, block.GroupScales);
            for (int pair = 0; pair < 4; pair++)
            {
                CodePacking.PackNibbles(codes.Slice(64 * pair, 64), block.Codes[(32 * pair)..]);
            }
        }
    }

    private static readonly AffineShape s_shape = new(32, 15, 63, new AffineSteps(15, -1f, 0.1f, 20, Absolute: false), 2);
}
