// A sequence's cache together with the tokens that are in it, so that the next prompt computes only what is new. Knows no sampling and no text.
using System.Runtime.InteropServices;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Inference;

/// <summary>What a conversation keeps between turns: the keys and values of its tokens, and which tokens they are.</summary>
/// <remarks>Belongs to one caller at a time. A reused prefix changes speed, never results.</remarks>
public sealed class CachedSequence : IDisposable
{
    private readonly List<int> _tokens = [];

    /// <summary>An empty sequence.</summary>
    /// <param name="model">The model.</param>
    /// <param name="contextLength">Positions that it may grow to; 0 for the model's context.</param>
    /// <param name="format">How keys and values are kept.</param>
    public CachedSequence(DecoderModel model, int contextLength = 0, KvFormat format = KvFormat.F16) => Cache = model.CreateCache(contextLength, format);

    /// <summary>The keys and values.</summary>
    public KvCache Cache { get; }

    /// <summary>The tokens in the cache.</summary>
    public IReadOnlyList<int> Tokens => _tokens;

    /// <summary>Positions that it may grow to.</summary>
    public int ContextLength => Cache.ContextLength;

    /// <summary>How many tokens at the start of <paramref name="prompt"/> need not be computed again: those that the cache has and can be cut to, but never the last, whose logits are wanted.</summary>
    public int CountShared(ReadOnlySpan<int> prompt)
    {
        int shared = CollectionsMarshal.AsSpan(_tokens).CommonPrefixLength(prompt[..Math.Max(0, prompt.Length - 1)]);
        return Cache.CanTruncate(shared) ? shared : 0;
    }

    /// <summary>Cuts the cache to what it shares with the start of <paramref name="prompt"/>, see <see cref="CountShared"/>.</summary>
    /// <returns>How many tokens of the prompt are cached.</returns>
    public int Reuse(ReadOnlySpan<int> prompt)
    {
        int shared = CountShared(prompt);
        Cache.Truncate(shared);
        _tokens.RemoveRange(shared, _tokens.Count - shared);
        return shared;
    }

    /// <summary>Notes tokens that a pass has added to the cache.</summary>
    public void Added(ReadOnlySpan<int> tokens) => _tokens.AddRange(tokens);

    /// <summary>Makes room in a full cache: keeps the first <paramref name="sinks"/> tokens and the later half of the others (Xiao et al., arXiv 2309.17453, section 3.2).</summary>
    /// <param name="sinks">Tokens at the start that attention leans on.</param>
    /// <returns>The tokens that have to be computed again: none, or all that are kept where the cache cannot move them (<see cref="KvCache.CanRemove"/>) and is therefore empty now.</returns>
    public int[] MakeRoom(int sinks)
    {
        int kept = Math.Min(sinks, _tokens.Count - 1);
        int dropped = Math.Max(1, (_tokens.Count - kept) / 2);
        if (Cache.CanRemove)
        {
            Cache.Remove(kept, dropped);
            _tokens.RemoveRange(kept, dropped);
            return [];
        }

        _tokens.RemoveRange(kept, dropped);
        int[] again = [.. _tokens];
        Clear();
        return again;
    }

    /// <summary>Forgets everything; keeps the memory.</summary>
    public void Clear()
    {
        Cache.Clear();
        _tokens.Clear();
    }

    /// <inheritdoc/>
    public void Dispose() => Cache.Dispose();
}
