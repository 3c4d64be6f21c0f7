// Products, norms, activations and lookups beside their definitions in double, and their bits over batches and threads. Knows no layers.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.KernelTests.Ops;

public sealed class SimpleOpTests
{
    private const double Float32Tolerance = 3e-6; // of the largest value

    public static TheoryData<int> TokenCounts => [0, 1, 2, 3, 5, 11, 12, 13, 25, 130];

    [Theory]
    [MemberData(nameof(TokenCounts))]
    public void Linear_AnyTokens_EqualsTheDefinitionForEveryThreads(int tokens)
    {
        Pseudorandom random = new(81);
        Tensor x = random.Tensor(tokens, 40), w = random.Tensor(70, 40), bias = random.Tensor(1, 70);
        using Weight weight = Weight.FromDense(w);
        double[] expected = new double[tokens * 70];
        for (int i = 0; i < expected.Length; i++)
        {
            expected[i] = bias.Span[i % 70];
            for (int c = 0; c < 40; c++)
            {
                expected[i] += (double)x.Row(i / 70)[c] * w.Row(i % 70)[c];
            }
        }

        float[]? first = null;
        foreach (int threads in new[] { 1, 2, 3, 5 })
        {
            using ComputeContext context = ComputeContext.Inference(threads);
            Tensor y = LinearOp.Apply(context, x, weight, bias);
            Assert.Equal((tokens, 70), (y.Rows, y.Columns));
            AttentionReference.Near(expected, y.Span, Float32Tolerance, $"{threads} threads");
            AssertBits.Equal(first ??= y.Span.ToArray(), y.Span, $"{threads} threads");
        }
    }

    [Theory]
    [MemberData(nameof(TokenCounts))]
    public void LinearAll_WeightsOfSeveralForms_AreEachAsAlone(int tokens)
    {
        using Weights.StoredData nibbles = new(Tensors.Formats.WeightFormats.ForName("Q4_1")!, 50, 64, 82), bytes = new(Tensors.Formats.WeightFormats.ForName("Q8_0")!, 17, 64, 83);
        using ComputeContext context = ComputeContext.Inference(3), alone = ComputeContext.Inference(1);
        using Weight a = Weight.Open(nibbles.Matrix(50), context), b = Weight.Open(bytes.Matrix(17), context), c = Weight.FromDense(new Pseudorandom(84).Tensor(33, 64));
        Tensor x = new Pseudorandom(85).Tensor(tokens, 64), bias = new Pseudorandom(86).Tensor(1, 17);
        Tensor[] y = new Tensor[3];
        LinearOp.ApplyAll(context, x, [a, b, c], [null, bias, null], y);
        for (int t = 0; t < tokens; t++)
        {
            Tensor row = AttentionReference.Rows(x, t, 1);
            AssertBits.Equal(LinearOp.Apply(alone, row, a, null).Span, y[0].Row(t), "Q4_1");
            AssertBits.Equal(LinearOp.Apply(alone, row, b, bias).Span, y[1].Row(t), "Q8_0");
            AssertBits.Equal(LinearOp.Apply(alone, row, c, null).Span, y[2].Row(t), "F32");
        }
    }

    [Fact]
    public void Linear_SizesThatDoNotFit_Throws()
    {
        using ComputeContext context = ComputeContext.Inference(1);
        using Weight weight = Weight.FromDense(new Tensor(3, 4));
        Assert.Throws<ArgumentException>(() => LinearOp.Apply(context, new Tensor(2, 5), weight, null));
        Assert.Throws<ArgumentException>(() => LinearOp.Apply(context, new Tensor(2, 4), weight, new Tensor(1, 2)));
        Assert.Throws<ArgumentException>(() => LinearOp.ApplyAll(context, new Tensor(2, 4), [weight, weight, weight, weight, weight], new Tensor?[5], new Tensor[5]));
    }

