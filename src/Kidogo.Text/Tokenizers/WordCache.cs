// Remembers the ids of words seen lately. Knows not how they were found.
using System.Runtime.CompilerServices;

namespace Kidogo.Text.Tokenizers;

/// <summary>A bounded table from the bytes of a word to its ids. Belongs to one call at a time; when full it starts anew.</summary>
internal sealed class WordCache
{
    /// <summary>Longer words are rare, and remembering them would let one text fill the table.</summary>
    public const int MaxWordLength = 64;

    private const int SlotBits = 15;
    private const int MaxEntries = 1 << (SlotBits - 1);
    private readonly Entry[] _slots = new Entry[1 << SlotBits];
    private readonly ulong _seed = (ulong)Random.Shared.NextInt64() | 1;
    private ByteBuffer _keys = new();
    private IdList _ids = new();
    private int _count;

    /// <summary>Appends the ids of <paramref name="word"/> if they are known.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public bool TryAppend(ReadOnlySpan<byte> word, IdList output, out uint hash)
    {
        hash = Vocabulary.Hash(word, _seed);
        Entry[] slots = _slots;
        for (int at = (int)(hash >> (32 - SlotBits)); ; at = (at + 1) & (slots.Length - 1))
        {
            ref Entry entry = ref slots[at];
            if (entry.KeyLength == 0)
            {
                return false;
            }

            if (entry.Hash == hash && entry.KeyLength == word.Length && _keys.Span.Slice(entry.KeyStart, entry.KeyLength).SequenceEqual(word))
            {
                if (entry.IdCount == 1)
                {
                    output.Add(entry.IdStart);
                }
                else
                {
                    output.Add(_ids.Span.Slice(entry.IdStart, entry.IdCount));
                }

                return true;
            }
        }
    }

    /// <summary>Remembers the ids of a word that <see cref="TryAppend"/> did not know, with the hash it gave.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Add(ReadOnlySpan<byte> word, uint hash, ReadOnlySpan<int> ids)
    {
        if (_count == MaxEntries)
        {
            Array.Clear(_slots);
            _keys = new ByteBuffer();
            _ids = new IdList();
            _count = 0;
        }

        int at = (int)(hash >> (32 - SlotBits));
        while (_slots[at].KeyLength != 0)
        {
            at = (at + 1) & (_slots.Length - 1);
        }

        _slots[at] = new Entry(hash, _keys.Count, word.Length, ids.Length == 1 ? ids[0] : _ids.Count, ids.Length);
        _keys.Add(word);
        if (ids.Length != 1)
        {
            _ids.Add(ids);
        }

        _count++;
    }

    // IdStart is the id itself where there is one only.
    private readonly record struct Entry(uint Hash, int KeyStart, int KeyLength, int IdStart, int IdCount);
}
