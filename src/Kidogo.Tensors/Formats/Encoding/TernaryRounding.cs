// Weights to -1, 0 and 1 for the TQ formats. Knows no layout.
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>Rounds a block to trits with its largest magnitude as scale.</summary>
internal static class TernaryRounding
{
    /// <summary>Rounds half away from zero.</summary>
    /// <param name="x">[B], a multiple of 16.</param>
    /// <param name="trits">[B] The trits plus one: 0, 1 or 2.</param>
    /// <returns>The scale.</returns>
    public static Half Round(ReadOnlySpan<float> x, Span<byte> trits)
    {
        float scale = BlockRange.LargestMagnitude(x);
        PlainRounding.RoundAwayFromZero(x, BlockRange.ReciprocalOrZero(scale), MemoryMarshal.Cast<byte, sbyte>(trits));
        for (int i = 0; i < trits.Length; i += Vector128<byte>.Count)
        {
            Span<byte> own = trits.Slice(i, Vector128<byte>.Count);
            (Vector128.Create<byte>(own) + Vector128<byte>.One).CopyTo(own);
        }

        return (Half)scale;
    }
}
