// MXFP4: 32 4-bit floats with a power of two. GGUF type 39.
using System.Runtime.InteropServices;

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
        ReadOnlySpan<sbyte> values = FourBitFloat.Doubled;
        ReadOnlySpan<byte> codes = block.Codes;
        destination = destination[..32];
        for (int j = 0; j < 16; j++)
        {
            destination[j] = values[codes[j] & 15] * halfScale;
            destination[j + 16] = values[codes[j] >> 4] * halfScale;
        }
    }
}
