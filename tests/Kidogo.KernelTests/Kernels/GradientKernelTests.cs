// Kernels of backward passes beside their scalar twins, to the bit, and beside double. Knows no ops.
using Kidogo.Tensors.Kernels;
using Kidogo.Tensors.Ops;

namespace Kidogo.KernelTests.Kernels;

public sealed class GradientKernelTests
{
    /// <summary>Of the larger of 1 and the value: an exponential within a unit, a quotient and three products.</summary>
    private const double SlopeTolerance = 5e-7;

    /// <summary>Of the value: the polynomial, the exponential and five more roundings of half a unit, 6e-8, each.</summary>
    private const double GeluTolerance = 6e-7;

    public static TheoryData<int> Lengths => [0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 1023, 1024, 1025, 3000];

    [Theory]
    [MemberData(nameof(Lengths))]
    public void Dot_AnyLength_EqualsItsScalarTwin(int length)
    {
        Pseudorandom random = new(101);
        float[] a = random.Floats(length), b = random.Floats(length);
        float expected = Lanes.DotScalar(a, b, 0, new float[Lanes.Count]);
        AssertBits.Equal([expected], [Lanes.Dot(a, b)], $"{length} values");
        Assert.Equal(a.Zip(b, (x, y) => (double)x * y).Sum(), expected, 1e-6 * Math.Max(1, Math.Sqrt(length)));
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public void AddScaled_AnyLength_IsOneFusedStep(int length)
    {
        Pseudorandom random = new(102);
        float[] x = random.Floats(length), y = random.Floats(length);
        float[] expected = [.. x.Zip(y, (a, b) => MathF.FusedMultiplyAdd(0.3f, a, b))];
        Lanes.AddScaled(0.3f, x, y);
        AssertBits.Equal(expected, y, $"{length} values");
    }

    [Fact]
    public void Lanes_LengthsThatDiffer_Throw()
    {
        Assert.Throws<ArgumentException>(() => Lanes.Dot(new float[8], new float[9]));
        Assert.Throws<ArgumentException>(() => Lanes.AddScaled(1, new float[9], new float[8]));
    }

    [Theory]
    [InlineData(Activation.Silu, 1f, 0f)]
    [InlineData(Activation.GeluTanh, 1.5957691216f, 0.0713548162726f)]
    public void Slope_OfSigmoidKind_EqualsItsScalarTwinAndDouble(Activation kind, float linear, float cubic)
    {
        float[] x = [.. Enumerable.Range(-2003, 4007).Select(i => i / 97f), -1e30f, -1000, 1000, 1e30f, -0f];
        float[] value = new float[x.Length], slope = new float[x.Length], valueTwin = new float[x.Length], slopeTwin = new float[x.Length];
        ActivationSlope.Apply(x, kind, value, slope);
        ActivationSlope.ApplySigmoidScalar(x, linear, cubic, valueTwin, slopeTwin);
        AssertBits.Equal(valueTwin, value, "values");
        AssertBits.Equal(slopeTwin, slope, "slopes");
        for (int i = 0; i < x.Length; i++)
        {
            double at = Math.Clamp(x[i], -100.0, 100.0), square = at * at;
            double s = 1 / (1 + Math.Exp(-at * (linear + (cubic * square)))), rest = 1 / (1 + Math.Exp(at * (linear + (cubic * square))));
            Assert.Equal(s + (at * s * rest * (linear + (3 * cubic * square))), slope[i], SlopeTolerance * 2);
            Assert.True(Math.Abs(((double)x[i] * s) - value[i]) <= SlopeTolerance * Math.Max(1, Math.Abs(x[i])), $"f({x[i]:R}) = {value[i]:R}");
        }
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public void Gelu_AnyLength_EqualsTheTwinAndItsDefinition(int length)
    {
        float[] x = new Pseudorandom(105).Floats(length, 5), value = new float[length], slope = new float[length], valueTwin = new float[length], slopeTwin = new float[length], alone = new float[length];
        float[] special = [0, -0f, float.NaN, float.PositiveInfinity, -13.5f, 14, -100, 3e38f, 1e-40f];
        special.AsSpan(0, Math.Min(special.Length, length)).CopyTo(x);
        GeluKernel.Apply(x, value, slope);
        GeluKernel.Apply(x, alone, []);
        GeluKernel.ApplyScalar(x, valueTwin, slopeTwin);
        AssertBits.Equal(valueTwin, value, "values");
        AssertBits.Equal(slopeTwin, slope, "slopes");
        AssertBits.Equal(valueTwin, alone, "values without slopes");
        for (int i = special.Length; i < length; i++)
        {
            double below = NormalBelow(x[i]), density = Math.Exp(-0.5 * x[i] * (double)x[i]) / Math.Sqrt(2 * Math.PI);
            Assert.True(Math.Abs((x[i] * below) - value[i]) <= GeluTolerance * Math.Abs(x[i] * below), $"f({x[i]:R}) = {value[i]:R}, expected {x[i] * below:R}");
            Assert.Equal(below + (x[i] * density), slope[i], SlopeTolerance);
        }
    }

    /// <summary>What the backward pass takes for f(x) is what the forward pass computed, within rounding.</summary>
    [Theory]
    [InlineData(Activation.Silu)]
    [InlineData(Activation.GeluTanh)]
    [InlineData(Activation.GeluErf)]
    [InlineData(Activation.Relu)]
    [InlineData(Activation.ReluSquared)]
    public void Slope_Values_AreThoseOfTheForwardPass(Activation kind)
    {
        float[] x = new Pseudorandom(103).Floats(501, 6), value = new float[501], slope = new float[501], forward = new float[501];
        ActivationSlope.Apply(x, kind, value, slope);
        ActivationKernel.Apply(x, kind, forward);
        Assert.All(forward.Zip(value), pair => Assert.Equal(pair.First, pair.Second, 3e-6f)); // of values to 36
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public void SumOfExponentials_AnyLength_EqualsTheTwinAndDouble(int length)
    {
        float[] x = new Pseudorandom(104).Floats(length, 20), exponentials = new float[length];
        float largest = length == 0 ? 0 : x.Max();
        double sum = CrossEntropyKernel.SumOfExponentials(x, largest, exponentials);
        Assert.Equal(sum, CrossEntropyKernel.SumOfExponentials(x, largest, []));
        double twin = 0;
        for (int first = 0; first < length; first += 1024)
        {
            twin += CrossEntropyKernel.SumOfBlockScalar(x.AsSpan(first, Math.Min(1024, length - first)), largest, [], 0, new float[Lanes.Count]);
        }

        Assert.Equal(twin, sum);
        Assert.Equal(x.Sum(value => Math.Exp((double)value - largest)), sum, 1e-6 * Math.Max(1, sum));
        AssertBits.Equal([.. x.Select(value => ExpVectors.ExpScalar(value - largest))], exponentials, "exponentials");
        float[] inPlace = [.. x];
        Assert.Equal(sum, CrossEntropyKernel.SumOfExponentials(inPlace, largest, inPlace));
        AssertBits.Equal(exponentials, inPlace, "in place");
    }

    /// <summary>Φ(x), with the digits of its tail: φ(a) ∫ exp(-a s - s²/2) ds over s from 0 on, by Simpson's rule.</summary>
    private static double NormalBelow(double x)
    {
        const int Steps = 2000;
        const double End = 9;
        double a = Math.Abs(x), h = End / Steps, sum = 0;
        for (int i = 0; i <= Steps; i++)
        {
            double s = i * h;
            sum += Math.Exp((-a * s) - (s * s / 2)) * (i is 0 or Steps ? 1 : i % 2 == 1 ? 4 : 2);
        }

        double tail = Math.Exp(-a * a / 2) / Math.Sqrt(2 * Math.PI) * sum * h / 3;
        return x < 0 ? tail : 1 - tail;
    }
}
