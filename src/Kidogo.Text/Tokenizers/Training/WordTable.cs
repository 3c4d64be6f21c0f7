// How often each word occurs. Knows not what a word is.
using System.Runtime.CompilerServices;

namespace Kidogo.Text.Tokenizers.Training;

/// <summary>Counts of byte strings in one open-addressing table, in the order in which they were first seen.</summary>
internal sealed class WordTable
{
    private const int MaxBytes = 1 << 30;
    private readonly ulong _seed; // keeps texts from choosing collisions; results do not depend on it
    private ByteBuffer _bytes = new();
    private Entry[] _entries = new Entry[1024];
    private int[] _slots = new int[4096];

    public WordTable(ulong seed) => _seed = seed;

    private record struct Entry(uint Hash, int Start, int Length, long Count);

    /// <summary>Different words.</summary>
    public int Count { get; private set; }

    /// <summary>Bytes of all different words.</summary>
    public int Bytes => _bytes.Count;

    public ReadOnlySpan<byte> Word(int index) => _bytes.Span.Slice(_entries[index].Start, _entries[index].Length);

    public ReadOnlyMemory<byte> Memory(int index) => _bytes.Memory.Slice(_entries[index].Start, _entries[index].Length);

    public long CountOf(int index) => _entries[index].Count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Add(ReadOnlySpan<byte> word) => Add(word, Vocabulary.Hash(word, _seed), 1);

    /// <summary>Adds all counts of another table with the same seed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Add(WordTable other)
    {
        for (int i = 0; i < other.Count; i++)
        {
            Add(other.Word(i), other._entries[i].Hash, other._entries[i].Count);
        }
    }

    /// <summary>Forgets all words but not the memory.</summary>
    public void Clear()
    {
        _bytes.Clear();
        Array.Clear(_slots);
        Count = 0;
    }

    /// <summary>Drops the words that occur least, until at most half of <paramref name="most"/> are left.</summary>
    public void DropRare(int most)
    {
        for (long least = 2; Count > most / 2 || Bytes > MaxBytes / 4; least++)
        {
            ByteBuffer bytes = new();
            int kept = 0;
            for (int i = 0; i < Count; i++)
            {
                Entry entry = _entries[i];
                if (entry.Count >= least)
                {
                    int start = bytes.Count;
                    bytes.Add(Word(i));
                    _entries[kept++] = entry with { Start = start };
                }
            }

            _bytes = bytes;
            Count = kept;
        }

        Array.Clear(_slots);
        for (int i = 0; i < Count; i++)
        {
            Insert(i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Add(ReadOnlySpan<byte> word, uint hash, long count)
    {
        int mask = _slots.Length - 1;
        for (int at = Slot(hash); ; at = (at + 1) & mask)
        {
            int index = _slots[at] - 1;
            if (index < 0)
            {
                break;
            }

            ref Entry entry = ref _entries[index];
            if (entry.Hash == hash && entry.Length == word.Length && _bytes.Span.Slice(entry.Start, entry.Length).SequenceEqual(word))
            {
                entry.Count += count;
                return;
            }
        }

        Append(word, hash, count);
    }

    private void Append(ReadOnlySpan<byte> word, uint hash, long count)
    {
        if (Count == _entries.Length)
        {
            Array.Resize(ref _entries, Count * 2);
        }

        _entries[Count] = new Entry(hash, _bytes.Count, word.Length, count);
        _bytes.Add(word);
        Count++;
        if (Count * 2 <= _slots.Length)
        {
            Insert(Count - 1);
            return;
        }

        _slots = new int[_slots.Length * 2];
        for (int i = 0; i < Count; i++)
        {
            Insert(i);
        }
    }

    private void Insert(int index)
    {
        int at = Slot(_entries[index].Hash);
        while (_slots[at] != 0)
        {
            at = (at + 1) & (_slots.Length - 1);
        }

        _slots[at] = index + 1;
    }

    private int Slot(uint hash) => (int)((hash * 0x9E3779B97F4A7C15) >> 32) & (_slots.Length - 1);
}
