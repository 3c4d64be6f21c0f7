// The ranks of merges by the ids of their halves. Knows not how words become symbols.
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Text;

namespace Kidogo.Text.Tokenizers;

/// <summary>For a pair of ids the rank of its merge and the id of what it becomes, in one open-addressing table.</summary>
/// <remarks>Halves and results that the vocabulary lacks (a trimmed vocabulary has such) get ids from its count upwards; they may be merged on but are never given out.</remarks>
internal sealed class MergeTable
{
    private const ulong Multiplier = 0x9E3779B97F4A7C15;
    private readonly ulong[] _keys; // left << 32 | right, plus one
    private readonly (int Rank, int Merged)[] _values;
    private readonly int _shift;
    private readonly Vocabulary _vocabulary;
    private Dictionary<string, int>? _absent;
    private List<(int Left, int Right)>? _halvesOfAbsent;

    /// <summary>Indexes the merges.</summary>
    /// <param name="vocabulary">The pieces.</param>
    /// <param name="merges">Left and right halves in turn.</param>
    /// <param name="continuingPrefix">What a right half loses at its start when merged; mostly empty.</param>
    /// <param name="strict">Whether a merge of pieces that the vocabulary lacks is refused, and whether of two merges of one pair the later counts, both as in tokenizer.json.</param>
    /// <param name="checkMarkers">Whether to find out if a piece has a <c>▁</c> inside.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public MergeTable(Vocabulary vocabulary, PieceList merges, ReadOnlySpan<byte> continuingPrefix, bool strict, bool checkMarkers)
    {
        _vocabulary = vocabulary;
        int count = merges.Count / 2;
        int bits = Math.Max(4, BitOperations.Log2((uint)Math.Max(1, count + (count >> 1))) + 1);
        _keys = new ulong[1 << bits];
        _values = new (int, int)[1 << bits];
        _shift = 64 - bits;
        byte[]? joined = null;
        for (int rank = 0; rank < count; rank++)
        {
            ReadOnlySpan<byte> leftPiece = merges[2 * rank], rightPiece = merges[(2 * rank) + 1], whole = merges.Joined(2 * rank);
            if (!continuingPrefix.IsEmpty && rightPiece.StartsWith(continuingPrefix))
            {
                joined = [.. leftPiece, .. rightPiece[continuingPrefix.Length..]];
                whole = joined;
            }

            int left = vocabulary.Find(leftPiece), right = vocabulary.Find(rightPiece), merged = vocabulary.Find(whole);
            if ((left | right | merged) < 0)
            {
                if (strict)
                {
                    throw new TokenizerFormatException($"Merge {rank} joins '{Show(leftPiece)}' and '{Show(rightPiece)}' to '{Show(whole)}', but the vocabulary lacks at least one of the three.");
                }

                left = left >= 0 ? left : Absent(leftPiece, -1, -1);
                right = right >= 0 ? right : Absent(rightPiece, -1, -1);
                merged = merged >= 0 ? merged : Absent(whole, left, right);
            }
            else if (vocabulary.Kinds[merged] is TokenKind.Control or TokenKind.Unknown)
            {
                continue; // ordinary text never becomes a control token
            }

            HasInnerMarker |= checkMarkers && SubwordModel.HasInnerMarker(whole);
            Insert(left, right, rank, merged, replace: strict);
        }
    }

    /// <summary>Whether some merge makes a piece with a <c>▁</c> after something else.</summary>
    public bool HasInnerMarker { get; }

    /// <summary>The rank of merging two symbols (small is early) and the id that results; int.MaxValue if they do not merge.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Rank(int left, int right, out int merged)
    {
        if ((left | right) < 0)
        {
            merged = -1;
            return int.MaxValue;
        }

        ulong key = (((ulong)(uint)left << 32) | (uint)right) + 1;
        ulong[] keys = _keys;
        for (int at = (int)((key * Multiplier) >> _shift); ; at = (at + 1) & (keys.Length - 1))
        {
            if (keys[at] == key)
            {
                (int rank, merged) = _values[at];
                return rank;
            }

            if (keys[at] == 0)
            {
                merged = -1;
                return int.MaxValue;
            }
        }
    }

    /// <summary>The id of a piece of the merges that the vocabulary lacks, or -1.</summary>
    public int FindAbsent(ReadOnlySpan<byte> piece) => _absent is not null && _absent.TryGetValue(Encoding.Latin1.GetString(piece), out int id) ? id : -1;

    /// <summary>The two halves that a piece which the vocabulary lacks was merged from, or null for one that nothing makes.</summary>
    public (int Left, int Right)? HalvesOf(int absentId)
    {
        (int Left, int Right) halves = _halvesOfAbsent![absentId - _vocabulary.Count];
        return halves.Left < 0 ? null : halves;
    }

    private static string Show(ReadOnlySpan<byte> piece) => Encoding.UTF8.GetString(piece[..Math.Min(64, piece.Length)]);

    private int Absent(ReadOnlySpan<byte> piece, int left, int right)
    {
        _absent ??= [];
        _halvesOfAbsent ??= [];
        string key = Encoding.Latin1.GetString(piece);
        if (!_absent.TryGetValue(key, out int id))
        {
            id = _vocabulary.Count + _halvesOfAbsent.Count;
            _absent.Add(key, id);
            _halvesOfAbsent.Add((left, right));
        }
        else if (left >= 0 && _halvesOfAbsent[id - _vocabulary.Count].Left < 0 && left != id && right != id)
        {
            _halvesOfAbsent[id - _vocabulary.Count] = (left, right);
        }

        return id;
    }

    private void Insert(int left, int right, int rank, int merged, bool replace)
    {
        ulong key = (((ulong)(uint)left << 32) | (uint)right) + 1;
        int at = (int)((key * Multiplier) >> _shift);
        while (_keys[at] != 0 && _keys[at] != key)
        {
            at = (at + 1) & (_keys.Length - 1);
        }

        if (_keys[at] == 0 || replace)
        {
            _keys[at] = key;
            _values[at] = (rank, merged);
        }
    }
}
