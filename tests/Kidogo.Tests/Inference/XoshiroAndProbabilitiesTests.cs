using Kidogo.Inference.Sampling;

namespace Kidogo.Tests.Inference;

public sealed class XoshiroAndProbabilitiesTests
{
    /// <summary>Float32 logits, float64 sums: only the rounding of the stored logit remains.</summary>
    private const double Tolerance = 1e-6;

    [Fact]
    public void Xoshiro256_StateOneToFour_GivesTheReferencesNumbers()
    {
        Xoshiro256 random = new(1, 2, 3, 4);
        ulong[] expected =
        [
            11520, 0, 1509978240, 1215971899390074240, 1216172134540287360,
            607988272756665600, 16172922978634559625, 8476171486693032832, 10595114339597558777, 2904607092377533576,
        ];
        Assert.Equal(expected, expected.Select(_ => random.NextUInt64()));
    }

    [Fact]
    public void SplitMix64_Seed1234567_GivesTheReferencesNumbers()
    {
        ulong state = 1234567;
        ulong[] expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821];
        Assert.Equal(expected, expected.Select(_ => Xoshiro256.NextSplitMix64(ref state)));
    }

    [Fact]
    public void NextDouble_ManyDraws_StayBelowOneAndFillTheRange()
    {
        Xoshiro256 random = new(0);
        double[] draws = [.. Enumerable.Range(0, 10_000).Select(_ => random.NextDouble())];
        Assert.All(draws, d => Assert.InRange(d, 0, Math.BitDecrement(1.0)));
        Assert.Equal(0.5, draws.Average(), 0.015); // five standard errors of 0.0029
    }

    [Fact]
    public void LogSoftmax_LargeLogits_DoesNotOverflow()
    {
        float[] result = new float[3];
        TokenProbabilities.LogSoftmax([1000, 1001, 999], result);
        double shift = 1 + Math.Log(1 + Math.Exp(-1) + Math.Exp(-2));
        Assert.Equal(-shift, result[0], Tolerance);
        Assert.Equal(1 - shift, result[1], Tolerance);
        Assert.Equal(1 - shift, TokenProbabilities.LogProbability([1000, 1001, 999], 1), Tolerance);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    [InlineData(3, 3)]
    [InlineData(9, 5)]
    public void TopTokens_Count_GivesTheBestInOrder(int count, int expected)
    {
        TokenProbability[] top = TokenProbabilities.TopTokens([0, 2, float.NegativeInfinity, 2, 1], count);
        Assert.Equal(new[] { 1, 3, 4, 0, 2 }.Take(expected), top.Select(t => t.Id));
        double sum = (2 * Math.Exp(2)) + Math.E + 1;
        Assert.Equal(new[] { Math.Exp(2), Math.Exp(2), Math.E, 1, 0 }.Take(expected).Select(p => Math.Round(p / sum, 6)), top.Select(t => Math.Round(t.Probability, 6)));
    }

    [Fact]
    public void TopTokens_NaN_NamesTheIndex() =>
        Assert.Contains("token 1", Assert.Throws<DamagedLogitsException>(() => TokenProbabilities.TopTokens([0, float.NaN], 1)).Message, StringComparison.Ordinal);
}
