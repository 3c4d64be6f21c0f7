// What holds for all ops: they compute, and a pass in steady state allocates nothing. Knows no values.
using System.Diagnostics;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.KernelTests.Ops;

/// <summary>Tests that measure the whole process's allocations run alone.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneGroup
{
    public const string Name = "alone";
}

[Collection(AloneGroup.Name)]
public sealed class OpTableTests
{
    private static readonly Tensor s_x = new Pseudorandom(71).Tensor(2, 32);
    private static readonly Tensor s_row = new Pseudorandom(72).Tensor(1, 32);

    /// <summary>Every op, each applied to something it can compute.</summary>
    private static readonly Dictionary<string, Func<ComputeContext, Tensor>> s_ops = new()
    {
        [nameof(ActivationOp)] = context => ActivationOp.Apply(context, s_x, Activation.Silu),
        [nameof(AddOp)] = context => AddOp.Apply(context, AttentionReference.Rows(s_x, 0, 2), s_row),
        [nameof(AttentionRelationOp)] = context => AttentionRelationOp.Apply(context, new(s_x, s_x, 8), new(s_x, s_x, 8), [new SequenceRows(0, 2, null)], new() { Heads = 4 }).Loss,
        [nameof(AttentionOp)] = context => AttentionOp.Apply(context, s_x, s_x, s_x, [new SequenceRows(0, 2, new KvStore(2, 16))], new AttentionShape(2, 2, 16, 0.25f, 0, 0)),
        [nameof(CrossEntropyOp)] = context => CrossEntropyOp.Apply(context, s_x, [3, CrossEntropyOp.NoTarget]).Loss,
        [nameof(EmbeddingOp)] = context => EmbeddingOp.Apply(context, Weight.FromDense(s_x), [1, 0], 2),
        [nameof(ExampleRelationOp)] = context => ExampleRelationOp.Apply(context, s_x, s_x, [], ExampleRelation.Distance).Loss,
        [nameof(HiddenLossOp)] = context => HiddenLossOp.Apply(context, s_x, s_x, [], HiddenDistance.Cosine).Loss,
        [nameof(GatedOp)] = context => GatedOp.Apply(context, s_x, s_x, Activation.GeluTanh),
        [nameof(HeadLossOp)] = context => HeadLossOp.Apply(context, s_x, new LossHead(Weight.FromDense(s_x)), [1, 0]).Loss,
        [nameof(LayerNormOp)] = context => LayerNormOp.Apply(context, s_x, s_row, s_row, 1e-5f),
        [nameof(LinearOp)] = context => LinearOp.Apply(context, s_x, Weight.FromDense(s_x), null),
        [nameof(LowRankOp)] = context => LowRankOp.Apply(context, s_x, AttentionReference.Rows(s_x, 0, 2), new LowRankChange(new Pseudorandom(77).Tensor(3, 32), new Pseudorandom(78).Tensor(32, 3), 2)),
        [nameof(MagnitudeOp)] = context => MagnitudeOp.Apply(context, AttentionReference.Rows(s_x, 0, 2), s_row, MagnitudeOp.RowLengths(context, Weight.FromDense(new Pseudorandom(79).Tensor(32, 8)), null)),
        [nameof(PreferenceLossOp)] = context => PreferenceLossOp.Pairs(context, new Pseudorandom(81).Tensor(2, 1), [0.5, 1], 0.1).Loss,
        [nameof(ResponseLossOp)] = context => ResponseLossOp.Apply(context, s_x, new Pseudorandom(80).Tensor(2, 32), [], new ResponseLossOptions()).Loss,
        [nameof(RmsNormOp)] = context => RmsNormOp.Apply(context, s_x, s_row, 1e-5f, unitOffset: false),
        [nameof(RotaryOp)] = context => RotaryOp.Apply(context, AttentionReference.Rows(s_x, 0, 2), 16, new RotaryTable([1, 0.1], 1, RotaryLayout.HalfSplit), [3, 4]),
        [nameof(RowsOp)] = context => RowsOp.Apply(context, s_x, [1]),
        [nameof(ScaleOp)] = context => ScaleOp.Apply(context, AttentionReference.Rows(s_x, 0, 2), 3),
        [nameof(SequenceLogProbabilityOp)] = context => SequenceLogProbabilityOp.Apply(context, s_x, [3, CrossEntropyOp.NoTarget], [new SequenceRows(0, 2, null)]),
        [nameof(SoftcapOp)] = context => SoftcapOp.Apply(context, AttentionReference.Rows(s_x, 0, 2), 3),
    };

