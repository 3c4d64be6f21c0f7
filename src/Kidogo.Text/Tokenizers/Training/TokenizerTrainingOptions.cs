// What is asked of a new tokenizer. Knows no texts and no file format.
using System.Globalization;
using System.Text;

namespace Kidogo.Text.Tokenizers.Training;

/// <summary>The two kinds of tokenizer that can be trained.</summary>
public enum TokenizerKind
{
    /// <summary>Byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019): <c>bpe</c> in recipes. Every byte has a token, so nothing is
    /// unknown.</summary>
    Bpe,

    /// <summary>A unigram language model with byte fallback (Kudo 2018): <c>unigram</c> in recipes.</summary>
    Unigram,
}

/// <summary>Settings of <see cref="BpeTrainer"/> and <see cref="UnigramTrainer"/>. Every default is sensible for a small chat model.</summary>
public sealed record TokenizerTrainingOptions
{
    /// <summary>The token between documents, which is the start and the end of a text as well.</summary>
    public const string EndOfText = "<|endoftext|>";

    /// <summary>The token before the role of a chat message (ChatML).</summary>
    public const string MessageStart = "<|im_start|>";

    /// <summary>The token after a chat message (ChatML).</summary>
    public const string MessageEnd = "<|im_end|>";

    /// <summary>The token that fills up a batch.</summary>
    public const string Padding = "<|pad|>";

    /// <summary>The unknown token of the unigram kind, which has to have one; it never occurs, since bytes stand in for what has no piece.</summary>
    public const string Unknown = "<unk>";

    /// <summary>The special tokens that are there unless others are named: <see cref="EndOfText"/>, <see cref="MessageStart"/>, <see cref="MessageEnd"/>,
    /// <see cref="Padding"/>.</summary>
    public static IReadOnlyList<string> DefaultSpecialTokens { get; } = [EndOfText, MessageStart, MessageEnd, Padding];

    private const int MaxSpecialTokens = 4096;
    private const int MaxSpecialLength = 256;

    /// <summary>Entries of the vocabulary, special tokens and bytes included. From the number of special tokens and 256 bytes on (for unigram a little more) to
    /// 1,000,000.</summary>
    /// <value>8,192</value>
    public int VocabularySize { get; init; } = 8192;

    /// <summary>Special tokens in the order of their ids, which begin at 0. They are never split, and no text but themselves becomes them.</summary>
    /// <value><see cref="DefaultSpecialTokens"/></value>
    public IReadOnlyList<string> SpecialTokens { get; init; } = DefaultSpecialTokens;

    /// <summary>Which special token begins a text; null for none. It is named in the files but never added to a text by itself.</summary>
    /// <value><see cref="EndOfText"/> if it is among the special tokens, else none</value>
    public string? BosToken { get => field ?? Among(EndOfText); init; }

    /// <summary>Which special token ends a text.</summary>
    /// <value><see cref="EndOfText"/> if it is among the special tokens, else none</value>
    public string? EosToken { get => field ?? Among(EndOfText); init; }

    /// <summary>Which special token fills up a batch.</summary>
    /// <value><see cref="Padding"/> if it is among the special tokens, else none</value>
    public string? PadToken { get => field ?? Among(Padding); init; }

    /// <summary>Whether a ChatML template is written beside the tokenizer; needs <see cref="MessageStart"/> and <see cref="MessageEnd"/> among the special
    /// tokens.</summary>
    /// <value>false</value>
    public bool ChatTemplate { get; init; }

    /// <summary>How often a pair (byte-pair encoding) or a piece (unigram) has to occur to become an entry. 1 to 1,000,000.</summary>
    /// <value>2: what occurs once is no pattern</value>
    public int MinFrequency { get; init; } = 2;

    /// <summary>Characters of the longest piece of the unigram kind, bytes of the longest of the byte-pair kind divided by four. 2 to 64.</summary>
    /// <value>16</value>
    public int MaxPieceCharacters { get; init; } = 16;

    /// <summary>Share of the texts' characters that get a piece of their own in the unigram kind, the commonest first; the others are spelt in bytes. Above
    /// 0.9, at most 1.</summary>
    /// <value>0.9995, as SentencePiece recommends for alphabets of moderate size</value>
    public double CharacterCoverage { get; init; } = 0.9995;

    /// <summary>Whether bytes that are no UTF-8 are an error; otherwise they are counted and replaced by U+FFFD.</summary>
    /// <value>false</value>
    public bool Strict { get; init; }

