// Q4_0: 32 weights of 4 bits with one scale. GGUF type 2.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>32 weights of 4 bits around zero: w = (code - 8) · scale.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Q4_0 : IWeightBlock<Q4_0>
{
    /// <summary>The scale.</summary>
    public Half Scale;

    /// <summary>Code j in the low nibble of byte j, code j + 16 in the high one.</summary>
    public Bytes16 Codes;

    /// <inheritdoc/>
    public static string Name => "Q4_0";

    /// <inheritdoc/>
    public static uint GgufTypeId => 2;

    /// <inheritdoc/>
    public static int BlockSize => 32;

    /// <inheritdoc/>
    public static int BlockBytes => 18;

    /// <inheritdoc/>
    public static void Decode(in Q4_0 block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        Vector128<byte> codes = Vector128.Create<byte>(block.Codes);
        Vector128<sbyte> eight = Vector128.Create((sbyte)8);
        CodeWriter.Write(CodeWriter.Bits(codes, 0, 15).AsSByte() - eight, scale, destination);
        CodeWriter.Write(CodeWriter.Bits(codes, 4, 15).AsSByte() - eight, scale, destination[16..]);
    }

    /// <inheritdoc/>
    public static int CodeCount => 16;

    /// <inheritdoc/>
    public static void WriteCode(ref Q4_0 block, int element, int code) => CodePlaces.Write(ref block.Codes[element % 16], element / 16 * 4, 4, code);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static ImportanceUse Importance => ImportanceUse.Optional;

    /// <inheritdoc/>
    /// <remarks>Plain: the weight of the largest magnitude becomes code 0 (-8 scales), others round half up. With importance:
    /// <see cref="SymmetricScale"/>.</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<Q4_0> blocks)
    {
        if (!importance.IsEmpty)
        {
            WeighedGroups.EncodeSymmetric(row, importance, 8, blocks, static (ref Q4_0 block, float scale, ReadOnlySpan<byte> codes) =>
            {
                block.Scale = (Half)scale;
                CodePacking.PackNibbles(codes, block.Codes);
            });
            return;
        }

        Span<byte> codes = stackalloc byte[32];
        for (int i = 0; i < blocks.Length; i++)
        {
            ReadOnlySpan<float> x = row.Slice(32 * i, 32);
            float scale = BlockRange.FirstOfLargestMagnitude(x) / -8;
            PlainRounding.Round(x, 0, BlockRange.ReciprocalOrZero(scale), 8.5f, 15, codes);
            blocks[i].Scale = (Half)scale;
            CodePacking.PackNibbles(codes, blocks[i].Codes);
        }
    }
}
