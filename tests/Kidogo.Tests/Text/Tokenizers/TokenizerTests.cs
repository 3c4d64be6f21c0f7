// What every tokenizer promises, on vocabularies small enough to reason about.
using System.Diagnostics;
using System.Text;
using Kidogo.Text;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Tests.Text.Tokenizers;

public sealed class TokenizerTests
{
    // A quadratic algorithm takes minutes on these texts; n log n takes a fraction of this even on a busy machine.
    private static readonly TimeSpan s_longTextLimit = TimeSpan.FromSeconds(30);

    [Fact]
    public void Encode_Empty_GivesNothing()
    {
        Tokenizer tokenizer = Tokenizer.Create(SmallVocabularies.ByteLevel());
        Assert.Empty(tokenizer.Encode(""));
        Assert.Equal("", tokenizer.Decode([]));
    }

    [Fact]
    public void Encode_ControlTokenInText_IsTextUnlessAsked()
    {
        Tokenizer tokenizer = Tokenizer.Create(SmallVocabularies.ByteLevel());
        Assert.DoesNotContain(SmallVocabularies.Control, tokenizer.Encode("a<|x|>b"));
        Assert.Equal(["a"[0] - 0, SmallVocabularies.Control, 'b'], tokenizer.Encode("a<|x|>b", parseSpecial: true));
        Assert.Contains(SmallVocabularies.UserDefined, tokenizer.Encode("a<u>b"));
        Assert.Equal("a<|x|>b<u>", tokenizer.Decode(tokenizer.Encode("a<|x|>b<u>")));
    }

    [Theory]
    [InlineData("<|x|>", "", true)]
    [InlineData("<|x", "|>", false)]
    [InlineData("", "<|x|>", false)]
    public void Encode_SpansOfMixedTrust_RecogniseControlTokensOnlyWhereAllIsTrusted(string trusted, string untrusted, bool found)
    {
        Tokenizer tokenizer = Tokenizer.Create(SmallVocabularies.ByteLevel());
        int[] ids = tokenizer.Encode([new TextSpan("hi " + trusted, true), new TextSpan(untrusted + " ho", false)]);
        Assert.Equal(found, ids.Contains(SmallVocabularies.Control));
        Assert.Equal("hi " + trusted + untrusted + " ho", tokenizer.Decode(ids));
    }

    [Fact]
    public void Encode_TextCutIntoSpansAnywhere_GivesTheIdsOfTheWhole()
    {
        Tokenizer tokenizer = Tokenizer.Create(SmallVocabularies.ByteLevel());
        const string Text = "hello hello, aaaa<|x|> 😀é hello<u>x";
        int[] whole = tokenizer.Encode(Text, parseSpecial: true);
        for (int cut = 0; cut <= Text.Length; cut++)
        {
            Assert.Equal(whole, tokenizer.Encode([new TextSpan(Text[..cut], true), new TextSpan(Text[cut..], true)]));
            int[] untrusted = tokenizer.Encode([new TextSpan(Text[..cut], false), new TextSpan(Text[cut..], false)]);
            Assert.Equal(tokenizer.Encode(Text), untrusted);
        }
    }

    [Fact]
    public void Decode_IdOutsideVocabulary_SaysTheNumbers()
    {
        Tokenizer tokenizer = Tokenizer.Create(SmallVocabularies.ByteLevel());
        foreach (int id in new[] { -1, tokenizer.VocabularySize, int.MaxValue, int.MinValue })
        {
            TokenizerException error = Assert.Throws<TokenizerException>(() => tokenizer.Decode([id]));
            Assert.Contains(id.ToString(System.Globalization.CultureInfo.InvariantCulture), error.Message, StringComparison.Ordinal);
            Assert.Contains("265", error.Message, StringComparison.Ordinal);
            Assert.Throws<TokenizerException>(() => new TokenStreamDecoder(tokenizer).Append(id));
        }
    }

    [Fact]
    public void StreamDecoder_BytesOfOneCharacter_WaitsForTheLast()
    {
        Tokenizer tokenizer = Tokenizer.Create(SmallVocabularies.ByteLevel());
        int[] ids = tokenizer.Encode("é😀");
        TokenStreamDecoder decoder = new(tokenizer);
        Assert.Equal(["", "é", "", "", "", "😀"], ids.Select(decoder.Append));
        Assert.Equal("", decoder.Flush());
        Assert.Equal("", decoder.Append(ids[0]));
        Assert.Equal("\uFFFD", decoder.Flush());
    }

    [Fact]
    public void Encode_LoneSurrogatesAndBytesThatAreNotUtf8_AreReplacementCharacters()
    {
        Tokenizer tokenizer = Tokenizer.Create(SmallVocabularies.ByteLevel());
        Assert.Equal("a\uFFFDb", tokenizer.Decode(tokenizer.Encode("a\uD800b")));
        Assert.Equal("a\uFFFDb", tokenizer.Decode(tokenizer.Encode([(byte)'a', 0xFF, (byte)'b'])));
        Assert.Equal("\uFFFD", tokenizer.Decode(tokenizer.Encode([new TextSpan("\uDC00", true)])));
        Assert.Equal("😀", tokenizer.Decode(tokenizer.Encode([new TextSpan("\uD83D", true), new TextSpan("\uDE00", false)])));
    }

