// TQ1_0: 256 ternary weights, five to a byte. GGUF type 34.
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats;

/// <summary>256 weights of -1, 0 or 1 scales: w = (trit - 1) · scale.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct TQ1_0 : IWeightBlock<TQ1_0>
{
    /// <summary>Five trits a byte: byte j of the first 32 holds trits j, j + 32, … j + 128;
    /// byte j of the last 16 holds trits 160 + j, … 160 + j + 64.</summary>
    public Bytes48 Codes;

    /// <summary>Four trits a byte: byte j holds trits 240 + j, 244 + j, 248 + j, 252 + j.</summary>
    public Bytes4 LastCodes;

    /// <summary>The scale.</summary>
    public Half Scale;

    /// <inheritdoc/>
    public static string Name => "TQ1_0";

    /// <inheritdoc/>
    public static uint GgufTypeId => 34;

    /// <inheritdoc/>
    public static int BlockSize => 256;

    /// <inheritdoc/>
    public static int BlockBytes => 54;

    /// <inheritdoc/>
    public static void Decode(in TQ1_0 block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        ReadOnlySpan<byte> codes = block.Codes;
        Write(codes[..32], 5, scale, destination[..160]);
        Write(codes[32..], 5, scale, destination.Slice(160, 80));
        Write(block.LastCodes, 4, scale, destination.Slice(240, 16));
    }

    /// <summary>A byte is a fraction of 256 whose ternary digits are the trits: the first is the whole part of three times it,
    /// the rest is what is left over.</summary>
    private static void Write(ReadOnlySpan<byte> codes, int tritsPerByte, float scale, Span<float> destination)
    {
        for (int j = 0; j < codes.Length; j++)
        {
            int fraction = codes[j];
            for (int n = 0; n < tritsPerByte; n++)
            {
                int three = fraction * 3;
                destination[(n * codes.Length) + j] = ((three >> 8) - 1) * scale;
                fraction = three & 255;
            }
        }
    }
}
