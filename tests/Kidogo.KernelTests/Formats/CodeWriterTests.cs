// The vector form of the last step of decoding equals its scalar twin to the bit.
using System.Runtime.Intrinsics;
using Kidogo.Tensors.Formats;

namespace Kidogo.KernelTests.Formats;

public sealed class CodeWriterTests
{
    /// <summary>Finite scales of every size: a NaN's sign may differ, and no format promises it.</summary>
    public static TheoryData<float> Scales => [0f, -0f, 1f, -1f, 0.1f, -3.3333333f, 65504f, 1e-45f, -1.1754942e-38f, 1e38f, float.PositiveInfinity];

    [Theory]
    [MemberData(nameof(Scales))]
    public void Write_EveryCode_EqualsTheScalarTwin(float scale)
    {
        sbyte[] codes = new sbyte[16];
        float[] expected = new float[16];
        float[] actual = new float[16];
        for (int start = sbyte.MinValue; start <= sbyte.MaxValue; start += 16)
        {
            for (int j = 0; j < 16; j++)
            {
                codes[j] = (sbyte)(start + j);
            }

            bool noNaN = float.IsFinite(scale) || start != 0;
            CodeWriter.WriteScalar(codes, scale, null, expected);
            CodeWriter.Write(Vector128.Create(codes), scale, actual);
            AssertBits.Equal(expected.AsSpan(noNaN ? 0 : 1), actual.AsSpan(noNaN ? 0 : 1), "codes · scale");

            CodeWriter.WriteScalar(codes, scale, -0.7f, expected);
            CodeWriter.Write(Vector128.Create(codes), scale, -0.7f, actual);
            AssertBits.Equal(expected.AsSpan(noNaN ? 0 : 1), actual.AsSpan(noNaN ? 0 : 1), "codes · scale + offset");
        }
    }

    [Fact]
    public void Write_LongerDestination_TouchesSixteen()
    {
        float[] destination = [.. Enumerable.Repeat(5f, 18)];
        CodeWriter.Write(Vector128<sbyte>.One, 2, destination.AsSpan(1));
        Assert.Equal([5f, .. Enumerable.Repeat(2f, 16), 5f], destination);
    }

    [Fact]
    public void Write_ShorterDestination_Throws()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => CodeWriter.Write(Vector128<sbyte>.One, 2, new float[15]));
        Assert.Throws<ArgumentOutOfRangeException>(() => CodeWriter.Write(Vector128<sbyte>.One, 2, 3, new float[15]));
    }

    [Fact]
    public void SpreadBits_EachBit_ReachesItsLaneAlone()
    {
        for (int bit = 0; bit < 32; bit++)
        {
            Vector128<byte> spread = CodeWriter.SpreadBits(1u << bit, 16);
            for (int lane = 0; lane < 16; lane++)
            {
                Assert.Equal(lane == bit ? 16 : 0, spread[lane]);
            }
        }
    }
}
