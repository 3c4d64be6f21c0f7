// Trains unigram tokenizers.
namespace Kidogo.Text.Tokenizers.Training;

/// <summary>Trains a unigram language model with byte fallback.</summary>
public static class UnigramTrainer
{
    /// <inheritdoc cref="Train(IEnumerable{ReadOnlyMemory{byte}}, TokenizerTrainingOptions, IProgress{TokenizerTrainingProgress}?, CancellationToken)"/>
    public static TrainedTokenizer Train(
        IEnumerable<string> texts, TokenizerTrainingOptions options, IProgress<TokenizerTrainingProgress>? progress = null, CancellationToken cancellation = default) =>
        Train(TokenizerTrainer.Utf8(texts), options, progress, cancellation);

    /// <summary>Trains on texts.</summary>
    public static TrainedTokenizer Train(
        IEnumerable<ReadOnlyMemory<byte>> texts, TokenizerTrainingOptions options, IProgress<TokenizerTrainingProgress>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate(TokenizerKind.Unigram);
        throw new NotImplementedException();
    }
}
