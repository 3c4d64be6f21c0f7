// Tokenizers are told apart by what they were made from.
using System.Text;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Tests.Text.Tokenizers;

public sealed class FingerprintTests
{
    [Fact]
    public void Fingerprint_SameDescription_IsTheSame_AnyOtherIsNot()
    {
        TokenizerDefinition definition = SmallVocabularies.ByteLevel();
        string one = Tokenizer.Create(definition).Fingerprint;
        Assert.Equal(64, one.Length);
        Assert.Equal(one, Tokenizer.Create(SmallVocabularies.ByteLevel()).Fingerprint);
        string[] others =
        [
            Tokenizer.Create(SmallVocabularies.ByteLevel("qwen2")).Fingerprint,
            Tokenizer.Create(definition with { Merges = new PieceList() }).Fingerprint,
            Tokenizer.Create(definition with { EosId = SmallVocabularies.Control }).Fingerprint,
            Tokenizer.Create(definition with { BosId = SmallVocabularies.Control }).Fingerprint,
            Tokenizer.Create(definition with { BosId = SmallVocabularies.Control, AddBos = true }).Fingerprint,
            Tokenizer.Create(SmallVocabularies.SentencePiece("a")).Fingerprint,
            Tokenizer.Create(SmallVocabularies.SentencePiece("b")).Fingerprint,
        ];
        Assert.Equal(others.Length + 1, others.Append(one).Distinct().Count());
    }

    [Fact]
    public void Encode_ManyThreads_GivesWhatOneGives()
    {
        Tokenizer tokenizer = Tokenizer.Create(SmallVocabularies.ByteLevel());
        string[] texts = [.. Enumerable.Range(0, 200).Select(static n => $"hello hello{n} aaaa{new string('a', n % 9)}")];
        string[] alone = [.. texts.Select(text => string.Join(' ', tokenizer.Encode(Encoding.UTF8.GetBytes(text))))];
        string[] together = new string[texts.Length];
        Parallel.For(0, texts.Length, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i => together[i] = string.Join(' ', tokenizer.Encode(texts[i])));
        Assert.Equal(alone, together);
    }
}
