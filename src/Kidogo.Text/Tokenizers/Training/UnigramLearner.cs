// Expectation maximisation and pruning of the unigram model. Knows no texts and no file format.
namespace Kidogo.Text.Tokenizers.Training;

/// <summary>Learns the probabilities of pieces and throws out the least useful, until as many are left as were wanted.</summary>
internal sealed class UnigramLearner
{
    private const int Portions = 32; // of the corpus; fixed, so that sums do not depend on threads
    private const int StepsARound = 2;
    private const double Shrink = 0.75; // of the pieces are left after a pruning
    private const double Surplus = 1.1; // over what is wanted, to choose the last ones by their probability
    private const double LeastExpected = 0.5; // occurrences below which a piece goes
    private const int SeedsAnEntry = 16;
    private const int LeastSeeds = 50_000;
    private const int MostSeeds = 1_000_000;

    private readonly UnigramCorpus _corpus;
    private readonly int _wanted;
    private readonly int _threads;
    private readonly int[] _portionStarts = new int[Portions + 1];
    private readonly List<UnigramRound> _rounds = [];
    private List<int[]> _pieces = []; // the alphabet's first, in its order; those are never thrown out
    private double[] _logs;
    private bool _pruned = true;

    /// <param name="corpus">The counted units.</param>
    /// <param name="seeds">Pieces of several characters to begin with, the most promising first.</param>
    /// <param name="wanted">Pieces to end with, those of the alphabet included.</param>
    /// <param name="threads">Threads to compute with.</param>
    public UnigramLearner(UnigramCorpus corpus, List<(int[] Characters, long Count)> seeds, int wanted, int threads)
    {
        _corpus = corpus;
        _wanted = wanted;
        _threads = threads;
        int kept = (int)Math.Clamp((long)wanted * SeedsAnEntry, LeastSeeds, Math.Max(MostSeeds, wanted));
        kept = Math.Min(seeds.Count, kept);
        double[] counts = new double[corpus.Alphabet.Length + kept];
        for (int i = 0; i < corpus.Alphabet.Length; i++)
        {
            _pieces.Add([i]);
        }

        for (int unit = 0; unit < corpus.UnitCount; unit++)
        {
            foreach (int character in Unit(unit))
            {
                counts[character] += corpus.Counts[unit];
            }
        }

        for (int i = 0; i < kept; i++)
        {
            _pieces.Add(seeds[i].Characters);
            counts[corpus.Alphabet.Length + i] = (double)seeds[i].Count * seeds[i].Characters.Length;
        }

        double all = counts.Sum();
        _logs = Array.ConvertAll(counts, count => Math.Log(Math.Max(count, LeastExpected) / all));
        CutPortions();
    }

    /// <summary>What every step found.</summary>
    public IReadOnlyList<UnigramRound> Rounds => _rounds;

    public void Run(IProgress<TokenizerTrainingProgress>? progress, CancellationToken cancellation)
    {
        int surplus = (int)(_wanted * Surplus);
        int total = 1 + StepsARound, done = 0;
        for (double left = _pieces.Count; left > surplus; left *= Shrink)
        {
            total += StepsARound + 1;
        }

        void Report()
        {
            cancellation.ThrowIfCancellationRequested();
            done = Math.Min(done + 1, total);
            progress?.Report(new TokenizerTrainingProgress(TokenizerTrainingStage.Pruning, done, total));
        }

        while (true)
        {
            for (int step = 0; step < StepsARound; step++)
            {
                Step(mayDrop: true, cancellation);
                Report();
            }

            if (_pieces.Count <= Math.Max(surplus, _wanted))
            {
                break;
            }

            Prune(Math.Max(surplus, (int)(_pieces.Count * Shrink)), cancellation);
            Report();
        }

        KeepLikeliest();
        Step(mayDrop: false, cancellation);
        Report();
    }

    /// <summary>The pieces, the likeliest first.</summary>
    public List<ScoredPiece> Result()
    {
        List<ScoredPiece> result = [.. _pieces.Select((piece, i) => new ScoredPiece(_corpus.Spell(piece), (float)_logs[i]))];
        result.Sort(static (x, y) => x.Score != y.Score ? y.Score.CompareTo(x.Score) : string.CompareOrdinal(x.Text, y.Text));
        return result;
    }

    /// <summary>The derivative of the logarithm of the gamma function, for x above 0: by recurrence up to 6, then by its asymptotic series (Abramowitz and
    /// Stegun 6.3.5, 6.3.18).</summary>
    internal static double Digamma(double x)
    {
        double result = 0;
        for (; x < 6; x++)
        {
            result -= 1 / x;
        }

        double inverse = 1 / (x * x);
        return result + Math.Log(x) - (0.5 / x) - (inverse * ((1.0 / 12) - (inverse * ((1.0 / 120) - (inverse * ((1.0 / 252) - (inverse / 240)))))));
    }

    private ReadOnlySpan<int> Unit(int unit) => _corpus.Characters.AsSpan(_corpus.Starts[unit], _corpus.Starts[unit + 1] - _corpus.Starts[unit]);

