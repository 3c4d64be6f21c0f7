// The loops of optimisers against their scalar twins, to the bit, at lengths around every vector's.
using Kidogo.Tensors.Kernels;

namespace Kidogo.KernelTests.Kernels;

public sealed class UpdateKernelTests
{
    private static readonly int[] s_lengths = [0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 129];

    [Fact]
    public void Updates_AnyLength_GiveTheBitsOfTheScalarTwin()
    {
        Compare(new AdamWUpdate(0.5f, 0.99f, 0.9f, 0.95f, 3e-3f, 2.5f, 1e-8f));
        Compare(new DescentUpdate(0.5f, 0.01f, 0.3f));
        Compare(new MomentumUpdate(0.5f, 0.01f, 0.3f, 0.9f, true));
        Compare(new MomentumUpdate(1, 0, 0.3f, 0.9f, false));
        Compare(new LionUpdate(1, 0.99f, 1e-3f, 0.9f, 0.99f));
        Compare(new BlendUpdate(0.25f, 0.95f));
    }

    [Fact]
    public void Lion_ZeroBlend_MovesNothing()
    {
        float[] w = [1, 1], g = [0, -0f], m = [0, 0];
        UpdateKernel.Run(new LionUpdate(1, 1, 0.1f, 0.9f, 0.99f), w, g, m, default);
        Assert.Equal([1f, 1f], w);
    }

    [Fact]
    public void SumOfSquares_AnyLength_GivesTheBitsOfTheScalarTwin()
    {
        foreach (int length in s_lengths)
        {
            float[] x = Values(length, 7);
            Assert.Equal(BitConverter.DoubleToInt64Bits(SumKernel.OfSquaresScalar(x)), BitConverter.DoubleToInt64Bits(SumKernel.OfSquares(x)));
            Assert.Equal(x.Sum(value => (double)value * value), SumKernel.OfSquares(x), 12);
        }
    }

    private static void Compare<TUpdate>(TUpdate update)
        where TUpdate : struct, IUpdate
    {
        foreach (int length in s_lengths)
        {
            (float[] w, float[] g, float[] m, float[] v) = (Values(length, 1), Values(length, 2), Values(length, 3), [.. Values(length, 4).Select(Math.Abs)]);
            (float[] w2, float[] g2, float[] m2, float[] v2) = ([.. w], [.. g], [.. m], [.. v]);
            UpdateKernel.Run(update, w, g, TUpdate.States > 0 ? m : default, TUpdate.States > 1 ? v : default);
            UpdateKernel.RunScalar(update, w2, g2, TUpdate.States > 0 ? m2 : default, TUpdate.States > 1 ? v2 : default);
            Assert.All(g, value => Assert.Equal(0, value));
            Assert.True(w.AsSpan().SequenceEqual(w2) && m.AsSpan().SequenceEqual(m2) && v.AsSpan().SequenceEqual(v2), $"{typeof(TUpdate).Name} of {length}");
        }
    }

    private static float[] Values(int length, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, length).Select(_ => (float)(random.NextDouble() - 0.5))];
    }
}
