// How 2:4 sparse codes of 4 bits lie in a panel: two codes and two places for each four columns. Knows no scales and no formats.
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Kidogo.Tensors.Kernels;

/// <summary>
/// 3 bits for each column: 12 bytes of a row for 32 columns. Group 0 has a byte for each word of the first 16 columns, group 1 for each of the last: two codes, xor 8, in its nibbles. Group 2 has a nibble for
/// each of the 8 words: the places of the two, 0 to 3, the smaller first. w = (code - 8) · scale; columns without a code have 8.
/// </summary>
/// <remarks>
/// A word is made in its 32-bit lane: 8 in every byte, xor the first code moved to its place, xor the second. The places differ and rise, so the second is never 0 and its nibble, which lies 4 bits up
/// already, is always moved up: by 8 · place − 4. Nothing leaves its lane.
/// </remarks>
internal readonly struct SparseNibbles : ICodeLayout
{
    private const uint Empty = 0x0808_0808;
    private const int PlacesGroup = 2;
    private const int PlacesOfLast = 16; // bits before those of the last 16 columns

    public static int Bytes => 3 * Planes.Group;

    public static int Center => 8;

    public static int Chain => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> First512(ref byte codes, int j) => Word512(ref codes, 0, j, 4 * j);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Second512(ref byte codes, int j) => Word512(ref codes, 1, j, PlacesOfLast + (4 * j));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> First256(ref byte codes, int j) => Word256(ref codes, 0, j, 4 * j);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Second256(ref byte codes, int j) => Word256(ref codes, 1, j, PlacesOfLast + (4 * j));

    public static uint First(ref byte codes, int j) => Word(ref codes, 0, j, 4 * j);

    public static uint Second(ref byte codes, int j) => Word(ref codes, 1, j, PlacesOfLast + (4 * j));

    public static void Write(ref byte codes, ReadOnlySpan<uint> words)
    {
        words = words[..8];
        uint first = 0, last = 0, places = 0;
        for (int k = 0; k < words.Length; k++)
        {
            (uint pair, uint place) = Pack(words[k]);
            first |= k < 4 ? pair << (8 * k) : 0;
            last |= k < 4 ? 0 : pair << (8 * (k - 4));
            places |= place << (4 * k);
        }

        Planes.Word(ref codes, 0) = first;
        Planes.Word(ref codes, 1) = last;
        Planes.Word(ref codes, PlacesGroup) = places;
    }

    /// <summary>Two codes and their places of a word in which at most two bytes are not 8.</summary>
    private static (uint Codes, uint Places) Pack(uint word)
    {
        uint left = word ^ Empty;
        int first = left == 0 ? 0 : BitOperations.TrailingZeroCount(left) / 8;
        uint rest = left & ~(255u << (8 * first));
        int second = rest == 0 ? (first == 3 ? 3 : first + 1) : BitOperations.TrailingZeroCount(rest) / 8;
        (first, second) = first == 3 ? (2, 3) : (first, second); // the only code is the last of the four
        return (((left >> (8 * first)) & 15) | (((left >> (8 * second)) & 15) << 4), (uint)(first | (second << 2)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Word(ref byte codes, int group, int j, int places)
    {
        uint pair = Planes.Word(ref codes, group) >> (8 * j);
        uint place = Planes.Word(ref codes, PlacesGroup) >> places;
        return Empty ^ ((pair & 15) << (int)((place & 3) * 8)) ^ ((pair & 240) << (int)(((place & 12) * 2) - 4));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> Word512(ref byte codes, int group, int j, int places)
    {
        Vector512<uint> pair = Vector512.ShiftRightLogical(Vector512.LoadUnsafe(ref codes, (nuint)(Planes.Group * group)).AsUInt32(), 8 * j);
        Vector512<uint> place = Vector512.ShiftRightLogical(Vector512.LoadUnsafe(ref codes, (nuint)(Planes.Group * PlacesGroup)).AsUInt32(), places);
        Vector512<uint> first = Avx512F.ShiftLeftLogicalVariable(pair & Vector512.Create(15u), Vector512.ShiftLeft(place & Vector512.Create(3u), 3));
        Vector512<uint> second = Avx512F.ShiftLeftLogicalVariable(pair & Vector512.Create(240u), Vector512.ShiftLeft(place & Vector512.Create(12u), 1) - Vector512.Create(4u));
        return (Vector512.Create(Empty) ^ first ^ second).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Word256(ref byte codes, int group, int j, int places)
    {
        Vector256<uint> pair = Vector256.ShiftRightLogical(Vector256.LoadUnsafe(ref codes, (nuint)(Planes.Group * group)).AsUInt32(), 8 * j);
        Vector256<uint> place = Vector256.ShiftRightLogical(Vector256.LoadUnsafe(ref codes, (nuint)(Planes.Group * PlacesGroup)).AsUInt32(), places);
        Vector256<uint> first = Avx2.ShiftLeftLogicalVariable(pair & Vector256.Create(15u), Vector256.ShiftLeft(place & Vector256.Create(3u), 3));
        Vector256<uint> second = Avx2.ShiftLeftLogicalVariable(pair & Vector256.Create(240u), Vector256.ShiftLeft(place & Vector256.Create(12u), 1) - Vector256.Create(4u));
        return (Vector256.Create(Empty) ^ first ^ second).AsByte();
    }
}
