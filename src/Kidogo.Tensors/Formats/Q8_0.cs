// Q8_0: 32 weights of 8 bits with one scale. GGUF type 8.
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>32 weights of 8 bits: w = code · scale.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Q8_0 : IWeightBlock<Q8_0>
{
    /// <summary>The scale.</summary>
    public Half Scale;

    /// <summary>The codes, in order.</summary>
    public SignedBytes32 Codes;

    /// <inheritdoc/>
    public static string Name => "Q8_0";

    /// <inheritdoc/>
    public static uint GgufTypeId => 8;

    /// <inheritdoc/>
    public static int BlockSize => 32;

    /// <inheritdoc/>
    public static int BlockBytes => 34;

    /// <inheritdoc/>
    public static void Decode(in Q8_0 block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        ReadOnlySpan<sbyte> codes = block.Codes;
        CodeWriter.Write(Vector128.Create(codes[..16]), scale, destination);
        CodeWriter.Write(Vector128.Create(codes[16..]), scale, destination[16..]);
    }
}
