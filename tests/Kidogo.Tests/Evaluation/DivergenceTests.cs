// The divergence of logits from logits, by hand.
using Kidogo.Evaluation;
using Kidogo.Inference.Sampling;

namespace Kidogo.Tests.Evaluation;

public sealed class DivergenceTests
{
    private const double Rounding = 1e-6; // log-probabilities are kept in float32

    [Fact]
    public void Logits_ThatAreEqual_DoNotDiverge()
    {
        Divergence divergence = new();
        divergence.Add([1, 2, 3, -50], [1, 2, 3, -50]);
        divergence.Add([0, float.NegativeInfinity, 4], [0, float.NegativeInfinity, 4]);
        Assert.Equal(new DivergenceReport(0, 0, 1, 2), divergence.Report());
    }

    [Fact]
    public void Logits_ThatDifferByAConstant_DoNotDiverge()
    {
        Divergence divergence = new();
        divergence.Add([1, 2, 3], [101, 102, 103]);
        Assert.InRange(divergence.Report().MeanKl, 0, Rounding);
    }

    [Fact]
    public void Kl_IsThatOfTheBaseFromTheModel()
    {
        // p = (3/4, 1/4), q = (1/4, 3/4): 3/4 ln 3 - 1/4 ln 3; the other position agrees.
        Divergence divergence = new();
        divergence.Add([MathF.Log(3), 0], [0, MathF.Log(3)]);
        divergence.Add([0, 1], [0, 1]);
        DivergenceReport report = divergence.Report();
        Assert.Equal(Math.Log(3) / 4, report.MeanKl, Rounding);
        Assert.Equal(Math.Log(3) / 2, report.KlP99, Rounding);
        Assert.Equal(0.5, report.Top1Agreement);
        Assert.Equal(2, report.Tokens);
    }

    [Fact]
    public void Kl_IsNotSymmetric()
    {
        Divergence there = new();
        Divergence back = new();
        there.Add([MathF.Log(9), 0], [0, 0]);
        back.Add([0, 0], [MathF.Log(9), 0]);
        Assert.Equal((0.9 * Math.Log(1.8)) + (0.1 * Math.Log(0.2)), there.Report().MeanKl, Rounding);
        Assert.Equal((0.5 * Math.Log(5.0 / 9)) + (0.5 * Math.Log(5)), back.Report().MeanKl, Rounding);
    }

    [Fact]
    public void Token_ThatTheBaseFindsImpossible_CostsNothing()
    {
        Divergence divergence = new();
        divergence.Add([0, float.NegativeInfinity], [0, 0]);
        divergence.Add([0, -2000], [0, float.NegativeInfinity]); // so unlikely that its probability is 0
        DivergenceReport report = divergence.Report();
        Assert.Equal(Math.Log(2) / 2, report.MeanKl, Rounding);
    }

    [Fact]
    public void Token_ThatOnlyTheModelFindsImpossible_CostsEverything()
    {
        Divergence divergence = new();
        divergence.Add([0, 0], [0, float.NegativeInfinity]);
        Assert.Equal(double.PositiveInfinity, divergence.Report().MeanKl);
    }

    [Fact]
    public void P99_IsTheNearestRank()
    {
        Divergence divergence = new();
        for (int i = 0; i < 200; i++)
        {
            divergence.Add([0, 0], i < 3 ? [MathF.Log(3), 0] : [0, 0]);
        }

        Assert.InRange(divergence.Report().KlP99, 0.1, 0.2); // number 198 of 200 in order
        divergence = new();
        for (int i = 0; i < 200; i++)
        {
            divergence.Add([0, 0], i < 2 ? [MathF.Log(3), 0] : [0, 0]);
        }

        Assert.Equal(0, divergence.Report().KlP99);
    }

    [Fact]
    public void Input_ThatCannotBe_IsRefused()
    {
        Divergence divergence = new();
        Assert.Throws<InvalidOperationException>(divergence.Report);
        Assert.Contains("vocabulary of 2", Assert.Throws<ArgumentException>(() => divergence.Add([0, 0], [0, 0, 0])).Message, StringComparison.Ordinal);
        Assert.Throws<DamagedLogitsException>(() => divergence.Add([0, float.NaN], [0, 0]));
        Assert.Throws<DamagedLogitsException>(() => divergence.Add([0, 0], [float.NegativeInfinity, float.NegativeInfinity]));
        Assert.Throws<InvalidOperationException>(divergence.Report);
    }
}
