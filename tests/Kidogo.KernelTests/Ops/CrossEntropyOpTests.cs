// The loss at its edges: nothing to learn, no numbers, parts of a batch, options out of range. Knows no models.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.KernelTests.Ops;

public sealed class CrossEntropyOpTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Apply_NoTargets_IsNothingAndFlowsNothing(bool overwrites)
    {
        using ComputeContext context = ComputeContext.Training(1);
        Tensor x = new Pseudorandom(111).Tensor(3, 5).AsParameter();
        CrossEntropyResult result = CrossEntropyOp.Apply(context, ScaleOp.Apply(context, x, 1), [-100, -100, -100], new() { OverwritesLogits = overwrites });
        Assert.Equal((0, 0, 0), (result.Value, result.CrossEntropy, result.Targets));
        context.Backward(result.Loss);
        Assert.All(x.Gradient!.Span.ToArray(), gradient => Assert.Equal(0, gradient));
    }

    [Theory]
    [InlineData(float.NaN, false)]
    [InlineData(float.NaN, true)]
    [InlineData(float.PositiveInfinity, false)]
    [InlineData(float.PositiveInfinity, true)]
    public void Apply_LogitThatIsNoNumber_MakesTheLossNoNumber(float bad, bool overwrites)
    {
        using ComputeContext context = ComputeContext.Training(1);
        Tensor x = new Pseudorandom(112).Tensor(3, 20).AsParameter();
        x.Row(1)[7] = bad;
        CrossEntropyResult result = CrossEntropyOp.Apply(context, ScaleOp.Apply(context, x, 1), [1, 2, 3], new() { OverwritesLogits = overwrites });
        Assert.True(double.IsNaN(result.Value) && double.IsNaN(result.CrossEntropy) && float.IsNaN(result.Loss.Span[0]));
        context.Backward(result.Loss);
        Assert.True(float.IsNaN(x.Gradient!.Row(1)[0]));
        Assert.True(float.IsFinite(x.Gradient.Row(0)[0])); // the other rows are sound
    }

    /// <summary>A row whose target has the probability 0 costs infinitely much.</summary>
    [Fact]
    public void Apply_TargetAtMinusInfinity_IsInfinite()
    {
        using ComputeContext context = ComputeContext.Inference(1);
        Tensor x = new Pseudorandom(113).Tensor(1, 20);
        x.Row(0)[7] = float.NegativeInfinity;
        Assert.True(double.IsPositiveInfinity(CrossEntropyOp.Apply(context, x, [7]).Value));
        Assert.True(double.IsFinite(CrossEntropyOp.Apply(context, x, [6]).Value));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Apply_PartsOfABatchByItsCount_AddUpToTheWhole(bool overwrites)
    {
        using ComputeContext context = ComputeContext.Training(2);
        Tensor whole = new Pseudorandom(114).Tensor(9, 50, 4).AsParameter(), parts = AttentionReference.Rows(whole, 0, 9).AsParameter();
        int[] targets = [3, -100, 49, 0, 7, -100, -100, 8, 21];
        CrossEntropyOptions options = new() { LabelSmoothing = 0.1f, ZLoss = 1e-2f, OverwritesLogits = overwrites };
        CrossEntropyResult result = CrossEntropyOp.Apply(context, ScaleOp.Apply(context, whole, 1), targets, options);
        context.Backward(result.Loss);
        double value = 0, entropy = 0;
        foreach ((int first, int count) in new[] { (0, 2), (2, 6), (8, 1) })
        {
            Tensor logits = RowsOp.Apply(context, parts, [.. Enumerable.Range(first, count)]);
            CrossEntropyResult part = CrossEntropyOp.Apply(context, logits, targets.AsSpan(first, count), options with { Count = result.Targets });
            value += part.Value;
            entropy += part.CrossEntropy;
            context.Backward(part.Loss);
        }

        Assert.Equal(6, result.Targets);
        Assert.Equal(result.Value, value, 1e-12);
        Assert.Equal(result.CrossEntropy, entropy, 1e-12);
        AssertBits.Equal(whole.Gradient!.Span, parts.Gradient!.Span, "gradients: each row has its own");
    }

    [Fact]
    public void Apply_OverwritingLogits_NeedsNoSecondTensorOfTheirSize()
    {
        const int Size = 40 * 3000 * sizeof(float);
        long[] bytes = [.. new[] { false, true }.Select(overwrites =>
        {
            using ComputeContext context = ComputeContext.Training(1);
            Tensor x = new Pseudorandom(115).Tensor(40, 3000).AsParameter();
            Tensor logits = ScaleOp.Apply(context, x, 1);
            context.Backward(CrossEntropyOp.Apply(context, logits, new int[40], new() { OverwritesLogits = overwrites }).Loss);
            return context.TapeBytes;
        })];
        Assert.InRange(bytes[0], 2 * Size, (2 * Size) + 100);
        Assert.InRange(bytes[1], Size, Size + 100);
    }

    [Fact]
    public void Apply_WrongArguments_ThrowWithTheNumbers()
    {
        using ComputeContext context = ComputeContext.Inference(1);
        Tensor x = new(2, 5);
        Assert.Contains("3 targets", Assert.Throws<ArgumentException>(() => CrossEntropyOp.Apply(context, x, [1, 2, 3])).Message, StringComparison.Ordinal);
        Assert.Contains("target 5 of row 1", Assert.Throws<ArgumentException>(() => CrossEntropyOp.Apply(context, x, [1, 5])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => CrossEntropyOp.Apply(context, x, [1, -1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => CrossEntropyOp.Apply(context, x, [1, 1], new() { LabelSmoothing = 1.5f }));
        Assert.Throws<ArgumentOutOfRangeException>(() => CrossEntropyOp.Apply(context, x, [1, 1], new() { ZLoss = -1 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => CrossEntropyOp.Apply(context, x, [1, 1], new() { Count = -1 }));
    }
}
