// What may not change a bit of the result: threads, splits of the prompt, the batch. And what may not be allocated.
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Models;

public sealed class DecoderInvarianceTests
{
    [SharedTheory]
    [MemberData(nameof(GoldenDecoder.Names), MemberType = typeof(GoldenDecoder))]
    public void Logits_AnyThreadsSplitsAndBatches_AreTheSameBits(string name)
    {
        GoldenDecoder golden = new(name);
        foreach (ComputePrecision precision in (ComputePrecision[])[ComputePrecision.Fast, ComputePrecision.Exact])
        {
            float[]? expected = null;
            for (int threads = 1; threads <= 3; threads++)
            {
                using ComputeContext context = ComputeContext.Inference(threads, precision);
                using LoadedModel loaded = ModelLoader.Load(golden.Folder, context);
                float[] alone = GoldenDecoder.Score(loaded.Model, context, golden.Sequences[1]);
                expected ??= alone;
                Assert.Equal(expected, alone);

                // Token by token with one thread only: more threads than processors wait for each other at every step.
                foreach (int piece in threads == 1 ? (int[])[1, 7, 32] : [17])
                {
                    Assert.Equal(expected, GoldenDecoder.ScoreInPieces(loaded.Model, context, golden.Sequences[1], piece));
                }

                float[] batched = GoldenDecoder.Score(loaded.Model, context, golden.Sequences[0], golden.Sequences[1], [1, 2, 3]);
                Assert.Equal(expected, batched.AsSpan(golden.Sequences[0].Length * golden.Vocabulary, expected.Length).ToArray());
            }
        }
    }

    [SharedTheory]
    [InlineData("llama")]
    [InlineData("gemma2")]
    [InlineData("gpt-neox")]
    public void Cache_CutBackAndFilledAgain_GivesTheSameBits(string name)
    {
        GoldenDecoder golden = new(name);
        using ComputeContext context = ComputeContext.Inference(2);
        using LoadedModel loaded = ModelLoader.Load(golden.Folder, context);
        using KvCache cache = loaded.Model.CreateCache();
        using SequenceBatch batch = new();
        batch.Add(cache, golden.Sequences[1], LogitRows.Last);
        float[] expected = GoldenDecoder.Run(loaded.Model, context, batch);
        cache.Truncate(20);
        batch.Clear();
        batch.Add(cache, golden.Sequences[1].AsSpan(20), LogitRows.Last);
        Assert.Equal(expected, GoldenDecoder.Run(loaded.Model, context, batch));
    }

