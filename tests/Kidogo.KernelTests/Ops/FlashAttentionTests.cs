// Attention in training equals its plain twin, forward and backward, and its bits depend on no thread, neighbour or split. Knows no models.
using Kidogo.Tensors;
using Kidogo.Tensors.Kernels;
using Kidogo.Tensors.Ops;

namespace Kidogo.KernelTests.Ops;

public sealed class FlashAttentionTests
{
    /// <summary>Of the largest value, and of 1, since gradients of scores are differences of sums of 80 products or so of values around 1 (a row that sees only itself has none but their rounding): both sides sum in float32, in other orders.</summary>
    private const double Tolerance = 2e-5;

    private static readonly string[] s_names = ["y", "dq", "dk", "dv"];

    public static TheoryData<int, int, int, int, float> Shapes => new()
    {
        { 1, 1, 8, 0, 0 }, { 4, 2, 16, 0, 0 }, { 6, 6, 64, 0, 0 }, { 9, 3, 64, 0, 0 }, { 4, 1, 80, 40, 0 }, { 2, 2, 24, 7, 3 }, { 2, 1, 32, 1, 0 }, { 2, 1, 128, 250, 0 }, { 3, 1, 40, 0, 2 },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Apply_AnyShapeAndLengths_EqualsThePlainTwin(int heads, int kvHeads, int dim, int window, float softcap)
    {
        EqualsThePlainTwin(new(heads, kvHeads, dim, 1.3f / MathF.Sqrt(dim), softcap, window));
    }

    [Theory]
    [InlineData(1, 1, 8, 0)]
    [InlineData(12, 12, 32, 0)]
    [InlineData(4, 2, 80, 3)]
    public void Apply_PositionsThatSeeAll_EqualsThePlainTwin(int heads, int kvHeads, int dim, float softcap) =>
        EqualsThePlainTwin(new(heads, kvHeads, dim, 1.3f / MathF.Sqrt(dim), softcap, 0, SeesAll: true));

    [Fact]
    public void Apply_PositionsThatSeeAll_NeedNoTrainingAndNoStore()
    {
        AttentionShape shape = new(2, 2, 16, 0.3f, 0, 0, SeesAll: true);
        (Tensor[] inputs, SequenceRows[] sequences) = Inputs(shape, [300, 7], 0);
        using ComputeContext context = ComputeContext.Inference(2);
        Tensor y = AttentionOp.Apply(context, inputs[0], inputs[1], inputs[2], sequences, shape);
        AssertBits.Equal(Fast(shape, [300, 7], 1)[0], y.Span, "outside training");
        Assert.Throws<ArgumentException>(() => AttentionOp.Apply(context, inputs[0], inputs[1], inputs[2], sequences, shape with { Window = 4 }));
        Assert.Throws<ArgumentException>(() => AttentionOp.Apply(context, inputs[0], inputs[1], inputs[2], [new(0, 307, new KvStore(2, 16))], shape));
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(150, false)]
    [InlineData(0, true)]
    public void Apply_AnyThreads_GivesTheSameBits(int window, bool seesAll)
    {
        AttentionShape shape = new(4, 2, 40, 0.3f, 0, window, seesAll);
        int[] lengths = [500, 20];
        float[][] one = Fast(shape, lengths, 1);
        foreach (int threads in new[] { 2, 3, 7 }) // four items: whole for two threads, split for seven
        {
            float[][] other = Fast(shape, lengths, threads);
            for (int i = 0; i < one.Length; i++)
            {
                AssertBits.Equal(one[i], other[i], $"tensor {i}, {threads} threads");
            }
        }
    }

    [Fact]
    public void Apply_ASequenceAmongOthers_GivesTheBitsOfItAlone()
    {
        AttentionShape shape = new(2, 1, 32, 0.2f, 0, 0);
        float[][] alone = Fast(shape, [300], 1, skipped: 250), among = Fast(shape, [250, 300, 3], 2);
        for (int i = 0; i < alone.Length; i++)
        {
            AssertBits.Equal(alone[i], among[i].AsSpan(250 * among[i].Length / 553, alone[i].Length), $"tensor {i}");
        }
    }

    [Fact]
    public void Apply_ScoresThatAreNoNumbers_AreNotHidden()
    {
        AttentionShape shape = new(1, 1, 16, 1, 0, 0);
        using ComputeContext context = ComputeContext.Training(1);
        Tensor q = new Pseudorandom(1).Tensor(20, 16), k = new Pseudorandom(2).Tensor(20, 16), v = new Pseudorandom(3).Tensor(20, 16);
        k.Row(7)[3] = float.NaN;
        Tensor y = AttentionOp.Apply(context, q, k, v, [new SequenceRows(0, 20, null)], shape);
        Assert.All(y.Row(6).ToArray(), value => Assert.True(float.IsFinite(value)));
        Assert.All(y.Row(7).ToArray(), value => Assert.True(float.IsNaN(value)));
    }

    [Fact]
    public void FlowBack_Vectors_EqualTheScalarTwin()
    {
        Pseudorandom random = new(4);
        foreach ((int first, int end, float cap) in new[] { (0, 64, 0f), (3, 50, 0f), (17, 18, 2f), (0, 33, 5f) })
        {
            float[] scores = random.Floats(64, 2), gradients = random.Floats(64), expectedScores = [.. scores], expectedGradients = [.. gradients];
            FlashKernel.FlowBackScalar(expectedScores, expectedGradients, first, end, 2.5f, 0.1f, cap, 0.7f);
            FlashKernel.FlowBack(scores, gradients, first, end, 2.5f, 0.1f, cap, 0.7f);
            AssertBits.Equal(expectedScores, scores, "weights");
            AssertBits.Equal(expectedGradients, gradients, "gradients");
        }
    }

    private static void EqualsThePlainTwin(AttentionShape shape)
    {
        foreach (int[] lengths in new int[][] { [1], [13], [5, 96, 1, 97, 33], [230, 11], [400] })
        {
            float[][] expected = Plain(shape, lengths);
            float[][] actual = Fast(shape, lengths, 2);
            for (int i = 0; i < expected.Length; i++)
            {
                Near(expected[i], actual[i], $"{s_names[i]} of {shape}, {string.Join('+', lengths)}");
            }
        }
    }

    private static float[][] Plain(in AttentionShape shape, int[] lengths)
    {
        using ComputeContext context = ComputeContext.Training(1);
        (Tensor[] inputs, SequenceRows[] sequences) = Inputs(shape, lengths, 0);
        Tensor y = context.Rent(inputs[0].Rows, inputs[0].Columns);
        PlainAttention.Run(context, inputs[0], inputs[1], inputs[2], y, sequences, shape);
        return Results(context, y, inputs);
    }

    private static float[][] Fast(in AttentionShape shape, int[] lengths, int threads, int skipped = 0)
    {
        using ComputeContext context = ComputeContext.Training(threads);
        (Tensor[] inputs, SequenceRows[] sequences) = Inputs(shape, lengths, skipped);
        return Results(context, AttentionOp.Apply(context, inputs[0], inputs[1], inputs[2], sequences, shape), inputs);
    }

    /// <summary>The output, and the gradients of Σ y · g for a fixed g.</summary>
    private static float[][] Results(ComputeContext context, Tensor y, Tensor[] inputs)
    {
        float[] output = y.Span.ToArray();
        Tensor loss = context.Rent(1, 1);
        context.Record(loss, () =>
        {
            Tensor gradient = context.GradientOf(y, out _);
            for (int i = 0; i < gradient.Length; i++)
            {
                gradient.Span[i] = MathF.Sin(0.37f * (i % gradient.Columns)) + output[i];
            }
        });
        context.Backward(loss);
        return [output, .. inputs.Select(input => input.Gradient!.Span.ToArray())];
    }

    private static (Tensor[] Inputs, SequenceRows[] Sequences) Inputs(in AttentionShape shape, int[] lengths, int skipped)
    {
        int total = lengths.Sum();
        Tensor[] inputs = new Tensor[3];
        for (int i = 0; i < 3; i++)
        {
            int columns = (i == 0 ? shape.Heads : shape.KvHeads) * shape.HeadDim;
            Pseudorandom random = new((ulong)i + 20);
            random.Floats(skipped * columns);
            inputs[i] = random.Tensor(total, columns).AsParameter();
        }

        SequenceRows[] sequences = new SequenceRows[lengths.Length];
        for (int i = 0, first = 0; i < lengths.Length; first += lengths[i++])
        {
            sequences[i] = new SequenceRows(first, lengths[i], null);
        }

        return (inputs, sequences);
    }

    private static void Near(float[] expected, float[] actual, string what)
    {
        double largest = expected.Max(value => Math.Abs(value));
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.True(Math.Abs(expected[i] - actual[i]) <= Tolerance * (largest + 1), $"{what}, element {i}: expected {expected[i]}, got {actual[i]}, largest {largest}.");
        }
    }
}
