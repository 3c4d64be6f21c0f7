// The exponential is accurate, and the same bits in vectors of every width. Knows no attention.
using System.Runtime.Intrinsics;
using Kidogo.Tensors.Kernels;

namespace Kidogo.KernelTests.Kernels;

public sealed class ExpVectorsTests
{
    /// <summary>Polynomial 0.05, reduction and two roundings 0.8: measured 0.84 at most.</summary>
    private const double UnitsInTheLastPlace = 1;

    [Fact]
    public void Exp_FromMinus87To0_IsWithinAUnitOfDouble()
    {
        for (int i = 0; i <= 200_000; i++)
        {
            float x = -87f * i / 200_000 * (i % 3 == 0 ? 0.01f : 1);
            double exact = Math.Exp(x);
            double unit = MathF.BitIncrement((float)exact) - (double)(float)exact;
            Assert.True(Math.Abs(ExpVectors.ExpScalar(x) - exact) <= UnitsInTheLastPlace * unit, $"exp({x:R}) = {ExpVectors.ExpScalar(x):R}, not {exact:R}");
        }
    }

    [Fact]
    public void Exp_Edges_AreExact()
    {
        Assert.Equal(1f, ExpVectors.ExpScalar(0));
        Assert.Equal(1f, ExpVectors.ExpScalar(-0f));
        Assert.Equal(0f, ExpVectors.ExpScalar(-87.00001f));
        Assert.Equal(0f, ExpVectors.ExpScalar(float.NegativeInfinity));
        Assert.Equal(0f, ExpVectors.ExpScalar(float.NaN));
        Assert.True(float.IsNormal(ExpVectors.ExpScalar(-87f)));
    }

    [Fact]
    public void Exp_Vectors_EqualTheScalarTwinToTheBit()
    {
        float[] x = new float[16];
        Pseudorandom random = new(31);
        for (int round = 0; round < 3000; round++)
        {
            for (int i = 0; i < 16; i++)
            {
                x[i] = round == 0 ? Special(i) : 44 * (random.Float() - 1) * (round % 2 == 0 ? 1 : 0.02f);
            }

            float[] expected = [.. x.Select(ExpVectors.ExpScalar)];
            float[] actual = new float[16];
            ExpVectors.Exp(Vector512.Create(x)).CopyTo(actual);
            AssertBits.Equal(expected, actual, "512 bits");
            ExpVectors.Exp(Vector256.Create(x)).CopyTo(actual);
            ExpVectors.Exp(Vector256.Create(x.AsSpan(8))).CopyTo(actual, 8);
            AssertBits.Equal(expected, actual, "256 bits");
        }
    }

    private static float Special(int i) => i switch
    {
        0 => 0,
        1 => -0f,
        2 => -87,
        3 => -87.00001f,
        4 => float.NegativeInfinity,
        5 => float.NaN,
        6 => -1e-45f,
        7 => -1e38f,
        8 => -86.99f,
        9 => -86.6434f,
        _ => -i * MathF.Log(2) / 2,
    };
}
