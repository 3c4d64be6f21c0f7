// The packed scales and minima of Q4_K and Q5_K. Knows nothing of their codes.
namespace Kidogo.Tensors.Formats;

/// <summary>Eight scales and eight minima of 6 bits in 12 bytes.</summary>
internal static class KQuantScales
{
    /// <summary>Unpacks them.</summary>
    /// <param name="packed">[12] Bytes 0-3: scale 0-3 and, in the top two bits, those of scale 4-7; bytes 4-7: minimum 0-3 and the top two bits of minimum 4-7;
    /// bytes 8-11: the low four bits of scale 4-7 (low nibble) and of minimum 4-7 (high nibble).</param>
    /// <param name="scales">[8]</param>
    /// <param name="minima">[8]</param>
    public static void Unpack(ReadOnlySpan<byte> packed, Span<byte> scales, Span<byte> minima)
    {
        packed = packed[..12];
        scales = scales[..8];
        minima = minima[..8];
        for (int j = 0; j < 4; j++)
        {
            scales[j] = (byte)(packed[j] & 63);
            minima[j] = (byte)(packed[j + 4] & 63);
            scales[j + 4] = (byte)((packed[j + 8] & 15) | ((packed[j] >> 6) << 4));
            minima[j + 4] = (byte)((packed[j + 8] >> 4) | ((packed[j + 4] >> 6) << 4));
        }
    }

    /// <summary>Packs them: the inverse of <see cref="Unpack"/>.</summary>
    /// <param name="scales">[8], below 64.</param>
    /// <param name="minima">[8], below 64.</param>
    /// <param name="packed">[12]</param>
    public static void Pack(ReadOnlySpan<byte> scales, ReadOnlySpan<byte> minima, Span<byte> packed)
    {
        scales = scales[..8];
        minima = minima[..8];
        packed = packed[..12];
        for (int j = 0; j < 4; j++)
        {
            packed[j] = (byte)(scales[j] | ((scales[j + 4] >> 4) << 6));
            packed[j + 4] = (byte)(minima[j] | ((minima[j + 4] >> 4) << 6));
            packed[j + 8] = (byte)((scales[j + 4] & 15) | (minima[j + 4] << 4));
        }
    }
}
