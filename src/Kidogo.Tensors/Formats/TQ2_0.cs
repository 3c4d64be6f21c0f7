// TQ2_0: 256 ternary weights of 2 bits. GGUF type 35.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>256 weights of 2 bits: w = (code - 1) · scale. Code 3 is not written, but decodes to 2 scales.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct TQ2_0 : IWeightBlock<TQ2_0>
{
    /// <summary>Two runs of 32 bytes for 128 weights each: code 32l + j in bits 2l and 2l + 1 of byte j.</summary>
    public Bytes64 Codes;

    /// <summary>The scale.</summary>
    public Half Scale;

    /// <inheritdoc/>
    public static string Name => "TQ2_0";

    /// <inheritdoc/>
    public static uint GgufTypeId => 35;

    /// <inheritdoc/>
    public static int BlockSize => 256;

    /// <inheritdoc/>
    public static int BlockBytes => 66;

    /// <inheritdoc/>
    public static void Decode(in TQ2_0 block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        ReadOnlySpan<byte> codes = block.Codes;
        for (int i = 0; i < 16; i++)
        {
            Vector128<byte> packed = Vector128.Create(codes.Slice((i / 8 * 32) + (i % 2 * 16), 16));
            Vector128<byte> trits = CodeWriter.Bits(packed, i / 2 % 4 * 2, 3);
            CodeWriter.Write(trits.AsSByte() - Vector128<sbyte>.One, scale, destination.Slice(16 * i, 16));
        }
    }

    /// <inheritdoc/>
    public static int CodeCount => 3;

    /// <inheritdoc/>
    public static void WriteCode(ref TQ2_0 block, int element, int code) =>
        CodePlaces.Write(ref block.Codes[(element / 128 * 32) + (element % 32)], element / 32 % 4 * 2, 2, code);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    /// <remarks>The scale is the largest magnitude; weights round to the nearest of -1, 0 and 1 scales, half away from zero. Meant for weights that are
    /// ternary already.</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<TQ2_0> blocks)
    {
        Span<byte> trits = stackalloc byte[256];
        for (int i = 0; i < blocks.Length; i++)
        {
            blocks[i].Scale = TernaryRounding.Round(row.Slice(256 * i, 256), trits);
            CodePacking.PackPairs(trits, 0, blocks[i].Codes);
        }
    }
}
