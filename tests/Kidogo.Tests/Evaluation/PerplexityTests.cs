// Perplexity over windows: which tokens count, by a model that is sure of what follows, and against the logits of a whole pass.
using Kidogo.Evaluation;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.TestSupport;
using Kidogo.Tests.Inference;
using Kidogo.Tests.Models;

namespace Kidogo.Tests.Evaluation;

public sealed class PerplexityTests : IDisposable
{
    private const double Surprise = 32; // the logit of the token that follows; all others have 0

    private readonly ScriptedModel _scripted = ScriptedModel.Counting(50);

    public void Dispose() => _scripted.Dispose();

    [Theory]
    [InlineData(8, false, 4, 8)] // tokens 4 to 7 of each window of 8
    [InlineData(8, true, 7, 8)]
    [InlineData(9, false, 5, 9)]
    [InlineData(2, false, 1, 2)]
    [InlineData(2, true, 1, 2)]
    [InlineData(3, false, 2, 3)]
    public void Windows_CountTheTokensOfTheSecondHalfOrAll(int window, bool all, int scoredOfEach, int length)
    {
        int[] ids = [.. Enumerable.Range(0, (3 * length) + length - 1).Select(i => i % 50)]; // three windows and a partial one
        PerplexityReport report = Measure(ids, new PerplexityOptions { WindowLength = window, ScoreAll = all, BytesOf = id => id < 50 ? 3 : 0 });
        Assert.Equal(3 * scoredOfEach, report.Tokens);
        Assert.Equal(3 * report.Tokens, report.Bytes);
        Assert.InRange(report.MeanNll, 0, 1e-9);
        Assert.Equal(1, report.Perplexity, 6);
    }

    [Fact]
    public void Surprise_InTheSecondHalf_CountsAndInTheFirstDoesNot()
    {
        int[] ids = [0, 9, 10, 11, 12, 30, 31, 32]; // token 1 and token 5 are not what was to follow
        PerplexityReport half = Measure(ids, new PerplexityOptions { WindowLength = 8 });
        Assert.Equal(Surprise / 4, half.MeanNll, 1e-5);
        Assert.True(double.IsNaN(half.BitsPerByte));
        Assert.Equal(0.75, half.NextTokenAccuracy);
        PerplexityReport all = Measure(ids, new PerplexityOptions { WindowLength = 8, ScoreAll = true, BytesOf = _ => 2 });
        Assert.Equal(2 * Surprise / 7, all.MeanNll, 1e-5);
        Assert.Equal(5.0 / 7, all.NextTokenAccuracy);
        Assert.Equal(all.MeanNll / Math.Log(2) / 2, all.BitsPerByte, 1e-9);
    }

    [SharedTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void Nll_IsThatOfTheLogitsOfAWholePass(bool all)
    {
        GoldenDecoder golden = new("llama");
        using ComputeContext context = ComputeContext.Inference(1);
        using LoadedModel loaded = ModelLoader.Load(golden.Folder, context);
        int[] ids = golden.Sequences[1];
        float[] logits = GoldenDecoder.Score(loaded.Model, context, ids);
        double sum = 0;
        int count = 0;
        for (int i = all ? 1 : ids.Length / 2; i < ids.Length; i++, count++)
        {
            sum -= TokenProbabilities.LogProbability(logits.AsSpan((i - 1) * golden.Vocabulary, golden.Vocabulary), ids[i]);
        }

        PerplexityReport report = Perplexity.Measure(loaded.Model, context, ids, new PerplexityOptions { WindowLength = ids.Length, ScoreAll = all });
        Assert.Equal(count, report.Tokens);
        Assert.Equal(sum / count, report.MeanNll);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(0)]
    [InlineData(-5)]
    [InlineData(65)] // longer than the model's context
    public void Window_ThatCannotBe_IsRefused(int window) =>
        Assert.Contains("expected 2 to 64", Assert.Throws<ArgumentException>(() => Measure(new int[100], new PerplexityOptions { WindowLength = window })).Message, StringComparison.Ordinal);

    [Fact]
    public void Text_ShorterThanAWindow_IsRefused() =>
        Assert.Contains("9 tokens, fewer than one window of 10", Assert.Throws<ArgumentException>(() => Measure(new int[9], new PerplexityOptions { WindowLength = 10 })).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(3)]
    [InlineData(7)] // the last of a window, which is scored but never computed
    public void Id_OutsideTheVocabulary_IsRefusedWithItsPlace(int place)
    {
        int[] ids = new int[8];
        ids[place] = 50;
        Assert.Contains($"id 50 at position {place}", Assert.Throws<ArgumentException>(() => Measure(ids, new PerplexityOptions { WindowLength = 8 })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Progress_CountsWindowsAndCancellationEnds()
    {
        using CancellationTokenSource source = new();
        List<(int, int)> progress = [];
        PerplexityOptions options = new()
        {
            WindowLength = 4,
            Progress = (done, of) =>
            {
                progress.Add((done, of));
                if (done == 2)
                {
                    source.Cancel();
                }
            },
        };
        Assert.Throws<OperationCanceledException>(() => Perplexity.Measure(_scripted.Model, _scripted.Context, new int[40], options, source.Token));
        Assert.Equal([(1, 10), (2, 10)], progress);
        Assert.Equal(0, _scripted.Context.Mark());
    }

    private PerplexityReport Measure(int[] ids, PerplexityOptions options) => Perplexity.Measure(_scripted.Model, _scripted.Context, ids, options);
}
