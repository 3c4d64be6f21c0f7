// Q8_0: 32 weights of 8 bits with one scale. GGUF type 8.
using Kidogo.Tensors.Formats.Encoding;
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

    /// <inheritdoc/>
    public static int CodeCount => 255;

    /// <inheritdoc/>
    public static void WriteCode(ref Q8_0 block, int element, int code) => block.Codes[element] = (sbyte)(code - 127);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    /// <remarks>The largest magnitude becomes code ±127, others round half away from zero.</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<Q8_0> blocks)
    {
        for (int i = 0; i < blocks.Length; i++)
        {
            ReadOnlySpan<float> x = row.Slice(32 * i, 32);
            float scale = BlockRange.LargestMagnitude(x) / 127;
            blocks[i].Scale = (Half)scale;
            PlainRounding.RoundAwayFromZero(x, BlockRange.ReciprocalOrZero(scale), blocks[i].Codes);
        }
    }
}
