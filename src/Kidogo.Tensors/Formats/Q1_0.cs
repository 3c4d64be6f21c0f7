// Q1_0: 128 weights of one bit with one scale. GGUF type 41.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

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
        float scale = (float)block.Scale;
        ReadOnlySpan<ushort> codes = MemoryMarshal.Cast<byte, ushort>(block.Codes);
        for (int i = 0; i < 8; i++)
        {
            // Bit 0 or 1, doubled and less 1, is -1 or 1.
            Vector128<sbyte> signs = CodeWriter.SpreadBits(codes[i], 2).AsSByte() - Vector128<sbyte>.One;
            CodeWriter.Write(signs, scale, destination.Slice(16 * i, 16));
        }
    }

    /// <inheritdoc/>
    public static int CodeCount => 2;

    /// <inheritdoc/>
    public static void WriteCode(ref Q1_0 block, int element, int code) => CodePlaces.Write(ref block.Codes[element / 8], element % 8, 1, code);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    /// <remarks>The scale is the mean magnitude (arXiv 1603.05279, equation 6); a zero of either sign counts as positive.</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<Q1_0> blocks)
    {
        for (int i = 0; i < blocks.Length; i++)
        {
            ReadOnlySpan<float> x = row.Slice(128 * i, 128);
            float sum = 0;
            Span<byte> codes = blocks[i].Codes;
            codes.Clear();
            for (int j = 0; j < x.Length; j++)
            {
                sum += Math.Abs(x[j]);
                codes[j / 8] |= (byte)(x[j] >= 0 ? 1 << (j % 8) : 0);
            }

            blocks[i].Scale = (Half)(sum / 128);
        }
    }
}
