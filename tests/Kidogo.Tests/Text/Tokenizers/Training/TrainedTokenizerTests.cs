// What every trained tokenizer promises, of either kind: bytes come back, files read back, special tokens stay whole, bad input is named.
using System.Text;
using System.Text.Json;
using Kidogo.TestSupport;
using Kidogo.Text.ChatTemplates;
using Kidogo.Text.Tokenizers;
using Kidogo.Text.Tokenizers.Training;

namespace Kidogo.Tests.Text.Tokenizers.Training;

public sealed class TrainedTokenizerTests
{
    private static readonly Lazy<TrainedTokenizer> s_bpe = new(() => Train(TokenizerKind.Bpe, TrainingTexts.Sentences(300), new TokenizerTrainingOptions { VocabularySize = 500, ChatTemplate = true }));
    private static readonly Lazy<TrainedTokenizer> s_unigram = new(() => Train(TokenizerKind.Unigram, TrainingTexts.Sentences(300), new TokenizerTrainingOptions { VocabularySize = 500 }));

    [Theory]
    [InlineData(TokenizerKind.Bpe)]
    [InlineData(TokenizerKind.Unigram)]
    public void Decode_WhatWasEncoded_GivesEveryByteBack(TokenizerKind kind)
    {
        Tokenizer tokenizer = Shared(kind).Tokenizer;
        string[] edges = ["", " ", "  ", "\n", " \n\t x  ", "<0x41>", "a<0xC3>b", "<unk>", "<|im_start|>", "é", "é", "\u00A0", "\0", "ng'ombe\r\n", "😀👩‍👩‍👧", "<|pad|"];
        foreach (string text in edges.Concat(TrainingTexts.Anything(500)))
        {
            Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
        }
    }

