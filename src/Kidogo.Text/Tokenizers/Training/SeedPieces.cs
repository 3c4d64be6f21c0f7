// The pieces that unigram training begins with. Knows no probabilities.
using System.Runtime.CompilerServices;

namespace Kidogo.Text.Tokenizers.Training;

/// <summary>All character strings that occur often enough inside units, counted exactly.</summary>
/// <remarks>
/// Level by level: strings of n + 1 characters are counted only where those of n were frequent, so memory goes with what is frequent, and counts are exact as
/// from a suffix array. A string that is always followed by the same character is left out (the longer one says as much), as the inner nodes of a suffix tree
/// do.
/// </remarks>
internal sealed class SeedPieces
{
    private readonly UnigramCorpus _corpus;
    private readonly List<(int Parent, int Character, long Count)> _nodes = [];
    private readonly List<long> _mostOfChildren = [];

    private SeedPieces(UnigramCorpus corpus) => _corpus = corpus;

    /// <summary>The pieces of two and more characters, the most promising (occurrences times characters) first, with their counts.</summary>
    public static List<(int[] Characters, long Count)> Find(UnigramCorpus corpus, TokenizerTrainingOptions options, CancellationToken cancellation)
    {
        SeedPieces seeds = new(corpus);
        seeds.CountLevels(options, cancellation);
        HashSet<string> special = [.. options.SpecialTokens];
        List<(int[] Characters, long Count)> found = [];
        for (int node = 0; node < seeds._nodes.Count; node++)
        {
            long count = seeds._nodes[node].Count;
            if (seeds._nodes[node].Parent < 0 || seeds._mostOfChildren[node] == count)
            {
                continue;
            }

            int[] characters = seeds.Path(node);
            if (special.Count == 0 || !special.Contains(corpus.Spell(characters)))
            {
                found.Add((characters, count));
            }
        }

        // A stable order: nodes are numbered by the sorted units, so equals keep an order that texts and threads do not touch.
        return [.. found.OrderByDescending(seed => (double)seed.Count * seed.Characters.Length)];
    }

    private int[] Path(int node)
    {
        List<int> characters = [];
        for (; node >= 0; node = _nodes[node].Parent)
        {
            characters.Add(_nodes[node].Character);
        }

        characters.Reverse();
        return [.. characters];
    }

    private void CountLevels(TokenizerTrainingOptions options, CancellationToken cancellation)
    {
        int[] state = new int[_corpus.Characters.Length]; // the node of the string that begins here, -1 once it is rare
        for (int i = 0; i < _corpus.Alphabet.Length; i++)
        {
            AddNode(-1, i, long.MaxValue);
        }

        _corpus.Characters.CopyTo(state, 0);
        for (int length = 1; length < options.MaxPieceCharacters; length++)
        {
            cancellation.ThrowIfCancellationRequested();
            if (!CountLevel(state, length, options.MinFrequency))
            {
                break;
            }
        }
    }

    // Counts the strings that are one character longer; whether any is frequent.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private bool CountLevel(int[] state, int length, int least)
    {
        PairTable longer = new();
        ReadOnlySpan<int> characters = _corpus.Characters;
        for (int unit = 0; unit < _corpus.UnitCount; unit++)
        {
            int end = _corpus.Starts[unit + 1];
            long count = _corpus.Counts[unit];
            for (int at = _corpus.Starts[unit]; at < end; at++)
            {
                if (state[at] < 0 || at + length >= end)
                {
                    state[at] = -1;
                    continue;
                }

                int pair = longer.Index(state[at], characters[at + length]);
                longer.Add(pair, count);
                state[at] = pair;
            }
        }

        int[] nodeOf = new int[longer.Count];
        bool any = false;
        for (int pair = 0; pair < longer.Count; pair++)
        {
            nodeOf[pair] = -1;
            long count = longer.CountOf(pair);
            if (count >= least)
            {
                (int parent, int character) = longer[pair];
                nodeOf[pair] = AddNode(parent, character, count);
                _mostOfChildren[parent] = Math.Max(_mostOfChildren[parent], count);
                any = true;
            }
        }

        for (int at = 0; at < state.Length; at++)
        {
            state[at] = state[at] < 0 ? -1 : nodeOf[state[at]];
        }

        return any;
    }

    private int AddNode(int parent, int character, long count)
    {
        _nodes.Add((parent, character, count));
        _mostOfChildren.Add(0);
        return _nodes.Count - 1;
    }
}
