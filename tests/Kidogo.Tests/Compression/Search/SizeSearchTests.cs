// Formats for a size: against all combinations, by laws, and what cannot be reached.
using Kidogo.Compression.Search;
using Kidogo.Tensors.Formats;

namespace Kidogo.Tests.Compression.Search;

public sealed class SizeSearchTests
{
    private const double RoundingOfSums = 1e-12; // the same numbers are added in another order
    private static readonly string[] s_formats = ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_0", "F16"];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Choose_FewTensors_FindsTheBestOfAllCombinations(int seed)
    {
        Random random = new(seed);
        TensorCosts[] tensors = [.. Enumerable.Range(0, 6).Select(i => Tensor($"t{i}", random, random.Next(100, 900)))];
        (long smallest, long largest) = SizeSearch.Range(tensors);
        for (int step = 0; step <= 10; step++)
        {
            long bytes = smallest + ((largest - smallest) * step / 10);
            SizedFormats found = SizeSearch.Choose(tensors, bytes);
            Assert.InRange(found.Bytes, smallest, bytes);
            Assert.Equal(Best(tensors, 0, bytes), found.Divergence, RoundingOfSums);
            Assert.Equal(found.Bytes, found.Formats.Values.Sum(cost => cost.Bytes));
        }
    }

    [Fact]
    public void Choose_ManyTensorsAndMoreBytes_SpendsThemAndNeverCostsMore()
    {
        Random random = new(5);
        TensorCosts[] tensors = [.. Enumerable.Range(0, 80).Select(i => Tensor($"t{i}", random, i == 0 ? 30_000_000 : random.Next(100_000, 900_000)))];
        (long smallest, long largest) = SizeSearch.Range(tensors);
        double before = double.PositiveInfinity;
        for (int step = 0; step <= 5; step++)
        {
            long bytes = smallest + ((largest - smallest) * step / 5);
            SizedFormats found = SizeSearch.Choose(tensors, bytes);
            Assert.InRange(found.Bytes, (long)(0.99 * bytes), bytes);
            Assert.InRange(found.Divergence, 0, before * (1 + 1e-3)); // sizes lie on a grid
            before = found.Divergence;
        }

        Assert.Equal(0, before);
    }

    [Fact]
    public void Choose_LargerFormatThatIsNoBetter_IsNotTaken()
    {
        TensorCosts tensor = new("t", 1, 256, [Cost("Q4_0", 100, 2), Cost("Q4_1", 120, 3), Cost("F16", 500, 0)]);
        Assert.Equal("Q4_0", SizeSearch.Choose([tensor], 499).Formats["t"].Format.Name);
        Assert.Equal("F16", SizeSearch.Choose([tensor], 500).Formats["t"].Format.Name);
    }

    [Fact]
    public void Choose_FewerBytesThanTheSmallestFormats_SaysHowManyThereMustBe()
    {
        TensorCosts tensor = new("t", 1, 256, [Cost("Q4_0", 100, 2), Cost("F16", 500, 0)]);
        Assert.Contains("100 bytes", Assert.Throws<SizeTargetException>(() => SizeSearch.Choose([tensor], 99)).Message, StringComparison.Ordinal);
        Assert.Equal(0, SizeSearch.Choose([], 0).Bytes);
    }

    private static TensorCosts Tensor(string name, Random random, int elements) => new(
        name, 1, elements, [.. s_formats.Select((format, i) => Cost(format, elements * (i + 2) / 8, i == s_formats.Length - 1 ? 0 : random.NextDouble() * Math.Pow(0.3, i)))]);

    private static FormatCost Cost(string format, long bytes, double divergence) => new(WeightFormats.ForName(format)!, bytes, divergence, 0);

    private static double Best(TensorCosts[] tensors, int first, long bytes)
    {
        if (bytes < 0)
        {
            return double.PositiveInfinity;
        }

        return first == tensors.Length ? 0 : tensors[first].Costs.Min(cost => cost.Bytes <= bytes ? cost.Divergence + Best(tensors, first + 1, bytes - cost.Bytes) : double.PositiveInfinity);
    }
}
