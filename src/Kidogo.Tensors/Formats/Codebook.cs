// What the IQ1, IQ2 and IQ3 formats share: tables of points that a code names, and the signs of eight weights. Knows no blocks.
using System.Numerics;

namespace Kidogo.Tensors.Formats;

/// <summary>A codebook is an ordered list of points; a code is the number of a point, and a point is the magnitudes of 8 (or 4) weights.</summary>
/// <remarks>All published codebooks are subsets of a regular grid, in its order, so a bit for each point of the grid tells everything.</remarks>
internal static class Codebook
{
    /// <summary>The table from a code to its point.</summary>
    /// <param name="members">A bit for each point of the grid, lowest first: bit p is the point whose
    /// coordinate j is levels[digit j of p in base levels.Length], digit 0 the lowest.</param>
    /// <param name="levels">The values that a coordinate takes.</param>
    /// <param name="dimensions">Coordinates of a point: at most 8.</param>
    /// <returns>[points in the set], coordinate j in byte j.</returns>
    public static ulong[] Expand(ReadOnlySpan<ulong> members, ReadOnlySpan<byte> levels, int dimensions)
    {
        List<ulong> points = [];
        for (int word = 0; word < members.Length; word++)
        {
            for (ulong left = members[word]; left != 0; left &= left - 1)
            {
                int digits = (64 * word) + BitOperations.TrailingZeroCount(left);
                ulong point = 0;
                for (int j = 0; j < dimensions; j++)
                {
                    (digits, int digit) = Math.DivRem(digits, levels.Length);
                    point |= (ulong)levels[digit] << (8 * j);
                }

                points.Add(point);
            }
        }

        return [.. points];
    }

    /// <summary>Eight sign bits of which seven are stored: the number of negative weights is even, and the lowest bit is the first weight's.</summary>
    /// <param name="stored">The seven bits; higher ones are ignored.</param>
    public static uint EvenSigns(uint stored)
    {
        stored &= 127;
        return stored | (((uint)BitOperations.PopCount(stored) & 1) << 7);
    }

    /// <summary>Writes eight weights: w[j] = ±scale · (byte j of <paramref name="magnitudes"/>),
    /// negative where bit j of <paramref name="signs"/> is set.</summary>
    /// <remarks>The sign is set by its bit: a branch on random signs is guessed wrong every second time.</remarks>
    public static void WriteSigned(ulong magnitudes, uint signs, float scale, Span<float> destination)
    {
        destination = destination[..8];
        for (int j = 0; j < destination.Length; j++)
        {
            uint weight = BitConverter.SingleToUInt32Bits(scale * (byte)magnitudes);
            destination[j] = BitConverter.UInt32BitsToSingle(weight ^ (signs << 31));
            magnitudes >>= 8;
            signs >>= 1;
        }
    }

    /// <summary>Writes eight weights: w[j] = scale · (signed byte j of <paramref name="point"/> + shift).</summary>
    public static void WriteShifted(ulong point, float shift, float scale, Span<float> destination)
    {
        destination = destination[..8];
        for (int j = 0; j < destination.Length; j++)
        {
            destination[j] = scale * ((sbyte)point + shift);
            point >>= 8;
        }
    }
}
