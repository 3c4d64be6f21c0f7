// The cached keys and values of one sequence, all layers. Knows no tokens and no sampling.
using Kidogo.Models.Layers;
using Kidogo.Tensors;

namespace Kidogo.Models;

/// <summary>What a model remembers of one sequence. Belongs to the caller; made by <see cref="DecoderModel.CreateCache"/>.</summary>
/// <remarks>Not for several passes at once.</remarks>
public sealed class KvCache : IDisposable
{
    private readonly KvStore[] _stores;
    private readonly RotaryEmbedding?[] _rotary;

    internal KvCache(DecoderModel model, int contextLength, KvFormat format)
    {
        Model = model;
        ContextLength = contextLength;
        Format = format;
        _stores = [.. model.Config.Layers.Select(layer => new KvStore(layer.NumKvHeads, layer.HeadDim, format, layer.SlidingWindow))];
        _rotary = [.. model.Blocks.Select(block => block.Rotary)];
    }

    /// <summary>Positions that may be cached: the context that generation declares.</summary>
    public int ContextLength { get; private set; }

    /// <summary>How keys and values are stored.</summary>
    public KvFormat Format { get; }

    /// <summary>Positions so far, those that have left a window included.</summary>
    public int Length => _stores[0].Length;

    /// <summary>Bytes of memory that keys and values hold.</summary>
    public long MemoryBytes => _stores.Sum(store => store.MemoryBytes);

    /// <summary>The model whose keys and values these are.</summary>
    internal DecoderModel Model { get; }

    /// <summary>The number of the adapter that the positions were computed with; 0 for none.</summary>
    internal int AdapterNumber { get; set; }

    /// <summary>Number of layers.</summary>
    public int LayerCount => _stores.Length;

    /// <summary>The keys and values of a layer.</summary>
    public KvStore this[int layer] => _stores[layer];

    /// <summary>Whether the cache can be cut to <paramref name="length"/> positions: not where a window has let positions go that would be seen again.</summary>
    public bool CanTruncate(int length) => Array.TrueForAll(_stores, store => store.CanTruncate(length));

    /// <summary>Forgets the positions from <paramref name="length"/> on.</summary>
    /// <exception cref="InvalidOperationException">See <see cref="CanTruncate"/>.</exception>
    public void Truncate(int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)length, (uint)Length, nameof(length));
        if (!CanTruncate(length))
        {
            throw new InvalidOperationException($"A layer's window has let positions go that a cache cut from {Length} to {length} positions would see again. Clear it instead.");
        }

        foreach (KvStore store in _stores)
        {
            store.Truncate(length);
        }
    }

    /// <summary>Becomes a copy of the first <paramref name="length"/> positions of another cache of the same model, bit for bit: two sequences then go on from one start.</summary>
    /// <exception cref="ArgumentException">The other cache is of another model, format or declared context.</exception>
    /// <exception cref="InvalidOperationException">A layer's window has let positions go that are needed: see <see cref="CanTruncate"/> of the other.</exception>
    public void CopyFrom(KvCache source, int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)length, (uint)source.Length, nameof(length));
        if (source.Model != Model || source.Format != Format || source.ContextLength != ContextLength)
        {
            throw new ArgumentException("Only a cache of the same model, format and declared context can be copied: keys depend on them.", nameof(source));
        }

        if (!source.CanTruncate(length))
        {
            throw new InvalidOperationException($"A layer's window has let positions go that a copy of {length} of {source.Length} positions would see again.");
        }

        try
        {
            for (int i = 0; i < _stores.Length; i++)
            {
                _stores[i].CopyFrom(source._stores[i], length);
            }

            AdapterNumber = source.AdapterNumber;
        }
        catch
        {
            Clear(); // where memory ran out in the middle, all layers are empty alike
            throw;
        }
    }

    /// <summary>Forgets everything; keeps the memory.</summary>
    public void Clear()
    {
        foreach (KvStore store in _stores)
        {
            store.Clear();
        }
    }

    /// <summary>Takes memory for the next <paramref name="positions"/> positions now.</summary>
    public void Reserve(int positions)
    {
        foreach (KvStore store in _stores)
        {
            store.Reserve(positions);
        }
    }

    /// <summary>Whether positions can be taken out of the middle: not where positions are learned, which cannot be turned, or a layer's window has let some go.</summary>
    public bool CanRemove => Model.Config.LearnedPositions == 0 && Array.TrueForAll(_stores, store => store.FirstKept == 0);

    /// <summary>Takes positions out of the middle; later ones move down and their keys are turned back (attention sinks, Xiao et al. 2023).</summary>
    /// <param name="first">The first position to forget.</param>
    /// <param name="count">How many.</param>
    /// <exception cref="NotSupportedException">See <see cref="CanRemove"/>.</exception>
    public void Remove(int first, int count)
    {
        if (!CanRemove)
        {
            throw new NotSupportedException("Cached positions cannot be moved: the model has learned positions, or a layer's window has let some go. Start a new cache with the tokens to keep.");
        }

        for (int i = 0; i < _stores.Length; i++)
        {
            _stores[i].Remove(first, count, _rotary[i]?.TableFor(ContextLength));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (KvStore store in _stores)
        {
            store.Dispose();
        }
    }

    /// <summary>Forgets what a pass that failed has put in: of some layers its rows, of others nothing.</summary>
    /// <param name="length">Positions before the pass. A window never lets go of what the first row after them sees, so every layer can be cut there.</param>
    internal void TakeBack(int length)
    {
        foreach (KvStore store in _stores)
        {
            if (store.Length > length)
            {
                store.Truncate(length);
            }
        }
    }

    /// <summary>Empties a cache that scores whole sequences, for one of <paramref name="length"/> positions.</summary>
    internal void Restart(int length)
    {
        Clear();
        ContextLength = length;
    }
}
