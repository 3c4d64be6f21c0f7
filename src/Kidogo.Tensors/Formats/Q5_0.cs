// Q5_0: 32 weights of 5 bits with one scale. GGUF type 6.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>32 weights of 5 bits around zero: w = (code - 16) · scale.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Q5_0 : IWeightBlock<Q5_0>
{
    /// <summary>The scale.</summary>
    public Half Scale;

    /// <summary>Bit j is the fifth bit of code j.</summary>
    public uint HighBits;

    /// <summary>The low four bits of code j in the low nibble of byte j, those of code j + 16 in the high one.</summary>
    public Bytes16 Codes;

    /// <inheritdoc/>
    public static string Name => "Q5_0";

    /// <inheritdoc/>
    public static uint GgufTypeId => 6;

    /// <inheritdoc/>
    public static int BlockSize => 32;

    /// <inheritdoc/>
    public static int BlockBytes => 22;

    /// <inheritdoc/>
    public static void Decode(in Q5_0 block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        Vector128<byte> codes = Vector128.Create<byte>(block.Codes);
        Vector128<sbyte> sixteen = Vector128.Create((sbyte)16);
        Vector128<byte> low = CodeWriter.Bits(codes, 0, 15) | CodeWriter.SpreadBits(block.HighBits, 16);
        Vector128<byte> high = CodeWriter.Bits(codes, 4, 15) | CodeWriter.SpreadBits(block.HighBits >> 16, 16);
        CodeWriter.Write(low.AsSByte() - sixteen, scale, destination);
        CodeWriter.Write(high.AsSByte() - sixteen, scale, destination[16..]);
    }

    /// <inheritdoc/>
    public static int CodeCount => 32;

    /// <inheritdoc/>
    public static void WriteCode(ref Q5_0 block, int element, int code)
    {
        CodePlaces.Write(ref block.Codes[element % 16], element / 16 * 4, 4, code);
        uint high = block.HighBits; // a field of a packed struct cannot be passed by reference
        CodePlaces.WriteFifth(ref high, element, code);
        block.HighBits = high;
    }

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static ImportanceUse Importance => ImportanceUse.Optional;

    /// <inheritdoc/>
    /// <remarks>Plain: the weight of the largest magnitude becomes code 0 (-16 scales), others round half up. With importance:
    /// <see cref="SymmetricScale"/>.</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<Q5_0> blocks)
    {
        if (!importance.IsEmpty)
        {
            WeighedGroups.EncodeSymmetric(row, importance, 16, blocks, static (ref Q5_0 block, float scale, ReadOnlySpan<byte> codes) =>
            {
                block.Scale = (Half)scale;
                block.HighBits = CodePacking.FifthBits(codes);
                CodePacking.PackNibbles(codes, block.Codes);
            });
            return;
        }

        Span<byte> codes = stackalloc byte[32];
        for (int i = 0; i < blocks.Length; i++)
        {
            ReadOnlySpan<float> x = row.Slice(32 * i, 32);
            float scale = BlockRange.FirstOfLargestMagnitude(x) / -16;
            PlainRounding.Round(x, 0, BlockRange.ReciprocalOrZero(scale), 16.5f, 31, codes);
            blocks[i].Scale = (Half)scale;
            blocks[i].HighBits = CodePacking.FifthBits(codes);
            CodePacking.PackNibbles(codes, blocks[i].Codes);
        }
    }
}
