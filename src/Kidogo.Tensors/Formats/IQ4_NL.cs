// IQ4_NL: 32 weights of 4 bits on an uneven scale. GGUF type 20.
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

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
        Vector128<sbyte> levels = Vector128.Create(Levels);
        Vector128<byte> codes = Vector128.Create<byte>(block.Codes);
        CodeWriter.Write(Vector128.Shuffle(levels, CodeWriter.Bits(codes, 0, 15).AsSByte()), scale, destination);
        CodeWriter.Write(Vector128.Shuffle(levels, CodeWriter.Bits(codes, 4, 15).AsSByte()), scale, destination[16..]);
    }

    /// <summary>What each code stands for: denser near zero, where most weights are. IQ4_XS has the same.</summary>
    internal static ReadOnlySpan<sbyte> Levels => [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
}
