// What a store keeps, forgets, uses again and takes out. Knows no attention beyond its result.
using Kidogo.KernelTests.Ops;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.KernelTests.Caches;

public sealed class KvStoreTests
{
    private static readonly AttentionShape Shape = new(2, 1, 16, 0.4f, 0, 0);

    [Theory]
    [InlineData(1, 300)]
    [InlineData(255, 2)]
    [InlineData(256, 1)]
    [InlineData(257, 600)]
    [InlineData(0, 10)]
    public void Truncate_ThenOtherText_IsAsIfTheForgottenHadNeverBeen(int kept, int forgotten)
    {
        (Tensor q, Tensor k, Tensor v) = AttentionOpTests.Inputs(kept + 5, Shape, 1);
        (Tensor otherQ, Tensor otherK, Tensor otherV) = AttentionOpTests.Inputs(forgotten, Shape, 2);
        using ComputeContext context = ComputeContext.Inference(2);
        using KvStore store = new(1, 16), fresh = new(1, 16);
        Attend(context, store, q, k, v, 0, kept);
        Attend(context, store, otherQ, otherK, otherV, 0, forgotten);
        Assert.True(store.CanTruncate(kept));
        store.Truncate(kept);
        Assert.Equal(kept, store.Length);
        Attend(context, fresh, q, k, v, 0, kept);
        AssertBits.Equal(Attend(context, fresh, q, k, v, kept, 5), Attend(context, store, q, k, v, kept, 5), "after truncation");
    }

    [Theory]
    [InlineData(0, 0, KvFormat.F16)]
    [InlineData(255, 0, KvFormat.F32)]
    [InlineData(300, 0, KvFormat.Q8_0)]
    [InlineData(600, 0, KvFormat.F16)]
    [InlineData(690, 300, KvFormat.F16)] // the first page has left the window
    public void CopyFrom_ThenBothGoOn_DoNotDisturbEachOther(int length, int window, KvFormat format)
    {
        (Tensor q, Tensor k, Tensor v) = AttentionOpTests.Inputs(705, Shape, 1);
        (Tensor otherQ, Tensor otherK, Tensor otherV) = AttentionOpTests.Inputs(5, Shape, 2);
        AttentionShape shape = Shape with { Window = window };
        using ComputeContext context = ComputeContext.Inference(2);
        using KvStore source = new(1, 16, format, window), copy = new(1, 16, format, window), fresh = new(1, 16, format, window);
        Attend(context, source, q, k, v, 0, 700, shape);
        Attend(context, copy, otherQ, otherK, otherV, 0, 5, shape); // what was there is forgotten
        copy.CopyFrom(source, length);
        Assert.Equal(length, copy.Length);
        Attend(context, source, q, k, v, 700, 5, shape);
        Attend(context, fresh, q, k, v, 0, length, shape);
        AssertBits.Equal(Attend(context, fresh, otherQ, otherK, otherV, 0, 5, shape), Attend(context, copy, otherQ, otherK, otherV, 0, 5, shape), "after the copy");
        Assert.Equal(705, source.Length);
    }

    [Fact]
    public void CopyFrom_WhatDoesNotFit_Throws()
    {
        using ComputeContext context = ComputeContext.Inference(1);
        using KvStore source = Filled(context, 5, 0);
        using KvStore other = new(1, 16, KvFormat.Q8_0), same = new(1, 16);
        Assert.Throws<ArgumentException>(() => other.CopyFrom(source, 5));
        Assert.Throws<InvalidOperationException>(() => same.CopyFrom(source, 6));
    }

