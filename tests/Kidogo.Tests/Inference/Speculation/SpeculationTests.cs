// Guessing ahead: greedy answers to the bit, sampled ones of the same distribution, whoever guesses, however badly.
using Kidogo.Inference;
using Kidogo.Inference.Constraints;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Speculation;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.TestSupport;
using Kidogo.Tests.Models;

namespace Kidogo.Tests.Inference.Speculation;

public sealed class SpeculationTests
{
    private const double Sigmas = 5; // of a binomial count: one table in a million lies further off by chance, and seeds are fixed

    public static TheoryData<string, int> Families => new()
    {
        { "llama", 1 }, { "llama", 4 }, { "llama", 13 },
        { "mistral", 5 }, // a window of 8, beyond which pages are let go of
        { "gpt2", 5 }, // learned positions
        { "gemma2", 5 }, // every other layer with a window
    };

    [Theory]
    [InlineData(new[] { 1, 2, 3 }, new int[0])]
    [InlineData(new[] { 1, 2, 3, 9, 1, 2 }, new[] { 3, 9, 1, 2 })]
    [InlineData(new[] { 5, 1, 2, 3, 7, 1, 2, 4, 8, 1, 2 }, new[] { 4, 8, 1, 2 })] // the last of several
    [InlineData(new[] { 6, 1, 2, 3, 7, 1, 2, 4, 6, 1, 2 }, new[] { 3, 7, 1, 2 })] // three alike before two
    [InlineData(new[] { 4, 4, 4 }, new[] { 4, 4, 4, 4 })] // goes on past its own end
    [InlineData(new[] { 1 }, new int[0])]
    public void Lookup_GuessesWhatFollowedTheLastTime(int[] tokens, int[] expected)
    {
        PromptLookup lookup = new();
        lookup.Begin(tokens.AsSpan(0, tokens.Length / 2), SamplerOptions.Greedy, 0);
        foreach (int id in tokens.AsSpan(tokens.Length / 2))
        {
            lookup.Add(id);
        }

        int[] guesses = new int[4];
        Assert.Equal(expected, guesses[..lookup.Draft(guesses)]);
        Assert.Equal(expected.Length == 0 ? 0 : 1, lookup.Draft(guesses.AsSpan(0, 1)));
        lookup.Begin([], SamplerOptions.Greedy, 0);
        Assert.Equal(0, lookup.Draft(guesses));
    }

    [SharedTheory]
    [MemberData(nameof(Families))]
    public void Greedy_WhoeverGuesses_IsTheSameToTheBit(string family, int guesses)
    {
        GoldenDecoder golden = new(family);
        using ComputeContext context = ComputeContext.Inference(1);
        using LoadedModel loaded = ModelLoader.Load(golden.Folder, context);
        int length = Math.Min(loaded.Config.LongestSequence, 400);
        int[] prompt = [.. Enumerable.Range(0, Math.Min(length / 2, 270)).Select(i => i * 7 % golden.Vocabulary)]; // over a page
        GeneratorOptions plain = new() { MaxTokens = 60 };
        (int[] expected, int[] cached) = Run(loaded, context, length, prompt, SamplerOptions.Greedy, plain, out _);
        using DraftModel self = new(loaded, loaded, context, length);
        foreach ((IDrafter drafter, double least, double most) in ((IDrafter, double, double)[])[
            (new PromptLookup(), 0, 1), (new Oracle(expected, every: int.MaxValue), 1, 1), (new Oracle(expected, every: 3), 0.01, 0.99), (new Oracle([], every: 1), 0, 0.1), (self, 1, 1)])
        {
            (int[] ids, int[] after) = Run(loaded, context, length, prompt, SamplerOptions.Greedy, plain with { Drafter = drafter, Guesses = guesses }, out SpeculationCounts counts);
            Assert.Equal(expected, ids);
            Assert.Equal(cached, after); // nothing of a wrong guess stays
            Assert.True(drafter is PromptLookup || counts.Drafted > 0, "Nothing was guessed.");
            Assert.InRange(counts.Drafted == 0 ? least : (double)counts.Accepted / counts.Drafted, least, most);
        }
    }

