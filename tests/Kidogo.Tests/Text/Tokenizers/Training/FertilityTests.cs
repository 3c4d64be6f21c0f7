// What counts as a word, and the sums.
using System.Text;
using Kidogo.Text.Tokenizers;
using Kidogo.Text.Tokenizers.Training;

namespace Kidogo.Tests.Text.Tokenizers.Training;

public sealed class FertilityTests
{
    [Theory]
    [InlineData("", 0)]
    [InlineData(" \n ", 0)]
    [InlineData("Habari yako", 2)]
    [InlineData("ng'ombe - wa 2024!", 3)]
    [InlineData("a\u00A0b\u2003c\nd", 4)]
    [InlineData("ሰላም፡ለዓለም", 2)]
    [InlineData("... !?", 0)]
    [InlineData("ẹ̀kọ́", 1)]
    public void CountWords_BetweenWhiteSpace_NeedsALetterOrNumber(string text, long words) => Assert.Equal(words, Fertility.CountWords(Encoding.UTF8.GetBytes(text)));

    [Fact]
    public void CountWords_InvalidBytes_AreNoLetters() => Assert.Equal(1, Fertility.CountWords([0xFF, 0xFE, (byte)' ', 0xC3, (byte)'a']));

    [Fact]
    public void Measure_Texts_CountsTokensWordsAndBytes()
    {
        Tokenizer tokenizer = BpeTrainer.Train(Enumerable.Repeat("low lower", 9), new TokenizerTrainingOptions { VocabularySize = 265 }).Tokenizer;
        byte[][] texts = [[.. "low lower"u8], [], [.. "low"u8]];
        Fertility measured = Fertility.Measure(tokenizer, "file", texts.Select(text => (ReadOnlyMemory<byte>)text));
        Assert.Equal(new Fertility("file", 2, 12, 3, tokenizer.Encode("low lower").Length + tokenizer.Encode("low").Length), measured);
        Assert.Equal(12.0 / measured.Tokens, measured.BytesPerToken);
        Assert.Equal(measured.Tokens / 3.0, measured.TokensPerWord);
        Assert.Equal(measured with { Name = "all", Texts = 4, Bytes = 24, Words = 6, Tokens = 2 * measured.Tokens }, Fertility.Sum("all", [measured, measured]));
        Assert.Equal((0, 0), (Fertility.Sum("none", []).BytesPerToken, Fertility.Sum("none", []).TokensPerWord));
    }
}