    [Fact]
    public void SentencePiece_UnknownCharacter_BecomesBytesAndComesBack()
    {
        Tokenizer tokenizer = Tokenizer.Create(SmallVocabularies.SentencePiece("▁", "h", "i", "▁h", "hi", "▁hi"));
        int[] ids = tokenizer.Encode("hi é", addSpecial: true);
        Assert.Equal([1, 264, 259, 3 + 0xC3, 3 + 0xA9], ids);
        Assert.Equal("hi é", tokenizer.Decode(ids, skipSpecial: true));
        Assert.Equal(" é", new TokenStreamDecoder(tokenizer, continues: true) is { } stream ? string.Concat(ids[2..].Select(stream.Append)) : "");
    }

    [Fact]
    public void Create_PreTokenizerUnknownOrAbsent_WarnsAndUsesTheDefault()
    {
        Tokenizer expected = Tokenizer.Create(SmallVocabularies.ByteLevel("default"));
        foreach (string? name in new[] { null, "", "no-such-thing" })
        {
            Tokenizer tokenizer = Tokenizer.Create(SmallVocabularies.ByteLevel(name));
            Assert.Single(tokenizer.Warnings);
            Assert.Equal(expected.Encode("hello, 12345 x"), tokenizer.Encode("hello, 12345 x"));
        }

        Assert.Empty(expected.Warnings);
    }

    [Theory]
    [InlineData("a")]
    [InlineData(" ")]
    [InlineData("1")]
    [InlineData("é")]
    [InlineData("<")]
    public void Encode_MillionBytesOfOneLetter_TakesNLogN(string letter)
    {
        string text = string.Concat(Enumerable.Repeat(letter, 1_000_000 / Encoding.UTF8.GetByteCount(letter)));
        Stopwatch watch = Stopwatch.StartNew();
        foreach (Tokenizer tokenizer in new[]
        {
            Tokenizer.Create(SmallVocabularies.ByteLevel()), Tokenizer.Create(SmallVocabularies.ByteLevel("deepseek-llm")), Tokenizer.Create(SmallVocabularies.ByteLevel("tiny_aya")),
            Tokenizer.Create(SmallVocabularies.SentencePiece("▁", "a", "aa", "aaaa", "▁▁")),
        })
        {
            Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
        }

        Assert.True(watch.Elapsed < s_longTextLimit, $"{watch.Elapsed}");
    }

    [Fact]
    public void Create_MergesOfAbsentPieces_AreTakenApartAgain()
    {
        PieceList pieces = new(), merges = new();
        pieces.Add("a");
        pieces.Add("b");
        pieces.Add("abab");
        merges.AddMerge("a b"u8); // ab is in no vocabulary
        merges.AddMerge("ab ab"u8);
        Tokenizer tokenizer = Tokenizer.Create(new TokenizerDefinition { Model = TokenizerModelKind.ByteLevelBytePair, Pieces = pieces, Merges = merges, PreTokenizer = "gpt-2" });
        Assert.Equal([2, 0, 1], tokenizer.Encode("ababab"));
    }

    [Fact]
    public void IsEndOfGeneration_KnownSpellings_AreEnds()
    {
        TokenizerDefinition small = SmallVocabularies.SentencePiece("▁", "<end_of_turn>", "<|im_end|>");
        Tokenizer tokenizer = Tokenizer.Create(small);
        Assert.Equal([2, 260, 261], tokenizer.EndOfGenerationIds);
        Assert.Equal(TokenKind.Control, tokenizer.Kind(260));
        Assert.DoesNotContain(260, tokenizer.Encode("<end_of_turn>"));
        Assert.True(tokenizer.AddsBos);
    }

    [Fact]
    public void PrecompiledCharsMap_OneRule_ReplacesAndRefusesWhatDoesNotFit()
    {
        byte[] map = new byte[4 + (0x43 * 4) + 2];
        BitConverter.TryWriteBytes(map, 0x43 * 4);
        BitConverter.TryWriteBytes(map.AsSpan(4), 1u << 10); // the root's children lie at 1 xor their letter
        BitConverter.TryWriteBytes(map.AsSpan(4 + (0x40 * 4)), 0x41u | 0x100 | (2u << 10)); // 'A', with a value at 0x40 xor 2
        map[^2] = (byte)'b';
        PrecompiledCharsMap rules = new(map);
        Assert.True(rules.TryMatch("Ax"u8, longest: true, out int length, out ReadOnlySpan<byte> result));
        Assert.Equal((1, "b"), (length, Encoding.UTF8.GetString(result)));
        Assert.False(rules.TryMatch("xA"u8, longest: true, out _, out _));
        for (int cut = 0; cut < map.Length; cut++)
        {
            Assert.Throws<TokenizerFormatException>(() => new PrecompiledCharsMap(map[..cut]));
        }
    }
}
