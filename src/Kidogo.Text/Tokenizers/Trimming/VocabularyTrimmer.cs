// Chooses the tokens that texts need. Knows frequencies and how pieces are made of others; no files and no tensors.
namespace Kidogo.Text.Tokenizers.Trimming;

/// <summary>How much of a vocabulary stays.</summary>
public sealed record VocabularyTrimOptions
{
    /// <summary>How many tokens stay at most; null for as many as the texts use.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>By how much, as a share of their tokens (0 or more), the texts may become longer; the rarest tokens go until it is reached. Default 0: all that occur stay.</summary>
    public double Growth { get; init; }

    /// <summary>Tokens that stay whatever their frequency. Default none besides those that always stay.</summary>
    public IReadOnlyCollection<int> Required { get; init; } = [];
}

/// <summary>Chooses parts of vocabularies such that every text can still be spelt, and a text whose tokens all stay has the same tokens as before.</summary>
/// <remarks>
/// Always kept: control, unknown and user-defined tokens, bytes (where a vocabulary has none, all single characters), and whatever a kept piece is merged from. That is enough for the second law. Of byte pairs: every merge
/// that was made in such a text makes, or leads to, a kept token, so all of its pieces are kept; fewer merges are possible than before, and the best of the more was among them, so each step is the same. Of a
/// unigram model and of longest match: the best of all ways is among the fewer, and what an unknown character costs is unchanged.
/// </remarks>
public static class VocabularyTrimmer
{
    /// <summary>Chooses.</summary>
    /// <param name="tokenizer">The whole vocabulary.</param>
    /// <param name="counts">How often each token occurs in the texts, [vocabulary].</param>
    /// <param name="options">How much stays.</param>
    /// <exception cref="TokenizerException">The vocabulary cannot be made as small as was asked; the message says how small it can be.</exception>
    public static VocabularySelection Choose(Tokenizer tokenizer, ReadOnlySpan<long> counts, VocabularyTrimOptions options)
    {
        int size = tokenizer.VocabularySize;
        ArgumentOutOfRangeException.ThrowIfNotEqual(counts.Length, size, nameof(counts));
        PieceNeeds needs = new(tokenizer);
        bool[] isKept = new bool[size];
        Array.Fill(isKept, true);
        bool[] isForced = Forced(tokenizer, options.Required, needs);
        int[] users = new int[size]; // how many kept tokens are merged from this one
        for (int id = 0; id < size; id++)
        {
            foreach (int needed in needs.Of(id))
            {
                users[needed]++;
            }
        }

        // Rarest first; of equals the last, which the vocabulary's maker thought least of.
        PriorityQueue<int, (long, int)> leaving = new();
        long[] weights = counts.ToArray();
        void Offer(int id)
        {
            if (users[id] == 0 && !isForced[id])
            {
                leaving.Enqueue(id, (weights[id], -id));
            }
        }

        for (int id = 0; id < size; id++)
        {
            Offer(id);
        }

        long total = 0;
        foreach (long count in counts)
        {
            total += count;
        }

        int kept = size, limit = options.MaxTokens ?? size;
        double mayGrow = options.Growth * total, grown = 0;
        while (leaving.TryPeek(out int id, out (long Weight, int) priority) && (kept > limit || priority.Weight == 0 || grown + priority.Weight <= mayGrow))
        {
            leaving.Dequeue();
            isKept[id] = false;
            kept--;
            grown += priority.Weight; // two tokens for one, wherever it occurred
            foreach (int half in needs.HalvesOf(id))
            {
                weights[half] += weights[id]; // its halves will stand in its place
            }

            foreach (int needed in needs.Of(id))
            {
                users[needed]--;
                Offer(needed);
            }
        }

        return kept <= limit
            ? new VocabularySelection(size, Enumerable.Range(0, size).Where(id => isKept[id]))
            : throw new TokenizerException($"The vocabulary cannot be made as small as {limit} tokens: {kept} are control tokens, single bytes or characters, or what these and the chat template need. Ask for {kept} or more.");
    }

    private static bool[] Forced(Tokenizer tokenizer, IReadOnlyCollection<int> required, PieceNeeds needs)
    {
        bool[] isForced = new bool[tokenizer.VocabularySize];
        HashSet<int> forced = [.. required.Where(id => (uint)id < (uint)isForced.Length), .. tokenizer.EndOfGenerationIds];
        foreach (int? role in (int?[])[tokenizer.BosId, tokenizer.EosId, tokenizer.EotId, tokenizer.PadId, tokenizer.UnkId, tokenizer.SepId, tokenizer.MaskId])
        {
            forced.UnionWith(role is { } id ? [id] : []);
        }

        tokenizer.Model.AddEssential(tokenizer.Vocabulary, forced);
        for (int id = 0; id < isForced.Length; id++)
        {
            if (tokenizer.Kind(id) is TokenKind.Control or TokenKind.Unknown or TokenKind.UserDefined or TokenKind.Byte)
            {
                forced.Add(id);
            }
        }

        foreach (int id in forced)
        {
            isForced[id] = true;
            foreach (int needed in needs.Of(id))
            {
                isForced[needed] = true;
            }
        }

        return isForced;
    }
}

/// <summary>For each token of a vocabulary those that it is merged from.</summary>
internal sealed class PieceNeeds
{
    private readonly int[][] _needs;
    private readonly int[][] _halves;

    public PieceNeeds(Tokenizer tokenizer)
    {
        Vocabulary vocabulary = tokenizer.Vocabulary;
        SubwordModel model = tokenizer.Model;
        MergeWorkspace workspace = new();
        List<MergeStep> steps = [];
        HashSet<int> needed = [];
        _needs = new int[vocabulary.Count][];
        _halves = new int[vocabulary.Count][];
        for (int id = 0; id < vocabulary.Count; id++)
        {
            _needs[id] = _halves[id] = [];
            if (vocabulary[id].IsEmpty || vocabulary.Kinds[id] is TokenKind.Control or TokenKind.Unknown or TokenKind.Unused)
            {
                continue;
            }

            steps.Clear();
            model.Derive(vocabulary[id], workspace, steps);
            if (steps.Count == 0 || steps[^1].Merged != id)
            {
                continue; // no merging comes to it: it is found whole, or never
            }

            needed.Clear();
            foreach (MergeStep step in steps)
            {
                needed.Add(step.Left);
                needed.Add(step.Right);
            }

            bool IsOther(int other) => (uint)other < (uint)vocabulary.Count && other != id;
            _needs[id] = [.. needed.Where(IsOther)];
            _halves[id] = [.. new[] { steps[^1].Left, steps[^1].Right }.Where(IsOther)];
        }
    }

    /// <summary>The tokens that have to be there for this one to come about, at any depth.</summary>
    public ReadOnlySpan<int> Of(int id) => _needs[id];

    /// <summary>The tokens that were merged last to make it; those that stand in its place where it is gone.</summary>
    public ReadOnlySpan<int> HalvesOf(int id) => _halves[id];
}