    [SharedTheory]
    [InlineData("llama")]
    [InlineData("gemma3")]
    [InlineData("phi3")]
    [InlineData("gpt2")]
    public void Forward_InSteadyState_AllocatesNothing(string name)
    {
        GoldenDecoder golden = new(name);
        using ComputeContext context = ComputeContext.Inference(1);
        using LoadedModel loaded = ModelLoader.Load(golden.Folder, context);
        using KvCache a = loaded.Model.CreateCache();
        using KvCache b = loaded.Model.CreateCache();
        using SequenceBatch batch = new();
        int[] tokens = golden.Sequences[0];
        Step(0, 8);
        for (int i = 8; i < 12; i++)
        {
            Step(i, 1);
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 12; i < 36; i++)
        {
            Step(i, 1);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Step(int first, int count)
        {
            batch.Clear();
            batch.Add(a, tokens.AsSpan(first, count), LogitRows.Last);
            batch.Add(b, tokens.AsSpan(first, count), LogitRows.Last);
            int mark = context.Mark();
            loaded.Model.Forward(context, batch);
            context.ReleaseTo(mark);
        }
    }

    [SharedFact]
    public void Batch_WithMixedWishes_GivesTheRowsAskedFor()
    {
        GoldenDecoder golden = new("qwen2");
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(golden.Folder, context);
        using SequenceBatch batch = new();
        using KvCache cache = loaded.Model.CreateCache(format: KvFormat.F32);
        batch.Add(cache, golden.Sequences[0].AsSpan(0, 30), LogitRows.None);
        Assert.Empty(GoldenDecoder.Run(loaded.Model, context, batch));
        batch.Clear();
        batch.Add(null, golden.Sequences[1], LogitRows.Last);
        batch.Add(cache, golden.Sequences[0].AsSpan(30), LogitRows.All);
        float[] logits = GoldenDecoder.Run(loaded.Model, context, batch);
        int v = golden.Vocabulary;
        Assert.Equal(8 * v, logits.Length);
        float[] whole = GoldenDecoder.Score(loaded.Model, context, golden.Sequences);
        Assert.Equal(whole.AsSpan(100 * v).ToArray(), logits.AsSpan(0, v).ToArray());
        Assert.Equal(whole.AsSpan(30 * v, 7 * v).ToArray(), logits.AsSpan(v).ToArray());
    }

    [SharedFact]
    public void Batch_ThatTheModelCannotCompute_IsRefusedAndChangesNoCache()
    {
        using ComputeContext context = ComputeContext.Inference(1);
        using LoadedModel loaded = ModelLoader.Load(SharedFolder.PathOf("golden", "families", "gpt2"), context);
        using LoadedModel other = ModelLoader.Load(SharedFolder.PathOf("golden", "families", "llama"), context);
        using SequenceBatch batch = new();
        Assert.Throws<ArgumentException>(() => loaded.Model.Forward(context, batch));
        Assert.Throws<ArgumentException>(() => batch.Add(null, [], LogitRows.All));
        foreach (int id in (int[])[-1, 272, int.MaxValue])
        {
            batch.Clear();
            batch.Add(null, [5, id], LogitRows.All);
            ArgumentException refusal = Assert.Throws<ArgumentException>(() => loaded.Model.Forward(context, batch));
            Assert.Contains("vocabulary of 272", refusal.Message, StringComparison.Ordinal);
        }

        using KvCache cache = loaded.Model.CreateCache(10);
        batch.Clear();
        batch.Add(cache, [1, 2, 3], LogitRows.Last);
        Assert.Throws<ArgumentException>(() => batch.Add(cache, [4], LogitRows.Last));
        loaded.Model.Forward(context, batch);
        batch.Clear();
        batch.Add(cache, new int[8], LogitRows.Last);
        Assert.Contains("11 tokens", Assert.Throws<ArgumentException>(() => loaded.Model.Forward(context, batch)).Message, StringComparison.Ordinal);
        Assert.Equal(3, cache.Length);
        batch.Clear();
        batch.Add(null, new int[81], LogitRows.Last); // 80 learned positions
        Assert.Throws<ArgumentException>(() => loaded.Model.Forward(context, batch));
        batch.Clear();
        batch.Add(cache, [1], LogitRows.Last);
        Assert.Throws<ArgumentException>(() => other.Model.Forward(context, batch));
    }

    [SharedFact]
    public void Replace_WithAnotherLinear_ChangesTheSlotAndNothingElse()
    {
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        GoldenDecoder golden = new("llama");
        using LoadedModel loaded = ModelLoader.Load(golden.Folder, context);
        List<string> names = [.. loaded.Model.Slots().Select(slot => slot.Name)];
        Assert.Equal(names.Count, names.Distinct().Count());
        Assert.Contains("blk.2.ffn_down", names);
        float[] before = GoldenDecoder.Score(loaded.Model, context, golden.Sequences[0]);
        loaded.Model.Replace(slot => slot is Kidogo.Models.Layers.Linear linear ? new Watched(linear) : slot);
        Assert.Equal(before, GoldenDecoder.Score(loaded.Model, context, golden.Sequences[0]));
        Assert.All(loaded.Model.Slots().OfType<Watched>(), watched => Assert.Equal(1, watched.Calls));
        Assert.Equal((3 * 7) + 1, loaded.Model.Slots().OfType<Watched>().Count());
        Assert.Throws<ArgumentException>(() => loaded.Model.Replace(slot => loaded.Model.Slots()[0]));
    }

    private sealed class Watched(Kidogo.Models.Layers.Linear inner) : Kidogo.Models.Layers.Linear(inner.Name, inner.Weight, inner.Bias)
    {
        public int Calls { get; private set; }

        public override Tensor Forward(ComputeContext context, Tensor x)
        {
            Calls++;
            return base.Forward(context, x);
        }
    }
}
