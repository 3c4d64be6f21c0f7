// A head and its loss in one give the bits of the two ops, whatever the rows at a time. Knows no models.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.KernelTests.Ops;

public sealed class HeadLossOpTests
{
    private const int Classes = 9001; // 256 rows at a time

    [Theory]
    [InlineData(false, 1f, 0f, false, false)]
    [InlineData(true, 0.5f, 3f, false, false)]
    [InlineData(true, 1f, 0f, true, false)]
    [InlineData(false, 1f, 2f, false, true)]
    public void Apply_SeveralParts_HasTheBitsOfTheOpsApart(bool hasBias, float scale, float softcap, bool isFrozen, bool isRounded)
    {
        const int Rows = 300;
        CrossEntropyOptions options = new() { LabelSmoothing = 0.1f, ZLoss = 0.01f };
        int[] targets = [.. Enumerable.Range(0, Rows).Select(i => i % 7 == 3 ? CrossEntropyOp.NoTarget : i * 29 % Classes)];
        List<float[]>[] results = [[], []];
        double[] losses = new double[2];
        for (int way = 0; way < 2; way++)
        {
            using ComputeContext context = ComputeContext.Training(way + 1, storesBFloat16: isRounded);
            Pseudorandom random = new(8);
            Tensor x = random.Tensor(Rows, 5).AsParameter(), values = random.Tensor(Classes, 5);
            Tensor? bias = hasBias ? random.Tensor(1, Classes).AsParameter() : null;
            using Weight weight = isFrozen ? Weight.FromDense(values) : new TrainableWeight(values);
            CrossEntropyResult loss;
            if (way == 0)
            {
                Tensor logits = LinearOp.ApplyRefined(context, x, weight, bias); // as models multiply by a head: logits are never rounded
                logits = scale == 1 ? logits : ScaleOp.Apply(context, logits, scale);
                loss = CrossEntropyOp.Apply(context, softcap == 0 ? logits : SoftcapOp.Apply(context, logits, softcap), targets, options);
            }
            else
            {
                loss = HeadLossOp.Apply(context, x, new LossHead(weight, bias, scale, softcap), targets, options);
            }

            context.Backward(loss.Loss);
            losses[way] = loss.Value;
            Assert.Equal(Rows - 43, loss.Targets);
            results[way].Add(x.Gradient!.Span.ToArray());
            results[way].Add(isFrozen ? [] : values.Gradient!.Span.ToArray());
            results[way].Add(bias?.Gradient!.Span.ToArray() ?? []);
        }

        Assert.Equal(losses[0], losses[1], 1e-12);
        for (int i = 0; i < 3; i++)
        {
            Near(results[0][i], results[1][i], softcap == 0 && !hasBias);
        }
    }

    [Fact]
    public void Backward_SlopeOtherThanOne_Throws()
    {
        using ComputeContext context = ComputeContext.Training(1);
        Tensor x = new Pseudorandom(1).Tensor(3, 4).AsParameter();
        using TrainableWeight weight = new(new Pseudorandom(2).Tensor(6, 4));
        CrossEntropyResult loss = HeadLossOp.Apply(context, x, new LossHead(weight), [1, 2, 3]);
        Assert.Throws<InvalidOperationException>(() => context.Backward(ScaleOp.Apply(context, loss.Loss, 2)));
    }

    [Fact]
    public void Apply_SizesThatDoNotFit_Throws()
    {
        using ComputeContext context = ComputeContext.Training(1);
        using TrainableWeight weight = new(new Tensor(6, 4));
        Assert.Throws<ArgumentException>(() => HeadLossOp.Apply(context, new Tensor(2, 5), new LossHead(weight), [1, 2]));
        Assert.Throws<ArgumentException>(() => HeadLossOp.Apply(context, new Tensor(2, 4), new LossHead(weight), [1]));
        Assert.Throws<ArgumentException>(() => HeadLossOp.Apply(context, new Tensor(2, 4), new LossHead(weight), [1, 6]));
    }

    /// <summary>To the bit; but slopes of caps are multiplied in another order, and sums of biases come in other parts.</summary>
    private static void Near(float[] expected, float[] actual, bool isExact)
    {
        if (isExact)
        {
            AssertBits.Equal(expected, actual, "gradient");
            return;
        }

        float largest = expected.Append(0).Max(MathF.Abs);
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.True(MathF.Abs(expected[i] - actual[i]) <= 2e-6f * largest, $"element {i}: {expected[i]}, {actual[i]}");
        }
    }
}