    /// <summary>Threads to compute with, 1 to 1,024; the result does not depend on it.</summary>
    /// <value>as many as the machine runs at once</value>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>Bytes of the longest piece of the byte-pair kind.</summary>
    internal int MaxPieceBytes => MaxPieceCharacters * 4;

    /// <summary>Different words that are counted before the rarest are dropped, so that memory has a bound (8 million take about 0.5 GB). For tests.</summary>
    internal int MaxDistinctWords { get; init; } = 8_000_000;

    /// <summary>Bytes of text that one task counts at a time. For tests; more than a text has no effect on results but where rare words are dropped.</summary>
    internal int BlockBytes { get; init; } = 4 << 20;

    /// <exception cref="TokenizerTrainingException">A setting is out of its range or contradicts another one.</exception>
    internal void Validate(TokenizerKind kind)
    {
        Check(VocabularySize, 1, 1_000_000, "The size of the vocabulary");
        Check(MinFrequency, 1, 1_000_000, "The least frequency");
        Check(MaxPieceCharacters, 2, 64, "The longest piece");
        Check(Threads, 1, 1024, "The number of threads");
        if (!(CharacterCoverage is > 0.9 and <= 1))
        {
            throw new TokenizerTrainingException(string.Create(CultureInfo.InvariantCulture, $"The coverage of characters is {CharacterCoverage}; it has to "
                + $"be above 0.9 and at most 1."));
        }

        CheckSpecialTokens(kind);
        foreach ((string? token, string what) in (ReadOnlySpan<(string?, string)>)[(BosToken, "start of a text"), (EosToken, "end of a text"),
            (PadToken, "padding")])
        {
            if (token is not null && !SpecialTokens.Contains(token))
            {
                throw new TokenizerTrainingException($"The {what} is to be '{token}', which is not among the special tokens "
                    + $"({string.Join(", ", SpecialTokens)}). Name it there as well.");
            }
        }

        if (ChatTemplate && !(SpecialTokens.Contains(MessageStart) && SpecialTokens.Contains(MessageEnd)))
        {
            throw new TokenizerTrainingException($"A ChatML template needs the special tokens {MessageStart} and {MessageEnd}; there are "
                + $"{string.Join(", ", SpecialTokens)}.");
        }
    }

    private string? Among(string token) => SpecialTokens.Contains(token) ? token : null;

    private static void Check(int value, int min, int max, string what)
    {
        if (value < min || value > max)
        {
            throw new TokenizerTrainingException($"{what} is {value}; it has to be from {min} to {max}.");
        }
    }

    private void CheckSpecialTokens(TokenizerKind kind)
    {
        Check(SpecialTokens.Count, 0, MaxSpecialTokens, "The number of special tokens");
        HashSet<string> seen = kind == TokenizerKind.Unigram ? [Unknown] : [];
        foreach (string token in SpecialTokens)
        {
            if (token is null || token.Trim().Length == 0 || token.Length > MaxSpecialLength || token.Any(char.IsControl))
            {
                throw new TokenizerTrainingException($"A special token is '{token}'; it has to have 1 to {MaxSpecialLength} characters that can be seen, "
                    + $"such as {MessageStart}.");
            }

            if (token.EnumerateRunes().Any(rune => rune == Rune.ReplacementChar))
            {
                throw new TokenizerTrainingException("A special token has a character that is no Unicode; write it in whole characters.");
            }

            if (kind == TokenizerKind.Bpe && token.EnumerateRunes().Count() == 1 && ByteAlphabet.ByteOf(token.EnumerateRunes().First().Value) >= 0)
            {
                throw new TokenizerTrainingException($"The special token '{token}' is spelt like the token of a byte. Name it with more characters, such as "
                    + $"<{token}>.");
            }

            if (kind == TokenizerKind.Unigram && token.Contains('▁'))
            {
                throw new TokenizerTrainingException($"The special token '{token}' has a ▁, which stands for a space in a unigram tokenizer. Leave it out.");
            }

            if (kind == TokenizerKind.Unigram && Vocabulary.ByteOf(Encoding.UTF8.GetBytes(token)) >= 0)
            {
                throw new TokenizerTrainingException($"The special token '{token}' is spelt like the token of a byte, which a unigram tokenizer has already. "
                    + "Name it otherwise.");
            }

            if (!seen.Add(token))
            {
                throw new TokenizerTrainingException(token == Unknown ? $"The special token {Unknown} is there already in a unigram tokenizer."
                    : $"The special token '{token}' is named twice.");
            }
        }
    }
}
