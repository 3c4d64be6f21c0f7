// Generation with the real model: the 8-bit cache, a chat past its context, and what is allocated.
using System.Text.Json;
using Kidogo.Evaluation;
using Kidogo.Inference;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Tensors;
using Kidogo.TestSupport;

namespace Kidogo.Tests.RealModel;

[Collection(RealModelGroup.Name)]
public sealed class GenerationTests(RealModels models)
{
    /// <summary>KL in nats of the last logits with an 8-bit cache from those with a float32 cache, weights and activations alike: a little less than what 8-bit activations cost (0.002 to 0.006).</summary>
    private const double EightBitCacheDivergence = 0.002;

    [SharedTheory]
    [InlineData("news")]
    [InlineData("chat")]
    [InlineData("code")]
    public void Cache_InEightBits_StaysNear(string name)
    {
        int[] ids = RealModels.Ints(RealModels.Text(name).GetProperty("ids"));
        Divergence divergence = new();
        divergence.Add(models.Exact.LastOfPieces(ids, ids.Length, KvFormat.F32), models.Exact.LastOfPieces(ids, ids.Length, KvFormat.Q8_0));
        Assert.InRange(divergence.Report().MeanKl, double.Epsilon, EightBitCacheDivergence);
    }

    [SharedFact]
    public void Chat_WithSinks_RunsOnPastItsContextAndWithoutEndsThere()
    {
        const int ContextTokens = 64;
        const int Sinks = 4;
        JsonElement test = RealModels.Golden("smollm2-greedy.json").GetProperty("cases")[0];
        int[] prompt = RealModels.Ints(test.GetProperty("prompt_ids"));
        using Generator generator = new(models.Fast.Model, models.Fast.Context);
        using CachedSequence sequence = models.Fast.Sequence(ContextTokens);
        Sampler sampler = new(SamplerOptions.Greedy, models.Fast.Vocabulary, ContextTokens);
        int[] cut = [.. generator.Generate(sequence, prompt, sampler, new GeneratorOptions())];
        Assert.Equal(ContextTokens - prompt.Length + 1, cut.Length);
        Assert.Equal(FinishReason.Length, generator.FinishReason);

        int wanted = cut.Length + 60; // room is made more than once
        int[] on = [.. generator.Generate(sequence, prompt, sampler, new GeneratorOptions { Sinks = Sinks, MaxTokens = wanted })];
        Assert.Equal(wanted, on.Length);
        Assert.Equal(cut, on[..cut.Length]);
        Assert.Equal(prompt[..Sinks], sequence.Tokens.Take(Sinks));
        Assert.InRange(sequence.Tokens.Count, 1, ContextTokens);

        // It goes on with sense: the tokens after the first move are likely ones by the text that was kept, not noise.
        int[] text = [.. prompt, .. on];
        int moved = ContextTokens;
        float[] logits = models.Fast.Score(text.AsSpan(0, moved + 30));
        int v = models.Fast.Vocabulary;
        double nll = Enumerable.Range(moved, 29).Average(i => -TokenProbabilities.LogProbability(logits.AsSpan(i * v, v), text[i + 1]));
        Assert.InRange(nll, 0, MostNatsOfSense);
    }

    [SharedFact]
    public void Decoding_InSteadyState_AllocatesNothing()
    {
        int[] prompt = RealModels.WikiText()[..16];
        using ComputeContext context = ComputeContext.Inference(2);
        using Generator generator = new(models.Fast.Model, context);
        using CachedSequence sequence = models.Fast.Sequence();
        Sampler sampler = new(new SamplerOptions { Seed = 1 }, models.Fast.Vocabulary, sequence.ContextLength);
        using IEnumerator<int> ids = generator.Generate(sequence, prompt, sampler, new GeneratorOptions()).GetEnumerator();
        for (int i = 0; i < 10; i++)
        {
            Assert.True(ids.MoveNext());
        }

        // The least of several stretches: the runtime and the test runner allocate now and then on their own account, on this thread and on others.
        const int Stretches = 4, Stretch = 10;
        long own = long.MaxValue, all = long.MaxValue;
        for (int stretch = 0; stretch < Stretches; stretch++)
        {
            long ownBefore = GC.GetAllocatedBytesForCurrentThread();
            long allBefore = GC.GetTotalAllocatedBytes(precise: true);
            for (int i = 0; i < Stretch; i++)
            {
                ids.MoveNext();
            }

            all = Math.Min(all, GC.GetTotalAllocatedBytes(precise: true) - allBefore);
            own = Math.Min(own, GC.GetAllocatedBytesForCurrentThread() - ownBefore);
        }

        Assert.Equal(0, own);
        Assert.InRange(all, 0, (Stretch * SmallestObject) - 1); // so no token allocates, on any thread
        Assert.InRange(sequence.Tokens.Count, 50, 255); // within the first page of the cache: every 256 positions take one more
    }

    private const int SmallestObject = 24; // bytes of an object without fields

    private const double MostNatsOfSense = 3.5; // text of this kind has 3.2 by the model; noise over 49,152 tokens has 10.8
}
