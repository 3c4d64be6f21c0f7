// What the IQ1, IQ2 and IQ3 formats share: tables of points that a code names, and the signs of eight weights. Knows no blocks.
using System.Numerics;
using System.Runtime.Intrinsics;

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

    /// <summary>Twice eight sign bits of which twice seven are stored: the number of negative weights
    /// in eight is even, and the lowest bit is the first weight's.</summary>
    /// <param name="stored">The fourteen bits; higher ones are ignored.</param>
    public static uint EvenSigns(uint stored)
    {
        uint first = stored & 127;
        uint second = (stored >> 7) & 127;
        first |= ((uint)BitOperations.PopCount(first) & 1) << 7;
        second |= ((uint)BitOperations.PopCount(second) & 1) << 7;
        return first | (second << 8);
    }

    /// <summary>Four times the lowest seven of eight signs, from the lowest bit up: the eighth follows from them.</summary>
    /// <param name="signs">[4]</param>
    public static uint SevenSigns(ReadOnlySpan<byte> signs) =>
        (signs[0] & 127u) | ((signs[1] & 127u) << 7) | ((signs[2] & 127u) << 14) | ((signs[3] & 127u) << 21);

    /// <summary>Writes sixteen weights: w[j] = ±scale · coordinate j of two points, negative where bit j of <paramref name="signs"/> is set.</summary>
    /// <remarks>Coordinates are at most 62, so a byte can take the sign: where the mask is all ones, (c ^ mask) - mask is -c.</remarks>
    public static void WriteSigned(ulong first, ulong second, uint signs, float scale, Span<float> destination)
    {
        Vector128<byte> negative = CodeWriter.SpreadBits(signs, byte.MaxValue);
        Vector128<byte> coordinates = (Vector128.Create(first, second).AsByte() ^ negative) - negative;
        CodeWriter.Write(coordinates.AsSByte(), scale, destination);
    }

    /// <summary>Writes sixteen weights: w[j] = scale · (coordinate j of two points ± 1/8).</summary>
    /// <param name="firstInEighths">Coordinates in eighths: -8, 0 or 8.</param>
    /// <param name="secondInEighths">As the first.</param>
    /// <param name="firstIsLess">Whether the first point's eighth is subtracted.</param>
    /// <param name="secondIsLess">Whether the second point's is.</param>
    /// <param name="scale">Dividing it by 8 is exact: it is an odd number below 16 times a float16.</param>
    /// <param name="destination">[16]</param>
    public static void WriteShifted(ulong firstInEighths, ulong secondInEighths, bool firstIsLess, bool secondIsLess, float scale, Span<float> destination)
    {
        const ulong EveryByte = 0x0101_0101_0101_0101;
        Vector128<byte> shifts = Vector128.Create(firstIsLess ? ulong.MaxValue : EveryByte, secondIsLess ? ulong.MaxValue : EveryByte).AsByte();
        Vector128<byte> eighths = Vector128.Create(firstInEighths, secondInEighths).AsByte() + shifts;
        CodeWriter.Write(eighths.AsSByte(), scale * 0.125f, destination);
    }
}
