// Sparsities as people write them, masks at their edges, and which formats keep zeros.
using Kidogo.Compression.Pruning;
using Kidogo.Compression.Quantization;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;

namespace Kidogo.Tests.Compression.Pruning;

public sealed class SparsityTests
{
    [Theory]
    [InlineData("0.5", 0.5)]
    [InlineData("50%", 0.5)]
    [InlineData("2:4", 0.5)]
    [InlineData("1:4", 0.25)]
    public void TryParse_WhatCanBe_IsRead(string text, double share) => Assert.Equal(share, Sparsity.TryParse(text)!.Share);

    [Theory]
    [InlineData("0")]
    [InlineData("1")]
    [InlineData("100%")]
    [InlineData("-0.5")]
    [InlineData("4:4")]
    [InlineData("0:4")]
    [InlineData("5:4")]
    [InlineData("2:4:8")]
    [InlineData("2:300")]
    [InlineData("NaN")]
    [InlineData("")]
    [InlineData("half")]
    public void TryParse_WhatCannotBe_IsRefused(string text) => Assert.Null(Sparsity.TryParse(text));

    [Fact]
    public void CheckRow_NoWholeGroups_NamesTheMatrixAndTheWidth()
    {
        string message = Assert.Throws<PruningException>(() => Sparsity.Grouped(2, 4).CheckRow("blk.0.ffn_up", 10)).Message;
        Assert.Contains("blk.0.ffn_up", message, StringComparison.Ordinal);
        Assert.Contains("10", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(63)]
    [InlineData(64)]
    [InlineData(65)]
    [InlineData(200)]
    public void Mask_AnyWidth_CountsAndAppliesWhatWasMarked(int columns)
    {
        WeightMask mask = new(2, columns);
        float[] scores = [.. Enumerable.Range(0, columns).Select(c => (float)((c * 37) % columns))];
        mask.MarkRow(1, scores, new Sparsity(0.5));
        float[] row = [.. Enumerable.Repeat(1f, columns)];
        mask.Apply(0, row);
        Assert.DoesNotContain(0f, row);
        mask.Apply(1, row);
        Assert.Equal(columns / 2, row.Count(value => value == 0));
        Assert.Equal(columns / 2, mask.Zeros);
        mask[1, 0] = true;
        mask[1, 0] = false;
        Assert.False(mask[1, 0]);
    }

    [Fact]
    public void Mask_OfEqualScores_TakesTheFirst()
    {
        WeightMask mask = new(1, 4);
        mask.MarkRow(0, [1, 1, 1, 1], new Sparsity(0.5));
        Assert.Equal([true, true, false, false], Enumerable.Range(0, 4).Select(c => mask[0, c]));
    }

    [Theory]
    [InlineData(PruneScope.Layer)]
    [InlineData(PruneScope.Model)]
    public void Magnitude_OfEqualWeights_TakesExactlyTheShare(PruneScope scope)
    {
        Tensor weights = new(3, 5);
        weights.Span.Fill(-2);
        Assert.Equal(7, Magnitude.Mask(weights, new Sparsity(0.5), scope).Zeros);
    }

    /// <summary>Which formats a pruned model may be stored in: those with a zero that does not depend on the block.</summary>
    [Fact]
    public void Holds_EveryFormat_IsAsDocumented()
    {
        string[] holding = [.. WeightFormats.All.Where(ZeroKeeping.Holds).Select(format => format.Name).Order(StringComparer.Ordinal)];
        Assert.Equal(s_holding.Order(StringComparer.Ordinal), holding);
    }

    private static readonly string[] s_holding = ["BF16", "F16", "F32", "MXFP4", "NVFP4", "Q2_0", "Q3_K", "Q4_0", "Q5_0", "Q6_K", "Q8_0", "SQ4_0", "TQ1_0", "TQ2_0"];

    [Theory]
    [InlineData("Q4_0")]
    [InlineData("Q8_0")]
    public void Gptq_KeepingZeros_LeavesThemZeros(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        Random random = new(4);
        Tensor x = Calibrations.Correlated(random, 300, 64), weights = Calibrations.Normal(random, 24, 64);
        WeightMask mask = Magnitude.Mask(weights, new Sparsity(0.5), PruneScope.Row);
        for (int row = 0; row < weights.Rows; row++)
        {
            mask.Apply(row, weights.Row(row));
        }

        bool[] zero = [.. weights.Span.ToArray().Select(weight => weight == 0)];
        int Broken(bool keeps)
        {
            Tensor rounded = new(24, 64);
            weights.Span.CopyTo(rounded.Span);
            BlockFormatGrid[] grids = [.. Enumerable.Range(0, 24).Select(_ => new BlockFormatGrid(format, 64))];
            Gptq.Quantize(rounded, Calibrations.Hessian(x), grids, GptqOptions.ForBlocks(0.01, 1) with { KeepsZeros = keeps });
            return Enumerable.Range(0, zero.Length).Count(i => zero[i] && rounded.Span[i] != 0);
        }

        Assert.Equal(0, Broken(keeps: true));
        Assert.NotEqual(0, Broken(keeps: false)); // else this test could not fail
    }
}
