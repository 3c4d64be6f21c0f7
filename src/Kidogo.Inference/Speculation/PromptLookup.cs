// Guesses that a text goes on as it did the last time its last tokens stood there. Knows ids only, and no model.
using System.Runtime.InteropServices;
using Kidogo.Inference.Sampling;

namespace Kidogo.Inference.Speculation;

/// <summary>Looks the last tokens up in the text itself: summaries, corrections and code repeat what they are about (prompt look-up decoding).</summary>
/// <remarks>The guesses are certain, so a sampled answer is also the same to the token as without them: see <see cref="Sampler.Verify"/>.</remarks>
public sealed class PromptLookup : IDrafter
{
    private const int Longest = 4, Shortest = 2; // tokens that have to be alike; one alone is too often chance

    private readonly List<int> _tokens = [];
    private readonly Dictionary<(int Length, ulong Hash), (int Latest, int Before)> _ends = []; // after the last two places where a run of tokens stands

    /// <inheritdoc/>
    public double RelativeCost => 0;

    /// <inheritdoc/>
    public bool IsCertain => true;

    /// <inheritdoc/>
    public void Begin(ReadOnlySpan<int> prompt, SamplerOptions sampling, ulong seed)
    {
        _tokens.Clear();
        _ends.Clear();
        foreach (int id in prompt)
        {
            Add(id);
        }
    }

    /// <inheritdoc/>
    public void Add(int id)
    {
        _tokens.Add(id);
        for (int length = Shortest; length <= Longest && length <= _tokens.Count; length++)
        {
            ref (int Latest, int Before) ends = ref CollectionsMarshal.GetValueRefOrAddDefault(_ends, KeyOfLast(length), out _);
            ends = (_tokens.Count, ends.Latest);
        }
    }

    /// <inheritdoc/>
    public int Draft(Span<int> guesses)
    {
        for (int length = Math.Min(Longest, _tokens.Count); length >= Shortest; length--)
        {
            // The latest place is the end of the text itself; of several before it the last one counts. Hashes may be alike by chance: a wrong guess costs time only.
            if (_ends.TryGetValue(KeyOfLast(length), out (int Latest, int Before) ends) && ends.Before > 0)
            {
                int period = _tokens.Count - ends.Before;
                for (int i = 0; i < guesses.Length; i++)
                {
                    guesses[i] = i < period ? _tokens[ends.Before + i] : guesses[i - period]; // what repeats itself goes on to
                }

                return guesses.Length;
            }
        }

        return 0;
    }

    /// <inheritdoc/>
    public ReadOnlySpan<float> Distribution(int guess) => [];

    private (int Length, ulong Hash) KeyOfLast(int length)
    {
        ulong hash = 0;
        for (int i = _tokens.Count - length; i < _tokens.Count; i++)
        {
            hash = (hash ^ (uint)_tokens[i]) * 0x9E3779B97F4A7C15;
            hash ^= hash >> 29;
        }

        return (length, hash);
    }
}
