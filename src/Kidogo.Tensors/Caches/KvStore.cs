// The cached keys and values of one layer of one sequence. Knows no models and no threads.
using Kidogo.Tensors.Kernels;
using Kidogo.Tensors.Ops;

namespace Kidogo.Tensors;

/// <summary>How cached keys and values are stored.</summary>
public enum KvFormat
{
    /// <summary>float16: the default.</summary>
    F16,

    /// <summary>8 bits in blocks of 32 values with one scale: half the memory of float16.</summary>
    Q8_0,

    /// <summary>float32: what exact results need.</summary>
    F32,
}

/// <summary>Keys and values [S, K, E] of one layer, in pages of 256 positions.</summary>
/// <remarks>
/// The pages are the chunks of <see cref="AttentionKernel"/>. Inside, keys lie with 32 positions side by side and values with 32 elements side by side, so that both
/// products of attention are the same kernel as every other matrix product. With a window, pages that no later position can see are used again.
/// </remarks>
public sealed class KvStore : IDisposable
{
    internal const int PagePositions = AttentionKernel.ChunkPositions;

    private readonly List<KvPage> _pages = [];
    private readonly Stack<KvPage> _free = new();
    private int _firstPage;

    /// <summary>An empty store.</summary>
    /// <param name="kvHeads">K</param>
    /// <param name="headDim">E</param>
    /// <param name="format">How values are kept.</param>
    /// <param name="window">Positions that a position sees, itself included; 0 for all.</param>
    public KvStore(int kvHeads, int headDim, KvFormat format = KvFormat.F16, int window = 0)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(kvHeads, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(headDim, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(window);
        KvHeads = kvHeads;
        HeadDim = headDim;
        Format = format;
        Window = window;
    }

    /// <summary>K: heads of keys and values.</summary>
    public int KvHeads { get; }

    /// <summary>E: values of a head.</summary>
    public int HeadDim { get; }

    /// <summary>How values are kept.</summary>
    public KvFormat Format { get; }

    /// <summary>Positions that a position sees, itself included; 0 for all.</summary>
    public int Window { get; }

    /// <summary>S: positions so far, those that left the window included.</summary>
    public int Length { get; private set; }

    /// <summary>The first position that is still kept.</summary>
    public int FirstKept => _firstPage * PagePositions;

    /// <summary>Bytes of memory held.</summary>
    public long MemoryBytes => (_pages.Count + _free.Count) * KvPage.Bytes(KvHeads, HeadDim, Format);

    /// <summary>Bytes that <paramref name="positions"/> cached positions of such a layer take, in whole pages.</summary>
    /// <param name="positions">Positions of the sequence.</param>
    /// <param name="kvHeads">K</param>
    /// <param name="headDim">E</param>
    /// <param name="format">How values are kept.</param>
    /// <param name="window">Positions that a position sees; 0 for all.</param>
    /// <param name="passRows">Most positions that are added at once: with a window, all of them are kept beside it until the pass is over.</param>
    public static long BytesFor(int positions, int kvHeads, int headDim, KvFormat format, int window = 0, int passRows = 1)
    {
        long pages = ((long)positions + PagePositions - 1) / PagePositions;
        if (window > 0)
        {
            pages = Math.Min(pages, (((long)window + passRows - 1 + PagePositions - 1) / PagePositions) + 1);
        }

        return pages * KvPage.Bytes(kvHeads, headDim, format);
    }

    /// <summary>Allocates pages ahead, so that the next <paramref name="positions"/> positions allocate nothing.</summary>
    public void Reserve(int positions)
    {
        int pages = (int)(((long)Length + positions + PagePositions - 1) / PagePositions) - _firstPage;
        if (Window > 0)
        {
            pages = Math.Min(pages, (Window / PagePositions) + 2);
        }

        while (_pages.Count + _free.Count < pages)
        {
            _free.Push(new KvPage(KvHeads, HeadDim, Format));
        }

        _pages.EnsureCapacity(pages);
    }

    /// <summary>Forgets everything; keeps the memory.</summary>
    public void Clear()
    {
        foreach (KvPage page in _pages)
        {
            _free.Push(page);
        }

        _pages.Clear();
        _firstPage = 0;
        Length = 0;
    }

    /// <summary>Whether the positions before <paramref name="length"/> that its next position sees are still kept.</summary>
    public bool CanTruncate(int length) =>
        length >= 0 && length <= Length && (length == 0 || _firstPage == 0 || (Window > 0 && Math.Max(0, length - Window + 1) >= FirstKept));

    /// <summary>Forgets the positions from <paramref name="length"/> on.</summary>
    /// <exception cref="InvalidOperationException">Positions that are needed have left the window, see <see cref="CanTruncate"/>.</exception>
    public void Truncate(int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)length, (uint)Length, nameof(length));
        if (!CanTruncate(length))
        {
            throw new InvalidOperationException($"Positions before {FirstKept} have left the window of {Window}; a cache cut to {length} positions would miss some. Clear it instead.");
        }

