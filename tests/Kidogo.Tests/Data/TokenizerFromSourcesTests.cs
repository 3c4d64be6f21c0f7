// Tokenizers trained on files: which texts count, what is reported, what is refused.
using System.Text;
using Kidogo.Data;
using Kidogo.Text.Tokenizers.Training;

namespace Kidogo.Tests.Data;

public sealed class TokenizerFromSourcesTests : IDisposable
{
    private static readonly TokenizerTrainingOptions s_options = new() { VocabularySize = 275 };
    private readonly string _folder = Directory.CreateTempSubdirectory("kidogo-tests-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Train_Conversations_ReadsWhatMessagesSay()
    {
        Write("chat.jsonl", string.Concat(Enumerable.Repeat(
            """{"messages": [{"role": "user", "content": "Habari yako"}, {"role": "assistant", "content": [{"type": "text", "text": "Nzuri sana"}]}, {"role": "assistant", "content": null}]}""" + "\n", 20)));
        Write("share.jsonl", string.Concat(Enumerable.Repeat("""{"conversations": [{"from": "human", "value": "Habari"}, {"from": "gpt", "value": "Nzuri"}]}""" + "\n", 20)));
        TokenizerOfSources result = Train("chat.jsonl", "share.jsonl");
        Assert.Equal([20 * 4, 20 * 2], result.Files.Select(file => file.Words));
        Assert.Equal(20 * (11 + 10 + 6 + 5), result.Total.Bytes);
        Assert.DoesNotContain(Enumerable.Range(260, 15), id => result.Trained.Tokenizer.TokenText(id).Contains("assist", StringComparison.Ordinal));
    }

    [Fact]
    public void Train_AFolderOrItsFiles_GivesTheSameTokenizer()
    {
        Write("a.txt", Lines(40));
        Write("b.txt", Lines(70));
        TokenizerOfSources ofFolder = Train("."), ofFiles = Train("b.txt", "a.txt");
        Assert.Equal(ofFolder.Trained.TokenizerJson.ToArray(), ofFiles.Trained.TokenizerJson.ToArray());
        Assert.Equal(ofFolder.Total, ofFiles.Total);
        Assert.Equal(["a.txt", "b.txt"], ofFolder.Files.Select(file => Path.GetFileName(file.Name)));
    }

    [Fact]
    public void Train_NotMeasured_ReadsOnceAndReportsNoFiles()
    {
        Write("a.txt", Lines(40));
        List<TokenizerStage> stages = [];
        TokenizerOfSources result = TokenizerFromSources.Train(
            [new DataSource { Path = Path.Combine(_folder, "a.txt") }], TokenizerKind.Bpe, s_options, measure: false, new Told(value => stages.Add(value.Stage)));
        Assert.Empty(result.Files);
        Assert.Contains(TokenizerStage.Reading, stages);
        Assert.Contains(TokenizerStage.Merging, stages);
        Assert.DoesNotContain(TokenizerStage.Measuring, stages);
    }

    [Fact]
    public void Train_Progress_ReachesItsTotalInReadingAndMeasuring()
    {
        Write("a.txt", Lines(40));
        Write("b.txt", Lines(70));
        List<TokenizerStageProgress> told = [];
        TokenizerFromSources.Train([new DataSource { Path = _folder }], TokenizerKind.Bpe, s_options, measure: true, new Told(told.Add));
        foreach (TokenizerStage stage in (TokenizerStage[])[TokenizerStage.Reading, TokenizerStage.Measuring])
        {
            TokenizerStageProgress last = told.Last(value => value.Stage == stage);
            Assert.Equal(last.Total, last.Done);
            Assert.Equal(new DirectoryInfo(_folder).GetFiles().Sum(file => file.Length), last.Total);
        }
    }

    [Fact]
    public void Train_InvalidBytes_AreCountedOrRefusedWithTheirPlace()
    {
        File.WriteAllBytes(Path.Combine(_folder, "a.txt"), [.. Encoding.UTF8.GetBytes(Lines(40) + "\n\n"), 0xFF, 0xFE, (byte)'x']);
        Assert.Equal(2, Train("a.txt").InvalidBytes);
        DataFormatException refused = Assert.Throws<DataFormatException>(() => TokenizerFromSources.Train([new DataSource { Path = Path.Combine(_folder, "a.txt") }], TokenizerKind.Bpe, s_options with { Strict = true }));
        Assert.Equal(42, refused.Line);
    }

    [Fact]
    public void Train_WhatCannotBeRead_IsNamed()
    {
        Write("field.jsonl", "{\"text\": \"a\"}\n{\"body\": \"b\"}\n");
        Write("empty.txt", " \n");
        Write("other.csv", "a,b\n");
        Assert.Equal(2, Assert.Throws<DataFormatException>(() => Train("field.jsonl")).Line);
        Assert.Throws<DataFormatException>(() => Train("other.csv"));
        Assert.Throws<FileNotFoundException>(() => Train("absent.txt"));
        Assert.Contains("empty", Assert.Throws<TokenizerTrainingException>(() => Train("empty.txt")).Message);
        Assert.Throws<DataFormatException>(() => TokenizerFromSources.Train([new DataSource { Path = "random", Kind = SourceKind.Random }], TokenizerKind.Bpe, s_options));
    }

    private static string Lines(int count) => string.Join('\n', Enumerable.Range(0, count).Select(i => $"Habari ya leo, rafiki yangu {i}."));

    private void Write(string name, string text) => File.WriteAllText(Path.Combine(_folder, name), text);

    private TokenizerOfSources Train(params string[] names) =>
        TokenizerFromSources.Train([.. names.Select(name => new DataSource { Path = Path.GetFullPath(Path.Combine(_folder, name)) })], TokenizerKind.Bpe, s_options);

    private sealed class Told(Action<TokenizerStageProgress> tell) : IProgress<TokenizerStageProgress>
    {
        public void Report(TokenizerStageProgress value) => tell(value);
    }
}
