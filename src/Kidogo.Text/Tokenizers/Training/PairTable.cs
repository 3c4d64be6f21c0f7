// Counts of neighbouring pairs and the words they occur in. Knows not which pair is merged.
using System.Runtime.CompilerServices;

namespace Kidogo.Text.Tokenizers.Training;

/// <summary>For every pair of symbols how often it occurs, and a list of the words that have (or had) it. Pairs are numbered in the order in which they were
/// first seen.</summary>
internal sealed class PairTable
{
    private const ulong Multiplier = 0x9E3779B97F4A7C15;
    private int[] _slots = new int[1 << 14];
    private int _shift = 64 - 14;
    private Pair[] _pairs = new Pair[1 << 12];
    private (int Word, int Next)[] _places = new (int, int)[1 << 14];
    private int _placeCount = 1; // 0 ends a list

    private record struct Pair(int Left, int Right, long Count, int FirstPlace, int LastWord);

    public int Count { get; private set; }

    public (int Left, int Right) this[int pair] => (_pairs[pair].Left, _pairs[pair].Right);

    public long CountOf(int pair) => _pairs[pair].Count;

    /// <summary>The number of a pair; a new one if it was not seen before.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public int Index(int left, int right)
    {
        int mask = _slots.Length - 1;
        int at = Slot(left, right);
        for (; _slots[at] != 0; at = (at + 1) & mask)
        {
            ref Pair pair = ref _pairs[_slots[at] - 1];
            if (pair.Left == left && pair.Right == right)
            {
                return _slots[at] - 1;
            }
        }

        if (Count == _pairs.Length)
        {
            Array.Resize(ref _pairs, Count * 2);
        }

        _pairs[Count] = new Pair(left, right, 0, 0, -1);
        _slots[at] = ++Count;
        if (Count * 2 > _slots.Length)
        {
            Grow();
        }

        return Count - 1;
    }

    /// <summary>The number of a pair, or -1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Find(int left, int right)
    {
        int[] slots = _slots;
        for (int at = Slot(left, right); slots[at] != 0; at = (at + 1) & (slots.Length - 1))
        {
            ref Pair pair = ref _pairs[slots[at] - 1];
            if (pair.Left == left && pair.Right == right)
            {
                return slots[at] - 1;
            }
        }

        return -1;
    }

    /// <summary>Adds to a pair's count.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Add(int pair, long count) => _pairs[pair].Count += count;

    /// <summary>Remembers that a word has a pair; a word that was entered just before is not entered again.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void AddPlace(int pair, int word)
    {
        ref Pair entry = ref _pairs[pair];
        if (entry.LastWord == word)
        {
            return;
        }

        if (_placeCount == _places.Length)
        {
            Array.Resize(ref _places, _placeCount * 2);
        }

        _places[_placeCount] = (word, entry.FirstPlace);
        entry.FirstPlace = _placeCount++;
        entry.LastWord = word;
    }

    /// <summary>The first place of a pair, to be followed with <see cref="Next"/>; 0 ends it.</summary>
    public int FirstPlace(int pair) => _pairs[pair].FirstPlace;

    /// <summary>The word at a place and the place after it.</summary>
    public (int Word, int Next) Next(int place) => _places[place];

    private int Slot(int left, int right) => (int)(((((ulong)(uint)left << 32) | (uint)right) * Multiplier) >> _shift);

    private void Grow()
    {
        _slots = new int[_slots.Length * 2];
        _shift--;
        for (int i = 0; i < Count; i++)
        {
            int at = Slot(_pairs[i].Left, _pairs[i].Right);
            while (_slots[at] != 0)
            {
                at = (at + 1) & (_slots.Length - 1);
            }

            _slots[at] = i + 1;
        }
    }
}