        if (length == 0)
        {
            Clear();
            return;
        }

        int pages = ((length + PagePositions - 1) / PagePositions) - _firstPage;
        for (int i = _pages.Count - 1; i >= pages; i--)
        {
            _free.Push(_pages[i]);
            _pages.RemoveAt(i);
        }

        Length = length;
    }

    /// <summary>Becomes a copy of the first <paramref name="length"/> positions of another store: whole pages, bit for bit. What was here is forgotten.</summary>
    /// <exception cref="ArgumentException">The other store has other heads, another format or another window.</exception>
    /// <exception cref="InvalidOperationException">Positions that are needed have left the other's window, see <see cref="CanTruncate"/>.</exception>
    public void CopyFrom(KvStore source, int length)
    {
        if (source.KvHeads != KvHeads || source.HeadDim != HeadDim || source.Format != Format || source.Window != Window)
        {
            throw new ArgumentException(
                $"A store of {KvHeads} heads of {HeadDim} as {Format} with a window of {Window} cannot copy one of {source.KvHeads} heads of {source.HeadDim} as {source.Format} with a window of {source.Window}.", nameof(source));
        }

        if (!source.CanTruncate(length))
        {
            throw new InvalidOperationException($"{length} of {source.Length} positions cannot be copied: those before {source.FirstKept} have left the window of {source.Window}.");
        }

        Clear();
        int pages = length == 0 ? 0 : ((length + PagePositions - 1) / PagePositions) - source._firstPage;
        for (int i = 0; i < pages; i++)
        {
            KvPage page = _free.TryPop(out KvPage? free) ? free : new KvPage(KvHeads, HeadDim, Format);
            _pages.Add(page);
            page.CopyFrom(source._pages[i]);
        }

        _firstPage = length == 0 ? 0 : source._firstPage;
        Length = length;
    }

    /// <summary>Takes <paramref name="count"/> positions from <paramref name="first"/> on out; later ones move down, their keys turned back by as many positions.</summary>
    /// <param name="first">First position to forget.</param>
    /// <param name="count">How many.</param>
    /// <param name="rotary">The rotation that keys were given; null for none.</param>
    /// <remarks>Attention sinks (Xiao et al., arXiv 2309.17453, section 3.2): positions are those inside the cache.</remarks>
    public void Remove(int first, int count, RotaryTable? rotary)
    {
        if (first < 0 || count < 0 || first > Length - count || FirstKept > 0)
        {
            throw new ArgumentOutOfRangeException(nameof(first), $"Positions {first} to {first} + {count} cannot be taken out of {Length} positions of which those before {FirstKept} are gone.");
        }

        float[] keys = new float[KvHeads * HeadDim];
        float[] values = new float[KvHeads * HeadDim];
        float[] turn = rotary is null ? [] : rotary.Turn(-count);
        for (int from = first + count; from < Length; from++)
        {
            Page(from).ReadRow(from % PagePositions, keys, values);
            int to = from - count;
            for (int head = 0; head < KvHeads; head++)
            {
                Span<float> key = keys.AsSpan(head * HeadDim, HeadDim);
                if (rotary is not null)
                {
                    RotaryKernel.Rotate(key, turn, rotary.Layout);
                }

                Page(to).Write(to % PagePositions, head, key, values.AsSpan(head * HeadDim, HeadDim));
            }
        }

        Truncate(Length - count);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Clear();
        while (_free.TryPop(out KvPage? page))
        {
            page.Dispose();
        }
    }

    /// <summary>The page that holds <paramref name="position"/>.</summary>
    internal KvPage Page(int position) => _pages[(position / PagePositions) - _firstPage];

    /// <summary>Makes room for <paramref name="rows"/> positions at the end, gives back what no row from here on sees, and returns the first new position.</summary>
    internal int Extend(int rows)
    {
        int start = Length;
        if (Window > 0)
        {
            while (_pages.Count > 0 && (_firstPage + 1) * PagePositions <= start - Window + 1)
            {
                _free.Push(_pages[0]);
                _pages.RemoveAt(0);
                _firstPage++;
            }
        }

        int length = checked(start + rows);
        while ((_firstPage + _pages.Count) * (long)PagePositions < length)
        {
            _pages.Add(_free.TryPop(out KvPage? page) ? page : new KvPage(KvHeads, HeadDim, Format));
        }

        Length = length; // last: where the system has no room for a page, the store is as it was
        return start;
    }
}
