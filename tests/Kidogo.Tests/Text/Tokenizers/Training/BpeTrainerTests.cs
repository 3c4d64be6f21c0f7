// Byte-pair training: a table worked by hand, a slow twin, and the laws.
using System.Text;
using System.Text.Json;
using Kidogo.Text.Tokenizers;
using Kidogo.Text.Tokenizers.Training;

namespace Kidogo.Tests.Text.Tokenizers.Training;

public sealed class BpeTrainerTests
{
    // The words of Sennrich et al. 2016, algorithm 1, each a text of its own.
    private static readonly string[] s_paper =
        [.. Enumerable.Repeat("low", 5), .. Enumerable.Repeat("lower", 2), .. Enumerable.Repeat("newest", 6), .. Enumerable.Repeat("widest", 3)];

    // Worked by hand. Counts: es 9 = st 9, and e is before s; est 9; lo 7 = ow 7; low 7; ew 6 = ne 6 = w-est 6; n-ew 6 = ew-est 6, and bytes are before what was merged; new-est 6;
    // d-est 3 = id 3 = wi 3; i-dest 3 = wi 3; w-idest 3; er 2 = low-e 2; low-er 2. Then every word is one piece.
    private static readonly string[] s_worked = ["e s", "es t", "l o", "lo w", "e w", "n ew", "new est", "d est", "i dest", "w idest", "e r", "low er"];

    [Fact]
    public void Train_ThePapersWords_MergesAsWorkedByHand()
    {
        for (int merges = 0; merges <= s_worked.Length; merges++)
        {
            TrainedTokenizer trained = BpeTrainer.Train(s_paper, new TokenizerTrainingOptions { VocabularySize = 260 + merges });
            Assert.Equal(s_worked[..merges], MergesOf(trained));
            Assert.Equal(260 + merges, trained.VocabularySize);
        }
    }

    [Fact]
    public void Train_MoreThanTheTextsSupport_SaysTheLargestPossible()
    {
        TokenizerTrainingException error = Assert.Throws<TokenizerTrainingException>(() => BpeTrainer.Train(s_paper, new TokenizerTrainingOptions { VocabularySize = 300 }));
        Assert.Contains("at most 272", error.Message);
        Assert.Contains("300", error.Message);
        Assert.Equal(272, BpeTrainer.Train(s_paper, new TokenizerTrainingOptions { VocabularySize = 272 }).VocabularySize);
    }

    [Fact]
    public void Train_LessThanBytesAndSpecialTokens_SaysTheLeast()
    {
        TokenizerTrainingException error = Assert.Throws<TokenizerTrainingException>(() => BpeTrainer.Train(s_paper, new TokenizerTrainingOptions { VocabularySize = 259 }));
        Assert.Contains("at least 260", error.Message);
    }

    [Theory]
    [InlineData(1, 20)]
    [InlineData(2, 30)]
    [InlineData(3, 30)]
    [InlineData(4, 30)]
    public void Train_RandomWordsOfFewLetters_EqualsTheSlowTwin(int seed, int entries)
    {
        // Few letters make runs (aaaa), ties, and pieces that two different pairs make.
        Random random = new(seed);
        string[] words = [.. Enumerable.Range(0, 90).Select(_ => string.Concat(Enumerable.Range(0, random.Next(1, 12)).Select(_ => (char)('a' + random.Next(seed + 1)))))];
        TokenizerTrainingOptions options = new() { VocabularySize = 256 + entries, SpecialTokens = [] };
        Assert.Equal(Naive(words, entries, options.MinFrequency), MergesOf(BpeTrainer.Train(words, options)));
    }

    [Fact]
    public void Train_TextsInAnotherOrder_GivesTheSameFile()
    {
        string[] texts = TrainingTexts.Sentences(400);
        TokenizerTrainingOptions options = new() { VocabularySize = 500 };
        Assert.True(BpeTrainer.Train(texts, options).TokenizerJson.Span.SequenceEqual(BpeTrainer.Train(TrainingTexts.Shuffled(texts), options).TokenizerJson.Span));
    }

