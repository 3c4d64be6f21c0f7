// MXFP4: 32 4-bit floats with a power of two. GGUF type 39.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>32 weights of 4 bits: w = E2M1 value · 2^(exponent - 127).</summary>
/// <remarks>OCP Microscaling Formats 1.0, section 5.1.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct MXFP4 : IWeightBlock<MXFP4>
{
    /// <summary>The scale as E8M0: a biased exponent. 255, a NaN in the standard, counts as 2^128, as llama.cpp has it.</summary>
    public byte Exponent;

    /// <summary>Code j in the low nibble of byte j, code j + 16 in the high one.</summary>
    public Bytes16 Codes;

    /// <inheritdoc/>
    public static string Name => "MXFP4";

    /// <inheritdoc/>
    public static uint GgufTypeId => 39;

    /// <inheritdoc/>
    public static int BlockSize => 32;

    /// <inheritdoc/>
    public static int BlockBytes => 17;

    /// <inheritdoc/>
    public static void Decode(in MXFP4 block, Span<float> destination)
    {
        float halfScale = HalfScale(block.Exponent);
        Vector128<sbyte> values = Vector128.Create(FourBitFloat.Doubled);
        Vector128<byte> codes = Vector128.Create<byte>(block.Codes);
        CodeWriter.Write(Vector128.Shuffle(values, CodeWriter.Bits(codes, 0, 15).AsSByte()), halfScale, destination);
        CodeWriter.Write(Vector128.Shuffle(values, CodeWriter.Bits(codes, 4, 15).AsSByte()), halfScale, destination[16..]);
    }

    /// <inheritdoc/>
    public static int CodeCount => 16;

    /// <inheritdoc/>
    public static void WriteCode(ref MXFP4 block, int element, int code) => CodePlaces.Write(ref block.Codes[element % 16], element / 16 * 4, 4, code);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    /// <remarks>The scale is 2^(⌊log₂ max⌋ - 2), so that the largest weight lies between 4 and 8 scales (above 6 it is cut to 6). Codes are the nearest
    /// values; of two equally near, the smaller
    /// magnitude, and what rounds to -0 becomes 0: there llama.cpp differs from the standard's half to even.</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<MXFP4> blocks)
    {
        Span<byte> codes = stackalloc byte[32];
        for (int i = 0; i < blocks.Length; i++)
        {
            ReadOnlySpan<float> x = row.Slice(32 * i, 32);
            byte exponent = ScaleExponent(BlockRange.LargestMagnitude(x));
            FourBitFloat.Round(x, HalfScale(exponent), codes);
            blocks[i].Exponent = exponent;
            CodePacking.PackNibbles(codes, blocks[i].Codes);
        }
    }

    /// <summary>⌊log₂ largest⌋ - 2 + 127, with the logarithm rounded to float32 first: just below a high power of two it comes out whole. Wraps around below
    /// 2^-125; 0 for 0.</summary>
    private static byte ScaleExponent(float largest) =>
        largest > 0 ? unchecked((byte)((int)MathF.Floor((float)Math.Log2(largest)) - 2 + 127)) : (byte)0;

    /// <summary>Half of 2^(exponent - 127), as the values are doubled. The two smallest are denormal.</summary>
    private static float HalfScale(byte exponent) => BitConverter.Int32BitsToSingle(exponent < 2 ? 0x0020_0000 << exponent : (exponent - 1) << 23);
}