    [Theory]
    [InlineData(TokenizerKind.Bpe)]
    [InlineData(TokenizerKind.Unigram)]
    public void WriteTo_AFolder_ReadsBackAsTheSameTokenizer(TokenizerKind kind)
    {
        TrainedTokenizer trained = Shared(kind);
        string folder = Path.Combine(Directory.CreateTempSubdirectory("kidogo-tests-").FullName, "new", "folder");
        trained.WriteTo(folder);
        trained.WriteTo(folder); // over what is there
        string[] expected = kind == TokenizerKind.Bpe ? ["chat_template.jinja", "tokenizer.json", "tokenizer_config.json"] : ["tokenizer.json", "tokenizer_config.json"];
        Assert.Equal(expected, Directory.GetFiles(folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
        Tokenizer read = Tokenizer.FromJson(File.ReadAllBytes(Path.Combine(folder, "tokenizer.json")), File.ReadAllBytes(Path.Combine(folder, "tokenizer_config.json")));
        Assert.Empty(read.Warnings);
        Assert.Equal(trained.VocabularySize, read.VocabularySize);
        foreach (string text in TrainingTexts.Sentences(50, seed: 99).Concat(TrainingTexts.Anything(100)))
        {
            Assert.Equal(trained.Tokenizer.Encode(text), read.Encode(text));
        }

        Directory.Delete(Path.GetDirectoryName(Path.GetDirectoryName(folder))!, recursive: true);
    }

    [Fact]
    public void WriteTo_WhereAFolderIsInTheWay_LeavesWhatWasThere()
    {
        string folder = Directory.CreateTempSubdirectory("kidogo-tests-").FullName;
        Directory.CreateDirectory(Path.Combine(folder, "tokenizer.json"));
        Assert.ThrowsAny<Exception>(() => Shared(TokenizerKind.Bpe).WriteTo(folder));
        Assert.DoesNotContain(Directory.GetFiles(folder), path => path.EndsWith(".tmp", StringComparison.Ordinal));
        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData(TokenizerKind.Bpe)]
    [InlineData(TokenizerKind.Unigram)]
    public void Encode_SpecialTokens_AreWholeWhereAskedAndTextElsewhere(TokenizerKind kind)
    {
        TokenizerTrainingOptions options = new() { VocabularySize = 430, SpecialTokens = ["<s>", "[TOOL]", "ni"], BosToken = "<s>" };
        string[] texts = [.. TrainingTexts.Sentences(300).Select(text => $"<s>{text}[TOOL]{text}")];
        TrainedTokenizer trained = Train(kind, texts, options);
        Tokenizer tokenizer = trained.Tokenizer;
        int first = kind == TokenizerKind.Unigram ? 1 : 0;
        Assert.Equal([first, first + 1, first + 2], tokenizer.Encode("<s>[TOOL]ni", parseSpecial: true));
        foreach (string text in (string[])["<s>", "[TOOL]", "ni", "anina <s>ni"])
        {
            Assert.DoesNotContain(tokenizer.Encode(text), id => tokenizer.Kind(id) == TokenKind.Control);
            Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
        }

        // What is spelt in the texts as a special token taught nothing: no piece has a part of it.
        Assert.DoesNotContain(Enumerable.Range(first + 3, tokenizer.VocabularySize - first - 3).Select(tokenizer.Piece), piece => piece.Length > 1 && piece.Contains("TOO", StringComparison.Ordinal));
        Assert.Equal(first, tokenizer.BosId);
        Assert.Null(tokenizer.EosId);
    }

    [Theory]
    [InlineData(TokenizerKind.Bpe, 0)]
    [InlineData(TokenizerKind.Unigram, 1)]
    public void Train_Defaults_NameTheTokensOfAChatModel(TokenizerKind kind, int first)
    {
        Tokenizer tokenizer = Shared(kind).Tokenizer;
        Assert.Equal((first, first, first + 3), (tokenizer.BosId!.Value, tokenizer.EosId!.Value, tokenizer.PadId!.Value));
        Assert.True(tokenizer.IsEndOfGeneration(first));
        Assert.True(tokenizer.IsEndOfGeneration(tokenizer.FindPiece("<|im_end|>")!.Value));
        Assert.False(tokenizer.AddsBos);
    }

    [Fact]
    public void ChatTemplate_WhereAskedFor_IsChatMl()
    {
        ChatTemplate template = ChatTemplate.Parse(Shared(TokenizerKind.Bpe).ChatTemplate!);
        Assert.NotNull(template);
        Assert.Contains("<|im_start|>", Shared(TokenizerKind.Bpe).ChatTemplate);
        Assert.Null(Shared(TokenizerKind.Unigram).ChatTemplate);
        Assert.Throws<TokenizerTrainingException>(() => BpeTrainer.Train(["text"], new TokenizerTrainingOptions { SpecialTokens = ["<s>"], ChatTemplate = true }));
    }

    [SharedFact]
    public void TokenizerJson_HasTheMembersOfAKnownFileOfItsKind()
    {
        using JsonDocument known = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden", "tokenizers", "hf-qwen3", "tokenizer.json")));
        using JsonDocument written = JsonDocument.Parse(Shared(TokenizerKind.Bpe).TokenizerJson);
        AssertSameShape(known.RootElement, written.RootElement, "");
    }

    [Theory]
    [InlineData(TokenizerKind.Bpe)]
    [InlineData(TokenizerKind.Unigram)]
    public void Train_NothingToLearnFrom_IsNamed(TokenizerKind kind)
    {
        foreach (string[] texts in (string[][])[[], [""], ["", ""], ["<|endoftext|>"]])
        {
            Assert.Contains("empty", Assert.Throws<TokenizerTrainingException>(() => Train(kind, texts, new TokenizerTrainingOptions())).Message);
        }
    }

    [Theory]
    [InlineData(TokenizerKind.Bpe)]
    [InlineData(TokenizerKind.Unigram)]
    public void Train_InvalidUtf8_IsCountedAndReplacedOrRefused(TokenizerKind kind)
    {
        byte[] broken = [.. "habari "u8, 0xFF, 0xC3, (byte)' ', 0xE1, 0x88, .. "yako"u8];
        IEnumerable<ReadOnlyMemory<byte>> texts = TrainingTexts.Sentences(100).Select(text => (ReadOnlyMemory<byte>)Encoding.UTF8.GetBytes(text)).Append(broken);
        TokenizerTrainingOptions options = new() { VocabularySize = 420 };
        Assert.Equal(3, TokenizerTrainer.Train(kind, texts, options).Report.InvalidSequences);
        Assert.Contains("UTF-8", Assert.Throws<TokenizerTrainingException>(() => TokenizerTrainer.Train(kind, texts, options with { Strict = true })).Message);
    }

    [Theory]
    [InlineData(TokenizerKind.Bpe)]
    [InlineData(TokenizerKind.Unigram)]
    public void Train_OneHugeWord_EndsSoon(TokenizerKind kind)
    {
        // A megabyte of one letter, and one of no space at all: cut into words of bounded length, else each merge would walk through all of it.
        string[] texts = [new string('a', 1_000_000), .. TrainingTexts.Sentences(100), string.Concat(TrainingTexts.Sentences(5000)).Replace(" ", "", StringComparison.Ordinal)];
        TrainedTokenizer trained = Train(kind, texts, new TokenizerTrainingOptions { VocabularySize = 450 });
        Assert.Equal(450, trained.VocabularySize);
        Assert.Equal(new string('a', 1000), trained.Tokenizer.Decode(trained.Tokenizer.Encode(new string('a', 1000))));
    }

    [Fact]
    public void Train_ATextLongerThanABlock_LosesNothing()
    {
        string text = string.Concat(Enumerable.Repeat("ẹ̀kọ́ na ημέρα\n", 900_000)); // 25 MB: cut twice, never within a character
        TrainedTokenizer trained = BpeTrainer.Train([text], new TokenizerTrainingOptions { VocabularySize = 275 });
        Assert.Equal(Encoding.UTF8.GetByteCount(text), trained.Report.Bytes);
        Assert.Equal(0, trained.Report.InvalidSequences);
        Assert.Equal(1, trained.Report.Texts);
        Assert.Equal(4, trained.Report.DistinctWords); // the word, the two with their spaces, the newline
    }

    public static TheoryData<TokenizerTrainingOptions, string> BadOptions => new()
    {
        { new() { VocabularySize = 0 }, "vocabulary" },
        { new() { VocabularySize = 2_000_000 }, "vocabulary" },
        { new() { MinFrequency = 0 }, "frequency" },
        { new() { Threads = 0 }, "threads" },
        { new() { MaxPieceCharacters = 1 }, "piece" },
        { new() { CharacterCoverage = 0.5 }, "coverage" },
        { new() { CharacterCoverage = double.NaN }, "coverage" },
        { new() { SpecialTokens = ["<a>", "<a>"] }, "twice" },
        { new() { SpecialTokens = [""] }, "special token" },
        { new() { SpecialTokens = [" "] }, "special token" },
        { new() { SpecialTokens = ["a\nb"] }, "special token" },
        { new() { SpecialTokens = ["a\uD800"] }, "special token" },
        { new() { SpecialTokens = ["<a>"], EosToken = "<b>" }, "<b>" },
    };

    [Theory]
    [MemberData(nameof(BadOptions))]
    public void Train_OptionOutOfRange_IsNamed(TokenizerTrainingOptions options, string named)
    {
        foreach (TokenizerKind kind in Enum.GetValues<TokenizerKind>())
        {
            Assert.Contains(named, Assert.Throws<TokenizerTrainingException>(() => Train(kind, ["some text"], options)).Message);
        }
    }

    [Theory]
    [InlineData(TokenizerKind.Bpe, "a")]
    [InlineData(TokenizerKind.Bpe, "Ġ")]
    [InlineData(TokenizerKind.Unigram, "<0x0A>")]
    [InlineData(TokenizerKind.Unigram, "<unk>")]
    [InlineData(TokenizerKind.Unigram, "▁a")]
    public void Train_SpecialTokenThatIsTakenAlready_IsRefused(TokenizerKind kind, string token) =>
        Assert.Contains(token, Assert.Throws<TokenizerTrainingException>(() => Train(kind, ["some text"], new TokenizerTrainingOptions { SpecialTokens = [token] })).Message);

    [Theory]
    [InlineData(TokenizerKind.Bpe, TokenizerTrainingStage.Counting)]
    [InlineData(TokenizerKind.Bpe, TokenizerTrainingStage.Merging)]
    [InlineData(TokenizerKind.Unigram, TokenizerTrainingStage.Pruning)]
    public void Train_CancelledAtAnyStage_Stops(TokenizerKind kind, TokenizerTrainingStage stage)
    {
        using CancellationTokenSource source = new();
        Told progress = new(value =>
        {
            if (value.Stage == stage)
            {
                source.Cancel();
            }
        });
        IEnumerable<ReadOnlyMemory<byte>> texts = TokenizerTrainer.Utf8(TrainingTexts.Sentences(300));
        Assert.ThrowsAny<OperationCanceledException>(() => TokenizerTrainer.Train(kind, texts, new TokenizerTrainingOptions { VocabularySize = 450, BlockBytes = 1000 }, progress, source.Token));
    }

    [Theory]
    [InlineData(TokenizerKind.Bpe, TokenizerTrainingStage.Merging)]
    [InlineData(TokenizerKind.Unigram, TokenizerTrainingStage.Pruning)]
    public void Train_Progress_RisesToItsTotal(TokenizerKind kind, TokenizerTrainingStage stage)
    {
        List<TokenizerTrainingProgress> told = [];
        TokenizerTrainer.Train(kind, TokenizerTrainer.Utf8(TrainingTexts.Sentences(300)), new TokenizerTrainingOptions { VocabularySize = 450 }, new Told(told.Add));
        TokenizerTrainingProgress[] ofStage = [.. told.Where(value => value.Stage == stage)];
        Assert.NotEmpty(ofStage);
        Assert.All(ofStage.Zip(ofStage.Skip(1)), pair => Assert.True(pair.First.Done <= pair.Second.Done && pair.Second.Done <= pair.Second.Total));
        Assert.True(ofStage[^1].Done >= ofStage[^1].Total * 0.6); // pieces that EM itself throws out may save a few rounds
    }

    private static TrainedTokenizer Shared(TokenizerKind kind) => (kind == TokenizerKind.Bpe ? s_bpe : s_unigram).Value;

    private static TrainedTokenizer Train(TokenizerKind kind, string[] texts, TokenizerTrainingOptions options) => TokenizerTrainer.Train(kind, TokenizerTrainer.Utf8(texts), options);

    // The same members in the same order with values of the same kind; what differs by its nature is not compared.
    private static void AssertSameShape(JsonElement known, JsonElement written, string path)
    {
        if (path is "/model/vocab" or "/normalizer" or "/model/continuing_subword_prefix" or "/model/end_of_word_suffix")
        {
            return;
        }

        Assert.True(known.ValueKind == written.ValueKind || (known.ValueKind is JsonValueKind.True or JsonValueKind.False && written.ValueKind is JsonValueKind.True or JsonValueKind.False), path);
        if (known.ValueKind == JsonValueKind.Object)
        {
            Assert.Equal(known.EnumerateObject().Select(member => path + member.Name), written.EnumerateObject().Select(member => path + member.Name));
            foreach (JsonProperty member in known.EnumerateObject())
            {
                AssertSameShape(member.Value, written.GetProperty(member.Name), $"{path}/{member.Name}");
            }
        }
        else if (known.ValueKind == JsonValueKind.Array && path != "/model/merges")
        {
            foreach ((JsonElement First, JsonElement Second) in known.EnumerateArray().Zip(written.EnumerateArray()))
            {
                AssertSameShape(First, Second, path + "[]");
            }
        }
        else if (known.ValueKind == JsonValueKind.String && path.EndsWith("/type", StringComparison.Ordinal))
        {
            Assert.Equal(known.GetString(), written.GetString());
        }
    }

    private sealed class Told(Action<TokenizerTrainingProgress> tell) : IProgress<TokenizerTrainingProgress>
    {
        public void Report(TokenizerTrainingProgress value) => tell(value);
    }
}
