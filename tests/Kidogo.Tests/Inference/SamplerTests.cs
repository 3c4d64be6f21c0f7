using Kidogo.Inference.Sampling;

namespace Kidogo.Tests.Inference;

public sealed class SamplerTests
{
    /// <summary>Float32 logits and weights against a float64 twin: relative errors of some 1e-7 times the number of steps.</summary>
    private const double TwinTolerance = 2e-6;

    private const int ContextLength = 256;

    private static readonly SamplerOptions Plain = new() { Temperature = 1, TopK = 0, TopP = 1, Seed = 7 };

    // ---- edges

    [Fact]
    public void Sample_VocabularyOfOne_ReturnsIt()
    {
        foreach (SamplerOptions options in EveryKind())
        {
            Sampler sampler = new(options with { DrySequenceBreakers = [], LogitBias = new Dictionary<int, float>() }, 1, ContextLength);
            sampler.AcceptPrompt([0, 0, 0, 0]);
            Assert.Equal(0, sampler.Sample([-3f]));
        }
    }

    [Fact]
    public void Sample_NaN_NamesTheIndex()
    {
        foreach (SamplerOptions options in EveryKind())
        {
            float[] logits = Random(50, 1);
            logits[37] = float.NaN;
            DamagedLogitsException error = Assert.Throws<DamagedLogitsException>(() => new Sampler(options, 50, ContextLength).Sample(logits));
            Assert.Contains("token 37 is NaN", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Sample_PositiveInfinity_NamesTheIndex()
    {
        float[] logits = [0, 1, float.PositiveInfinity];
        DamagedLogitsException error = Assert.Throws<DamagedLogitsException>(() => new Sampler(Plain, 3, ContextLength).Sample(logits));
        Assert.Contains("token 2 is positive infinity", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Sample_AllNegativeInfinity_Throws()
    {
        float[] logits = [float.NegativeInfinity, float.NegativeInfinity];
        Assert.Throws<DamagedLogitsException>(() => new Sampler(Plain, 2, ContextLength).Sample(logits));
        Assert.Throws<DamagedLogitsException>(() => new Sampler(SamplerOptions.Greedy, 2, ContextLength).Sample(logits));
        Dictionary<int, float> all = new() { [0] = float.NegativeInfinity, [1] = float.NegativeInfinity };
        NoTokenLeftException error = Assert.Throws<NoTokenLeftException>(() => new Sampler(Plain with { LogitBias = all }, 2, ContextLength).Sample([1f, 2f]));
        Assert.Contains("negative infinity", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Sample_OnlyOnePossibleToken_AlwaysReturnsIt()
    {
        float[] logits = new float[100];
        Array.Fill(logits, float.NegativeInfinity);
        logits[63] = -20;
        foreach (SamplerOptions options in EveryKind())
        {
            Assert.Equal(63, new Sampler(options, 100, ContextLength).Sample(logits));
        }
    }

    [Theory]
    [InlineData(1e-30)]
    [InlineData(1e-44)]
    [InlineData(1e-300)]
    public void Sample_NearlyZeroTemperature_TakesTheLargest(double temperature)
    {
        float[] logits = Random(1000, 3);
        int expected = Array.IndexOf(logits, logits.Max());
        Sampler sampler = new(Plain with { Temperature = temperature }, logits.Length, ContextLength);
        Assert.Equal(expected, sampler.Sample(logits));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(9)]
    [InlineData(1003)]
    public void Greedy_EqualLogits_TakesTheFirst(int vocabulary)
    {
        Sampler sampler = new(SamplerOptions.Greedy, vocabulary, ContextLength);
        float[] logits = new float[vocabulary];
        Assert.Equal(0, sampler.Sample(logits));
        logits[vocabulary / 2] = 4;
        logits[^1] = 4;
        Assert.Equal(vocabulary / 2, sampler.Sample(logits));
    }

    [Fact]
    public void Greedy_WithPenalties_TakesTheLargestAfterThem()
    {
        Sampler sampler = new(SamplerOptions.Greedy with { PresencePenalty = 2 }, 3, ContextLength);
        sampler.Accept(1);
        Assert.Equal(2, sampler.Sample([0f, 3f, 2f]));
    }

    [Fact]
    public void Sample_WrongNumberOfLogits_Throws() => Assert.Throws<ArgumentException>(() => new Sampler(Plain, 10, ContextLength).Sample(new float[9]));

    [Theory]
    [InlineData(-1)]
    [InlineData(10)]
    public void Accept_IdOutsideTheVocabulary_Throws(int id)
    {
        Sampler sampler = new(Plain, 10, ContextLength);
        Assert.Throws<ArgumentOutOfRangeException>(() => sampler.Accept(id));
        Assert.Throws<ArgumentOutOfRangeException>(() => sampler.AcceptPrompt([id]));
    }

    [Fact]
    public void Constructor_BiasOutsideTheVocabulary_Throws() =>
        Assert.Throws<ArgumentException>(() => new Sampler(Plain with { LogitBias = new Dictionary<int, float> { [10] = 1 } }, 10, ContextLength));

    // ---- laws

    [Fact]
    public void Sample_SameSeed_SameDraws()
    {
        float[] logits = Random(500, 5);
        int[] first = Draws(Plain with { Seed = 42 }, logits, 200);
        Assert.Equal(first, Draws(Plain with { Seed = 42 }, logits, 200));
        Assert.NotEqual(first, Draws(Plain with { Seed = 43 }, logits, 200));
    }

    [Fact]
    public void Sample_NoSeed_ReportsOneThatRepeatsTheDraws()
    {
        float[] logits = Random(500, 5);
        Sampler sampler = new(Plain with { Seed = null }, 500, ContextLength);
        int[] draws = [.. Enumerable.Range(0, 50).Select(_ => sampler.Sample(logits))];
        Assert.Equal(draws, Draws(Plain with { Seed = sampler.Seed }, logits, 50));
    }

    [Fact]
    public void Reset_AfterDraws_StartsAgain()
    {
        float[] logits = Random(100, 6);
        Sampler sampler = new(Plain with { Mirostat = 2, RepetitionPenalty = 1.2 }, 100, ContextLength);
        int[] first = Generate(sampler, logits, 60);
        sampler.Reset();
        Assert.Equal(first, Generate(sampler, logits, 60));
    }

    [Fact]
    public void Sample_ManyDraws_FollowTheDistribution()
    {
        foreach (SamplerOptions options in EveryKind().Where(o => o.Mirostat == 0))
        {
            const int Draws = 20_000;
            float[] logits = Random(40, 11, spread: 1.5);
            Sampler sampler = new(options, 40, ContextLength);
            sampler.AcceptPrompt([3, 4, 5, 3, 4]);
            float[] expected = new float[40];
            sampler.Distribution(logits, expected);
            int[] counts = new int[40];
            for (int i = 0; i < Draws; i++)
            {
                counts[sampler.Sample(logits)]++;
            }

            double chiSquare = 0;
            int degrees = -1;
            for (int i = 0; i < 40; i++)
            {
                Assert.True(expected[i] > 0 || counts[i] == 0, $"Token {i} was drawn and has no probability.");
                if (expected[i] * Draws >= 5)
                {
                    chiSquare += Math.Pow(counts[i] - (expected[i] * Draws), 2) / (expected[i] * Draws);
                    degrees++;
                }
            }

            // Mean d, variance 2 d: five standard deviations, and a fixed seed.
            Assert.True(chiSquare <= degrees + (5 * Math.Sqrt(2 * Math.Max(degrees, 1))), $"{options}: chi-square {chiSquare} with {degrees} degrees.");
        }
    }

    [Theory]
    [InlineData(10)]
    [InlineData(1000)]
    [InlineData(20_011)]
    public void Truncation_RandomLogits_EqualsSortedTwin(int vocabulary)
    {
        for (int seed = 0; seed < 6; seed++)
        {
            float[] logits = Random(vocabulary, seed, spread: seed % 2 == 0 ? 4 : 0.3);
            if (seed >= 4)
            {
                logits = [.. logits.Select(z => MathF.Round(z))]; // ties everywhere
            }

            double[] p = Softmax(logits);
            int[] byRank = [.. Enumerable.Range(0, vocabulary).OrderByDescending(i => logits[i]).ThenBy(i => i)];
            foreach (int k in new[] { 1, 2, 40, 1024, 1025, vocabulary - 1, vocabulary, vocabulary + 1 })
            {
                AssertKeeps(byRank.Take(k), Plain with { TopK = k }, logits, p);
            }

            foreach (double share in new[] { 0.0, 0.1, 0.5, 0.9, 0.999 })
            {
                AssertKeeps(byRank.Take(CountUntil(byRank, p, share, 1)), Plain with { TopP = share }, logits, p);
                AssertKeeps(byRank.Take(CountUntil(byRank, p, share, 5)), Plain with { TopP = share, MinKeep = 5 }, logits, p);
            }

            foreach (double share in new[] { 0.01, 0.2, 1.0 })
            {
                // A float32 logit is compared with a float64 border in both; equal values, equal answers.
                double border = logits.Max() + Math.Log(share);
                AssertKeeps(byRank.Where(i => logits[i] >= border), Plain with { MinP = share }, logits, p);
                AssertKeeps(byRank.Take(Math.Max(7, logits.Count(z => z >= border))), Plain with { MinP = share, MinKeep = 7 }, logits, p);
            }
        }
    }

    [Fact]
    public void Xtc_ProbabilityOne_KeepsTheLeastOfTheObvious()
    {
        float[] logits = [.. new[] { 0.4, 0.1, 0.3, 0.15, 0.05 }.Select(p => (float)Math.Log(p))];
        double[] p = Softmax(logits);
        AssertKeeps([1, 3, 4], Plain with { XtcProbability = 1, XtcThreshold = 0.12 }, logits, p);
        AssertKeeps([0, 1, 2, 3, 4], Plain with { XtcProbability = 1, XtcThreshold = 0.35 }, logits, p);
        AssertKeeps([0, 1, 2, 3, 4], Plain with { XtcProbability = 1, XtcThreshold = 0.12, MinKeep = 4 }, logits, p);
        AssertKeeps([0, 1, 2, 3, 4], Plain with { XtcProbability = 1, XtcThreshold = 0.51 }, logits, p);
    }

    [Fact]
    public void Penalties_RandomHistory_EqualNaiveTwin()
    {
        Random random = new(9);
        for (int round = 0; round < 60; round++)
        {
            const int Vocabulary = 30;
            float[] logits = Random(Vocabulary, round);
            SamplerOptions options = Plain with
            {
                RepetitionPenalty = 0.5 + (2 * random.NextDouble()), FrequencyPenalty = random.NextDouble() - 0.3, PresencePenalty = random.NextDouble() - 0.3,
                PenaltyLastN = random.Next(-1, 60), FrequencyCountsPrompt = round % 2 == 0,
                TopK = round % 3 == 0 ? 10 : 0, // with top-k first the set is sparse
                Order = round % 3 == 0 ? [SamplerStep.TopK, SamplerStep.Penalties] : [SamplerStep.Penalties],
            };
            int[] prompt = [.. Enumerable.Range(0, random.Next(0, 50)).Select(_ => random.Next(Vocabulary))];
            int[] generated = [.. Enumerable.Range(0, random.Next(0, 50)).Select(_ => random.Next(Vocabulary))];
            Sampler sampler = new(options, Vocabulary, contextLength: 40);
            sampler.AcceptPrompt(prompt);
            foreach (int id in generated)
            {
                sampler.Accept(id);
            }

            int window = options.PenaltyLastN < 0 ? 40 : Math.Min(40, options.PenaltyLastN);
            (int Id, bool IsPrompt)[] history = [.. prompt.Select(i => (i, true)).Concat(generated.Select(i => (i, false))).TakeLast(window)];
            double[] twin = [.. logits.Select(z => (double)z)];
            foreach (int id in history.Select(h => h.Id).Distinct())
            {
                int count = history.Count(h => h.Id == id && (options.FrequencyCountsPrompt || !h.IsPrompt));
                twin[id] = (twin[id] <= 0 ? twin[id] * options.RepetitionPenalty : twin[id] / options.RepetitionPenalty)
                    - (count * options.FrequencyPenalty) - (count > 0 ? options.PresencePenalty : 0);
            }

            if (options.TopK > 0)
            {
                foreach (int id in Enumerable.Range(0, Vocabulary).OrderByDescending(i => logits[i]).Skip(options.TopK))
                {
                    twin[id] = double.NegativeInfinity;
                }
            }

            AssertDistribution(Softmax(twin), sampler, logits);
        }
    }

    [Fact]
    public void Dry_RandomHistory_EqualsNaiveTwin()
    {
        Random random = new(10);
        int punishedRounds = 0;
        for (int round = 0; round < 300; round++)
        {
            const int Vocabulary = 6; // few tokens, so that much repeats
            float[] logits = Random(Vocabulary, round);
            SamplerOptions options = Plain with
            {
                DryMultiplier = 0.8, DryBase = 1.2, DryAllowedLength = random.Next(0, 5), DryPenaltyLastN = random.Next(-1, 40),
                DrySequenceBreakers = (round % 4) switch { 0 => [], 1 => [[4]], 2 => [[4, 5]], _ => [[4], [4, 5], [3, 2, 1]] },
            };
            int[] ids = [.. Enumerable.Range(0, random.Next(0, 40)).Select(_ => random.Next(Vocabulary))];
            Sampler sampler = new(options, Vocabulary, ContextLength);
            sampler.AcceptPrompt(ids);
            int[] window = options.DryPenaltyLastN < 0 ? ids : [.. ids.TakeLast(options.DryPenaltyLastN)];
            double[] twin = [.. logits.Select(z => (double)z)];
            foreach ((int id, int n) in DryTwin(window, options))
            {
                twin[id] -= 0.8 * Math.Pow(1.2, n - options.DryAllowedLength);
                punishedRounds++;
            }

            AssertDistribution(Softmax(twin), sampler, logits);
        }

        Assert.True(punishedRounds > 200, $"Only {punishedRounds} penalties in all rounds: the test has lost its teeth.");
    }

    [Fact]
    public void Dry_HugeRepetition_StaysFinite()
    {
        Sampler sampler = new(Plain with { DryMultiplier = 100, DryBase = 100 }, 4, contextLength: 5000);
        sampler.AcceptPrompt(new int[5000]);
        float[] probabilities = new float[4];
        sampler.Distribution([5f, 1f, 1f, 1f], probabilities);
        Assert.Equal(0, probabilities[0]);
        Assert.Equal(1.0 / 3, probabilities[1], TwinTolerance);
    }

    [Fact]
    public void PrefixLengths_RandomText_EqualsNaive()
    {
        Random random = new(3);
        for (int round = 0; round < 200; round++)
        {
            int[] text = [.. Enumerable.Range(0, random.Next(1, 60)).Select(_ => random.Next(2))];
            int[] lengths = new int[text.Length];
            DryPenalty.PrefixLengths(text, lengths);
            for (int i = 1; i < text.Length; i++)
            {
                int naive = 0;
                while (i + naive < text.Length && text[naive] == text[i + naive])
                {
                    naive++;
                }

                Assert.Equal(naive, lengths[i]);
            }
        }
    }

    [Fact]
    public void Mirostat2_LongRun_AveragesTheTargetSurprise()
    {
        // A fixed distribution of 7 bits of entropy: mirostat has to pull the mean surprise down to 3 bits.
        float[] logits = Random(300, 8, spread: 1);
        Sampler sampler = new(Plain with { Mirostat = 2, MirostatTau = 3, MirostatEta = 0.1 }, 300, ContextLength);
        float[] p = new float[300];
        double surprise = 0;
        for (int i = 0; i < 2000; i++)
        {
            sampler.Distribution(logits, p);
            surprise -= Math.Log2(p[sampler.Sample(logits)]);
        }

        Assert.Equal(3, surprise / 2000, 0.1); // 2000 draws of about 1 bit's spread: 0.02, four times over
    }

    [Fact]
    public void Sample_SteadyState_AllocatesNothing()
    {
        float[] logits = Random(5000, 12);
        foreach (SamplerOptions options in EveryKind())
        {
            Sampler sampler = new(options, logits.Length, ContextLength);
            Generate(sampler, logits, 50);
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 100; i++)
            {
                sampler.Accept(sampler.Sample(logits));
            }

            Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        }
    }

    private static List<SamplerOptions> EveryKind() =>
    [
        new SamplerOptions { Seed = 1 },
        SamplerOptions.Greedy,
        Plain,
        Plain with { TopK = 2000 },
        Plain with { TopP = 0.7, Temperature = 1.7, Order = [SamplerStep.Temperature, SamplerStep.TopP] },
        Plain with { MinP = 0.1, TypicalP = 0.9, TopNSigma = 2 },
        Plain with { XtcProbability = 0.4, XtcThreshold = 0.08 },
        Plain with { RepetitionPenalty = 1.3, FrequencyPenalty = 0.2, PresencePenalty = 0.1, DryMultiplier = 0.8, DrySequenceBreakers = [[2], [3, 1]] },
        Plain with { Temperature = 1, DynamicTemperatureRange = 0.5, LogitBias = new Dictionary<int, float> { [3] = 1, [7] = float.NegativeInfinity } },
        Plain with { Mirostat = 1 },
        Plain with { Mirostat = 2 },
    ];

    private static float[] Random(int count, int seed, double spread = 3)
    {
        Xoshiro256 random = new((ulong)seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(spread * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(Math.Tau * random.NextDouble())))];
    }

    private static int[] Draws(SamplerOptions options, float[] logits, int count)
    {
        Sampler sampler = new(options, logits.Length, ContextLength);
        return [.. Enumerable.Range(0, count).Select(_ => sampler.Sample(logits))];
    }

    private static int[] Generate(Sampler sampler, float[] logits, int count)
    {
        int[] ids = new int[count];
        for (int i = 0; i < count; i++)
        {
            ids[i] = sampler.Sample(logits);
            sampler.Accept(ids[i]);
        }

        return ids;
    }

    private static double[] Softmax(IEnumerable<float> logits) => Softmax([.. logits.Select(z => (double)z)]);

    private static double[] Softmax(double[] logits)
    {
        double max = logits.Max();
        double sum = logits.Sum(z => Math.Exp(z - max));
        return [.. logits.Select(z => Math.Exp(z - max) / sum)];
    }

    private static int CountUntil(int[] byRank, double[] p, double share, int minimum)
    {
        double sum = 0;
        int count = 0;
        while (count < byRank.Length && (count < minimum || sum < share - 1e-12))
        {
            sum += p[byRank[count++]];
        }

        return count;
    }

    /// <summary>At a border where the sum is within float32 rounding of the share, one token more or less is right too: the tests' seeds do not come there.</summary>
    private static void AssertKeeps(IEnumerable<int> expected, SamplerOptions options, float[] logits, double[] p)
    {
        HashSet<int> kept = [.. expected];
        double sum = kept.Sum(i => p[i]);
        double[] twin = [.. p.Select((value, i) => kept.Contains(i) ? value / sum : 0)];
        AssertDistribution(twin, new Sampler(options, logits.Length, ContextLength), logits);
    }

    private static void AssertDistribution(double[] expected, Sampler sampler, float[] logits)
    {
        float[] actual = new float[logits.Length];
        sampler.Distribution(logits, actual);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.True(Math.Abs(expected[i] - actual[i]) <= TwinTolerance && (expected[i] == 0) == (actual[i] == 0),
                $"Token {i} of {expected.Length} has {actual[i]:g9}, expected {expected[i]:g9}.");
        }
    }

    private static Dictionary<int, int> DryTwin(int[] window, SamplerOptions options)
    {
        Dictionary<int, int> longest = [];
        if (window.Length <= options.DryAllowedLength)
        {
            return longest;
        }

        // The last place where a breaker begins bounds n by what follows the longest breaker that begins there.
        int limit = window.Length;
        for (int start = window.Length - 1; start >= 0 && limit == window.Length; start--)
        {
            int length = options.DrySequenceBreakers.Where(b => window.Skip(start).Take(b.Count).SequenceEqual(b)).Select(b => b.Count).DefaultIfEmpty(0).Max();
            limit = length > 0 ? window.Length - start - length : limit;
        }

        for (int end = 0; end < window.Length - 1; end++)
        {
            int n = 0;
            while (n <= end && window[end - n] == window[^(n + 1)])
            {
                n++;
            }

            n = Math.Min(n, limit);
            int next = window[end + 1];
            if (n >= options.DryAllowedLength && limit >= options.DryAllowedLength && !options.DrySequenceBreakers.Any(b => b.Count == 1 && b[0] == next))
            {
                longest[next] = Math.Max(longest.GetValueOrDefault(next), n);
            }
        }

        return longest;
    }
}
