// Attention equals its definition, and its bits depend on nothing but the values: not the split, the batch, the threads or the way. Knows no models.
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.KernelTests.Ops;

public sealed class AttentionOpTests
{
    /// <summary>float32 sums of at most 600 weights and 128 products beside double.</summary>
    private const double Float32Tolerance = 3e-6;

    /// <summary>Keys of magnitude 1 rounded to float16 (2^-12 relative) move scores by up to 1e-3, values by 2.5e-4.</summary>
    private const double Float16Tolerance = 2e-3;

    /// <summary>Keys and values rounded to 8 bits: half a step of 1/127, averaged over the elements of a score.</summary>
    private const double Q8Tolerance = 2e-2;

    public static TheoryData<int, int, int, int, float> Shapes
    {
        get
        {
            TheoryData<int, int, int, int, float> shapes = [];
            foreach ((int heads, int kvHeads) in new[] { (1, 1), (3, 3), (4, 2), (9, 3), (8, 1) })
            {
                foreach (int dim in new[] { 16, 24, 64, 80, 128 })
                {
                    shapes.Add(heads, kvHeads, dim, dim % 3 == 0 ? 5 : 0, dim == 64 || heads == 4 ? 5f : 0);
                }
            }

            return shapes;
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Apply_AnyShape_EqualsTheDefinition(int heads, int kvHeads, int dim, int window, float softcap)
    {
        AttentionShape shape = new(heads, kvHeads, dim, 1.3f / MathF.Sqrt(dim), softcap, window);
        (Tensor q, Tensor k, Tensor v) = Inputs(37, shape, 2);
        double[] expected = AttentionReference.Attend(q, k, v, shape);
        AttentionReference.Near(expected, Run(shape, KvFormat.F32, 2, q, k, v, 37), Float32Tolerance, "F32");
        AttentionReference.Near(expected, Run(shape, KvFormat.F16, 2, q, k, v, 37), Float16Tolerance * 2, "F16");
        AttentionReference.Near(expected, Run(shape, KvFormat.Q8_0, 2, q, k, v, 37), Q8Tolerance * 2, "Q8_0");
    }

    [Theory]
    [InlineData(0, 0f)]
    [InlineData(1, 0f)]
    [InlineData(100, 4f)]
    [InlineData(256, 0f)]
    [InlineData(300, 0f)]
    public void Apply_SeveralChunks_EqualsTheDefinition(int window, float softcap)
    {
        AttentionShape shape = new(4, 2, 24, 0.5f, softcap, window);
        (Tensor q, Tensor k, Tensor v) = Inputs(600, shape, 1);
        double[] expected = AttentionReference.Attend(q, k, v, shape);
        AttentionReference.Near(expected, Run(shape, KvFormat.F32, 2, q, k, v, 600), Float32Tolerance, "F32");
        AttentionReference.Near(expected, Run(shape, KvFormat.F16, 2, q, k, v, 600), Float16Tolerance, "F16");
        AttentionReference.Near(expected, Run(shape, KvFormat.Q8_0, 2, q, k, v, 600), Q8Tolerance, "Q8_0");
    }

    public static TheoryData<KvFormat, int> Caches
    {
        get
        {
            TheoryData<KvFormat, int> caches = [];
            foreach (KvFormat format in Enum.GetValues<KvFormat>())
            {
                caches.Add(format, 0);
                caches.Add(format, 200);
            }

            return caches;
        }
    }

    /// <summary>Splits at both sides of a chunk's end; single positions take the way by chunks where threads are many, the way by blocks where they are few.</summary>
    [Theory]
    [MemberData(nameof(Caches))]
    public void Apply_AnySplitAndThreads_GivesTheSameBits(KvFormat format, int window)
    {
        AttentionShape shape = new(6, 2, 24, 0.3f, window == 0 ? 0 : 6f, window);
        (Tensor q, Tensor k, Tensor v) = Inputs(600, shape, 3);
        float[] whole = Run(shape, format, 1, q, k, v, 600);
        (int Threads, int[] Split)[] ways =
        [
            (5, [600]), (3, [1, 599]), (2, [255, 345]), (5, [256, 344]), (1, [257, 343]), (3, [100, 155, 1, 1, 1, 200, 142]), (1, [594, 1, 2, 3]), (5, [594, 1, 2, 3]), (2, [510, 1, 1, 1, 1, 86]),
        ];
        foreach ((int threads, int[] split) in ways)
        {
            AssertBits.Equal(whole, Run(shape, format, threads, q, k, v, split), $"{threads} threads, {string.Join('+', split)}");
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 1)]
    [InlineData(8, 4)]
    public void Apply_ShortPrompts_GiveTheSameBitsForEverySplit(int heads, int kvHeads)
    {
        AttentionShape shape = new(heads, kvHeads, 16, 0.3f, 0, 7);
        (Tensor q, Tensor k, Tensor v) = Inputs(29, shape, 4);
        float[] whole = Run(shape, KvFormat.F16, 1, q, k, v, 29);
        for (int first = 0; first <= 29; first++)
        {
            AssertBits.Equal(whole, Run(shape, KvFormat.F16, 2, q, k, v, first, 29 - first), $"{first} first");
        }

        AssertBits.Equal(whole, Run(shape, KvFormat.F16, 5, q, k, v, [.. Enumerable.Repeat(1, 29)]), "one by one");
    }

    /// <summary>Sequences of unequal lengths in one batch, in two passes, beside each alone; one has nothing new, one is empty.</summary>
    [Theory]
    [InlineData(KvFormat.F16, 1)]
    [InlineData(KvFormat.F16, 3)]
    [InlineData(KvFormat.F32, 2)]
    [InlineData(KvFormat.Q8_0, 5)]
    public void Apply_SeveralSequences_AreEachAsAlone(KvFormat format, int threads)
    {
        AttentionShape shape = new(4, 2, 16, 0.4f, 0, 0);
        int[][] passes = [[3, 300, 0, 0, 1, 70], [1, 1, 0, 1, 1, 1], [2, 4, 0, 0, 1, 1]];
        int[] lengths = [.. Enumerable.Range(0, 6).Select(s => passes.Sum(pass => pass[s]))];
        (Tensor Q, Tensor K, Tensor V)[] inputs = [.. lengths.Select((length, s) => Inputs(length, shape, 10 + s))];
        KvStore[] stores = [.. lengths.Select(_ => new KvStore(2, 16, format))];
        List<float>[] results = [.. lengths.Select(_ => new List<float>())];
        using ComputeContext context = ComputeContext.Inference(threads);
        foreach (int[] pass in passes)
        {
            Tensor q = new(pass.Sum(), 64), k = new(pass.Sum(), 32), v = new(pass.Sum(), 32);
            SequenceRows[] rows = new SequenceRows[6];
            for (int s = 0, row = 0; s < 6; row += pass[s], s++)
            {
                rows[s] = new SequenceRows(row, pass[s], stores[s]);
                foreach ((Tensor from, Tensor to) in new[] { (inputs[s].Q, q), (inputs[s].K, k), (inputs[s].V, v) })
                {
                    AttentionReference.Rows(from, stores[s].Length, pass[s]).Span.CopyTo(to.Span[(row * to.Columns)..]);
                }
            }

            int mark = context.Mark();
            Tensor y = AttentionOp.Apply(context, q, k, v, rows, shape);
            for (int s = 0; s < 6; s++)
            {
                results[s].AddRange(y.Span.Slice(rows[s].FirstRow * 64, rows[s].Rows * 64));
            }

            context.ReleaseTo(mark);
        }

        for (int s = 0; s < 6; s++)
        {
            AssertBits.Equal(Run(shape, format, 1, inputs[s].Q, inputs[s].K, inputs[s].V, lengths[s]), results[s].ToArray(), $"sequence {s}");
            stores[s].Dispose();
        }
    }

    /// <summary>The rest of a page is what an earlier, longer text left there, NaNs included: none of it may be seen.</summary>
    [Theory]
    [InlineData(KvFormat.F32)]
    [InlineData(KvFormat.F16)]
    public void Apply_PagesUsedBefore_GiveTheSameBits(KvFormat format)
    {
        AttentionShape shape = new(2, 2, 16, 0.4f, 0, 0);
        (Tensor q, Tensor k, Tensor v) = Inputs(40, shape, 5);
        using ComputeContext context = ComputeContext.Inference(2);
        using KvStore store = new(2, 16, format);
        Tensor bad = new(300, 32);
        bad.Span.Fill(format == KvFormat.F32 ? float.NaN : 65504f);
        AttentionOp.Apply(context, bad, bad, bad, [new SequenceRows(0, 300, store)], shape);
        store.Clear();
        AssertBits.Equal(Run(shape, format, 1, q, k, v, 40), AttentionOp.Apply(context, q, k, v, [new SequenceRows(0, 40, store)], shape).Span, "after other text");
    }

    [Fact]
    public void Apply_TensorsOrStoresThatDoNotFit_ThrowsAndKeepsTheStore()
    {
        AttentionShape shape = new(4, 2, 16, 0.4f, 0, 0);
        (Tensor q, Tensor k, Tensor v) = Inputs(3, shape, 6);
        using ComputeContext context = ComputeContext.Inference(1);
        using KvStore store = new(2, 16), other = new(1, 16), wide = new(2, 32), windowed = new(2, 16, KvFormat.F16, 8);
        void Refused(Tensor queries, Tensor keys, AttentionShape s, params SequenceRows[] rows) =>
            Assert.Throws<ArgumentException>(() => AttentionOp.Apply(context, queries, keys, v, rows, s));
        Refused(q, k, shape, new SequenceRows(0, 2, store));
        Refused(q, k, shape, new SequenceRows(0, 4, store));
        Refused(q, k, shape, new SequenceRows(1, 2, store));
        Refused(q, k, shape, new SequenceRows(0, -1, store));
        Refused(q, k, shape, new SequenceRows(0, 2, store), new SequenceRows(1, 1, store));
        Refused(q, k, shape, new SequenceRows(0, 3, other));
        Refused(q, k, shape, new SequenceRows(0, 3, wide));
        Refused(q, k, shape, new SequenceRows(0, 3, windowed));
        Refused(q, k, shape with { Window = 9 }, new SequenceRows(0, 3, windowed));
        Refused(q, k, shape with { KvHeads = 0 }, new SequenceRows(0, 3, store));
        Refused(q, k, shape with { Heads = 3 }, new SequenceRows(0, 3, store));
        Refused(k, k, shape, new SequenceRows(0, 3, store));
        Refused(q, q, shape, new SequenceRows(0, 3, store));
        Assert.Equal(0, store.Length);
    }

    internal static (Tensor Q, Tensor K, Tensor V) Inputs(int tokens, in AttentionShape shape, int seed)
    {
        Pseudorandom random = new((ulong)seed);
        return (random.Tensor(tokens, shape.Heads * shape.HeadDim), random.Tensor(tokens, shape.KvHeads * shape.HeadDim), random.Tensor(tokens, shape.KvHeads * shape.HeadDim));
    }

    /// <summary>Attends part by part over a new store.</summary>
    internal static float[] Run(in AttentionShape shape, KvFormat format, int threads, Tensor q, Tensor k, Tensor v, params int[] split)
    {
        using ComputeContext context = ComputeContext.Inference(threads);
        using KvStore store = new(shape.KvHeads, shape.HeadDim, format, shape.Window);
        float[] y = new float[q.Length];
        int first = 0;
        foreach (int rows in split)
        {
            int mark = context.Mark();
            Tensor part = AttentionOp.Apply(
                context,
                AttentionReference.Rows(q, first, rows),
                AttentionReference.Rows(k, first, rows),
                AttentionReference.Rows(v, first, rows),
                [new SequenceRows(0, rows, store)],
                shape);
            part.Span.CopyTo(y.AsSpan(first * q.Columns));
            context.ReleaseTo(mark);
            first += rows;
        }

        Assert.Equal(q.Rows, first);
        return y;
    }
}
