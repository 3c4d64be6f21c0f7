// From texts to a byte-level byte-pair tokenizer. Knows not where texts come from.
namespace Kidogo.Text.Tokenizers.Training;

/// <summary>Trains a byte-level byte-pair tokenizer.</summary>
/// <remarks>
/// <para>Words are counted once, in parallel, without keeping the texts; then the commonest pair of neighbours is merged until the vocabulary has its size
/// (Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units"). Ties go to the pair with the lower ids, as in Hugging Face's trainer,
/// so the outcome depends neither on threads nor on the order of the texts.</para>
/// <para>Entries are: the special tokens, the 256 bytes, then what was merged. There is no normalisation: decoding gives back every byte. The pattern that
/// texts are cut by is that of Qwen 3.5 (GGUF's <c>qwen35</c>): marks belong to words, digits stand alone.</para>
/// </remarks>
public static class BpeTrainer
{
    /// <inheritdoc cref="Train(IEnumerable{ReadOnlyMemory{byte}}, TokenizerTrainingOptions, IProgress{TokenizerTrainingProgress}?, CancellationToken)"/>
    public static TrainedTokenizer Train(
        IEnumerable<string> texts, TokenizerTrainingOptions options, IProgress<TokenizerTrainingProgress>? progress = null,
            CancellationToken cancellation = default) =>
        Train(TokenizerTrainer.Utf8(texts), options, progress, cancellation);

    /// <summary>Trains on texts.</summary>
    /// <param name="texts">Texts as UTF-8, read once; each need only last until the next is asked for. No word crosses the border of two texts.</param>
    /// <param name="options">Settings.</param>
    /// <param name="progress">Told now and then, on the calling thread.</param>
    /// <param name="cancellation">Ends the training; nothing is left behind.</param>
    /// <exception cref="TokenizerTrainingException">Settings out of range, texts without a word, or a vocabulary larger than the texts support (the message has
    /// the largest possible size).</exception>
    public static TrainedTokenizer Train(
        IEnumerable<ReadOnlyMemory<byte>> texts, TokenizerTrainingOptions options, IProgress<TokenizerTrainingProgress>? progress = null,
            CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate(TokenizerKind.Bpe);
        int least = options.SpecialTokens.Count + 256;
        if (options.VocabularySize < least)
        {
            throw new TokenizerTrainingException(
                $"A vocabulary of {options.VocabularySize} entries is too small: {options.SpecialTokens.Count} special tokens and 256 bytes are {least}. Ask "
                    + $"for at least {least}, several thousands better.");
        }

        WordTable words = WordCounter.Count(texts, new ByteLevelCutter(), options, progress, cancellation, out TextTotals totals);
        TokenizerTrainingReport report = new()
        {
            Texts = totals.Texts,
            Bytes = totals.Bytes,
            InvalidSequences = totals.InvalidSequences,
            DistinctWords = words.Count,
        };
        MergedVocabulary vocabulary = new PairMerger(words, options).Run(progress, cancellation);
        return TokenizerJsonWriter.Bpe(vocabulary, options, report);
    }
}
