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

    /// <summary>Reads consecutive codes.</summary>
    /// <param name="read">Reads bytes of the stream.</param>
    /// <param name="first">The number of the first code.</param>
    /// <param name="bits">Bits of a code.</param>
    /// <param name="codes">Receives them.</param>
    public static void Read(PartReader read, long first, int bits, Span<byte> codes)
    {
        long bit = first * bits;
        ReadOnlySpan<byte> packed = read(bit / 8, (int)(Length(first + codes.Length, bits) - (bit / 8)));
        int mask = (1 << bits) - 1, at = (int)(bit % 8);
        for (int i = 0; i < codes.Length; i++, at += bits)
        {
            int wide = packed[at >> 3];
            if ((at & 7) + bits > 8)
            {
                wide |= packed[(at >> 3) + 1] << 8;
            }

            codes[i] = (byte)((wide >> (at & 7)) & mask);
        }
    }
}

/// <summary>Rows whose weights are what their codes mean in a table, the same for all weights of a row.</summary>
/// <param name="codes">The stream of codes; row ends are no boundaries.</param>
/// <param name="columns">Codes of a row.</param>
/// <param name="bits">Bits of a code.</param>
/// <param name="values">[2^bits] What codes mean, before the scale.</param>
/// <param name="scales">One for each row, one for all, or none.</param>
internal sealed class TableRows(PlainPart codes, int columns, int bits, float[] values, float[] scales) : PlainRows
{
    private const int Run = 256;

    public override void Decode(int row, Span<float> weights)
    {
        Span<float> own = stackalloc float[values.Length];
        float scale = ScaleOf(row);
        for (int code = 0; code < own.Length; code++)
        {
            own[code] = values[code] * scale;
        }

        Span<byte> run = stackalloc byte[Run];
        for (int first = 0; first < columns; first += Run)
        {
            Span<byte> part = run[..Math.Min(Run, columns - first)];
            BitStream.Read(codes.Read, ((long)row * columns) + first, bits, part);
            for (int i = 0; i < part.Length; i++)
            {
                weights[first + i] = own[part[i]];
            }
        }
    }

    internal override void ReadCodes(int row, Span<byte> own)
    {
        BitStream.Read(codes.Read, (long)row * columns, bits, own);
        for (int i = 0; i < own.Length; i++)
        {
            own[i] = (byte)(values[own[i]] + 1); // both kinds that get here lie around 1
        }
    }

    internal override float ScaleOf(int row) => scales.Length == 0 ? 1 : scales[Math.Min(row, scales.Length - 1)];
}
