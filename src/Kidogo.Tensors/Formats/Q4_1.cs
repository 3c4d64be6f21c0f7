// Q4_1: 32 weights of 4 bits with a scale and a minimum. GGUF type 3.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>32 weights of 4 bits above a minimum: w = code · scale + minimum.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Q4_1 : IWeightBlock<Q4_1>
{
    /// <summary>The scale.</summary>
    public Half Scale;

    /// <summary>The weight of code 0.</summary>
    public Half Minimum;

    /// <summary>Code j in the low nibble of byte j, code j + 16 in the high one.</summary>
    public Bytes16 Codes;

    /// <inheritdoc/>
    public static string Name => "Q4_1";

    /// <inheritdoc/>
    public static uint GgufTypeId => 3;

    /// <inheritdoc/>
    public static int BlockSize => 32;

    /// <inheritdoc/>
    public static int BlockBytes => 20;

    /// <inheritdoc/>
    public static void Decode(in Q4_1 block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        float minimum = (float)block.Minimum;
        Vector128<byte> codes = Vector128.Create<byte>(block.Codes);
        CodeWriter.Write(CodeWriter.Bits(codes, 0, 15).AsSByte(), scale, minimum, destination);
        CodeWriter.Write(CodeWriter.Bits(codes, 4, 15).AsSByte(), scale, minimum, destination[16..]);
    }

    /// <inheritdoc/>
    public static int CodeCount => 16;

    /// <inheritdoc/>
    public static void WriteCode(ref Q4_1 block, int element, int code) => CodePlaces.Write(ref block.Codes[element % 16], element / 16 * 4, 4, code);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static ImportanceUse Importance => ImportanceUse.Optional;

    /// <inheritdoc/>
    /// <remarks>Plain: codes 0 to 15 span the block's range, and weights round half up. With importance: <see cref="AffineScale"/>, whose minimum is at most
    /// 0.</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<Q4_1> blocks)
    {
        if (!importance.IsEmpty)
        {
            WeighedGroups.EncodeAffine(row, importance, 15, blocks, static (ref Q4_1 block, float scale, float depth, ReadOnlySpan<byte> codes) =>
            {
                block.Scale = (Half)scale;
                block.Minimum = (Half)(-depth);
                CodePacking.PackNibbles(codes, block.Codes);
            });
            return;
        }

        Span<byte> codes = stackalloc byte[32];
        for (int i = 0; i < blocks.Length; i++)
        {
            ReadOnlySpan<float> x = row.Slice(32 * i, 32);
            (float smallest, float largest) = BlockRange.Range(x);
            float scale = (largest - smallest) / 15;
            PlainRounding.Round(x, smallest, BlockRange.ReciprocalOrZero(scale), 0.5f, 15, codes);
            blocks[i].Scale = (Half)scale;
            blocks[i].Minimum = (Half)smallest;
            CodePacking.PackNibbles(codes, blocks[i].Codes);
        }
    }
}