    private void CutPortions()
    {
        int unit = 0;
        for (int portion = 1; portion <= Portions; portion++)
        {
            long until = (long)_corpus.Characters.Length * portion / Portions;
            while (unit < _corpus.UnitCount && _corpus.Starts[unit + 1] <= until)
            {
                unit++;
            }

            _portionStarts[portion] = unit;
        }
    }

    private UnigramLattice.Workspace[] OverPortions(Action<int, UnigramLattice.Workspace> ofUnit, CancellationToken cancellation)
    {
        UnigramLattice.Workspace[] works = new UnigramLattice.Workspace[Portions];
        Parallel.For(0, Portions, new ParallelOptions { MaxDegreeOfParallelism = _threads, CancellationToken = cancellation }, portion =>
        {
            UnigramLattice.Workspace work = works[portion] = new UnigramLattice.Workspace(_pieces.Count);
            for (int unit = _portionStarts[portion]; unit < _portionStarts[portion + 1]; unit++)
            {
                ofUnit(unit, work);
            }
        });
        return works;
    }

    // One step of expectation maximisation. Pieces that are hardly expected go, but never more than leaves as many as are wanted.
    private void Step(bool mayDrop, CancellationToken cancellation)
    {
        UnigramLattice lattice = new(_pieces, _logs, _corpus.Alphabet.Length);
        UnigramLattice.Workspace[] works = OverPortions((unit, work) => lattice.Expect(Unit(unit), _corpus.Counts[unit], work), cancellation);
        double[] expected = new double[_pieces.Count];
        double likelihood = 0;
        foreach (UnigramLattice.Workspace work in works)
        {
            likelihood += work.LogLikelihood;
            for (int i = 0; i < expected.Length; i++)
            {
                expected[i] += work.Expected[i];
            }
        }

        _rounds.Add(new UnigramRound(_pieces.Count, likelihood / _corpus.TotalCharacters, _pruned));
        _pruned = false;
        if (mayDrop)
        {
            expected = DropUnexpected(expected);
        }

        double sum = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            expected[i] = Math.Max(expected[i], LeastExpected);
            sum += expected[i];
        }

        double all = Digamma(sum);
        _logs = Array.ConvertAll(expected, count => Digamma(count) - all);
    }

    private double[] DropUnexpected(double[] expected)
    {
        int alphabet = _corpus.Alphabet.Length;
        int[] rare = [.. Enumerable.Range(alphabet, _pieces.Count - alphabet).Where(i => expected[i] < LeastExpected)
            .OrderBy(i => expected[i]).Take(Math.Max(0, _pieces.Count - _wanted))];
        if (rare.Length == 0)
        {
            return expected;
        }

        HashSet<int> dropped = [.. rare];
        double[] kept = [.. expected.Where((_, i) => !dropped.Contains(i))];
        _pieces = [.. _pieces.Where((_, i) => !dropped.Contains(i))];
        _pruned = true;
        return kept;
    }

    // Throws out the pieces without which the likelihood falls least: each occurrence would be spelt by the next best segmentation of the piece.
    private void Prune(int keep, CancellationToken cancellation)
    {
        int alphabet = _corpus.Alphabet.Length;
        UnigramLattice lattice = new(_pieces, _logs, alphabet);
        long[] used = new long[_pieces.Count];
        foreach (UnigramLattice.Workspace work in OverPortions((unit, work) => lattice.CountBest(Unit(unit), _corpus.Counts[unit], work), cancellation))
        {
            for (int i = 0; i < used.Length; i++)
            {
                used[i] += work.Used[i];
            }
        }

        double sum = used.Sum();
        double logSum = Math.Log(sum);
        double[] losses = new double[_pieces.Count];
        UnigramLattice.Workspace single = new(0);
        for (int piece = alphabet; piece < _pieces.Count; piece++)
        {
            if (used[piece] == 0)
            {
                continue;
            }

            lattice.FindBest(_pieces[piece], piece, single);
            int parts = 0;
            double logsOfParts = 0;
            for (int end = _pieces[piece].Length; end > 0; end = single.From[end], parts++)
            {
                logsOfParts += Math.Log(used[single.Piece[end]] + used[piece]);
            }

            double after = logsOfParts - (parts * Math.Log(sum + ((double)used[piece] * (parts - 1))));
            losses[piece] = used[piece] * (Math.Log(used[piece]) - logSum - after);
        }

        KeepBest(keep, losses);
    }

    private void KeepLikeliest() => KeepBest(_wanted, _logs);

    // The alphabet, and of the others those with the highest values; of equals those that stand first.
    private void KeepBest(int keep, double[] values)
    {
        int alphabet = _corpus.Alphabet.Length;
        int[] chosen = [.. Enumerable.Range(0, alphabet),
            .. Enumerable.Range(alphabet, _pieces.Count - alphabet).OrderByDescending(i => values[i]).Take(keep - alphabet).Order()];
        _pieces = [.. chosen.Select(i => _pieces[i])];
        _logs = [.. chosen.Select(i => _logs[i])];
        _pruned = true;
    }
}
