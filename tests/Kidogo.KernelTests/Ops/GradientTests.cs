// Gradients of every op beside differences, and their bits over threads, batches, passes and recomputation. Knows no models.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.KernelTests.Ops;

public sealed class GradientTests
{
    private const float Step = 0.03f;

    /// <summary>Of the largest gradient: float32 values know a difference over 0.03 to about 1e-5, and the fourth power of the step leaves as much.</summary>
    private const double Tolerance = 3e-4;

    /// <summary>Of the largest gradient: the sums of a second pass over 70 rows begin at what the first has left, and so round elsewhere.</summary>
    private const float AddingTolerance = 3e-6f;

    public static TheoryData<string> Names => new(GradientCases.All.Keys);

    [Fact]
    public void Table_AllPublicOps_AreInIt()
    {
        string[] ops = [.. typeof(LinearOp).Assembly.GetExportedTypes()
            .Where(type => type.Namespace == typeof(LinearOp).Namespace && type.IsAbstract && type.IsSealed && type.Name.EndsWith("Op", StringComparison.Ordinal)).Select(type => type.Name)];
        Assert.NotEmpty(ops);
        Assert.Equal(ops.Order(), GradientCases.All.Values.Select(each => each.Op).Distinct().Order());
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Backward_AnyOp_IsTheSlopeByDifferences(string name)
    {
        GradientCase op = GradientCases.All[name];
        Tensor[] inputs = Inputs(op, 4);
        using ComputeContext context = ComputeContext.Training(1);
        double Loss()
        {
            Tensor y = op.Apply(context, inputs);
            double loss = Gradients.Dot(y, op.Weights(y));
            context.Forget();
            return loss;
        }

        double[][] expected = [.. inputs.Select(input => Enumerable.Range(0, input.Length).Select(place => Gradients.Difference(input, place, Step, Loss)).ToArray())];
        Array.ForEach(inputs, input => input.Gradient?.Span.Clear()); // some add to a parameter's in the forward pass already
        Pass(context, op, inputs);
        for (int i = 0; i < inputs.Length; i++)
        {
            Assert.Contains(expected[i], slope => Math.Abs(slope) > 0.01); // an input that changes nothing would test nothing
            AttentionReference.Near(expected[i], inputs[i].Gradient!.Span, Tolerance, $"{name}, input {i}");
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Backward_AnyThreads_HasTheSameBits(string name)
    {
        GradientCase op = GradientCases.All[name];
        int rows = op.Op == nameof(AttentionOp) ? 150 : 1400; // work enough to be shared
        float[][] one = Find(op, Inputs(op, rows), 1), three = Find(op, Inputs(op, rows), 3);
        AssertSame(one, three, name);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Backward_Recomputed_HasTheSameBits(string name)
    {
        GradientCase op = GradientCases.All[name];
        Tensor[] inputs = Inputs(op, 70), again = Inputs(op, 70);
        float[][] expected = Find(op, inputs, 2), actual;
        using (ComputeContext context = ComputeContext.Training(2))
        {
            Tensor y = context.Recompute(again[0], _ => op.Apply(context, again));
            context.Backward(Gradients.Weighted(context, y, op.Weights(y)));
            actual = [.. again.Select(input => input.Gradient!.Span.ToArray())];
        }

        AssertSame(expected, actual, name);
    }

    /// <summary>A second pass through the same context adds the same bits, in storage that the first has left.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void Backward_Twice_AddsUpWithoutMoreMemory(string name)
    {
        GradientCase op = GradientCases.All[name];
        Tensor[] inputs = Inputs(op, 70);
        float[][] once = Find(op, inputs, 2);
        foreach (Tensor input in inputs)
        {
            input.Gradient!.Span.Clear();
        }

        using ComputeContext context = ComputeContext.Training(2);
        Pass(context, op, inputs);
        long bytes = context.TapeBytes;
        Pass(context, op, inputs);
        Assert.Equal(bytes, context.TapeBytes);
        for (int i = 0; i < inputs.Length; i++)
        {
            float[] actual = inputs[i].Gradient!.Span.ToArray();
            float largest = once[i].Max(MathF.Abs);
            Assert.All(actual.Zip(once[i]), pair => Assert.Equal(2 * pair.Second, pair.First, AddingTolerance * largest));
        }
    }

    /// <summary>What flows into a row is the same whatever other rows there are.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void Backward_RowsAmongOthers_HaveTheSameBits(string name)
    {
        GradientCase op = GradientCases.All[name];
        if (!op.IsRowwise)
        {
            return; // attention's sequences have a test of their own
        }

        Tensor[] all = Inputs(op, 45), part = [.. Inputs(op, 45).Select(input => input.Rows == 45 ? AttentionReference.Rows(input, 30, 11).AsParameter() : input)];
        using ComputeContext context = ComputeContext.Training(2);
        Tensor y = op.Apply(context, all);
        Tensor weights = new Pseudorandom(93).Tensor(y.Rows, y.Columns);
        context.Backward(Gradients.Weighted(context, y, weights));
        context.Backward(Gradients.Weighted(context, op.Apply(context, part), AttentionReference.Rows(weights, 30, 11)));
        for (int i = 0; i < all.Length; i++)
        {
            if (all[i].Rows == 45)
            {
                AssertBits.Equal(AttentionReference.Rows(all[i].Gradient!, 30, 11).Span, part[i].Gradient!.Span, $"{name}, input {i}");
            }
        }
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(5, 0)]
    [InlineData(0, 3)]
    public void Attention_SequencesInOneBatch_AreEachAsAlone(int window, float cap)
    {
        AttentionShape shape = new(4, 2, 8, 0.3f, cap, window);
        Pseudorandom random = new(95);
        Tensor[] all = [random.Tensor(70, 32).AsParameter(), random.Tensor(70, 16).AsParameter(), random.Tensor(70, 16).AsParameter()];
        Tensor weights = random.Tensor(70, 32);
        using ComputeContext context = ComputeContext.Training(2);
        SequenceRows[] sequences = [new(0, 20, null), new(20, 0, null), new(20, 49, null), new(69, 1, null)];
        Tensor y = AttentionOp.Apply(context, all[0], all[1], all[2], sequences, shape);
        float[] together = y.Span.ToArray();
        context.Backward(Gradients.Weighted(context, y, weights));
        foreach ((int first, int rows, _) in sequences.Where(sequence => sequence.Rows > 0))
        {
            Tensor[] alone = [.. all.Select(input => AttentionReference.Rows(input, first, rows).AsParameter())];
            y = AttentionOp.Apply(context, alone[0], alone[1], alone[2], [new(0, rows, null)], shape);
            AssertBits.Equal(together.AsSpan(first * 32, rows * 32), y.Span, "values");
            context.Backward(Gradients.Weighted(context, y, AttentionReference.Rows(weights, first, rows)));
            for (int i = 0; i < 3; i++)
            {
                AssertBits.Equal(AttentionReference.Rows(all[i].Gradient!, first, rows).Span, alone[i].Gradient!.Span, $"gradient {i} of the sequence at {first}");
            }
        }
    }

    [Fact]
    public void Attention_StoreInTraining_IsRefused()
    {
        using ComputeContext training = ComputeContext.Training(1), inference = ComputeContext.Inference(1);
        using KvStore store = new(1, 4);
        Tensor x = new(2, 4);
        AttentionShape shape = new(1, 1, 4, 1, 0, 0);
        Assert.Throws<ArgumentException>(() => AttentionOp.Apply(training, x, x, x, [new(0, 2, store)], shape));
        Assert.Throws<ArgumentException>(() => AttentionOp.Apply(inference, x, x, x, [new(0, 2, null)], shape));
    }

    [Fact]
    public void RefuseGradient_TrainingContext_ThrowsWithTheOpsName()
    {
        using ComputeContext training = ComputeContext.Training(1), inference = ComputeContext.Inference(1);
        inference.RefuseGradient("TopKOp");
        NotSupportedException refusal = Assert.Throws<NotSupportedException>(() => training.RefuseGradient("TopKOp"));
        Assert.Contains("TopKOp", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Backward_NothingRecorded_Throws()
    {
        using ComputeContext context = ComputeContext.Training(1);
        Tensor x = new(1, 1);
        Assert.Throws<InvalidOperationException>(() => context.Backward(ScaleOp.Apply(context, x, 2)));
        Assert.Throws<InvalidOperationException>(() => context.Backward(ScaleOp.Apply(context, new Tensor(2, 1).AsParameter(), 2)));
        using ComputeContext inference = ComputeContext.Inference(1);
        Assert.Throws<InvalidOperationException>(() => inference.Backward(x));
    }

    private static Tensor[] Inputs(GradientCase op, int rows) => [.. op.Inputs(new Pseudorandom(92), rows).Select(input => input.AsParameter())];

    private static void Pass(ComputeContext context, GradientCase op, Tensor[] inputs)
    {
        Tensor y = op.Apply(context, inputs);
        context.Backward(Gradients.Weighted(context, y, op.Weights(y)));
    }

    private static float[][] Find(GradientCase op, Tensor[] inputs, int threads)
    {
        using ComputeContext context = ComputeContext.Training(threads);
        Pass(context, op, inputs);
        return [.. inputs.Select(input => input.Gradient!.Span.ToArray())];
    }

    private static void AssertSame(float[][] expected, float[][] actual, string name)
    {
        for (int i = 0; i < expected.Length; i++)
        {
            AssertBits.Equal(expected[i], actual[i], $"{name}, input {i}");
        }
    }
}
