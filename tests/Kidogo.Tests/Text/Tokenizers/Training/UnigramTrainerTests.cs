// Unigram training: its sums against all segmentations one by one, and the laws.
using Kidogo.Text.Tokenizers;
using Kidogo.Text.Tokenizers.Training;

namespace Kidogo.Tests.Text.Tokenizers.Training;

public sealed class UnigramTrainerTests
{
    // Products of a few doubles in another order.
    private const double Rounding = 1e-12;

    [Fact]
    public void Expect_SmallLattice_EqualsTheSumOverAllSegmentations()
    {
        int[][] pieces = [[0], [1], [0, 1], [1, 0], [0, 1, 0], [1, 1]];
        double[] logs = [-1.5, -2.2, -1.1, -2.9, -3.3, -0.7];
        int[] unit = [0, 1, 0, 1, 1, 0];
        double all = 0;
        double[] expected = new double[pieces.Length];
        double best = double.NegativeInfinity;
        List<int> bestPath = [];
        foreach (List<int> path in Segmentations(unit, 0, pieces))
        {
            double log = path.Sum(piece => logs[piece]);
            all += Math.Exp(log);
            path.ForEach(piece => expected[piece] += Math.Exp(log));
            (best, bestPath) = log > best ? (log, path) : (best, bestPath);
        }

        UnigramLattice lattice = new(pieces, logs, 2);
        UnigramLattice.Workspace work = new(pieces.Length);
        lattice.Expect(unit, 3, work);
        Assert.Equal(3 * Math.Log(all), work.LogLikelihood, Rounding);
        for (int i = 0; i < pieces.Length; i++)
        {
            Assert.Equal(3 * expected[i] / all, work.Expected[i], Rounding);
        }

        lattice.CountBest(unit, 3, work);
        long[] used = new long[pieces.Length];
        bestPath.ForEach(piece => used[piece] += 3);
        Assert.Equal(used, work.Used);
    }

    [Fact]
    public void FindBest_WithoutAPiece_UsesTheOthers()
    {
        int[][] pieces = [[0], [1], [0, 1]];
        UnigramLattice lattice = new(pieces, [-1.0, -1, -0.1], 2);
        UnigramLattice.Workspace work = new(3);
        lattice.FindBest([0, 1], without: 2, work);
        Assert.Equal((1, 0), (work.Piece[2], work.Piece[work.From[2]]));
    }

    [Theory]
    [InlineData(0.5, -1.9635100260214235)]
    [InlineData(1, -0.5772156649015329)]
    [InlineData(10, 2.251752589066721)]
    [InlineData(1000, 6.907255195648812)]
    public void Digamma_KnownValues_AreMet(double x, double expected) => Assert.Equal(expected, UnigramLearner.Digamma(x), 1e-9); // the series' own error at 6 is below 1e-10

    [Fact]
    public void Find_AllStrings_AreCountedAsOneByOne()
    {
        string[] texts = TrainingTexts.Sentences(30);
        TokenizerTrainingOptions options = new() { MaxPieceCharacters = 6, CharacterCoverage = 1 };
        WordTable words = WordCounter.Count(TokenizerTrainer.Utf8(texts), new UnigramCutter(), options, null, default, out _);
        UnigramCorpus corpus = UnigramCorpus.Of(words, options);
        Dictionary<string, long> counts = [];
        for (int unit = 0; unit < corpus.UnitCount; unit++)
        {
            int start = corpus.Starts[unit], end = corpus.Starts[unit + 1];
            for (int from = start; from < end; from++)
            {
                for (int length = 2; length <= 6 && from + length <= end; length++)
                {
                    string piece = corpus.Spell(corpus.Characters.AsSpan(from, length));
                    counts[piece] = counts.GetValueOrDefault(piece) + corpus.Counts[unit];
                }
            }
        }

        Dictionary<string, long> found = SeedPieces.Find(corpus, options, default).ToDictionary(seed => corpus.Spell(seed.Characters), seed => seed.Count);
        Assert.NotEmpty(found);
        foreach ((string piece, long count) in counts)
        {
            bool isAlwaysLonger = new System.Globalization.StringInfo(piece).LengthInTextElements > 0
                && counts.Any(other => other.Key.Length > piece.Length && other.Value == count && other.Key.StartsWith(piece, StringComparison.Ordinal) && other.Key.EnumerateRunes().Count() == piece.EnumerateRunes().Count() + 1);
            Assert.Equal(count >= 2 && !isAlwaysLonger ? count : 0, found.GetValueOrDefault(piece));
        }
    }

