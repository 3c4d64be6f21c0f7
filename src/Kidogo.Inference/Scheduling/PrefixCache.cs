// The sequences that nobody is generating now, kept because a later prompt may begin alike. Knows tokens and bytes, no requests.
using Kidogo.Models;
using Kidogo.Models.Adapters;

namespace Kidogo.Inference.Scheduling;

/// <summary>Whom what was computed may serve.</summary>
/// <param name="Owner">Whose prompt it was.</param>
/// <param name="Adapter">What it was computed with: keys and values of another adapter are others.</param>
internal readonly record struct PrefixKey(string Owner, Adapter Adapter);

/// <summary>Idle sequences by owner and adapter, the longest unused let go of first. For the scheduler's thread alone.</summary>
/// <param name="model">The model.</param>
/// <param name="options">How much to keep, and how sequences are stored.</param>
internal sealed class PrefixCache(DecoderModel model, SchedulerOptions options) : IDisposable
{
    private const int LeastWorthCopying = 32; // tokens: below that, computing them is as quick
    private readonly LinkedList<(PrefixKey Key, CachedSequence Sequence)> _idle = new(); // the longest unused first

    /// <summary>Bytes that idle sequences hold.</summary>
    public long Bytes { get; private set; }

    /// <summary>Idle sequences.</summary>
    public int Count => _idle.Count;

    /// <summary>An empty sequence.</summary>
    public CachedSequence Fresh() => new(model, options.ContextLength, options.CacheFormat);

    /// <summary>A sequence that holds as much of the start of a prompt as is known, cut to it.</summary>
    /// <param name="key">Whose prompt it is, and what it is computed with.</param>
    /// <param name="prompt">The prompt.</param>
    /// <param name="inUse">Sequences of the same key that are being generated: they are copied, never taken.</param>
    /// <param name="cached">How many tokens are cached.</param>
    public CachedSequence Take(PrefixKey key, ReadOnlySpan<int> prompt, IEnumerable<CachedSequence> inUse, out int cached)
    {
        LinkedListNode<(PrefixKey Key, CachedSequence Sequence)>? idle = null;
        int best = 0;
        for (LinkedListNode<(PrefixKey Key, CachedSequence Sequence)>? node = _idle.Last; node is not null; node = node.Previous)
        {
            int shared = IsFor(node.Value.Key, key) ? node.Value.Sequence.CountReusable(prompt) : 0;
            (best, idle) = shared > best ? (shared, node) : (best, idle);
        }

        CachedSequence? source = null;
        foreach (CachedSequence other in inUse)
        {
            int shared = other.CountReusable(prompt);
            (best, source) = shared > best && shared >= LeastWorthCopying ? (shared, other) : (best, source);
        }

        if (source is null && idle is not null)
        {
            source = idle.Value.Sequence;
            bool losesMuch = source.Tokens.Count - best > best && best >= LeastWorthCopying;
            if (!losesMuch)
            {
                Remove(idle);
                cached = source.Reuse(prompt);
                return source;
            }

            _idle.Remove(idle); // it was useful just now
            _idle.AddLast(idle);
        }

        CachedSequence fresh = Fresh();
        cached = 0;
        if (source is not null)
        {
            try
            {
                cached = fresh.CopyFrom(source, prompt);
            }
            catch (OutOfMemoryException)
            {
                cached = 0; // then the prompt is computed
            }
        }

        return fresh;
    }

    /// <summary>Keeps a sequence for later prompts, and lets go of others where there is no room.</summary>
    public void Give(PrefixKey key, CachedSequence sequence)
    {
        long bytes = sequence.Cache.MemoryBytes;
        if (sequence.Tokens.Count == 0 || bytes > options.IdleCacheBytes)
        {
            sequence.Dispose();
            return;
        }

        while (_idle.First is { } oldest && Bytes + bytes > options.IdleCacheBytes)
        {
            Remove(oldest);
            oldest.Value.Sequence.Dispose();
        }

        _idle.AddLast((key, sequence));
        Bytes += bytes;
    }

    /// <summary>Lets go of all.</summary>
    public void Clear()
    {
        foreach ((_, CachedSequence sequence) in _idle)
        {
            sequence.Dispose();
        }

        _idle.Clear();
        Bytes = 0;
    }

    /// <inheritdoc/>
    public void Dispose() => Clear();

    /// <summary>Whether what was computed for one may serve another.</summary>
    public bool IsFor(PrefixKey key, PrefixKey other) => key.Adapter == other.Adapter && (options.SharesCache || key.Owner.Equals(other.Owner, StringComparison.Ordinal));

    private void Remove(LinkedListNode<(PrefixKey Key, CachedSequence Sequence)> node)
    {
        _idle.Remove(node);
        Bytes -= node.Value.Sequence.Cache.MemoryBytes;
    }
}
