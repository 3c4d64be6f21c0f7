// Points that eight weights share: what is written, that the search equals its scalar twin, and that it finds what trying everything finds. Knows no Hessian.
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Formats.Encoding;

namespace Kidogo.KernelTests.Formats;

public sealed class LatticeTests
{
    public static TheoryData<string> Names => [.. WeightFormats.All.Where(format => format.Lattice is not null).Select(format => format.Name)];

    [Fact]
    public void Lattice_FormatsOfCodebooks_AreThese() => Assert.Equal(
        ["IQ1_M 2048 8 None", "IQ1_S 2048 8 None", "IQ2_S 1024 8 Free", "IQ2_XS 512 8 Even", "IQ2_XXS 256 8 Even", "IQ3_S 512 4 Free", "IQ3_XXS 256 4 Even"],
        WeightFormats.All.Where(format => format.Lattice is not null).Select(format => $"{format.Name} {format.Lattice!.Count} {format.Lattice.Dimensions} {format.Lattice.Signs}").Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Names))]
    public void RoundEight_OneEight_ChangesThoseWeightsOnlyAndGivesPointsBack(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        Pseudorandom random = new(11);
        byte[] block = Encoded(format, random);
        float[] before = new float[256], after = new float[256];
        for (int eight = 0; eight < 32; eight++)
        {
            format.Decode(block, before);
            format.RoundEight(block, eight, [.. random.Floats(8).Select(weight => 2 * weight)], Identity());
            format.Decode(block, after);
            Assert.NotEqual(before, after); // twice as large weights are another point
            float[] chosen = after[(8 * eight)..((8 * eight) + 8)];
            chosen.CopyTo(before, 8 * eight);
            Assert.Equal(before, after);

            // Points of the codebook are what they are rounded to.
            format.RoundEight(block, eight, chosen, Identity());
            format.Decode(block, after);
            Assert.Equal(before, after);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void RoundEight_NoErrorsPassedOn_ErrsNoMoreThanTheEncoder(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        Pseudorandom random = new(12);
        float[] weights = random.Floats(256), nearest = new float[256], rounded = new float[256];
        byte[] block = new byte[format.BlockBytes];
        format.Encode(weights, Ones(), block);
        format.Decode(block, nearest);
        for (int eight = 0; eight < 32; eight++)
        {
            format.RoundEight(block, eight, weights.AsSpan(8 * eight, 8), Identity());
            format.Decode(block, rounded);
            Assert.True(Error(weights, rounded, eight) <= Error(weights, nearest, eight) + 1e-6, $"eight {eight}");
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Search_AnyWeightsAndPropagation_EqualsTheScalarTwin(string name)
    {
        LatticePoints points = WeightFormats.ForName(name)!.Lattice!;
        Pseudorandom random = new(13);
        int parities = points.Signs == LatticeSigns.Even ? 2 : 0;
        for (int round = 0; round < 60; round++)
        {
            float[] left = [.. random.Floats(8).Select((weight, j) => round == 0 ? 0 : (j + round) % 9 == 4 ? 0 : weight)];
            float[] upper = Propagation(random);
            float scale = round % 7 == 3 ? 0 : (round % 7 == 5 ? -1 : 1) * 0.02f;
            for (int parity = parities == 0 ? -1 : 0; parity < parities; parity++)
            {
                for (int start = 0; start < 8; start += points.Dimensions)
                {
                    Assert.Equal(
                        LatticeSearch.SearchScalar(points, start, parity, left, upper, scale, points.Signs == LatticeSigns.None ? 0.125f : 0),
                        LatticeSearch.Search(points, start, parity, left, upper, scale, points.Signs == LatticeSigns.None ? 0.125f : 0));
                }
            }
        }
    }

    /// <summary>Signs that follow what is left are best for the weights so far, not for those to come, so trying everything may win; by how much is bounded, and it never loses.</summary>
    [Theory]
    [InlineData("IQ2_XXS")]
    [InlineData("IQ1_S")]
    public void RoundEight_ErrorsPassedOn_CostsLittleMoreThanTheBestOfAll(string name)
    {
        const double MostOfTheBest = 1.15; // on average; 1.00 is every point with every choice of signs
        WeightFormat format = WeightFormats.ForName(name)!;
        LatticePoints points = format.Lattice!;
        Pseudorandom random = new(14);
        byte[] block = Encoded(format, random);
        float[] decoded = new float[256];
        double found = 0, least = 0;
        for (int eight = 0; eight < 6; eight++)
        {
            float[] weights = random.Floats(8), upper = Propagation(random);
            format.RoundEight(block, eight, weights, upper);
            format.Decode(block, decoded);
            double own = Cost(weights, decoded.AsSpan(8 * eight, 8), upper), best = double.PositiveInfinity;
            float[] candidate = new float[8];
            (float scale, float offset) = ScaleOf(format, block, eight);
            for (int point = 0; point < points.Count; point++)
            {
                for (int signs = 0; signs < (points.Signs == LatticeSigns.None ? 1 : 256); signs++)
                {
                    if (points.Signs == LatticeSigns.Even && int.PopCount(signs) % 2 != 0)
                    {
                        continue;
                    }

                    for (int j = 0; j < 8; j++)
                    {
                        candidate[j] = scale * (points[point, j] + offset) * (((signs >> j) & 1) != 0 ? -1 : 1);
                    }

                    best = Math.Min(best, Cost(weights, candidate, upper));
                }
            }

            Assert.True(own >= best * (1 - 1e-5));
            (found, least) = (found + own, least + best);
        }

        Assert.InRange(found, 0, MostOfTheBest * least);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void RoundEight_NoSuchEight_IsRefused(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        byte[] block = new byte[format.BlockBytes];
        Assert.Throws<ArgumentException>(() => format.RoundEight(block, 32, new float[8], Identity()));
        Assert.Throws<ArgumentException>(() => format.RoundEight(block, -1, new float[8], Identity()));
        Assert.Throws<ArgumentException>(() => format.RoundEight(block, 0, new float[7], Identity()));
        Assert.Throws<ArgumentException>(() => format.RoundEight(block, 0, new float[8], new float[8]));
        Assert.Throws<ArgumentException>(() => format.RoundEight(block.AsSpan(1), 0, new float[8], Identity()));
    }

    [Fact]
    public void RoundEight_FormatWithoutPoints_IsRefused() =>
        Assert.Throws<NotSupportedException>(() => WeightFormats.ForName("Q4_K")!.RoundEight(new byte[144], 0, new float[8], Identity()));

    /// <summary>The scale and offset of eight weights, from what two of a point's coordinates decode to.</summary>
    private static (float Scale, float Offset) ScaleOf(WeightFormat format, byte[] block, int eight) => format.Name == "IQ1_S"
        ? IQ1_S.ScaleOf(System.Runtime.InteropServices.MemoryMarshal.Read<IQ1_S>(block), eight)
        : IQ2_XXS.ScaleOf(System.Runtime.InteropServices.MemoryMarshal.Read<IQ2_XXS>(block), eight);

    private static double Cost(ReadOnlySpan<float> weights, ReadOnlySpan<float> rounded, float[] upper)
    {
        double[] left = new double[8];
        double cost = 0;
        for (int j = 0; j < 8; j++)
        {
            left[j] += weights[j];
            double error = (left[j] - rounded[j]) / upper[(8 * j) + j];
            cost += error * error;
            for (int k = j + 1; k < 8; k++)
            {
                left[k] -= error * upper[(8 * j) + k];
            }
        }

        return cost;
    }

    private static double Error(float[] weights, float[] rounded, int eight)
    {
        double error = 0;
        for (int i = 8 * eight; i < (8 * eight) + 8; i++)
        {
            error += ((double)weights[i] - rounded[i]) * (weights[i] - rounded[i]);
        }

        return error;
    }

    private static byte[] Encoded(WeightFormat format, Pseudorandom random)
    {
        byte[] block = new byte[format.BlockBytes];
        format.Encode(random.Floats(256), Ones(), block);
        return block;
    }

    private static float[] Ones() => [.. Enumerable.Repeat(1f, 256)];

    private static float[] Identity() => [.. Enumerable.Range(0, 64).Select(i => i % 9 == 0 ? 1f : 0f)];

    /// <summary>A diagonal around 1, and above it up to 0.4 of either sign.</summary>
    private static float[] Propagation(Pseudorandom random)
    {
        float[] numbers = random.Floats(64);
        return [.. numbers.Select((number, i) => i % 9 == 0 ? 1.5f + number : i / 8 < i % 8 ? 0.4f * number : 0f)];
    }
}