    [Theory]
    [InlineData(TokenizerKind.Bpe, 8_000_000)]
    [InlineData(TokenizerKind.Bpe, 60)]
    [InlineData(TokenizerKind.Unigram, 8_000_000)]
    [InlineData(TokenizerKind.Unigram, 60)]
    public void Train_AnyNumberOfThreads_GivesTheSameFile(TokenizerKind kind, int maxWords)
    {
        // With room for 60 words the rarest are dropped again and again: that, too, must not depend on threads.
        TokenizerTrainingOptions options = new() { VocabularySize = kind == TokenizerKind.Bpe ? 300 : 430, BlockBytes = 2000, MaxDistinctWords = maxWords };
        byte[][] files = [.. new[] { 1, 2, 7 }.Select(threads => Train(kind, TrainingTexts.Sentences(300), options with { Threads = threads }).TokenizerJson.ToArray())];
        Assert.Equal(files[0], files[1]);
        Assert.Equal(files[0], files[2]);
    }

    [Fact]
    public void Train_StringsAndUtf8_GiveTheSameFile()
    {
        string[] texts = TrainingTexts.Sentences(100);
        TokenizerTrainingOptions options = new() { VocabularySize = 400 };
        TrainedTokenizer fromBytes = BpeTrainer.Train(texts.Select(text => (ReadOnlyMemory<byte>)Encoding.UTF8.GetBytes(text)), options);
        Assert.Equal(BpeTrainer.Train(texts, options).TokenizerJson.ToArray(), fromBytes.TokenizerJson.ToArray());
    }

    [Fact]
    public void Train_MarksAndApostrophes_StayInTheirWords()
    {
        // ẹ̀ is three code points; a pattern without marks would cut the word between them. Digits stand alone.
        // 10, 2 and 4 merges make the three words.
        string[] texts = [.. Enumerable.Repeat("ẹ̀kọ́ ng'ombe 2024", 50)];
        Tokenizer tokenizer = BpeTrainer.Train(texts, new TokenizerTrainingOptions { VocabularySize = 276 }).Tokenizer;
        Assert.Equal(["ẹ̀kọ́", " ng", "'ombe", " ", "2", "0", "2", "4"], tokenizer.Encode("ẹ̀kọ́ ng'ombe 2024").Select(tokenizer.TokenText));
    }

    private static TrainedTokenizer Train(TokenizerKind kind, string[] texts, TokenizerTrainingOptions options) =>
        kind == TokenizerKind.Bpe ? BpeTrainer.Train(texts, options) : UnigramTrainer.Train(texts, options);

    private static string[] MergesOf(TrainedTokenizer trained)
    {
        using JsonDocument file = JsonDocument.Parse(trained.TokenizerJson);
        return [.. file.RootElement.GetProperty("model").GetProperty("merges").EnumerateArray().Select(merge => merge.GetString()!)];
    }

    // Counts everything anew for each merge. Words of ASCII letters only, whose ids are in the order of the letters.
    private static List<string> Naive(string[] words, int entries, int least)
    {
        List<List<string>> split = [.. words.Select(word => word.Select(c => c.ToString()).ToList())];
        List<string> pieces = [.. Enumerable.Range('a', 26).Select(c => ((char)c).ToString())];
        List<string> merges = [];
        while (pieces.Count < 26 + entries)
        {
            Dictionary<(int Left, int Right), int> counts = [];
            foreach (List<string> word in split)
            {
                for (int i = 0; i + 1 < word.Count; i++)
                {
                    (int, int) pair = (pieces.IndexOf(word[i]), pieces.IndexOf(word[i + 1]));
                    counts[pair] = counts.GetValueOrDefault(pair) + 1;
                }
            }

            (int left, int right) = counts.Where(entry => entry.Value >= least).OrderByDescending(entry => entry.Value).ThenBy(entry => entry.Key.Left).ThenBy(entry => entry.Key.Right).First().Key;
            string merged = pieces[left] + pieces[right];
            merges.Add($"{pieces[left]} {pieces[right]}");
            foreach (List<string> word in split)
            {
                for (int i = 0; i + 1 < word.Count; i++)
                {
                    if (word[i] == pieces[left] && word[i + 1] == pieces[right])
                    {
                        word[i] = merged;
                        word.RemoveAt(i + 1);
                    }
                }
            }

            if (!pieces.Contains(merged))
            {
                pieces.Add(merged);
            }
        }

        return merges;
    }
}
