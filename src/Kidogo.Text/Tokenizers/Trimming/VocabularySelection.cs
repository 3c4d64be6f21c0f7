// Which tokens of a vocabulary stay, and under which numbers. Knows no tokenizer and no tensors.
namespace Kidogo.Text.Tokenizers.Trimming;

/// <summary>A part of a vocabulary. Tokens keep their order, so that defaults which go by small numbers keep their meaning.</summary>
public sealed class VocabularySelection
{
    private readonly int[] _kept;
    private readonly int[] _newIds;

    /// <summary>A selection.</summary>
    /// <param name="vocabulary">Number of tokens that there are.</param>
    /// <param name="kept">The ids that stay, in any order; others go.</param>
    /// <exception cref="ArgumentOutOfRangeException">An id lies outside the vocabulary.</exception>
    public VocabularySelection(int vocabulary, IEnumerable<int> kept)
    {
        _kept = [.. kept.Distinct().Order()];
        _newIds = new int[vocabulary];
        Array.Fill(_newIds, -1);
        for (int id = 0; id < _kept.Length; id++)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)_kept[id], (uint)vocabulary, nameof(kept));
            _newIds[_kept[id]] = id;
        }
    }

    /// <summary>For each new id the old one, ascending.</summary>
    public ReadOnlySpan<int> Kept => _kept;

    /// <summary>Number of tokens that there were.</summary>
    public int CountBefore => _newIds.Length;

    /// <summary>Number of tokens that stay.</summary>
    public int Count => _kept.Length;

    /// <summary>The new id of an old one, -1 for one that goes or never was.</summary>
    public int NewId(long oldId) => oldId >= 0 && oldId < _newIds.Length ? _newIds[oldId] : -1;

    /// <summary>The new ids of old ones; those that go are left out.</summary>
    public int[] NewIds(IEnumerable<int> oldIds) => [.. oldIds.Select(id => NewId(id)).Where(id => id >= 0)];
}
