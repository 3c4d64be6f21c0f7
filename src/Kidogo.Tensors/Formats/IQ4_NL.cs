// IQ4_NL: 32 weights of 4 bits on an uneven scale. GGUF type 20.
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats;

/// <summary>32 weights of 4 bits: w = scale · level of the code.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct IQ4_NL : IWeightBlock<IQ4_NL>
{
    /// <summary>The scale.</summary>
    public Half Scale;

    /// <summary>Code j in the low nibble of byte j, code j + 16 in the high one.</summary>
    public Bytes16 Codes;

    /// <inheritdoc/>
    public static string Name => "IQ4_NL";

    /// <inheritdoc/>
    public static uint GgufTypeId => 20;

    /// <inheritdoc/>
    public static int BlockSize => 32;

    /// <inheritdoc/>
    public static int BlockBytes => 18;

    /// <inheritdoc/>
    public static void Decode(in IQ4_NL block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        ReadOnlySpan<sbyte> levels = Levels;
        ReadOnlySpan<byte> codes = block.Codes;
        destination = destination[..32];
        for (int j = 0; j < 16; j++)
        {
            destination[j] = scale * levels[codes[j] & 15];
            destination[j + 16] = scale * levels[codes[j] >> 4];
        }
    }

    /// <summary>What each code stands for: denser near zero, where most weights are. IQ4_XS has the same.</summary>
    internal static ReadOnlySpan<sbyte> Levels => [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
}
