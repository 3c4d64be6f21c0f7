// Q5_1: 32 weights of 5 bits with a scale and a minimum. GGUF type 7.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>32 weights of 5 bits above a minimum: w = code · scale + minimum.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Q5_1 : IWeightBlock<Q5_1>
{
    /// <summary>The scale.</summary>
    public Half Scale;

    /// <summary>The weight of code 0.</summary>
    public Half Minimum;

    /// <summary>Bit j is the fifth bit of code j.</summary>
    public uint HighBits;

    /// <summary>The low four bits of code j in the low nibble of byte j, those of code j + 16 in the high one.</summary>
    public Bytes16 Codes;

    /// <inheritdoc/>
    public static string Name => "Q5_1";

    /// <inheritdoc/>
    public static uint GgufTypeId => 7;

    /// <inheritdoc/>
    public static int BlockSize => 32;

    /// <inheritdoc/>
    public static int BlockBytes => 24;

    /// <inheritdoc/>
    public static void Decode(in Q5_1 block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        float minimum = (float)block.Minimum;
        Vector128<byte> codes = Vector128.Create<byte>(block.Codes);
        Vector128<byte> low = CodeWriter.Bits(codes, 0, 15) | CodeWriter.SpreadBits(block.HighBits, 16);
        Vector128<byte> high = CodeWriter.Bits(codes, 4, 15) | CodeWriter.SpreadBits(block.HighBits >> 16, 16);
        CodeWriter.Write(low.AsSByte(), scale, minimum, destination);
        CodeWriter.Write(high.AsSByte(), scale, minimum, destination[16..]);
    }

    /// <inheritdoc/>
    public static int CodeCount => 32;

    /// <inheritdoc/>
    public static void WriteCode(ref Q5_1 block, int element, int code)
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
    /// <remarks>Plain: codes 0 to 31 span the block's range, and weights round half up. With importance: <see cref="AffineScale"/>, whose minimum is at most
    /// 0.</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<Q5_1> blocks)
    {
        if (!importance.IsEmpty)
        {
            WeighedGroups.EncodeAffine(row, importance, 31, blocks, static (ref Q5_1 block, float scale, float depth, ReadOnlySpan<byte> codes) =>
            {
                block.Scale = (Half)scale;
                block.Minimum = (Half)(-depth);
                block.HighBits = CodePacking.FifthBits(codes);
                CodePacking.PackNibbles(codes, block.Codes);
            });
            return;
        }

        Span<byte> codes = stackalloc byte[32];
        for (int i = 0; i < blocks.Length; i++)
        {
            ReadOnlySpan<float> x = row.Slice(32 * i, 32);
            (float smallest, float largest) = BlockRange.Range(x);
            float scale = (largest - smallest) / 31;
            PlainRounding.Round(x, smallest, BlockRange.ReciprocalOrZero(scale), 0.5f, 31, codes);
            blocks[i].Scale = (Half)scale;
            blocks[i].Minimum = (Half)smallest;
            blocks[i].HighBits = CodePacking.FifthBits(codes);
            CodePacking.PackNibbles(codes, blocks[i].Codes);
        }
    }
}