    public static TheoryData<string> Names => new(s_ops.Keys);

    [Fact]
    public void Table_AllPublicOps_AreInIt()
    {
        string[] ops = [.. typeof(LinearOp).Assembly.GetExportedTypes().Where(type => type.IsAbstract && type.IsSealed && type.Name.EndsWith("Op", StringComparison.Ordinal)).Select(type => type.Name)];
        Assert.NotEmpty(ops);
        Assert.Equal(ops.Order(), s_ops.Keys.Order());
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Apply_InferenceContext_GivesFiniteValues(string name)
    {
        using ComputeContext context = ComputeContext.Inference(2);
        Tensor y = s_ops[name](context);
        Assert.NotEqual(0, y.Length);
        Assert.All(y.Span.ToArray(), value => Assert.True(float.IsFinite(value)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Decode_SteadyState_AllocatesNothing(int threads)
    {
        const int WarmUp = 60, Windows = 19, Counted = 10, SmallestObject = 24; // within a chunk of 256 positions: at its end tables grow, once for all layers and passes
        using ComputeContext context = ComputeContext.Inference(threads);
        using Weights.StoredData nibbles = new(Tensors.Formats.WeightFormats.ForName("Q4_0")!, 128, 64, 73), halves = new(Tensors.Formats.WeightFormats.ForName("F16")!, 128, 64, 74);
        using Weight square = Weight.Open(nibbles.Matrix(64), context), key = Weight.Open(nibbles.Matrix(32), context), up = Weight.Open(halves.Matrix(128), context);
        using Weight down = Weight.FromDense(new Pseudorandom(75).Tensor(64, 128, 0.1f));
        using KvStore store = new(2, 16);
        store.Reserve(WarmUp + (Windows * Counted));
        Tensor norm = new Pseudorandom(76).Tensor(1, 64);
        RotaryTable rotary = new([1, 0.3, 0.1, 0.03], 1, RotaryLayout.HalfSplit);
        AttentionShape shape = new(4, 2, 16, 0.25f, 5, 0);
        int step = 0;
        for (; step < WarmUp; step++)
        {
            Step(step);
        }

        long mine = 0, least = long.MaxValue;
        for (int window = 0; window < Windows; window++)
        {
            Stopwatch clock = Stopwatch.StartNew();
            long own = GC.GetAllocatedBytesForCurrentThread(), all = GC.GetTotalAllocatedBytes(precise: true);
            for (int end = step + Counted; step < end; step++)
            {
                Step(step);
            }

            long after = GC.GetTotalAllocatedBytes(precise: true);
            mine += GC.GetAllocatedBytesForCurrentThread() - own;
            Thread.Sleep(clock.Elapsed); // the test runner allocates all the time, the more the slower the machine: as long a pause is taken off
            least = Math.Min(least, after - all - (GC.GetTotalAllocatedBytes(precise: true) - after));
        }

        Assert.Equal(0, mine);
        Assert.InRange(least, long.MinValue, (Counted * SmallestObject) - 1); // of all threads: a step that allocates does so ten times in every window
        void Step(int position)
        {
            int mark = context.Mark();
            Tensor x = EmbeddingOp.Apply(context, square, [position % 64], 1);
            Tensor normed = RmsNormOp.Apply(context, x, norm, 1e-5f, false);
            Three outputs = default;
            LinearOp.ApplyAll(context, normed, [square, key, key], [null, null, null], outputs);
            Tensor q = RotaryOp.Apply(context, outputs[0], 16, rotary, [position]), k = RotaryOp.Apply(context, outputs[1], 16, rotary, [position]);
            x = AddOp.Apply(context, x, AttentionOp.Apply(context, q, k, outputs[2], [new SequenceRows(0, 1, store)], shape));
            Tensor wide = LinearOp.Apply(context, LayerNormOp.Apply(context, x, norm, norm, 1e-5f), up, null);
            x = AddOp.Apply(context, x, LinearOp.Apply(context, GatedOp.Apply(context, wide, wide, Activation.Silu), down, null));
            Tensor logits = SoftcapOp.Apply(context, ScaleOp.Apply(context, RowsOp.Apply(context, x, [0]), 0.5f), 30);
            CrossEntropyOp.Apply(context, logits, [7]);
            context.ReleaseTo(mark);
        }
    }

    [System.Runtime.CompilerServices.InlineArray(3)]
    private struct Three
    {
        private Tensor _first;
    }
}