    [SharedFact]
    public void Greedy_UpToTheContextAndPastIt_IsTheSame()
    {
        GoldenDecoder golden = new("llama");
        using ComputeContext context = ComputeContext.Inference(1);
        using LoadedModel loaded = ModelLoader.Load(golden.Folder, context);
        int[] prompt = [.. Enumerable.Range(0, 20).Select(i => i * 5 % golden.Vocabulary)];
        foreach (GeneratorOptions plain in (GeneratorOptions[])[new(), new() { Sinks = 2, MaxTokens = 60 }, new() { MaxTokens = 1 }, new() { MaxTokens = 2 }, new() { MaxTokens = 0 }])
        {
            int[] expected = Run(loaded, context, 40, prompt, SamplerOptions.Greedy, plain, out _).Ids;
            IDrafter drafter = new Oracle(expected, every: 4);
            Assert.Equal(expected, Run(loaded, context, 40, prompt, SamplerOptions.Greedy, plain with { Drafter = drafter, Guesses = 7 }, out _).Ids);
            int end = expected.Length > 10 ? expected[9] : -1;
            GeneratorOptions ends = plain with { IsEnd = id => id == end };
            int[] ended = Run(loaded, context, 40, prompt, SamplerOptions.Greedy, ends, out _).Ids;
            Assert.Equal(ended, Run(loaded, context, 40, prompt, SamplerOptions.Greedy, ends with { Drafter = drafter, Guesses = 7 }, out _).Ids);
        }
    }

