// DRY ("don't repeat yourself"): the longer the repetition a token would continue, the more it loses. Knows a set of candidates and a history.
namespace Kidogo.Inference.Sampling;

/// <summary>
/// DRY, as llama.cpp computes it: let n be the length of the longest suffix of the window that also stands earlier in it, followed by token t (the two may overlap). If n is at
/// least the allowed length, t loses multiplier * base^(n - allowed). n does not reach back over the last sequence breaker.
/// </summary>
internal sealed class DryPenalty
{
    // The largest natural logarithm of a float32: base^exponent stays finite.
    private const double LargestLog = 88.7228391;

    private readonly SamplerOptions _options;
    private readonly int[] _backwards; // the window, last token first
    private readonly int[] _prefixes; // the Z function of _backwards
    private readonly int[] _longest; // by token: the longest repetition it would continue
    private readonly Dictionary<int, int[][]> _breakers; // by first token: what follows it

    public DryPenalty(SamplerOptions options, int vocabularySize, int contextLength)
    {
        _options = options;
        int window = Penalties.WindowOf(options.DryPenaltyLastN, contextLength);
        _backwards = new int[window];
        _prefixes = new int[window];
        _longest = new int[vocabularySize];
        _breakers = options.DrySequenceBreakers.GroupBy(b => b[0]).ToDictionary(g => g.Key, g => g.Select(b => b.Skip(1).ToArray()).ToArray());
    }

    public static bool IsOn(SamplerOptions options) => options.DryMultiplier > 0 && options.DryPenaltyLastN != 0;

    public void Apply(CandidateSet set, TokenHistory history)
    {
        int length = Math.Min(_backwards.Length, history.Count);
        int allowed = _options.DryAllowedLength;
        if (length <= allowed)
        {
            return;
        }

        for (int i = 0; i < length; i++)
        {
            _backwards[i] = history.Recent(i, out _);
        }

        ReadOnlySpan<int> window = _backwards.AsSpan(0, length);
        int limit = TokensAfterLastBreaker(window);
        if (limit < allowed)
        {
            return;
        }

        PrefixLengths(window, _prefixes);
        for (int i = 1; i < length; i++)
        {
            // The window's last n tokens also end i places earlier, where the token i - 1 followed them.
            int n = Math.Min(_prefixes[i], limit);
            if (n >= allowed)
            {
                _longest[window[i - 1]] = Math.Max(_longest[window[i - 1]], n + 1); // + 1, since n may be 0
            }
        }

        double largestExponent = _options.DryBase > 1.000001 ? Math.Floor(LargestLog / Math.Log(_options.DryBase)) : double.PositiveInfinity;
        for (int i = 0; i < length; i++)
        {
            int id = window[i];
            int index = set.IndexOf(id);
            if (_longest[id] > 0 && index >= 0 && !IsSingleBreaker(id))
            {
                double exponent = Math.Min(_longest[id] - 1 - allowed, largestExponent);
                set.Logits[index] -= (float)(_options.DryMultiplier * Math.Pow(_options.DryBase, exponent));
            }

            _longest[id] = 0; // once per token, and clean for the next time
        }

        set.Changed();
    }

    /// <summary>How many tokens stand after the last breaker: the limit of every repetition.</summary>
    private int TokensAfterLastBreaker(ReadOnlySpan<int> backwards)
    {
        if (_breakers.Count == 0)
        {
            return backwards.Length;
        }

        for (int i = 0; i < backwards.Length; i++)
        {
            int longest = -1;
            if (_breakers.TryGetValue(backwards[i], out int[][]? tails))
            {
                foreach (int[] tail in tails)
                {
                    if (tail.Length > longest && tail.Length <= i && FollowsAt(backwards, i, tail))
                    {
                        longest = tail.Length;
                    }
                }
            }

            if (longest >= 0)
            {
                return i - longest;
            }
        }

        return backwards.Length;
    }

    private static bool FollowsAt(ReadOnlySpan<int> backwards, int head, int[] tail)
    {
        for (int i = 0; i < tail.Length; i++)
        {
            if (backwards[head - 1 - i] != tail[i])
            {
                return false;
            }
        }

        return true;
    }

    private bool IsSingleBreaker(int id)
    {
        if (_breakers.TryGetValue(id, out int[][]? tails))
        {
            foreach (int[] tail in tails)
            {
                if (tail.Length == 0)
                {
                    return true;
                }
            }
        }

        return false;
    }

    /// <summary>The Z function (Gusfield 1997, section 1.3), in linear time: how long a prefix of the text begins at each place i of at least 1.</summary>
    internal static void PrefixLengths(ReadOnlySpan<int> text, Span<int> lengths)
    {
        int boxStart = 0;
        int boxEnd = 0; // text[boxStart..boxEnd] equals a prefix, and no known box ends later
        for (int i = 1; i < text.Length; i++)
        {
            int length = i < boxEnd ? Math.Min(boxEnd - i, lengths[i - boxStart]) : 0;
            while (i + length < text.Length && text[length] == text[i + length])
            {
                length++;
            }

            lengths[i] = length;
            if (i + length > boxEnd)
            {
                (boxStart, boxEnd) = (i, i + length);
            }
        }
    }
}
