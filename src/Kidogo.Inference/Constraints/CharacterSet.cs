// Sets of characters, and their bytes in UTF-8. Knows no grammars.
namespace Kidogo.Inference.Constraints;

/// <summary>Ranges of code points, sorted, without overlap, without surrogates.</summary>
internal sealed class CharacterSet
{
    /// <summary>The last code point.</summary>
    public const int Last = 0x10FFFF;

    private const int FirstSurrogate = 0xD800, LastSurrogate = 0xDFFF;

    private CharacterSet(List<(int First, int Last)> ranges) => Ranges = ranges;

    /// <summary>The ranges.</summary>
    public IReadOnlyList<(int First, int Last)> Ranges { get; }

    /// <summary>Every character.</summary>
    public static CharacterSet All { get; } = Of((0, Last));

    /// <summary>The set of some ranges, in any order.</summary>
    public static CharacterSet Of(params ReadOnlySpan<(int First, int Last)> ranges)
    {
        (int First, int Last)[] sorted = ranges.ToArray();
        Array.Sort(sorted);
        List<(int First, int Last)> joined = [];
        foreach ((int first, int last) in sorted)
        {
            if (joined.Count > 0 && first <= joined[^1].Last + 1)
            {
                joined[^1] = (joined[^1].First, Math.Max(joined[^1].Last, last));
            }
            else
            {
                joined.Add((first, last));
            }
        }

        return new CharacterSet(WithoutSurrogates(joined));
    }

    /// <summary>All characters but these.</summary>
    public CharacterSet Complement()
    {
        List<(int First, int Last)> others = [];
        int next = 0;
        foreach ((int first, int last) in Ranges)
        {
            if (first > next)
            {
                others.Add((next, first - 1));
            }

            next = last + 1;
        }

        if (next <= Last)
        {
            others.Add((next, Last));
        }

        return new CharacterSet(WithoutSurrogates(others));
    }

    /// <summary>The characters of both.</summary>
    public CharacterSet Union(CharacterSet other) => Of([.. Ranges, .. other.Ranges]);

    /// <summary>These but for others.</summary>
    public CharacterSet Except(CharacterSet other) => Complement().Union(other).Complement();

    /// <summary>Whether a character belongs to the set.</summary>
    public bool Contains(int character) => Ranges.Any(range => character >= range.First && character <= range.Last);

    /// <summary>The bytes of a range of characters as sequences of ranges of bytes.</summary>
    /// <remarks>A range is cut where the number of bytes changes, and then where its leading bytes differ, so that each piece is a product of ranges.</remarks>
    public static IEnumerable<(byte First, byte Last)[]> Utf8(int first, int last)
    {
        int[] ends = [0x7F, 0x7FF, 0xFFFF, Last];
        for (int length = 1; length <= ends.Length; length++)
        {
            int from = Math.Max(first, length == 1 ? 0 : ends[length - 2] + 1), to = Math.Min(last, ends[length - 1]);
            if (from <= to)
            {
                foreach ((byte, byte)[] piece in Pieces(from, to, length))
                {
                    yield return piece;
                }
            }
        }
    }

    private static IEnumerable<(byte First, byte Last)[]> Pieces(int first, int last, int length)
    {
        // The lowest bits that both ends share nothing of: cut off what does not fill whole groups of 64, 4,096, ... characters.
        for (int bits = 6; bits < 6 * length; bits += 6)
        {
            int rest = (1 << bits) - 1;
            if ((first & ~rest) == (last & ~rest))
            {
                continue;
            }

            if ((first & rest) != 0)
            {
                return Pieces(first, first | rest, length).Concat(Pieces((first | rest) + 1, last, length));
            }

            if ((last & rest) != rest)
            {
                return Pieces(first, (last & ~rest) - 1, length).Concat(Pieces(last & ~rest, last, length));
            }
        }

        (byte First, byte Last)[] bytes = new (byte, byte)[length];
        for (int i = 0; i < length; i++)
        {
            bytes[i] = (ByteOf(first, i, length), ByteOf(last, i, length));
        }

        return [bytes];
    }

    private static byte ByteOf(int character, int index, int length)
    {
        int bits = character >> (6 * (length - 1 - index));
        return index > 0 ? (byte)(0x80 | (bits & 0x3F)) : length switch { 1 => (byte)bits, 2 => (byte)(0xC0 | bits), 3 => (byte)(0xE0 | bits), _ => (byte)(0xF0 | bits) };
    }

    private static List<(int First, int Last)> WithoutSurrogates(List<(int First, int Last)> ranges)
    {
        List<(int First, int Last)> kept = [];
        foreach ((int first, int last) in ranges)
        {
            if (first < FirstSurrogate)
            {
                kept.Add((first, Math.Min(last, FirstSurrogate - 1)));
            }

            if (last > LastSurrogate)
            {
                kept.Add((Math.Max(first, LastSurrogate + 1), last));
            }
        }

        return kept;
    }
}
