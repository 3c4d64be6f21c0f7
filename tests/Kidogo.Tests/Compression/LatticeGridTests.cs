// GPTQ into formats of codebooks: no worse than rounding with importance where inputs are independent, much better where they are correlated.
using Kidogo.Compression.Quantization;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;

namespace Kidogo.Tests.Compression;

public sealed class LatticeGridTests
{
    private const int Rows = 24;
    private const int Columns = 512;

    /// <summary>Of the output error of rounding with importance, on inputs that twelve directions explain. The coarsest formats have little to make errors good with.</summary>
    private const double MostOfRoundingError = 0.5;

    /// <summary>The same on independent inputs: all that is left to win is a better point.</summary>
    private const double MostOnIndependentInputs = 1.02;

    public static TheoryData<string> Lattices => [.. WeightFormats.All.Where(format => format.Lattice is not null).Select(format => format.Name)];

    [Theory]
    [MemberData(nameof(Lattices))]
    public void Gptq_CorrelatedInputs_BeatsRoundingWithImportanceAndItsBytesDecodeToItsWeights(string name)
    {
        Random random = new(11);
        (double share, Tensor weights, LatticeGrid[] grids) = Share(name, Calibrations.Correlated(random, 600, Columns), random, new GptqOptions { OrderByActivation = true, StaticGroups = true });
        Assert.InRange(share, 0, MostOfRoundingError);
        float[] decoded = new float[Columns];
        for (int r = 0; r < Rows; r++)
        {
            WeightFormats.ForName(name)!.Decode(grids[r].Bytes, decoded);
            Assert.Equal(weights.Row(r).ToArray(), decoded);
        }
    }

    [Theory]
    [MemberData(nameof(Lattices))]
    public void Gptq_IndependentInputs_IsNoWorseThanRoundingWithImportance(string name)
    {
        Random random = new(12);
        Assert.InRange(Share(name, Calibrations.Normal(random, 4 * Columns, Columns), random, new GptqOptions { StaticGroups = true }).Share, 0, MostOnIndependentInputs);
    }

    [Fact]
    public void Gptq_Threads_DoNotShow()
    {
        Tensor[] results = [.. new[] { 1, 3 }.Select(threads =>
        {
            Random random = new(13);
            return Share("IQ2_S", Calibrations.Correlated(random, 300, Columns), random, new GptqOptions { OrderByActivation = true, StaticGroups = true, Threads = threads }).Weights;
        })];
        Assert.Equal(results[0].Span.ToArray(), results[1].Span.ToArray());
    }

    [Fact]
    public void Quantize_UnitsThatDoNotFit_AreRefused()
    {
        Tensor weights = new(1, 256);
        LatticeGrid[] grids = [new(WeightFormats.ForName("IQ3_S")!, 256)];
        float[] hessian = Calibrations.Hessian(Calibrations.Normal(new Random(1), 300, 256));
        Assert.Throws<ArgumentException>(() => Gptq.Quantize(weights, hessian, grids, new GptqOptions { BlockColumns = 100 }));
        Assert.Throws<ArgumentException>(() => new LatticeGrid(WeightFormats.ForName("Q4_K")!, 256));
        Assert.Throws<ArgumentException>(() => new LatticeGrid(WeightFormats.ForName("IQ3_S")!, 128));
        Assert.Throws<NotSupportedException>(() => grids[0].Round(0, 0, 1));
    }

    private static (double Share, Tensor Weights, LatticeGrid[] Grids) Share(string name, Tensor x, Random random, GptqOptions options)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        Tensor original = Calibrations.Normal(random, Rows, Columns), weights = new(Rows, Columns), rounded = new(Rows, Columns);
        original.Span.CopyTo(weights.Span);
        float[] hessian = Calibrations.Hessian(x), importance = [.. Enumerable.Range(0, Columns).Select(c => hessian[(c * Columns) + c])];
        LatticeGrid[] grids = [.. Enumerable.Range(0, Rows).Select(_ => new LatticeGrid(format, Columns))];
        Gptq.Quantize(weights, hessian, grids, options);
        for (int r = 0; r < Rows; r++)
        {
            format.Decode(RoundToNearest.Encode(original.Row(r), Columns, importance, format), rounded.Row(r));
        }

        return (Calibrations.OutputError(original, weights, x) / Calibrations.OutputError(original, rounded, x), weights, grids);
    }
}
