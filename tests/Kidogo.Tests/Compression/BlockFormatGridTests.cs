// Formats with blocks as grids of methods: what is rounded is what the bytes say, and GPTQ wins over rounding in each.
using Kidogo.Compression.Quantization;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;

namespace Kidogo.Tests.Compression;

public sealed class BlockFormatGridTests
{
    /// <summary>GPTQ at 3 bits with groups of 32 owes 0.30 of rounding's error on correlated inputs; the 3-bit format of GGUF has groups of 16.</summary>
    private const double MostOfRoundingErrorAtThreeBits = 0.30;

    public static TheoryData<string> Coded => [.. WeightFormats.All.Where(format => format.CodeCount > 0).Select(format => format.Name)];

    [Fact]
    public void CodeCount_FormatsWithCodesOfTheirOwn_AreThese() => Assert.Equal(
        ["IQ4_NL", "IQ4_XS", "MXFP4", "NVFP4", "Q1_0", "Q2_0", "Q2_K", "Q3_K", "Q4_0", "Q4_1", "Q4_K", "Q5_0", "Q5_1", "Q5_K", "Q6_K", "Q8_0", "TQ1_0", "TQ2_0"],
        WeightFormats.All.Where(format => format.CodeCount > 0).Select(format => format.Name).Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Coded))]
    public void WriteCode_OneWeight_ChangesThatWeightOnly(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        byte[] block = Encoded(format, 1);
        float[] before = new float[format.BlockSize], after = new float[format.BlockSize];
        HashSet<float>[] met = [.. before.Select(_ => new HashSet<float>())];
        for (int element = 0; element < format.BlockSize; element++)
        {
            for (int code = 0; code < format.CodeCount; code++)
            {
                format.Decode(block, before);
                format.WriteCode(block, element, code);
                format.Decode(block, after);
                met[element].Add(after[element]);
                before[element] = after[element];
                Assert.Equal(before, after);
            }
        }

        // MXFP4 and NVFP4 have a second zero.
        Assert.All(met, points => Assert.Equal(format.CodeCount - (name.EndsWith("FP4", StringComparison.Ordinal) ? 1 : 0), points.Count));
    }

    [Theory]
    [MemberData(nameof(Coded))]
    public void WriteCode_NoSuchCodeOrWeight_IsRefused(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        byte[] block = new byte[format.BlockBytes];
        Assert.Throws<ArgumentException>(() => format.WriteCode(block, format.BlockSize, 0));
        Assert.Throws<ArgumentException>(() => format.WriteCode(block, -1, 0));
        Assert.Throws<ArgumentException>(() => format.WriteCode(block, 0, format.CodeCount));
        Assert.Throws<ArgumentException>(() => format.WriteCode(block.AsSpan(1), 0, 0));
    }

    [Theory]
    [InlineData("F16")]
    [InlineData("IQ3_S")]
    public void Grid_FormatWithoutCodes_IsRefused(string name) => Assert.Throws<ArgumentException>(() => new BlockFormatGrid(WeightFormats.ForName(name)!, 256));

    [Theory]
    [MemberData(nameof(Coded))]
    public void Round_AnyWeights_GivesTheNearestPointAndTheBytesSayIt(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        float[] row = Calibrations.Normal(new Random(3), 1, 512).Span.ToArray();
        byte[] encoded = new byte[format.RowBytes(512)];
        float[] nearest = new float[512], decoded = new float[512], rounded = new float[512];
        BlockFormatGrid grid = new(format, 512);
        for (int group = 0; group < 512 / format.BlockSize; group++)
        {
            ReadOnlySpan<float> own = row.AsSpan(group * format.BlockSize, format.BlockSize);
            grid.Fit(group, own, []);
            format.Encode(own, [], encoded.AsSpan(group * format.BlockBytes, format.BlockBytes));
        }

        for (int column = 511; column >= 0; column--)
        {
            rounded[column] = grid.Round(column / format.BlockSize, column, row[column]);
        }

        format.Decode(grid.Bytes, decoded);
        Assert.Equal(rounded, decoded);
        format.Decode(encoded, nearest);
        for (int column = 0; column < 512; column++)
        {
            Assert.True(Math.Abs(rounded[column] - row[column]) <= Math.Abs(nearest[column] - row[column]), $"column {column}: {rounded[column]} for {row[column]}, but {nearest[column]} is nearer");
        }
    }

    [Theory]
    [MemberData(nameof(Coded))]
    public void Gptq_EachFormat_BeatsRoundingAndItsBytesDecodeToItsWeights(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        Random random = new(11);
        Tensor x = Calibrations.Correlated(random, 512, 256), original = Calibrations.Normal(random, 24, 256), weights = new(24, 256), rounded = new(24, 256);
        original.Span.CopyTo(weights.Span);
        BlockFormatGrid[] grids = [.. Enumerable.Range(0, 24).Select(_ => new BlockFormatGrid(format, 256))];
        Gptq.Quantize(weights, Calibrations.Hessian(x), grids, new GptqOptions { OrderByActivation = true, StaticGroups = true });
        float[] decoded = new float[256];
        for (int r = 0; r < 24; r++)
        {
            format.Decode(grids[r].Bytes, decoded);
            Assert.Equal(weights.Row(r).ToArray(), decoded);
            format.Decode(RoundToNearest.Encode(original.Row(r), 256, [], format), rounded.Row(r));
        }

        double share = Calibrations.OutputError(original, weights, x) / Calibrations.OutputError(original, rounded, x);
        Assert.InRange(share, 0, name == "Q3_K" ? MostOfRoundingErrorAtThreeBits : 0.9);
    }

    private static byte[] Encoded(WeightFormat format, int seed)
    {
        float[] row = Calibrations.Normal(new Random(seed), 1, format.BlockSize).Span.ToArray();
        byte[] block = new byte[format.BlockBytes];
        format.Encode(row, [], block);
        return block;
    }
}
