// Small codes as a stream of bits. Knows no format.
namespace Kidogo.Tensors.Formats.Plain;

/// <summary>Codes of 1 to 8 bits one after the other, the lowest bit first, across byte ends; what is left of the last byte is 0.</summary>
internal static class BitStream
{
    /// <summary>Bytes of <paramref name="count"/> codes.</summary>
    public static long Length(long count, int bits) => checked(((count * bits) + 7) / 8);

    /// <summary>Packs codes.</summary>
    public static byte[] Pack(ReadOnlySpan<byte> codes, int bits)
    {
        byte[] packed = new byte[Length(codes.Length, bits)];
        long bit = 0;
        foreach (byte code in codes)
        {
            int wide = code << (int)(bit % 8);
            packed[bit / 8] |= (byte)wide;
            if (wide > 255)
            {
                packed[(bit / 8) + 1] |= (byte)(wide >> 8);
            }

            bit += bits;
        }

        return packed;
    }

    /// <summary>The code at <paramref name="index"/>.</summary>
    public static int Read(ReadOnlySpan<byte> packed, long index, int bits)
    {
        long bit = index * bits;
        int at = (int)(bit / 8);
        int wide = packed[at] | (at + 1 < packed.Length ? packed[at + 1] << 8 : 0);
        return (wide >> (int)(bit % 8)) & ((1 << bits) - 1);
    }
}