    /// <summary>Rows that begin at every alignment, alone and among others, with one thread and several.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(20)]
    [InlineData(201)]
    [InlineData(576)]
    [InlineData(1030)]
    public void Norms_AnyWidth_EqualTheDefinitionAndKeepTheirBits(int columns)
    {
        Pseudorandom random = new(87);
        Tensor x = random.Tensor(70, columns, 3), w = random.Tensor(1, columns), b = random.Tensor(1, columns);
        using ComputeContext one = ComputeContext.Inference(1), three = ComputeContext.Inference(3);
        Tensor rms = RmsNormOp.Apply(three, x, w, 1e-5f, false), offset = RmsNormOp.Apply(three, x, w, 1e-5f, true), layer = LayerNormOp.Apply(three, x, w, b, 1e-5f);
        for (int t = 0; t < x.Rows; t++)
        {
            double[] row = [.. x.Row(t).ToArray().Select(value => (double)value)];
            double root = Math.Sqrt(row.Average(value => value * value) + 1e-5), mean = row.Average(), deviation = Math.Sqrt(row.Average(value => (value - mean) * (value - mean)) + 1e-5);
            AttentionReference.Near([.. row.Select((value, c) => value / root * w.Span[c])], rms.Row(t), Float32Tolerance, "rms");
            AttentionReference.Near([.. row.Select((value, c) => value / root * (1 + (double)w.Span[c]))], offset.Row(t), Float32Tolerance, "rms with offset");
            AttentionReference.Near([.. row.Select((value, c) => ((value - mean) / deviation * w.Span[c]) + b.Span[c])], layer.Row(t), Float32Tolerance, "layer");
            int mark = one.Mark();
            Tensor alone = AttentionReference.Rows(x, t, 1);
            AssertBits.Equal(RmsNormOp.Apply(one, alone, w, 1e-5f, false).Span, rms.Row(t), $"rms, row {t}");
            AssertBits.Equal(LayerNormOp.Apply(one, alone, w, b, 1e-5f).Span, layer.Row(t), $"layer, row {t}");
            one.ReleaseTo(mark);
        }
    }

    [Fact]
    public void RmsNorm_Groups_AreEachAsARow()
    {
        Pseudorandom random = new(88);
        Tensor x = random.Tensor(3, 3 * 24), w = random.Tensor(1, 24), heads = new(9, 24);
        x.Span.CopyTo(heads.Span);
        using ComputeContext context = ComputeContext.Inference(1);
        AssertBits.Equal(RmsNormOp.Apply(context, heads, w, 1e-6f, true).Span, RmsNormOp.Apply(context, x, w, 1e-6f, true, 24).Span, "groups");
        Assert.Throws<ArgumentException>(() => RmsNormOp.Apply(context, x, w, 1e-6f, true));
        Assert.Throws<ArgumentException>(() => RmsNormOp.Apply(context, x, random.Tensor(1, 25), 1e-6f, true, 25));
        Assert.Throws<ArgumentException>(() => LayerNormOp.Apply(context, x, w, null, 1e-6f));
    }

