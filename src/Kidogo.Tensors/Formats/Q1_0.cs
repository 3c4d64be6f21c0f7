// Q1_0: 128 weights of one bit with one scale. GGUF type 41.
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats;

/// <summary>128 weights of one bit: w = scale where the bit is set, else -scale.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Q1_0 : IWeightBlock<Q1_0>
{
    /// <summary>The scale.</summary>
    public Half Scale;

    /// <summary>Bit j % 8 of byte j / 8 is code j.</summary>
    public Bytes16 Codes;

    /// <inheritdoc/>
    public static string Name => "Q1_0";

    /// <inheritdoc/>
    public static uint GgufTypeId => 41;

    /// <inheritdoc/>
    public static int BlockSize => 128;

    /// <inheritdoc/>
    public static int BlockBytes => 18;

    /// <inheritdoc/>
    public static void Decode(in Q1_0 block, Span<float> destination)
    {
        // The bit is turned into a sign: set means that nothing is flipped.
        uint scale = BitConverter.SingleToUInt32Bits((float)block.Scale);
        ReadOnlySpan<byte> codes = block.Codes;
        for (int i = 0; i < 16; i++)
        {
            uint flips = ~(uint)codes[i];
            Span<float> eight = destination.Slice(8 * i, 8);
            for (int j = 0; j < 8; j++, flips >>= 1)
            {
                eight[j] = BitConverter.UInt32BitsToSingle(scale ^ (flips << 31));
            }
        }
    }
}