    [SharedTheory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void CertainGuesses_LeaveSampledAnswersTheSameToo(int kind)
    {
        GoldenDecoder golden = new("llama");
        using ComputeContext context = ComputeContext.Inference(1);
        using LoadedModel loaded = ModelLoader.Load(golden.Folder, context);
        int[] prompt = [.. Enumerable.Range(0, 50).Select(i => i % 9)];
        SamplerOptions sampling = kind switch
        {
            0 => new SamplerOptions { Seed = 3, Temperature = 0.7, RepetitionPenalty = 1.2, DryMultiplier = 0.5 },
            1 => new SamplerOptions { Seed = 4, Temperature = 1.3, XtcProbability = 0.5, TopP = 1, TopK = 0 },
            _ => new SamplerOptions { Seed = 5, Mirostat = 2 },
        };
        GeneratorOptions plain = new() { MaxTokens = 60 };
        int[] expected = Run(loaded, context, 200, prompt, sampling, plain, out _).Ids;
        foreach (IDrafter drafter in (IDrafter[])[new PromptLookup(), new Oracle(expected, every: 3)])
        {
            Assert.Equal(expected, Run(loaded, context, 200, prompt, sampling, plain with { Drafter = drafter, Guesses = 5 }, out SpeculationCounts counts).Ids);
            Assert.True(drafter is PromptLookup || counts.Accepted > 0);
        }
    }

    [Fact]
    public void Mask_HoldsGuessesToTheForm()
    {
        using ScriptedModel scripted = new(["<|end|>", "a", "b", "c"], 1, 2, 1, 1); // would say abab for ever
        TokenGrammar grammar = new(RegexReader.Read("(abc)*"), TokenBytes.Of(scripted.Tokenizer));
        GeneratorOptions plain = new() { MaxTokens = 20 };
        int[] expected = Run(scripted.Loaded, scripted.Context, 64, [3], SamplerOptions.Greedy, plain with { Mask = new TokenConstraint(grammar) }, out _).Ids;
        Assert.Equal([1, 2, 3, 1, 2, 3], expected[..6]);
        int[] ids = Run(scripted.Loaded, scripted.Context, 64, [3], SamplerOptions.Greedy, plain with { Mask = new TokenConstraint(grammar), Drafter = new PromptLookup(), Guesses = 4 }, out SpeculationCounts counts).Ids;
        Assert.Equal(expected, ids);
        Assert.True(counts.Accepted > 10, counts.ToString());
    }

    /// <summary>Section 2.3 of the paper, over a vocabulary that is counted out: what the rule lets through has the probabilities of the sampler, whatever the guesses were drawn by.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Verify_OverAWholeVocabulary_HasTheSamplersDistribution(int kind)
    {
        const int Draws = 60_000;
        float[] logits = [1.5f, -0.5f, 0.3f, 2.1f, -2, 0.9f];
        SamplerOptions options = kind switch
        {
            0 => new SamplerOptions { Temperature = 1, TopK = 0, TopP = 1 },
            1 => new SamplerOptions { Temperature = 0.6, TopK = 4, TopP = 0.95 },
            2 => new SamplerOptions { Temperature = 1.4, TopK = 0, TopP = 1, XtcProbability = 0.4, XtcThreshold = 0.15 },
            _ => new SamplerOptions { Temperature = 1, TopK = 0, TopP = 1, LogitBias = new Dictionary<int, float> { [3] = float.NegativeInfinity } },
        };
        float[][] drafts = [[0.2f, 0.1f, 0.1f, 0.4f, 0.1f, 0.1f], [0, 0, 1, 0, 0, 0], [0.01f, 0.01f, 0.01f, 0.01f, 0.95f, 0.01f], [1f / 6, 1f / 6, 1f / 6, 1f / 6, 1f / 6, 1f / 6]];
        foreach (float[] draft in drafts)
        {
            Sampler sampler = new(options with { Seed = 17 }, logits.Length, 8);
            float[] expected = new float[logits.Length];
            sampler.Distribution(logits, expected);
            int[] counts = new int[logits.Length];
            Random random = new(5);
            int accepted = 0;
            for (int i = 0; i < Draws; i++)
            {
                int guess = Drawn(draft, random);
                int id = sampler.Verify(logits, guess, draft);
                counts[id]++;
                accepted += id == guess ? 1 : 0;
            }

            AssertCounts(expected, counts, Draws);
            double overlap = expected.Zip(draft, (p, q) => Math.Min(p, q)).Sum();
            Assert.True(options.XtcProbability > 0 || Math.Abs(accepted - (overlap * Draws)) <= Sigmas * Math.Sqrt(Draws) / 2, $"{accepted} accepted of {Draws}, expected {overlap * Draws}"); // the paper's theorem 3.5
        }
    }

    /// <summary>Whole answers: three tokens of a model with five words, guessed by a model that thinks otherwise.</summary>
    [Fact]
    public void Sampled_WithADraftModel_HasTheDistributionOfWholeAnswers()
    {
        const int Words = 5, Length = 3, Runs = 6_000;
        string[] pieces = ["a", "b", "c", "d", "e"];
        using ScriptedModel target = new(pieces, 1, 2, 3, 4, 0), small = new(pieces, 1, 2, 0, 0, 3);
        SamplerOptions sampling = new() { Temperature = 20, TopK = 0, TopP = 1 }; // the next token's logit of 32 becomes 1.6
        using DraftModel draft = new(small.Loaded, target.Loaded, target.Context, 64);
        int[] counts = new int[(int)Math.Pow(Words, Length)];
        int accepted = 0, drafted = 0;
        for (int run = 0; run < Runs; run++)
        {
            int[] ids = Run(target.Loaded, target.Context, 64, [0], sampling with { Seed = (ulong)run }, new GeneratorOptions { MaxTokens = Length, Drafter = draft, Guesses = 2 }, out SpeculationCounts made).Ids;
            counts[ids.Aggregate(0, (index, id) => (index * Words) + id)]++;
            (accepted, drafted) = (accepted + made.Accepted, drafted + made.Drafted);
        }

        double likely = Math.Exp(1.6) / (Math.Exp(1.6) + Words - 1), other = (1 - likely) / (Words - 1);
        float[] expected = new float[counts.Length];
        for (int index = 0; index < counts.Length; index++)
        {
            int[] ids = [index / (Words * Words), index / Words % Words, index % Words];
            expected[index] = (float)(Chance(0, ids[0]) * Chance(ids[0], ids[1]) * Chance(ids[1], ids[2]));
        }

        AssertCounts(expected, counts, Runs);
        Assert.InRange((double)accepted / drafted, 0.3, 0.95); // it did guess, and was wrong often

        double Chance(int before, int id) => id == (before + 1) % Words ? likely : other;
    }

    [Fact]
    public void DraftModel_OfOtherWords_IsRefused()
    {
        using ScriptedModel one = new(["a", "b"], 1, 0), two = new(["a", "c"], 1, 0), three = new(["a", "b", "c"], 1, 0, 0);
        Assert.Contains("another vocabulary", Assert.Throws<ArgumentException>(() => new DraftModel(two.Loaded, one.Loaded, one.Context, 8)).Message, StringComparison.Ordinal);
        Assert.Contains("another vocabulary", Assert.Throws<ArgumentException>(() => new DraftModel(three.Loaded, one.Loaded, one.Context, 8)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, 7)]
    [InlineData(7, 2)]
    public void DraftModel_WithOtherRowsThanWords_GuessesWords(int rows, int draftRows)
    {
        using ScriptedModel target = new(["a", "b"], [1, .. new int[rows - 1]]), small = new(["a", "b"], [1, .. new int[draftRows - 1]]);
        using DraftModel draft = new(small.Loaded, target.Loaded, target.Context, 64);
        GeneratorOptions options = new() { MaxTokens = 30, VocabularySize = 2, Drafter = draft, Guesses = 3 };
        int[] ids = Run(target.Loaded, target.Context, 64, [0], new SamplerOptions { Temperature = 20, TopK = 0, TopP = 1, Seed = 1 }, options, out SpeculationCounts counts).Ids;
        Assert.All(ids, id => Assert.InRange(id, 0, 1));
        Assert.True(counts.Accepted > 5, counts.ToString());
        using DraftModel certain = new(small.Loaded, target.Loaded, target.Context, 64, isCertain: true);
        SamplerOptions sampling = new() { Temperature = 20, Seed = 9 };
        int[] expected = Run(target.Loaded, target.Context, 64, [0], sampling, options with { Drafter = null, Guesses = null }, out _).Ids;
        Assert.Equal(expected, Run(target.Loaded, target.Context, 64, [0], sampling, options with { Drafter = certain }, out _).Ids);
    }

    [Fact]
    public void Guesses_OutOfRange_AreRefusedAtOnce()
    {
        using ScriptedModel scripted = ScriptedModel.Counting(5);
        using Generator generator = new(scripted.Model, scripted.Context);
        using CachedSequence sequence = scripted.Sequence();
        Assert.Throws<ArgumentException>(() => generator.Generate(sequence, [1], new Sampler(SamplerOptions.Greedy, 5, 8), new GeneratorOptions { Guesses = 0 }));
    }

    private static void AssertCounts(float[] expected, int[] counts, int draws)
    {
        for (int i = 0; i < expected.Length; i++)
        {
            double deviation = Math.Sqrt(draws * expected[i] * (1 - expected[i]));
            Assert.True(Math.Abs(counts[i] - (draws * expected[i])) <= (Sigmas * deviation) + 1e-9, $"{counts[i]} times {i}, expected {draws * expected[i]:0.0} ± {deviation:0.0}");
        }
    }

    private static int Drawn(float[] probabilities, Random random)
    {
        double left = random.NextDouble();
        int id = 0;
        while (id < probabilities.Length - 1 && (left -= probabilities[id]) >= 0)
        {
            id++;
        }

        return id;
    }

    private static (int[] Ids, int[] Cached) Run(LoadedModel loaded, ComputeContext context, int length, int[] prompt, SamplerOptions sampling, GeneratorOptions options, out SpeculationCounts counts)
    {
        using Generator generator = new(loaded.Model, context);
        using CachedSequence sequence = new(loaded.Model, length);
        Sampler sampler = new(sampling, loaded.Config.VocabSize, sequence.ContextLength);
        int[] ids = [.. generator.Generate(sequence, prompt, sampler, options)];
        counts = generator.Speculation;
        Assert.Equal(sequence.Tokens.Count, sequence.Cache.Length);
        return (ids, [.. sequence.Tokens]);
    }

    /// <summary>Knows the answer, and is wrong at every so manieth token.</summary>
    private sealed class Oracle(int[] answer, int every) : IDrafter
    {
        private int _at;

        public double RelativeCost => 0;

        public bool IsCertain => true;

        public void Begin(ReadOnlySpan<int> prompt, SamplerOptions sampling, ulong seed) => _at = 0;

        public void Add(int id) => _at++;

        public int Draft(Span<int> guesses)
        {
            for (int i = 0; i < guesses.Length; i++)
            {
                int right = _at + i < answer.Length ? answer[_at + i] : 0;
                guesses[i] = (_at + i) % every == every - 1 ? (right + 1) % 5 : right;
            }

            return guesses.Length;
        }

        public ReadOnlySpan<float> Distribution(int guess) => [];
    }
}
