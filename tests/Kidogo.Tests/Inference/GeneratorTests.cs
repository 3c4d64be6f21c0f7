// Generation past a full context where the cache cannot move its positions. Knows ids alone.
using Kidogo.Inference;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.TestSupport;
using Kidogo.Tests.Models;

namespace Kidogo.Tests.Inference;

public sealed class GeneratorTests
{
    private const int Sinks = 4;

    /// <summary>gpt2 has learned positions. gemma3's window of 8 positions has let the first page of 256 go at 300 (more than it was made for, which nothing minds).</summary>
    [SharedTheory]
    [InlineData("gpt2", 24)]
    [InlineData("gemma3", 300)]
    public void Generate_FullCacheThatCannotMove_ComputesWhatIsKeptAgain(string name, int contextLength)
    {
        const int Generated = 20;
        GoldenDecoder golden = new(name);
        using ComputeContext context = ComputeContext.Inference(1);
        using LoadedModel loaded = ModelLoader.Load(golden.Folder, context);
        int[] prompt = [.. Enumerable.Range(0, contextLength - 8).Select(i => 3 + (i * 7 % 200))];
        using Generator generator = new(loaded.Model, context);
        using CachedSequence sequence = new(loaded.Model, contextLength);
        Sampler sampler = new(SamplerOptions.Greedy, loaded.Config.VocabSize, contextLength);
        GeneratorOptions options = new() { MaxTokens = Generated, Sinks = Sinks };
        int[] actual = [.. generator.Generate(sequence, prompt, sampler, options)];

        List<int> seen = [.. prompt];
        List<int> expected = [];
        while (expected.Count < Generated)
        {
            if (seen.Count > contextLength)
            {
                // The last token is not in the cache yet: of those that are, the sinks and the later half of the others stay.
                seen.RemoveRange(Sinks, (contextLength - Sinks) / 2);
            }

            using SequenceBatch batch = new();
            batch.Add(null, [.. seen], LogitRows.Last);
            float[] logits = GoldenDecoder.Run(loaded.Model, context, batch);
            expected.Add(Array.IndexOf(logits, logits.Max()));
            seen.Add(expected[^1]);
        }

        Assert.Equal(expected, actual);
        Assert.Equal(sequence.Tokens.Count, sequence.Cache.Length);
    }
}
