// Q5_1: 32 weights of 5 bits with a scale and a minimum. GGUF type 7.
using System.Runtime.InteropServices;

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
        ReadOnlySpan<byte> codes = block.Codes;
        destination = destination[..32];

        // The fifth bit of code j is moved to bit 4, that of code j + 16 to bit 20.
        long high = (long)block.HighBits << 4;
        for (int j = 0; j < 16; j++, high >>= 1)
        {
            destination[j] = (((codes[j] & 15) | (int)(high & 16)) * scale) + minimum;
            destination[j + 16] = (((codes[j] >> 4) | (int)((high >> 16) & 16)) * scale) + minimum;
        }
    }
}
