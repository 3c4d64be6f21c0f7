// Generation of ids: its edges, its ends, and a chat that runs on past the context.
using Kidogo.Inference;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.TestSupport;
using Kidogo.Tests.Models;

namespace Kidogo.Tests.Inference;

public sealed class GeneratorTests : IDisposable
{
    private readonly ScriptedModel _scripted = ScriptedModel.Counting(50);
    private readonly Generator _generator;

    public GeneratorTests() => _generator = new Generator(_scripted.Model, _scripted.Context);

    public void Dispose()
    {
        _generator.Dispose();
        _scripted.Dispose();
    }

    [Fact]
    public void Prompt_Empty_IsRefusedAtOnce() => Assert.Contains("empty", Refusal([], new GeneratorOptions()), StringComparison.Ordinal);

    [Theory]
    [InlineData(-1)]
    [InlineData(50)]
    [InlineData(int.MaxValue)]
    [InlineData(int.MinValue)]
    public void Prompt_WithAnIdOutsideTheVocabulary_IsRefusedAtOnceWithItsPlace(int id)
    {
        string message = Refusal([1, 2, id], new GeneratorOptions());
        Assert.Contains($"id {id} at position 2", message, StringComparison.Ordinal);
        Assert.Contains("vocabulary of 50", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Prompt_LongerThanTheContext_IsRefusedWithBothLengths()
    {
        using CachedSequence sequence = _scripted.Sequence(8);
        ContextExceededException refusal = Assert.Throws<ContextExceededException>(() => _generator.Generate(sequence, new int[9], Greedy(), new GeneratorOptions()));
        Assert.Equal((9, 8), (refusal.PromptTokens, refusal.ContextLength));
        Assert.Empty(sequence.Tokens);
    }

    [Fact]
    public void Prompt_AsLongAsTheContext_IsFollowedByOneToken()
    {
        using CachedSequence sequence = _scripted.Sequence(8);
        Assert.Equal([8], Run(sequence, [.. Enumerable.Range(0, 8)], new GeneratorOptions()));
        Assert.Equal(FinishReason.Length, _generator.FinishReason);
        Assert.Equal(8, sequence.Tokens.Count);
    }

    [Theory]
    [InlineData(-1, 0, 0)]
    [InlineData(null, -1, 0)]
    [InlineData(null, 32, 0)] // half of the context
    [InlineData(null, int.MaxValue, 0)]
    [InlineData(null, null, -1)]
    public void Options_OutOfRange_AreRefusedAtOnce(int? maxTokens, int? sinks, int vocabularySize) =>
        Assert.Contains("expected", Refusal([1], new GeneratorOptions { MaxTokens = maxTokens, Sinks = sinks, VocabularySize = vocabularySize }), StringComparison.Ordinal);

    [Theory]
    [InlineData(0, FinishReason.Length)]
    [InlineData(1, FinishReason.Length)]
    [InlineData(5, FinishReason.Length)]
    public void MaxTokens_EndsWithLengthAfterAsMany(int count, FinishReason reason)
    {
        using CachedSequence sequence = _scripted.Sequence();
        Assert.Equal(Enumerable.Range(4, count), Run(sequence, [3], new GeneratorOptions { MaxTokens = count }));
        Assert.Equal(reason, _generator.FinishReason);
        Assert.Equal(Math.Max(0, count), sequence.Tokens.Count); // the last token is not computed, nor is a prompt that nothing follows
    }

    [Fact]
    public void Context_Full_EndsWithLength()
    {
        using CachedSequence sequence = _scripted.Sequence(10);
        Assert.Equal(Enumerable.Range(3, 8), Run(sequence, [0, 1, 2], new GeneratorOptions()));
        Assert.Equal(FinishReason.Length, _generator.FinishReason);
        Assert.Equal(Enumerable.Range(0, 10), sequence.Tokens);
    }

    [Theory]
    [InlineData(6, 2)]
    [InlineData(4, 0)] // the first token already
    public void EndToken_EndsWithStopAndIsNotYielded(int end, int count)
    {
        using CachedSequence sequence = _scripted.Sequence();
        Assert.Equal(Enumerable.Range(4, count), Run(sequence, [3], new GeneratorOptions { IsEnd = id => id == end }));
        Assert.Equal(FinishReason.Stop, _generator.FinishReason);
    }

    [Theory]
    [InlineData(10, 0)]
    [InlineData(10, 4)]
    [InlineData(11, 5)]
    [InlineData(2, 0)]
    [InlineData(1, 0)]
    public void Sinks_LetTheSequenceRunOnPastTheContext(int contextLength, int sinks)
    {
        using CachedSequence sequence = _scripted.Sequence(contextLength);
        Assert.Equal(Enumerable.Range(1, 45), Run(sequence, [0], new GeneratorOptions { Sinks = sinks, MaxTokens = 45 }));
        Assert.InRange(sequence.Tokens.Count, 1, contextLength);
        Assert.Equal(sequence.Tokens.Count, sequence.Cache.Length);
        Assert.Equal(Enumerable.Range(0, Math.Min(sinks, sequence.Tokens.Count)), sequence.Tokens.Take(sinks));
        Assert.Equal(44, sequence.Tokens[^1]);
    }

    [Fact]
    public void Cancelled_BeforeThePrompt_YieldsNothingAndCachesNothing()
    {
        using CachedSequence sequence = _scripted.Sequence();
        Assert.Empty(_generator.Generate(sequence, [1, 2], Greedy(), new GeneratorOptions(), new CancellationToken(true)));
        Assert.Equal(FinishReason.Cancelled, _generator.FinishReason);
        Assert.Empty(sequence.Tokens);
    }

    [Fact]
    public void Cancelled_WhileDecoding_EndsAfterTheTokenInHand()
    {
        using CachedSequence sequence = _scripted.Sequence();
        using CancellationTokenSource source = new();
        List<int> ids = [];
        foreach (int id in _generator.Generate(sequence, [1], Greedy(), new GeneratorOptions(), source.Token))
        {
            ids.Add(id);
            if (ids.Count == 3)
            {
                source.Cancel();
            }
        }

        Assert.Equal([2, 3, 4], ids);
        Assert.Equal(FinishReason.Cancelled, _generator.FinishReason);
        Assert.Equal([1, 2, 3], sequence.Tokens); // so the next turn can go on from here
    }

    [SharedFact]
    public void Cancelled_WithinALongPrompt_KeepsWhatIsComputedForTheNextTurn()
    {
        using ComputeContext context = ComputeContext.Inference(1);
        GoldenDecoder golden = new("llama");
        using LoadedModel loaded = ModelLoader.Load(golden.Folder, context);
        using Generator generator = new(loaded.Model, context);
        using CachedSequence sequence = new(loaded.Model, 2000);
        using CancellationTokenSource source = new();
        int[] prompt = [.. Enumerable.Range(0, 1200).Select(i => i % golden.Vocabulary)];
        List<(int, int)> progress = [];
        Sampler sampler = new(SamplerOptions.Greedy, golden.Vocabulary, 2000);
        GeneratorOptions options = new()
        {
            MaxTokens = 2,
            PromptProgress = (done, all) =>
            {
                progress.Add((done, all));
                source.Cancel();
            },
        };
        Assert.Empty(generator.Generate(sequence, prompt, sampler, options, source.Token));
        Assert.Equal([(512, 1200)], progress);
        Assert.Equal(512, sequence.Tokens.Count);
        int[] rest = [.. generator.Generate(sequence, prompt, sampler, options)];
        Assert.Equal([(512, 1200), (512, 688), (688, 688)], progress);
        sequence.Clear();
        Assert.Equal([.. generator.Generate(sequence, prompt, sampler, options)], rest);
    }

    [Fact]
    public void Progress_CountsOnlyWhatIsNotCached()
    {
        using CachedSequence sequence = _scripted.Sequence();
        Run(sequence, [1, 2, 3], new GeneratorOptions { MaxTokens = 1 });
        List<(int, int)> progress = [];
        Run(sequence, [1, 2, 3, 9, 9], new GeneratorOptions { MaxTokens = 1, PromptProgress = (done, all) => progress.Add((done, all)) });
        Assert.Equal([(2, 2)], progress);
    }

    [Fact]
    public void Vocabulary_SmallerThanTheModelsRows_KeepsTheOthersFromBeingDrawn()
    {
        using CachedSequence sequence = _scripted.Sequence();
        Assert.Equal([1, 0], Run(sequence, [0], new GeneratorOptions { MaxTokens = 2, VocabularySize = 2 })); // 2, which should follow 1, has no piece
        Assert.Equal([1, 2], Run(sequence, [0], new GeneratorOptions { MaxTokens = 2, VocabularySize = 1000 }));
    }

    [Fact]
    public void Sampler_ThatThrows_LeavesTheNextGenerationAsItWas()
    {
        using CachedSequence sequence = _scripted.Sequence();
        Sampler hopeless = new(new SamplerOptions { LogitBias = Enumerable.Range(0, 50).ToDictionary(id => id, _ => float.NegativeInfinity) }, 50, 64);
        int mark = _scripted.Context.Mark();
        Assert.Throws<NoTokenLeftException>(() => _generator.Generate(sequence, [1, 2], hopeless, new GeneratorOptions()).ToArray());
        Assert.Equal(mark, _scripted.Context.Mark());
        Assert.Equal([3, 4], Run(sequence, [1, 2], new GeneratorOptions { MaxTokens = 2 }));
    }

    [SharedTheory]
    [InlineData("mistral", 600)] // a window of 8 that has let pages of 256 go
    [InlineData("gpt2", 80)] // learned positions, as many as there are
    public void Sinks_WhereTheCacheCannotBeMoved_ComputeWhatIsKeptAgain(string name, int length)
    {
        const int Sinks = 4;
        GoldenDecoder golden = new(name);
        using ComputeContext context = ComputeContext.Inference(1);
        using LoadedModel loaded = ModelLoader.Load(golden.Folder, context);
        using Generator generator = new(loaded.Model, context);
        using CachedSequence sequence = new(loaded.Model, length);
        int[] prompt = [.. Enumerable.Range(0, length - 2).Select(i => (i * 7) % golden.Vocabulary)];
        Sampler sampler = new(SamplerOptions.Greedy, golden.Vocabulary, length);
        int[] ids = [.. generator.Generate(sequence, prompt, sampler, new GeneratorOptions { Sinks = Sinks, MaxTokens = 8 })];
        Assert.Equal(8, ids.Length);
        Assert.Equal(sequence.Tokens.Count, sequence.Cache.Length);

        // What followed the move is what follows the kept tokens in an empty cache.
        int[] all = [.. prompt, .. ids];
        int[] kept = [.. all[..Sinks], .. all[(Sinks + ((length - Sinks) / 2))..length]];
        sequence.Clear();
        int[] again = [.. generator.Generate(sequence, [.. kept, all[length]], sampler, new GeneratorOptions { MaxTokens = all.Length - length - 1 })];
        Assert.Equal(all[(length + 1)..], again);
    }

    private static Sampler Greedy() => new(SamplerOptions.Greedy, 50, ScriptedModel.ContextLength);

    private int[] Run(CachedSequence sequence, int[] prompt, GeneratorOptions options) => [.. _generator.Generate(sequence, prompt, Greedy(), options)];

    private string Refusal(int[] prompt, GeneratorOptions options)
    {
        using CachedSequence sequence = _scripted.Sequence();
        return Assert.Throws<ArgumentException>(() => _generator.Generate(sequence, prompt, Greedy(), options)).Message;
    }
}