    /// <summary>Far values too: sigmoid and the error function must neither overflow nor lose their tails.</summary>
    [Theory]
    [InlineData(Activation.Silu)]
    [InlineData(Activation.GeluTanh)]
    [InlineData(Activation.GeluErf)]
    [InlineData(Activation.Relu)]
    [InlineData(Activation.ReluSquared)]
    public void Activation_FromFarToFar_EqualsTheDefinition(Activation kind)
    {
        Tensor x = new(1, 4001);
        for (int i = 0; i < x.Length; i++)
        {
            x.Span[i] = (i - 2000) * (i % 50 == 0 ? 0.1f : 0.005f);
        }

        using ComputeContext context = ComputeContext.Inference(2);
        Tensor y = ActivationOp.Apply(context, x, kind), gated = GatedOp.Apply(context, x, x, kind);
        for (int i = 0; i < x.Length; i++)
        {
            double v = x.Span[i];
            double expected = kind switch
            {
                Activation.Silu => v / (1 + Math.Exp(-v)),
                Activation.GeluTanh => 0.5 * v * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (v + (0.044715 * v * v * v)))),
                Activation.GeluErf => v * NormalDistribution(v),
                Activation.Relu => Math.Max(v, 0),
                _ => Math.Max(v, 0) * Math.Max(v, 0),
            };
            Assert.InRange(Math.Abs(expected - y.Span[i]), 0, (Math.Abs(expected) * 1e-6) + (Math.Abs(v) * 1e-6)); // of the identity's size: near -5 tanh cancels
            Assert.InRange(Math.Abs((expected * v) - gated.Span[i]), 0, (Math.Abs(expected * v) * 1e-6) + (v * v * 1e-6));
        }
    }

    [Fact]
    public void ElementOps_RowsAndBroadcasts_EqualTheDefinition()
    {
        Pseudorandom random = new(89);
        foreach (int rows in new[] { 1, 3, 700 })
        {
            Tensor x = random.Tensor(rows, 65), y = random.Tensor(rows, 65), row = random.Tensor(1, 65);
            float[] before = x.Span.ToArray();
            using ComputeContext context = ComputeContext.Inference(3);
            AddOp.Apply(context, x, y);
            Assert.All(Enumerable.Range(0, before.Length), i => Assert.Equal(before[i] + y.Span[i], x.Span[i]));
            before = x.Span.ToArray();
            AddOp.Apply(context, x, row);
            Assert.All(Enumerable.Range(0, before.Length), i => Assert.Equal(before[i] + row.Span[i % 65], x.Span[i]));
            before = x.Span.ToArray();
            ScaleOp.Apply(context, x, 12);
            Assert.All(Enumerable.Range(0, before.Length), i => Assert.Equal(before[i] * 12, x.Span[i]));
            before = x.Span.ToArray();
            SoftcapOp.Apply(context, x, 5);
            Assert.All(Enumerable.Range(0, before.Length), i => Assert.Equal(5 * Math.Tanh(before[i] / 5.0), x.Span[i], 5e-6));
            Tensor picked = RowsOp.Apply(context, x, [rows - 1, 0, rows - 1]);
            AssertBits.Equal(x.Row(rows - 1), picked.Row(2), "rows");
            AssertBits.Equal(x.Row(0), picked.Row(1), "rows");
            Assert.Throws<ArgumentOutOfRangeException>(() => RowsOp.Apply(context, x, [rows]));
            Assert.Throws<ArgumentException>(() => AddOp.Apply(context, x, new Tensor(2, 65)));
        }
    }

    [Fact]
    public void Embedding_IdsOutsideTheTable_ThrowWithTheirNumbers()
    {
        using ComputeContext context = ComputeContext.Inference(1);
        using Weight table = Weight.FromDense(new Pseudorandom(90).Tensor(33, 5));
        foreach (int id in new[] { 33, -1, int.MaxValue })
        {
            ArgumentOutOfRangeException refusal = Assert.Throws<ArgumentOutOfRangeException>(() => EmbeddingOp.Apply(context, table, [0, id], 1));
            Assert.Contains($"{id} at position 1", refusal.Message, StringComparison.Ordinal);
        }

        Tensor y = EmbeddingOp.Apply(context, table, [32, 0], 3);
        float[] row = new float[5];
        table.DecodeRow(32, row);
        Assert.Equal([.. row.Select(value => value * 3)], y.Row(0).ToArray());
    }

    [Fact]
    public void Rotary_NegativePositionsOrWrongSizes_Throw()
    {
        using ComputeContext context = ComputeContext.Inference(1);
        RotaryTable table = new([1, 0.1], 1, RotaryLayout.HalfSplit);
        Assert.Throws<ArgumentOutOfRangeException>(() => RotaryOp.Apply(context, new Tensor(1, 8), 8, table, [-1]));
        Assert.Throws<ArgumentException>(() => RotaryOp.Apply(context, new Tensor(2, 8), 8, table, [0]));
        Assert.Throws<ArgumentException>(() => RotaryOp.Apply(context, new Tensor(1, 8), 3, table, [0]));
        Assert.Throws<ArgumentException>(() => RotaryOp.Apply(context, new Tensor(1, 8), 2, table, [0]));
    }

    /// <summary>Φ by Simpson's rule from 0: independent of the product's series.</summary>
    private static double NormalDistribution(double x)
    {
        const int Steps = 400;
        double end = Math.Min(Math.Abs(x), 12), h = end / Steps, sum = 0;
        for (int i = 0; i <= Steps; i++)
        {
            double t = i * h;
            sum += Math.Exp(-t * t / 2) * (i is 0 or Steps ? 1 : i % 2 == 1 ? 4 : 2);
        }

        double half = sum * h / 3 / Math.Sqrt(2 * Math.PI);
        return x < 0 ? 0.5 - half : 0.5 + half;
    }
}
