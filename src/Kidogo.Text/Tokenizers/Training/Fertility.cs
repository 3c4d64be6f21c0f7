// What a vocabulary costs: tokens a word and bytes a token. Knows not where texts come from.
using System.Text;
using Kidogo.Text.Unicode;

namespace Kidogo.Text.Tokenizers.Training;

/// <summary>How many tokens a tokenizer makes of some texts: of a file, or of a language.</summary>
/// <remarks>
/// A word is a stretch between white space (Unicode's White_Space, and the Ethiopic wordspace ፡) that has at least one letter or number; punctuation that
/// stands alone is none. Tokens are all tokens, those of punctuation and spaces too, without any that are added round a text. So tokens a word are comparable
/// between tokenizers, and between languages that write spaces; for Thai or Chinese look at bytes a token.
/// </remarks>
/// <param name="Name">Of what: a file or a language.</param>
/// <param name="Texts">Texts that are not empty.</param>
/// <param name="Bytes">Their bytes as UTF-8.</param>
/// <param name="Words">Their words.</param>
/// <param name="Tokens">Their tokens.</param>
public sealed record Fertility(string Name, long Texts, long Bytes, long Words, long Tokens)
{
    /// <summary>Bytes a token stands for on average; 0 where there are no tokens.</summary>
    public double BytesPerToken => Tokens == 0 ? 0 : (double)Bytes / Tokens;

    /// <summary>Tokens that a word takes on average; 0 where there are no words.</summary>
    public double TokensPerWord => Words == 0 ? 0 : (double)Tokens / Words;

    /// <summary>Measures a tokenizer on texts.</summary>
    /// <param name="tokenizer">Any tokenizer.</param>
    /// <param name="name">What the texts are.</param>
    /// <param name="texts">Texts as UTF-8, read once.</param>
    /// <param name="progress">Told the bytes that are done.</param>
    /// <param name="cancellation">Ends it.</param>
    public static Fertility Measure(Tokenizer tokenizer, string name, IEnumerable<ReadOnlyMemory<byte>> texts, IProgress<long>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(texts);
        long count = 0, bytes = 0, words = 0, tokens = 0;
        foreach (ReadOnlyMemory<byte> text in texts)
        {
            cancellation.ThrowIfCancellationRequested();
            count += text.IsEmpty ? 0 : 1;
            bytes += text.Length;
            words += CountWords(text.Span);
            tokens += tokenizer.Encode(text.Span).Length;
            progress?.Report(bytes);
        }

        return new Fertility(name, count, bytes, words, tokens);
    }

    /// <summary>Several together.</summary>
    public static Fertility Sum(string name, IEnumerable<Fertility> parts)
    {
        ArgumentNullException.ThrowIfNull(parts);
        Fertility sum = new(name, 0, 0, 0, 0);
        foreach (Fertility part in parts)
        {
            (long texts, long bytes) = (sum.Texts + part.Texts, sum.Bytes + part.Bytes);
            sum = sum with { Texts = texts, Bytes = bytes, Words = sum.Words + part.Words, Tokens = sum.Tokens + part.Tokens };
        }

        return sum;
    }

    /// <summary>The words of a text, as above; bytes that are no UTF-8 count as no letter.</summary>
    public static long CountWords(ReadOnlySpan<byte> utf8)
    {
        const int EthiopicWordspace = 0x1361;
        long words = 0;
        bool counted = false;
        while (!utf8.IsEmpty)
        {
            Rune.DecodeFromUtf8(utf8, out Rune rune, out int length);
            utf8 = utf8[length..];
            if (CodePoints.IsSpace(rune.Value) || rune.Value == EthiopicWordspace)
            {
                counted = false;
            }
            else if (!counted && (CodePoints.IsLetter(rune.Value) || CodePoints.IsNumber(rune.Value)))
            {
                counted = true;
                words++;
            }
        }

        return words;
    }
}
