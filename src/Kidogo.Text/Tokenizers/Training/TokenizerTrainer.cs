// One entrance to both kinds of training. Knows not how either works.
using System.Text;

namespace Kidogo.Text.Tokenizers.Training;

/// <summary>Trains a tokenizer of the kind that is named.</summary>
public static class TokenizerTrainer
{
    /// <summary>As
    /// <see cref="BpeTrainer.Train(IEnumerable{ReadOnlyMemory{byte}}, TokenizerTrainingOptions, IProgress{TokenizerTrainingProgress}?, CancellationToken)"/> or
    /// the same of <see cref="UnigramTrainer"/>.</summary>
    /// <exception cref="TokenizerTrainingException">Settings out of range, texts without a word, or a vocabulary larger than the texts support.</exception>
    public static TrainedTokenizer Train(
        TokenizerKind kind, IEnumerable<ReadOnlyMemory<byte>> texts, TokenizerTrainingOptions options, IProgress<TokenizerTrainingProgress>? progress = null,
            CancellationToken cancellation = default) =>
        kind == TokenizerKind.Bpe ? BpeTrainer.Train(texts, options, progress, cancellation) : UnigramTrainer.Train(texts, options, progress, cancellation);

    /// <summary>The kind that recipes and the command line call by this name (<c>bpe</c> or <c>unigram</c>), or null.</summary>
    public static TokenizerKind? KindOf(string name) => name switch
    {
        "bpe" => TokenizerKind.Bpe,
        "unigram" => TokenizerKind.Unigram,
        _ => null,
    };

    /// <summary>Strings as UTF-8; a lone surrogate becomes U+FFFD.</summary>
    internal static IEnumerable<ReadOnlyMemory<byte>> Utf8(IEnumerable<string> texts)
    {
        ArgumentNullException.ThrowIfNull(texts);
        byte[] buffer = [];
        foreach (string text in texts)
        {
            int most = Encoding.UTF8.GetMaxByteCount(text.Length);
            if (most > buffer.Length)
            {
                buffer = new byte[Math.Max(most, buffer.Length * 2)];
            }

            yield return buffer.AsMemory(0, Encoding.UTF8.GetBytes(text, buffer));
        }
    }
}
