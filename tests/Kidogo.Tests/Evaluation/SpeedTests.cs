// What is timed, and what is refused. How fast it is, no test can say.
using Kidogo.Evaluation;
using Kidogo.Tensors;
using Kidogo.Tests.Inference;

namespace Kidogo.Tests.Evaluation;

public sealed class SpeedTests : IDisposable
{
    private readonly ScriptedModel _scripted = ScriptedModel.Counting(50);

    public void Dispose() => _scripted.Dispose();

    [Theory]
    [InlineData(1, 0, 1)]
    [InlineData(64, 0, 1)]
    [InlineData(60, 4, 3)]
    [InlineData(1, 63, 2)]
    [InlineData(2, 1, 600)] // more sequences than rows of a pass
    public void Measure_WithinTheContext_GivesRates(int prompt, int generated, int batch)
    {
        SpeedReport report = Measure(prompt, generated, batch);
        Assert.True(double.IsFinite(report.PrefillTokensPerSecond) && report.PrefillTokensPerSecond > 0);
        Assert.Equal(prompt * batch / report.FirstToken.TotalSeconds, report.PrefillTokensPerSecond, 3);
        Assert.Equal(generated > 0, report.DecodeTokensPerSecond > 0);
        Assert.Equal(0, _scripted.Context.Mark());
    }

    [Theory]
    [InlineData(0, 1, 1)]
    [InlineData(1, -1, 1)]
    [InlineData(1, 1, 0)]
    [InlineData(60, 5, 1)] // one more than the context
    [InlineData(int.MaxValue, int.MaxValue, 1)]
    public void Numbers_OutOfRange_AreRefused(int prompt, int generated, int batch) =>
        Assert.Contains("context of 64", Assert.Throws<ArgumentException>(() => Measure(prompt, generated, batch)).Message, StringComparison.Ordinal);

    [Fact]
    public void Cancelled_Ends() =>
        Assert.Throws<OperationCanceledException>(() => Speed.Measure(_scripted.Model, _scripted.Context, new SpeedOptions { PromptTokens = 4, GeneratedTokens = 4, CacheFormat = KvFormat.Q8_0 }, new CancellationToken(true)));

    [Theory]
    [InlineData(288, 256, 32)]
    [InlineData(256, 128, 64)]
    [InlineData(1, 1, 0)]
    public void Within_AnyContext_Fits(int context, int prompt, int generated)
    {
        SpeedOptions fitted = new SpeedOptions { PromptTokens = 256, GeneratedTokens = 32 }.Within(context);
        Assert.Equal((prompt, generated), (fitted.PromptTokens, fitted.GeneratedTokens));
        Assert.InRange(fitted.PromptTokens + fitted.GeneratedTokens, 1, context);
    }

    private SpeedReport Measure(int prompt, int generated, int batch) =>
        Speed.Measure(_scripted.Model, _scripted.Context, new SpeedOptions { PromptTokens = prompt, GeneratedTokens = generated, BatchSize = batch });
}
