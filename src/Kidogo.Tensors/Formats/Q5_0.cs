// Q5_0: 32 weights of 5 bits with one scale. GGUF type 6.
using System.Runtime.InteropServices;

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
        ReadOnlySpan<byte> codes = block.Codes;
        destination = destination[..32];

        // The fifth bit of code j is moved to bit 4, that of code j + 16 to bit 20.
        long high = (long)block.HighBits << 4;
        for (int j = 0; j < 16; j++, high >>= 1)
        {
            destination[j] = (((codes[j] & 15) | (int)(high & 16)) - 16) * scale;
            destination[j + 16] = (((codes[j] >> 4) | (int)((high >> 16) & 16)) - 16) * scale;
        }
    }
}
