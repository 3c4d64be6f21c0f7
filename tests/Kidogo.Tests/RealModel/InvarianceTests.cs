// What may not change a bit of the real model's results: threads, splits of the prompt, the batch, a cached prefix.
using System.Text.Json;
using Kidogo.Inference;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.TestSupport;

namespace Kidogo.Tests.RealModel;

[Collection(RealModelGroup.Name)]
public sealed class InvarianceTests(RealModels models)
{
    private const int PromptTokens = 66; // more than 64, and no whole number of 7

    // In float32 a pass over a single token decodes every weight: a tenth of a second and more. A few must do there.
    private static int NewTokens(ComputePrecision precision) => precision == ComputePrecision.Exact ? 3 : 6;

    private static int OneByOne(ComputePrecision precision) => precision == ComputePrecision.Exact ? 10 : PromptTokens;

    [SharedTheory]
    [InlineData(ComputePrecision.Fast)]
    [InlineData(ComputePrecision.Exact)]
    public void Prompt_SplitInAnyWay_GivesTheSameBits(ComputePrecision precision)
    {
        PreparedModel model = models.In(precision);
        ReadOnlySpan<int> prompt = RealModels.WikiText().AsSpan(0, PromptTokens);
        float[] expected = model.Score(prompt)[^model.Vocabulary..];
        foreach (int piece in (int[])[7, 64, PromptTokens])
        {
            Assert.Equal(expected, model.LastOfPieces(prompt, piece));
        }

        prompt = prompt[..OneByOne(precision)];
        Assert.Equal(model.Score(prompt)[^model.Vocabulary..], model.LastOfPieces(prompt, 1));
    }

    [SharedTheory]
    [InlineData(ComputePrecision.Fast)]
    [InlineData(ComputePrecision.Exact)]
    public void Threads_OneTwoOrThree_GiveTheSameBits(ComputePrecision precision)
    {
        PreparedModel model = models.In(precision);
        int newTokens = NewTokens(precision);
        int[] prompt = RealModels.WikiText()[..PromptTokens];
        float[] expected = model.Score(prompt); // with one
        using CachedSequence sequence = model.Sequence();
        int[] greedy = model.Greedy(sequence, prompt, newTokens);
        foreach (int threads in (int[])[2, 3])
        {
            using ComputeContext context = ComputeContext.Inference(threads, precision);
            Assert.Equal(expected, model.Score(prompt, context));
            sequence.Clear();
            int tokens = threads > Environment.ProcessorCount ? 2 : newTokens; // more threads than processors wait for each other at every step
            Assert.Equal(greedy[..tokens], model.Greedy(sequence, prompt, tokens, context));
        }
    }

    [SharedTheory]
    [InlineData(ComputePrecision.Fast)]
    [InlineData(ComputePrecision.Exact)]
    public void Batch_OfFourOfUnequalLength_GivesEachTheBitsItHasAlone(ComputePrecision precision)
    {
        PreparedModel model = models.In(precision);
        int v = model.Vocabulary;
        int[][] prompts = [.. RealModels.Golden("smollm2-greedy.json").GetProperty("cases").EnumerateArray().Select(test => RealModels.Ints(test.GetProperty("prompt_ids")))];
        prompts[3] = prompts[3][..5];
        Assert.Equal(4, prompts.Select(prompt => prompt.Length).Distinct().Count());

        // Alone, the first and the last of them: prompt, then greedy tokens.
        float[][][] alone = new float[prompts.Length][][];
        foreach (int i in (int[])[0, 3])
        {
            alone[i] = Continue(model, [prompts[i]]).Select(logits => logits[0]).ToArray();
        }

        float[][][] together = [.. Continue(model, prompts)];
        for (int step = 0; step <= NewTokens(precision); step++)
        {
            Assert.Equal(4, together[step].Length);
            Assert.Equal(alone[0][step], together[step][0]);
            Assert.Equal(alone[3][step], together[step][3]);
        }
    }

    [SharedTheory]
    [InlineData(ComputePrecision.Fast)]
    [InlineData(ComputePrecision.Exact)]
    public void Prefix_ThatIsCached_ChangesNoTokenAndNoBit(ComputePrecision precision)
    {
        PreparedModel model = models.In(precision);
        int newTokens = NewTokens(precision);
        JsonElement test = RealModels.Golden("smollm2-greedy.json").GetProperty("cases")[0];
        int[] prompt = RealModels.Ints(test.GetProperty("prompt_ids"));
        int[] other = [.. prompt[..20], .. RealModels.WikiText()[..15]];
        using CachedSequence sequence = model.Sequence();
        int[] first = model.Greedy(sequence, other, newTokens);
        int[] afterOther = model.Greedy(sequence, prompt, newTokens);
        Assert.Equal(prompt.Length + newTokens - 1, sequence.Tokens.Count);
        using CachedSequence fresh = model.Sequence();
        Assert.Equal(model.Greedy(fresh, prompt, newTokens), afterOther);
        Assert.NotEqual(first, afterOther);

        // A turn later: prompt and answer are cached, and the logits of what follows are those of one pass over all.
        int[] longer = [.. prompt, .. afterOther, .. other];
        int cached = sequence.Reuse(longer);
        Assert.Equal(prompt.Length + newTokens - 1, cached);
        using SequenceBatch batch = new();
        batch.Add(sequence.Cache, longer.AsSpan(cached), LogitRows.Last);
        Assert.Equal(model.LastOfPieces(longer, longer.Length), model.Run(batch, model.Context));
    }

    /// <summary>By step (the prompt, then each new token), by sequence, the logits of the last position.</summary>
    private static IEnumerable<float[][]> Continue(PreparedModel model, int[][] prompts)
    {
        KvCache[] caches = [.. prompts.Select(_ => model.Model.CreateCache(256, model.CacheFormat))];
        using SequenceBatch batch = new();
        int[][] next = prompts;
        for (int step = 0; step <= NewTokens(model.Context.Precision); step++)
        {
            batch.Clear();
            for (int i = 0; i < prompts.Length; i++)
            {
                batch.Add(caches[i], next[i], LogitRows.Last);
            }

            float[][] logits = [.. model.Run(batch, model.Context).Chunk(model.Vocabulary)];
            next = [.. logits.Select(row => new[] { Array.IndexOf(row, row.Max()) })];
            yield return logits;
        }

        foreach (KvCache cache in caches)
        {
            cache.Dispose();
        }
    }
}
