// From texts to a unigram tokenizer. Knows not where texts come from.
namespace Kidogo.Text.Tokenizers.Training;

/// <summary>Trains a unigram language model with byte fallback (Kudo 2018, "Subword Regularization", section 3.2, with SentencePiece's choices where the paper
/// leaves any).</summary>
/// <remarks>
/// <para>Seed pieces are all frequent strings inside units; rounds of two expectation-maximisation steps and a pruning follow. The M-step is variational
/// (digamma), as in SentencePiece; a pruning throws out a quarter of the pieces, those whose loss costs the least likelihood. In the end exactly the entries
/// that were asked for are left.</para>
/// <para>Sums run over sorted units in fixed portions, so the outcome depends neither on threads nor on the order of the texts, to the last bit.</para>
/// <para>The file says Metaspace without a prefix, Unigram with byte fallback: GGUF's <c>t5</c> kind (no space added, white space kept) states the same, except
/// that llama.cpp gives the unknown token for a character without a piece, where Hugging Face and Kidogo spell its bytes. Decoding gives back every byte of a
/// text, except that ▁ (U+2581) itself is a space.</para>
/// </remarks>
public static class UnigramTrainer
{
    /// <inheritdoc cref="Train(IEnumerable{ReadOnlyMemory{byte}}, TokenizerTrainingOptions, IProgress{TokenizerTrainingProgress}?, CancellationToken)"/>
    public static TrainedTokenizer Train(
        IEnumerable<string> texts, TokenizerTrainingOptions options, IProgress<TokenizerTrainingProgress>? progress = null,
            CancellationToken cancellation = default) =>
        Train(TokenizerTrainer.Utf8(texts), options, progress, cancellation);

    /// <summary>Trains on texts.</summary>
    /// <param name="texts">Texts as UTF-8, read once; each need only last until the next is asked for.</param>
    /// <param name="options">Settings. The unknown token is added to the special tokens, as id 0.</param>
    /// <param name="progress">Told now and then, on the calling thread.</param>
    /// <param name="cancellation">Ends the training; nothing is left behind.</param>
    /// <exception cref="TokenizerTrainingException">Settings out of range, texts without a word, or a vocabulary smaller than their characters need or larger
    /// than they support (the message has the limit).</exception>
    public static TrainedTokenizer Train(
        IEnumerable<ReadOnlyMemory<byte>> texts, TokenizerTrainingOptions options, IProgress<TokenizerTrainingProgress>? progress = null,
            CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate(TokenizerKind.Unigram);
        WordTable words = WordCounter.Count(texts, new UnigramCutter(), options, progress, cancellation, out TextTotals totals);
        UnigramCorpus corpus = UnigramCorpus.Of(words, options);
        string[] special = [TokenizerTrainingOptions.Unknown, .. options.SpecialTokens];
        int fixedEntries = special.Length + 256;
        int wanted = options.VocabularySize - fixedEntries;
        if (wanted < corpus.Alphabet.Length)
        {
            throw new TokenizerTrainingException(
                $"A vocabulary of {options.VocabularySize} entries is too small: {special.Length} special tokens, 256 bytes and {corpus.Alphabet.Length} "
                    + $"characters are {fixedEntries + corpus.Alphabet.Length}. "
                + $"Ask for at least {fixedEntries + corpus.Alphabet.Length}, several thousands better.");
        }

        List<(int[] Characters, long Count)> seeds = SeedPieces.Find(corpus, options, cancellation);
        if (wanted > corpus.Alphabet.Length + seeds.Count)
        {
            int most = fixedEntries + corpus.Alphabet.Length + seeds.Count;
            throw new TokenizerTrainingException(
                $"The texts support a vocabulary of at most {most} entries, but {options.VocabularySize} were asked for: there are {corpus.Alphabet.Length} "
                    + $"characters and {seeds.Count} strings of several that occur "
                + $"{options.MinFrequency} times or more. Ask for at most {most}, or give more text.") { MostEntries = most };
        }

        UnigramLearner learner = new(corpus, seeds, wanted, options.Threads);
        learner.Run(progress, cancellation);
        TokenizerTrainingReport report = new()
        {
            Texts = totals.Texts,
            Bytes = totals.Bytes,
            InvalidSequences = totals.InvalidSequences,
            DistinctWords = words.Count,
            Rounds = learner.Rounds,
        };
        List<ScoredPiece> pieces = learner.Result();
        float byteScore = 8 * pieces[^1].Score; // the six characters of <0x41> in a text are always likelier than that byte's token
        return TokenizerJsonWriter.Unigram(special, pieces, byteScore, options, report);
    }
}
