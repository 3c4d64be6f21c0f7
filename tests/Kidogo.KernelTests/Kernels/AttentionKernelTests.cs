// The softmax of a chunk and the turning of heads equal their scalar twins to the bit; chunks merge as one softmax. Knows no caches.
using Kidogo.Tensors.Kernels;
using Kidogo.Tensors.Ops;

namespace Kidogo.KernelTests.Kernels;

public sealed class AttentionKernelTests
{
    /// <summary>First and end of what a row sees, and the padded length: edges of vectors, halves and groups.</summary>
    public static TheoryData<int, int, int> Ranges => new()
    {
        { 0, 1, 32 }, { 0, 32, 32 }, { 0, 31, 32 }, { 31, 32, 32 }, { 7, 9, 32 }, { 8, 24, 32 }, { 0, 33, 64 }, { 15, 17, 64 }, { 16, 48, 64 }, { 40, 41, 64 },
        { 0, 256, 256 }, { 255, 256, 256 }, { 3, 253, 256 }, { 100, 101, 256 },
    };

    [Theory]
    [MemberData(nameof(Ranges))]
    public void ExpAndSum_AnyRange_EqualsTheScalarTwinToTheBit(int first, int end, int padded)
    {
        float[] scores = new Pseudorandom(41).Floats(padded, 20);
        float maximum = scores[first..end].Max();
        float[] expected = [.. scores], actual = [.. scores];
        float expectedSum = AttentionKernel.ExpAndSumScalar(expected, first, end, maximum);
        float sum = AttentionKernel.ExpAndSum(actual, first, end, maximum);
        AssertBits.Equal(expected, actual, "weights");
        AssertBits.Equal([expectedSum], [sum], "sum");
        Assert.All(Enumerable.Range(0, padded), i => Assert.Equal(i >= first && i < end, actual[i] > 0));
    }

    [Theory]
    [MemberData(nameof(Ranges))]
    public void Weigh_AnyRange_IsSoftmaxOverWhatTheRowSees(int first, int end, int padded)
    {
        foreach (float cap in new[] { 0f, 5f })
        {
            float[] scores = new Pseudorandom(42).Floats(padded, 20);
            double[] capped = [.. scores.Select(score => cap == 0 ? score : cap * Math.Tanh((double)score / cap))];
            double maximum = capped[first..end].Max();
            Array.Fill(scores, float.NaN, 0, first); // what the row does not see may be anything
            Array.Fill(scores, float.PositiveInfinity, end, padded - end);
            float sum = AttentionKernel.Weigh(scores, first, end, padded, cap, out float found);
            Assert.Equal(maximum, found, 1e-5);
            Assert.Equal(capped[first..end].Sum(score => Math.Exp(score - maximum)), sum, 1e-5 * sum);
            for (int i = 0; i < padded; i++)
            {
                Assert.Equal(i >= first && i < end ? Math.Exp(capped[i] - maximum) : 0, scores[i], 1e-5);
            }
        }
    }

    [Fact]
    public void Weigh_ScoresOfMinusInfinity_WeighNothing()
    {
        float[] scores = [.. Enumerable.Repeat(float.NegativeInfinity, 32)];
        Assert.Equal(0, AttentionKernel.Weigh(scores, 0, 32, 32, 0, out _));
        Assert.All(scores, weight => Assert.Equal(0, weight));
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Weigh_AScoreThatIsNoNumber_MakesTheRowNaN(float bad)
    {
        float[] scores = new float[32];
        scores[5] = bad;
        float sum = AttentionKernel.Weigh(scores, 0, 20, 32, 0, out float maximum);
        Assert.True(float.IsNaN(sum));
        float[] state = new float[AttentionKernel.StateLength(3)];
        AttentionKernel.Begin(state);
        AttentionKernel.Merge(state, 1, 2, new float[32]);
        AttentionKernel.Merge(state, maximum, sum, new float[32]);
        AttentionKernel.Merge(state, 1, 2, new float[32]);
        float[] result = new float[3];
        AttentionKernel.Finish(state, result);
        Assert.All(result, value => Assert.True(float.IsNaN(value)));
    }

    [Fact]
    public void Merge_ChunksOfFarMaxima_GivesOneSoftmax()
    {
        float[] state = new float[AttentionKernel.StateLength(3)];
        AttentionKernel.Begin(state);
        float[] sums = new float[32];
        (double Maximum, double Sum, double Value)[] chunks = [(-50, 2, 1), (float.NegativeInfinity, 0, 9), (3, 1.5, -2), (2, 4, 0.5), (-200, 1, 100)];
        double total = 0, value = 0;
        foreach ((double maximum, double sum, double mean) in chunks)
        {
            Array.Fill(sums, (float)(mean * sum));
            AttentionKernel.Merge(state, (float)maximum, (float)sum, sums);
            total += sum * Math.Exp(maximum - 3);
            value += mean * sum * Math.Exp(maximum - 3);
        }

        float[] result = new float[3];
        AttentionKernel.Finish(state, result);
        Assert.All(result, element => Assert.Equal(value / total, element, 1e-6));
    }

    [Fact]
    public void Finish_NothingSeen_GivesZeros()
    {
        float[] state = new float[AttentionKernel.StateLength(16)];
        float[] result = [.. Enumerable.Repeat(1f, 16)];
        AttentionKernel.Begin(state);
        AttentionKernel.Finish(state, result);
        Assert.All(result, value => Assert.Equal(0, value));
    }

    [Theory]
    [InlineData(16, 8)]
    [InlineData(24, 12)]
    [InlineData(64, 32)]
    [InlineData(80, 16)]
    [InlineData(80, 40)]
    [InlineData(128, 64)]
    [InlineData(6, 3)]
    [InlineData(8, 0)]
    public void Rotate_AnyHead_EqualsTheScalarTwinAndKeepsTheRest(int headDim, int pairs)
    {
        foreach (RotaryLayout layout in Enum.GetValues<RotaryLayout>())
        {
            Pseudorandom random = new(43);
            float[] head = random.Floats(headDim), expected = [.. head], actual = [.. head];
            float[] turn = random.Floats(2 * pairs);
            RotaryKernel.RotateScalar(expected, turn, layout);
            RotaryKernel.Rotate(actual, turn, layout);
            AssertBits.Equal(expected, actual, $"{layout}");
            AssertBits.Equal(head.AsSpan(2 * pairs), actual.AsSpan(2 * pairs), "values that are not turned");
        }
    }

    [Fact]
    public void Rotate_MorePairsThanTheHeadHas_Throws() =>
        Assert.Throws<ArgumentException>(() => RotaryKernel.Rotate(new float[15], new float[16], RotaryLayout.HalfSplit));
}
