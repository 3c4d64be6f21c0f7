// A sequence's cache together with the tokens that are in it, so that the next prompt computes only what is new. Knows no sampling and no text.
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Inference;

/// <summary>What a conversation keeps between turns: the keys and values of its tokens, and which tokens they are.</summary>
/// <remarks>Belongs to one caller at a time. A reused prefix changes speed, never results.</remarks>
public sealed class CachedSequence : IDisposable
{
    private const int FirstCapacity = 1024; // then doubling: nothing is allocated token by token

    private readonly List<int> _tokens = new(FirstCapacity);
    private int _exact = int.MaxValue; // tokens from here on have seen others that MakeRoom took out

    /// <summary>An empty sequence.</summary>
    /// <param name="model">The model.</param>
    /// <param name="contextLength">Positions that it may grow to; 0 for the model's context.</param>
    /// <param name="format">How keys and values are kept.</param>
    public CachedSequence(DecoderModel model, int contextLength = 0, KvFormat format = KvFormat.F16)
    {
        Cache = model.CreateCache(contextLength, format);
        ContextLength = model.Config.LearnedPositions > 0 ? Math.Min(Cache.ContextLength, model.Config.LearnedPositions) : Cache.ContextLength;
    }

    /// <summary>The keys and values.</summary>
    public KvCache Cache { get; }

    /// <summary>The tokens in the cache.</summary>
    public IReadOnlyList<int> Tokens => _tokens;

    /// <summary>Positions that it may grow to: what was declared, but never more than the model has learned positions for.</summary>
    public int ContextLength { get; }

    /// <summary>How many tokens at the start of <paramref name="prompt"/> are cached as a pass over the prompt would compute them, its last token, whose logits are wanted, left out.</summary>
    public int CountReusable(ReadOnlySpan<int> prompt)
    {
        int limit = Math.Min(Math.Min(_tokens.Count, _exact), prompt.Length - 1);
        int shared = 0;
        while (shared < limit && _tokens[shared] == prompt[shared])
        {
            shared++;
        }

        return Cache.CanTruncate(shared) ? shared : 0;
    }

    /// <summary>Cuts the cache to what <see cref="CountReusable"/> counts.</summary>
    /// <returns>How many tokens of the prompt are cached.</returns>
    public int Reuse(ReadOnlySpan<int> prompt)
    {
        int shared = CountReusable(prompt);
        Cache.Truncate(shared);
        _tokens.RemoveRange(shared, _tokens.Count - shared);
        _exact = int.MaxValue;
        return shared;
    }

    /// <summary>Becomes a copy of what <see cref="CountReusable"/> counts in another sequence of the same model and context; what was here is forgotten.</summary>
    /// <returns>How many tokens of the prompt are cached.</returns>
    /// <exception cref="OutOfMemoryException">The system has no room; the sequence is empty then.</exception>
    public int CopyFrom(CachedSequence source, ReadOnlySpan<int> prompt)
    {
        int shared = source.CountReusable(prompt);
        Clear();
        Cache.CopyFrom(source.Cache, shared);
        _tokens.AddRange(prompt[..shared]);
        return shared;
    }

    /// <summary>Notes tokens that a pass has added to the cache.</summary>
    public void Added(ReadOnlySpan<int> tokens) => _tokens.AddRange(tokens);

    /// <summary>Forgets the last tokens, of those that the last pass has added.</summary>
    /// <param name="length">Tokens to keep.</param>
    public void Truncate(int length)
    {
        Cache.Truncate(length);
        _tokens.RemoveRange(length, _tokens.Count - length);
    }

    /// <summary>Makes room in a full cache: keeps the first <paramref name="sinks"/> tokens and the later half of the others (Xiao et al., arXiv 2309.17453, section 3.2).</summary>
    /// <param name="sinks">Tokens at the start that attention leans on.</param>
    /// <returns>
    /// The tokens that are kept but not cached, in order, to be computed before the sequence goes on. None where the cache could be moved together; all that are kept where it could not:
    /// learned positions cannot be turned, and a window may have let go of what lies between.
    /// </returns>
    public int[] MakeRoom(int sinks)
    {
        int kept = Math.Min(sinks, _tokens.Count - 1);
        int dropped = Math.Max(1, (_tokens.Count - kept) / 2);
        _tokens.RemoveRange(kept, dropped);
        if (Cache.CanRemove)
        {
            Cache.Remove(kept, dropped);
            _exact = Math.Min(_exact, kept);
            return [];
        }

        int[] again = [.. _tokens];
        Clear();
        return again;
    }

    /// <summary>Forgets everything; keeps the memory.</summary>
    public void Clear()
    {
        Cache.Clear();
        _tokens.Clear();
        _exact = int.MaxValue;
    }

    /// <inheritdoc/>
    public void Dispose() => Cache.Dispose();
}
