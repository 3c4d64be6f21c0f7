// The two laws of a trimmed vocabulary: all text can be spelt, and text whose tokens all stay is cut as before.
using System.Text.Json;
using Kidogo.Models.Files;
using Kidogo.TestSupport;
using Kidogo.Text.Tokenizers;
using Kidogo.Text.Tokenizers.Trimming;

namespace Kidogo.Tests.Text.Tokenizers.Trimming;

public sealed class VocabularyTrimmerTests
{
    public static TheoryData<string> GgufVocabularies => ["bert-bge", "gpt-2", "llama-bpe", "llama-spm", "phi-3", "qwen2"];

    [Fact]
    public void Choose_OfATextThatIsOnePiece_KeepsThePieceAndWhatItIsMergedFrom()
    {
        Tokenizer whole = Tokenizer.Create(SmallVocabularies.ByteLevel());
        VocabularySelection selection = VocabularyTrimmer.Choose(whole, Counts(whole, "hello"), new VocabularyTrimOptions());
        string[] kept = [.. selection.Kept.ToArray().Where(id => id >= 256).Select(whole.Piece)];
        Assert.Equal(["he", "ll", "hell", "hello", "<|x|>", "<u>"], kept); // not aa, aaaa and Ġhello
    }

    [Fact]
    public void Choose_WithALimit_DropsTheRarestFirstAndNeverWhatOthersNeed()
    {
        Tokenizer whole = Tokenizer.Create(SmallVocabularies.ByteLevel());
        long[] counts = Counts(whole, "hello aaaa aaaa aaaa"); // " " cuts: hello, Ġ, aaaa
        VocabularySelection selection = VocabularyTrimmer.Choose(whole, counts, new VocabularyTrimOptions { MaxTokens = 260 });
        string[] kept = [.. selection.Kept.ToArray().Where(id => id >= 256).Select(whole.Piece)];
        Assert.Equal(["aa", "aaaa", "<|x|>", "<u>"], kept);
    }

