// Q2_0: 64 weights of 2 bits with one scale. GGUF type 42.
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats;

/// <summary>64 weights of 2 bits: w = (code - 1) · scale, so -1, 0, 1 or 2 scales.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Q2_0 : IWeightBlock<Q2_0>
{
    /// <summary>The scale.</summary>
    public Half Scale;

    /// <summary>Code 4i + j in bits 2j and 2j + 1 of byte i.</summary>
    public Bytes16 Codes;

    /// <inheritdoc/>
    public static string Name => "Q2_0";

    /// <inheritdoc/>
    public static uint GgufTypeId => 42;

    /// <inheritdoc/>
    public static int BlockSize => 64;

    /// <inheritdoc/>
    public static int BlockBytes => 18;

    /// <inheritdoc/>
    public static void Decode(in Q2_0 block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        ReadOnlySpan<byte> codes = block.Codes;
        for (int i = 0; i < 16; i++)
        {
            Span<float> four = destination.Slice(4 * i, 4);
            int left = codes[i];
            for (int j = 0; j < 4; j++, left >>= 2)
            {
                four[j] = ((left & 3) - 1) * scale;
            }
        }
    }
}
