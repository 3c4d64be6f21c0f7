// MXFP4: 32 4-bit floats with a power of two. GGUF type 39.
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
        // Half of 2^(exponent - 127), as the values are doubled. The two smallest are denormal.
        float halfScale = BitConverter.Int32BitsToSingle(block.Exponent < 2 ? 0x0020_0000 << block.Exponent : (block.Exponent - 1) << 23);
        Vector128<sbyte> values = Vector128.Create(FourBitFloat.Doubled);
        Vector128<byte> codes = Vector128.Create<byte>(block.Codes);
        CodeWriter.Write(Vector128.Shuffle(values, CodeWriter.Bits(codes, 0, 15).AsSByte()), halfScale, destination);
        CodeWriter.Write(Vector128.Shuffle(values, CodeWriter.Bits(codes, 4, 15).AsSByte()), halfScale, destination[16..]);
    }
}
