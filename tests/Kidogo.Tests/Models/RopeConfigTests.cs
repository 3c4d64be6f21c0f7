// Rotary scalings against values worked out from the papers' formulas by hand.
using Kidogo.Models;
using Kidogo.Tensors.Ops;

namespace Kidogo.Tests.Models;

public sealed class RopeConfigTests
{
    private const int Digits = 12;

    [Fact]
    public void Frequencies_Unscaled_ArePowersOfTheta()
    {
        (double[] angles, float factor) = new RopeConfig(10_000, 4, RotaryLayout.HalfSplit).Frequencies(7);
        Assert.Equal([1.0, 0.01], angles);
        Assert.Equal(1f, factor);
    }

    [Fact]
    public void Frequencies_Linear_AreDivided()
    {
        (double[] angles, _) = new RopeConfig(10_000, 4, RotaryLayout.HalfSplit, new LinearScaling(4)).Frequencies(7);
        Assert.Equal([0.25, 0.0025], angles);
    }

    [Theory]
    [InlineData(48, 10_000.0)] // not longer than the original context
    [InlineData(96, 90_000.0)] // (2·96/48 − 1)^(4/2) = 9
    public void Frequencies_Dynamic_GrowTheBaseWithTheLength(int length, double theta)
    {
        RopeConfig rope = new(10_000, 4, RotaryLayout.HalfSplit, new DynamicNtkScaling(2, 48));
        Assert.True(rope.DependsOnLength);
        (double[] angles, _) = rope.Frequencies(length);
        Assert.Equal(1, angles[0], Digits);
        Assert.Equal(1 / Math.Sqrt(theta), angles[1], Digits);
    }

    [Fact]
    public void Frequencies_Llama3_AreKeptBlendedAndDivided()
    {
        // Wavelengths 2π, 62.8, 628; the context of 128 fits 20, 2.04 and 0.2 of them; kept above 4, divided below 1.
        (double[] angles, _) = new RopeConfig(1000, 6, RotaryLayout.HalfSplit, new Llama3Scaling(8, 1, 4, 128)).Frequencies(0);
        double kept = ((128 * 0.1 / (2 * Math.PI)) - 1) / 3;
        Assert.Equal(1, angles[0], Digits);
        Assert.Equal((0.1 * kept) + (0.1 / 8 * (1 - kept)), angles[1], Digits);
        Assert.Equal(0.01 / 8, angles[2], Digits);
    }

    [Fact]
    public void Frequencies_Yarn_BlendBetweenTheTurns()
    {
        // theta = e^4 and 8 dims: pair i turns 1024·e^(−i)/2π times; 32 turns at 1.63, 1 turn at 5.09 pairs; rounded to 1 and 6.
        RopeConfig rope = new(Math.Exp(4), 8, RotaryLayout.HalfSplit, new YarnScaling { Factor = 4, OriginalContext = 1024 });
        (double[] angles, float factor) = rope.Frequencies(0);
        Assert.Equal(1, angles[0], Digits);
        Assert.Equal(Math.Exp(-1), angles[1], Digits);
        Assert.Equal(Math.Exp(-2) * (0.8 + (0.2 / 4)), angles[2], Digits);
        Assert.Equal(Math.Exp(-3) * (0.6 + (0.4 / 4)), angles[3], Digits);
        Assert.Equal((float)((0.1 * Math.Log(4)) + 1), factor);
        double low = Math.Log(1024 / (32 * 2 * Math.PI));
        double high = Math.Log(1024 / (2 * Math.PI));
        (angles, _) = (rope with { Scaling = new YarnScaling { Factor = 4, OriginalContext = 1024, Truncate = false } }).Frequencies(0);
        double divided = (3 - low) / (high - low);
        Assert.Equal(Math.Exp(-3) * (1 - divided + (divided / 4)), angles[3], Digits);
    }

    [Fact]
    public void AttentionFactor_Yarn_ComesFromTheFileOrTheScales()
    {
        YarnScaling yarn = new() { Factor = 40, OriginalContext = 4096 };
        Assert.Equal((0.1 * Math.Log(40)) + 1, yarn.AttentionFactor, Digits);
        Assert.Equal(0.5, (yarn with { GivenAttentionFactor = 0.5, Mscale = 2, MscaleAllDim = 1 }).AttentionFactor, Digits);
        Assert.Equal(((0.2 * Math.Log(40)) + 1) / ((0.1 * Math.Log(40)) + 1), (yarn with { Mscale = 2, MscaleAllDim = 1 }).AttentionFactor, Digits);
    }

    [Fact]
    public void Frequencies_LongRope_TakeTheSetOfTheLength()
    {
        RopeConfig rope = new(10_000, 4, RotaryLayout.HalfSplit, new LongRopeScaling([1, 2], [4, 8], 100, LongRopeScaling.AttentionFor(32, 4096)));
        Assert.Equal([1.0, 0.005], rope.Frequencies(100).InverseFrequencies);
        Assert.Equal([0.25, 0.00125], rope.Frequencies(101).InverseFrequencies);
        Assert.Equal((float)Math.Sqrt(1 + (5.0 / 12)), rope.Frequencies(1).AttentionFactor);
    }

    [Fact]
    public void Frequencies_Factors_AreDividedAfterTheInnerScaling()
    {
        (double[] angles, _) = new RopeConfig(10_000, 4, RotaryLayout.Interleaved, new FactorScaling([1, 2], new LinearScaling(2))).Frequencies(0);
        Assert.Equal([0.5, 0.0025], angles);
    }
}