    [Fact]
    public void Truncate_OutOfRange_Throws()
    {
        using ComputeContext context = ComputeContext.Inference(1);
        using KvStore store = Filled(context, 5, 0);
        Assert.False(store.CanTruncate(6));
        Assert.False(store.CanTruncate(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => store.Truncate(6));
        Assert.Throws<ArgumentOutOfRangeException>(() => store.Truncate(-1));
        store.Truncate(5);
        Assert.Equal(5, store.Length);
    }

    /// <summary>A window of 300: at 1,100 positions page 3 is the first kept (the last row saw positions from 800 on).</summary>
    [Fact]
    public void Window_PassedPages_AreUsedAgain()
    {
        using ComputeContext context = ComputeContext.Inference(1);
        using KvStore store = new(1, 16, KvFormat.F16, 300);
        (Tensor q, Tensor k, Tensor v) = AttentionOpTests.Inputs(100, Shape, 3);
        store.Reserve(5000);
        long reserved = store.MemoryBytes;
        Assert.InRange(reserved, 1, KvStore.BytesFor(5000, 1, 16, KvFormat.F16, 300) + KvStore.BytesFor(1, 1, 16, KvFormat.F16));
        for (int i = 0; i < 11; i++)
        {
            Attend(context, store, q, k, v, 0, 100, Shape with { Window = 300 });
        }

        Assert.Equal(1100, store.Length);
        Assert.Equal(512, store.FirstKept); // the last pass began at 1,000 and saw 701 and later: page 2 starts at 512
        Assert.Equal(reserved, store.MemoryBytes);
        Assert.True(store.CanTruncate(1000));
        Assert.True(store.CanTruncate(0));
        Assert.True(store.CanTruncate(811)); // position 811 sees 512 and later
        Assert.False(store.CanTruncate(810));
        Assert.Throws<InvalidOperationException>(() => store.Truncate(810));
        store.Truncate(811);
        Assert.Equal(811, store.Length);
        store.Truncate(0);
        Assert.Equal((0, 0), (store.Length, store.FirstKept));
        Assert.Equal(reserved, store.MemoryBytes);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.NegativeInfinity)]
    public void Attend_ValueThatIsNotFinite_IsRefusedInFloat16(float bad)
    {
        using ComputeContext context = ComputeContext.Inference(1);
        using KvStore store = new(1, 16), wide = new(1, 16, KvFormat.F32);
        (Tensor q, Tensor k, Tensor v) = AttentionOpTests.Inputs(3, Shape, 1);
        v.Row(1)[7] = bad;
        Assert.Throws<DamagedWeightsException>(() => Attend(context, store, q, k, v, 0, 3));
        Attend(context, wide, q, k, v, 0, 3);
    }

    [Fact]
    public void Clear_FilledStore_KeepsItsMemoryAndAllocatesNone()
    {
        using ComputeContext context = ComputeContext.Inference(1);
        using KvStore store = Filled(context, 600, 0);
        long bytes = store.MemoryBytes;
        Assert.Equal(KvStore.BytesFor(600, 1, 16, KvFormat.F16), bytes);
        store.Clear();
        store.Reserve(768);
        Assert.Equal((0, bytes), (store.Length, store.MemoryBytes));
        store.Reserve(769);
        Assert.Equal(KvStore.BytesFor(769, 1, 16, KvFormat.F16), store.MemoryBytes);
    }

    [Fact]
    public void BytesFor_Formats_AreTheirSizes()
    {
        Assert.Equal(256 * 2 * 64 * 4, KvStore.BytesFor(1, 1, 64, KvFormat.F32));
        Assert.Equal(2 * 256 * 3 * 2 * 64 * 2, KvStore.BytesFor(257, 3, 64, KvFormat.F16));
        Assert.Equal(256 * 2 * (64 + 8), KvStore.BytesFor(256, 1, 64, KvFormat.Q8_0)); // two scales of four bytes
        Assert.Equal(0, KvStore.BytesFor(0, 1, 64, KvFormat.F16));
        Assert.Equal(2 * 256 * 2 * 64 * 2, KvStore.BytesFor(1_000_000, 1, 64, KvFormat.F16, 256));
    }

    [Theory]
    [InlineData(300, 512, 3000)]
    [InlineData(256, 512, 2048)]
    [InlineData(1, 7, 600)]
    public void BytesFor_WindowAndPass_IsNotLessThanWhatThePassesHold(int window, int passRows, int positions)
    {
        using KvStore store = new(1, 16, KvFormat.F16, window);
        long most = 0;
        for (int done = 0; done < positions; done += passRows)
        {
            store.Extend(Math.Min(passRows, positions - done));
            most = Math.Max(most, store.MemoryBytes);
        }

        Assert.InRange(KvStore.BytesFor(positions, 1, 16, KvFormat.F16, window, passRows), most, most + KvStore.BytesFor(2, 1, 16, KvFormat.F16));
    }