    [Fact]
    public void Train_Rounds_RaiseTheLikelihoodWhilePiecesStay()
    {
        TrainedTokenizer trained = UnigramTrainer.Train(TrainingTexts.Sentences(2000), new TokenizerTrainingOptions { VocabularySize = 440 });
        IReadOnlyList<UnigramRound> rounds = trained.Report.Rounds;
        int compared = 0;
        for (int i = 1; i < rounds.Count; i++)
        {
            if (!rounds[i].Pruned)
            {
                compared++;
                Assert.True(rounds[i].LogLikelihood > rounds[i - 1].LogLikelihood, $"Round {i} fell from {rounds[i - 1].LogLikelihood} to {rounds[i].LogLikelihood}.");
            }
        }

        Assert.True(compared >= 2, $"Only {compared} of {rounds.Count} rounds kept their pieces.");
        Assert.Equal(440, trained.VocabularySize);
    }

    [Fact]
    public void Train_TextsInAnotherOrder_GivesTheSameFile()
    {
        string[] texts = TrainingTexts.Sentences(400);
        TokenizerTrainingOptions options = new() { VocabularySize = 450 };
        Assert.True(UnigramTrainer.Train(texts, options).TokenizerJson.Span.SequenceEqual(UnigramTrainer.Train(TrainingTexts.Shuffled(texts), options).TokenizerJson.Span));
    }

    [Fact]
    public void Train_MoreThanTheTextsSupport_SaysTheLargestPossibleAndThatWorks()
    {
        string[] texts = TrainingTexts.Sentences(100);
        TokenizerTrainingException error = Assert.Throws<TokenizerTrainingException>(() => UnigramTrainer.Train(texts, new TokenizerTrainingOptions { VocabularySize = 100_000 }));
        int most = int.Parse(error.Message.Split("at most ")[1].Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal(most, UnigramTrainer.Train(texts, new TokenizerTrainingOptions { VocabularySize = most }).VocabularySize);
        Assert.Throws<TokenizerTrainingException>(() => UnigramTrainer.Train(texts, new TokenizerTrainingOptions { VocabularySize = most + 1 }));
    }

    [Fact]
    public void Train_LessThanTheCharacters_SaysTheLeastAndThatWorks()
    {
        string[] texts = TrainingTexts.Sentences(100);
        TokenizerTrainingException error = Assert.Throws<TokenizerTrainingException>(() => UnigramTrainer.Train(texts, new TokenizerTrainingOptions { VocabularySize = 300 }));
        int least = int.Parse(error.Message.Split("at least ")[1].Split(',')[0], System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal(least, UnigramTrainer.Train(texts, new TokenizerTrainingOptions { VocabularySize = least }).VocabularySize);
    }

    [Fact]
    public void Train_CommonWords_BecomePiecesThatMixNoSorts()
    {
        string[] texts = [.. Enumerable.Repeat("ng'ombe wa 2024, ng'ombe wa 2025.", 40), .. TrainingTexts.Sentences(200)];
        Tokenizer tokenizer = UnigramTrainer.Train(texts, new TokenizerTrainingOptions { VocabularySize = 480 }).Tokenizer;
        Assert.Equal(["▁ng'ombe", "▁wa"], tokenizer.Encode(" ng'ombe wa").Select(tokenizer.Piece));
        for (int id = 5 + 256; id < tokenizer.VocabularySize; id++)
        {
            string piece = tokenizer.Piece(id);
            Assert.False(piece.Length > 1 && piece.Any(char.IsAsciiDigit), $"The piece {piece} has a digit beside something else.");
            Assert.False(piece.Any(char.IsAsciiLetter) && piece.Any(c => c is '.' or ',' or '!' or '\n'), $"The piece {piece} has letters and punctuation.");
        }
    }

    private static IEnumerable<List<int>> Segmentations(int[] unit, int from, int[][] pieces)
    {
        if (from == unit.Length)
        {
            yield return [];
        }

        for (int piece = 0; piece < pieces.Length; piece++)
        {
            if (unit.AsSpan(from).StartsWith(pieces[piece]))
            {
                foreach (List<int> rest in Segmentations(unit, from + pieces[piece].Length, pieces))
                {
                    yield return [piece, .. rest];
                }
            }
        }
    }
}