    [Fact]
    public void Choose_OfFewerTokensThanMustStay_SaysHowFewThereCanBe()
    {
        Tokenizer whole = Tokenizer.Create(SmallVocabularies.ByteLevel());
        TokenizerException failure = Assert.Throws<TokenizerException>(() => VocabularyTrimmer.Choose(whole, new long[whole.VocabularySize], new VocabularyTrimOptions { MaxTokens = 100 }));
        Assert.Contains("258", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Choose_WithGrowth_SpendsNoMoreThanThat()
    {
        Tokenizer whole = Tokenizer.Create(SmallVocabularies.ByteLevel());
        const string Text = "hello aaaa aaaa aaaa hello hello hello hello hello hello";
        int before = whole.Encode(Text).Length;
        VocabularySelection selection = VocabularyTrimmer.Choose(whole, Counts(whole, Text), new VocabularyTrimOptions { Growth = 0.25 });
        Tokenizer trimmed = Trimmed(SmallVocabularies.ByteLevel(), selection);
        Assert.InRange(trimmed.Encode(Text).Length, before + 1, before * 1.25);
    }

    [SharedTheory]
    [MemberData(nameof(GgufVocabularies))]
    public void Apply_ToAVocabularyOfGguf_KeepsTheLaws(string name)
    {
        using GgufFile file = GgufFile.Open(SharedFolder.PathOf("golden", "tokenizers", name + ".gguf"));
        TokenizerDefinition definition = GgufTokenizer.Describe(file.Metadata);
        CheckLaws(Tokenizer.Create(definition), selection => Trimmed(definition, selection));
    }

    [SharedTheory]
    [InlineData("hf-llama2")]
    [InlineData("hf-qwen3")]
    public void Apply_ToATokenizerJson_KeepsTheLaws(string name)
    {
        string folder = SharedFolder.PathOf("golden", "tokenizers", name);
        byte[] json = File.ReadAllBytes(Path.Combine(folder, "tokenizer.json")), config = File.ReadAllBytes(Path.Combine(folder, "tokenizer_config.json"));
        CheckLaws(Tokenizer.FromJson(json, config), selection => Tokenizer.FromJson(TokenizerTrim.Apply(json, selection), TokenIdFields.ApplyToTokenizerConfig(config, selection)));
    }

    [Theory]
    [InlineData("▁", "a", "b", "c", "ab", "▁a", "▁ab", "abc", "bc", "▁abc")]
    [InlineData("▁", "h", "e", "l", "o", "ll", "hell", "lo", "ello", "▁hello", "hello")]
    public void Apply_ToASmallSentencePieceVocabulary_KeepsTheLawsForEverySelection(params string[] pieces)
    {
        TokenizerDefinition definition = SmallVocabularies.SentencePiece(pieces);
        Tokenizer whole = Tokenizer.Create(definition);
        foreach (string text in (string[])["abc", "ab abc", "hello", "hello hell", "llo abc", "xyz"])
        {
            VocabularySelection selection = VocabularyTrimmer.Choose(whole, Counts(whole, text), new VocabularyTrimOptions());
            AssertSame(whole, Trimmed(definition, selection), selection, text);
        }
    }

    [Fact]
    public void Apply_ToAUnigramVocabulary_KeepsWhatUnknownCharactersCost()
    {
        // "ab" as a whole is dear; were the dearest piece dropped, two unknown characters would be cheaper than it.
        PieceList pieces = new();
        (string Piece, float Score, TokenKind Kind)[] all =
            [("<unk>", 0, TokenKind.Unknown), ("▁", -2, TokenKind.Normal), ("ab", -14, TokenKind.Normal), ("a", -3, TokenKind.Normal), ("b", -3, TokenKind.Normal), ("c", -3, TokenKind.Normal), ("zz", -30, TokenKind.Normal), ("xab", -12, TokenKind.Normal)];
        foreach ((string piece, _, _) in all)
        {
            pieces.Add(piece);
        }

        TokenizerDefinition definition = new() { Model = TokenizerModelKind.Unigram, Pieces = pieces, Scores = [.. all.Select(each => each.Score)], Kinds = [.. all.Select(each => (int)each.Kind)], UnkId = 0, EosId = 1 };
        Tokenizer whole = Tokenizer.Create(definition);
        VocabularySelection selection = VocabularyTrimmer.Choose(whole, Counts(whole, "xab"), new VocabularyTrimOptions());
        Assert.True(selection.NewId(6) >= 0, "the dearest piece sets the cost of what is unknown");
        Assert.Equal(-1, selection.NewId(2));
        foreach (string text in (string[])["xab", "xxab", "abc", "qxabq", "c q c"])
        {
            AssertSame(whole, Trimmed(definition, selection), selection, text);
        }
    }

    [Fact]
    public void Apply_ToSpecialIdsThatDefaultsName_SaysThemAnew()
    {
        TokenizerDefinition definition = SmallVocabularies.SentencePiece("▁", "a");
        Tokenizer trimmed = Trimmed(definition, VocabularyTrimmer.Choose(Tokenizer.Create(definition), new long[261], new VocabularyTrimOptions()));
        Assert.Equal((1, 2, 0), (trimmed.BosId, trimmed.EosId, trimmed.UnkId));
        Assert.Equal(259, trimmed.VocabularySize);
    }

    [Fact]
    public void Apply_ToTokenFields_RenumbersAndDrops()
    {
        VocabularySelection selection = new(10, [0, 3, 7]);
        byte[] changed = TokenIdFields.Apply("""{"eos_token_id":[3,7],"bos_token_id":0,"pad_token_id":5,"vocab_size":10,"text_config":{"vocab_size":10,"image_token_index":7},"top_k":7}"""u8.ToArray(), selection);
        using JsonDocument json = JsonDocument.Parse(changed);
        Assert.Equal("""{"eos_token_id":[1,2],"bos_token_id":0,"pad_token_id":null,"vocab_size":3,"text_config":{"vocab_size":3,"image_token_index":2},"top_k":7}""", JsonSerializer.Serialize(json.RootElement));
        Assert.Equal([3, 7, 0, 5, 7], TokenIdFields.Named("""{"eos_token_id":[3,7],"bos_token_id":0,"pad_token_id":5,"text_config":{"image_token_index":7}}"""u8.ToArray()));
    }

    /// <summary>Trims to what some texts need, and looks at all.</summary>
    private static void CheckLaws(Tokenizer whole, Func<VocabularySelection, Tokenizer> trim)
    {
        string[] texts = JsonSerializer.Deserialize<string[]>(File.ReadAllBytes(SharedFolder.PathOf("golden", "tokenizers", "texts.json")))!;
        string english = File.ReadAllText(SharedFolder.PathOf("corpora", "wikitext-2", "valid.txt"))[..100_000];
        foreach (VocabularyTrimOptions options in (VocabularyTrimOptions[])[new(), new() { MaxTokens = Math.Max(8000, whole.VocabularySize / 4) }])
        {
            VocabularySelection selection = VocabularyTrimmer.Choose(whole, Counts(whole, [english, .. texts.Where((_, i) => i % 2 == 0)]), options);
            Tokenizer trimmed = trim(selection);
            Assert.Equal(selection.Count, trimmed.VocabularySize);
            Assert.True(selection.Count < whole.VocabularySize / 2 || options.MaxTokens is not null);
            for (int id = 0; id < selection.Count; id++)
            {
                Assert.Equal(whole.Piece(selection.Kept[id]), trimmed.Piece(id));
            }

            int unchanged = 0;
            foreach (string text in texts.Concat(english.Split('\n').Take(400)))
            {
                unchanged += AssertSame(whole, trimmed, selection, text);
            }

            Assert.True(unchanged > 100, $"only {unchanged} texts were inside the kept vocabulary");
            foreach ((int? old, int? now) in ((int?, int?)[])[(whole.BosId, trimmed.BosId), (whole.EosId, trimmed.EosId), (whole.UnkId, trimmed.UnkId), (whole.PadId, trimmed.PadId), (whole.EotId, trimmed.EotId)])
            {
                Assert.Equal(old is { } id ? selection.NewId(id) : null, now);
            }
        }
    }

    /// <summary>1 where all tokens of the text stay and they are the same, 0 where some go and the text is spelt with others.</summary>
    private static int AssertSame(Tokenizer whole, Tokenizer trimmed, VocabularySelection selection, string text)
    {
        int[] before = whole.Encode(text, addSpecial: true), after = trimmed.Encode(text, addSpecial: true), kept = selection.NewIds(before);
        if (kept.Length == before.Length)
        {
            Assert.Equal(kept, after);
            return 1;
        }

        Assert.Equal(whole.DecodeBytes(before), trimmed.DecodeBytes(after));
        return 0;
    }

    private static Tokenizer Trimmed(TokenizerDefinition definition, VocabularySelection selection) => Tokenizer.Create(TokenizerTrim.Apply(definition, selection));

    private static long[] Counts(Tokenizer tokenizer, params string[] texts)
    {
        long[] counts = new long[tokenizer.VocabularySize];
        foreach (int id in texts.SelectMany(text => tokenizer.Encode(text)))
        {
            counts[id]++;
        }

        return counts;
    }
}