    /// <summary>Sinks: the first 4 positions stay, later ones move down with their keys turned back. Beside a store that was filled so.</summary>
    [Theory]
    [InlineData(KvFormat.F32, RotaryLayout.HalfSplit, 4, 100, 1e-5)]
    [InlineData(KvFormat.F16, RotaryLayout.HalfSplit, 4, 100, 2e-3)]
    [InlineData(KvFormat.F16, RotaryLayout.Interleaved, 0, 256, 2e-3)]
    [InlineData(KvFormat.F16, RotaryLayout.Interleaved, 4, 257, 2e-3)]
    [InlineData(KvFormat.F16, RotaryLayout.HalfSplit, 250, 30, 2e-3)]
    [InlineData(KvFormat.Q8_0, RotaryLayout.HalfSplit, 4, 100, 3e-2)]
    [InlineData(KvFormat.F32, RotaryLayout.HalfSplit, 4, 0, 1e-9)]
    [InlineData(KvFormat.F32, RotaryLayout.HalfSplit, 0, 300, 1e-9)]
    [InlineData(KvFormat.F32, RotaryLayout.HalfSplit, 290, 10, 1e-9)]
    public void Remove_SomePositions_IsAsAStoreFilledWithoutThem(KvFormat format, RotaryLayout layout, int first, int count, double tolerance)
    {
        const int Length = 300;
        RotaryTable rotary = new([1, 0.3, 0.01, 0.0001], 1, layout); // 8 of 16 values turned
        (Tensor q, Tensor k, Tensor v) = AttentionOpTests.Inputs(Length + 1, Shape, 7);
        using ComputeContext context = ComputeContext.Inference(1);
        using KvStore store = new(1, 16, format), fresh = new(1, 16, format);
        Attend(context, store, q, Turned(context, k, rotary, [.. Enumerable.Range(0, Length + 1)]), v, 0, Length);
        store.Remove(first, count, rotary);
        Assert.Equal(Length - count, store.Length);

        int[] left = [.. Enumerable.Range(0, Length + 1).Where(p => p < first || p >= first + count)];
        Tensor keys = RowsOp.Apply(context, k, left), values = RowsOp.Apply(context, v, left), queries = RowsOp.Apply(context, q, left);
        keys = Turned(context, keys, rotary, [.. Enumerable.Range(0, left.Length)]);
        Attend(context, fresh, queries, keys, values, 0, left.Length - 1);
        float[] expected = Attend(context, fresh, queries, keys, values, left.Length - 1, 1);
        float[] actual = Attend(context, store, queries, keys, values, left.Length - 1, 1);
        AttentionReference.Near([.. expected.Select(value => (double)value)], actual, tolerance, "after removal");
    }

    [Fact]
    public void Remove_OutOfRange_Throws()
    {
        using ComputeContext context = ComputeContext.Inference(1);
        using KvStore store = Filled(context, 10, 0);
        Assert.Throws<ArgumentOutOfRangeException>(() => store.Remove(-1, 2, null));
        Assert.Throws<ArgumentOutOfRangeException>(() => store.Remove(2, -1, null));
        Assert.Throws<ArgumentOutOfRangeException>(() => store.Remove(5, 6, null));
        store.Remove(5, 5, null);
        Assert.Equal(5, store.Length);
    }

    [Fact]
    public void Values_OutOfRangeForTheirFormat_StayFinite()
    {
        AttentionShape shape = Shape with { Scale = 1e-30f };
        foreach (KvFormat format in new[] { KvFormat.F16, KvFormat.Q8_0 })
        {
            foreach (float size in new[] { 1e30f, 1e-30f, 1e-38f, 1e-44f })
            {
                Tensor x = new Pseudorandom(8).Tensor(3, 16, size);
                Tensor q = new Pseudorandom(9).Tensor(3, 32);
                float[] y = AttentionOpTests.Run(shape, format, 1, q, x, x, 3);
                Assert.All(y, value => Assert.True(float.IsFinite(value), $"{format}, {size}: {value}"));
                Assert.All(y, value => Assert.InRange(Math.Abs(value), 0, Math.Max(size, 1e-37f)));
            }
        }
    }

    [Theory]
    [InlineData(0, 16, 0)]
    [InlineData(1, 0, 0)]
    [InlineData(1, 16, -1)]
    public void Constructor_SizesThatAreNone_Throws(int kvHeads, int headDim, int window) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new KvStore(kvHeads, headDim, KvFormat.F16, window));

    private static KvStore Filled(ComputeContext context, int length, int window)
    {
        KvStore store = new(1, 16, KvFormat.F16, window);
        (Tensor q, Tensor k, Tensor v) = AttentionOpTests.Inputs(length, Shape, 4);
        Attend(context, store, q, k, v, 0, length);
        return store;
    }

    private static Tensor Turned(ComputeContext context, Tensor k, RotaryTable rotary, int[] positions) =>
        RotaryOp.Apply(context, AttentionReference.Rows(k, 0, k.Rows), 16, rotary, positions);

    private static float[] Attend(ComputeContext context, KvStore store, Tensor q, Tensor k, Tensor v, int first, int rows, AttentionShape? shape = null) => AttentionOp.Apply(
        context,
        AttentionReference.Rows(q, first, rows),
        AttentionReference.Rows(k, first, rows),
        AttentionReference.Rows(v, first, rows),
        [new SequenceRows(0, rows, store)],
        shape ?? Shape).Span.ToArray();
}
