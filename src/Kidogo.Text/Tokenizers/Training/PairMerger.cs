// Merges the commonest pair, again and again. Knows no texts and no file format.
using System.Runtime.CompilerServices;
using System.Text;

namespace Kidogo.Text.Tokenizers.Training;

/// <summary>A vocabulary of byte strings and the merges that make it.</summary>
/// <param name="Pieces">The bytes of each entry after the special tokens: the 256 bytes first, then what was merged.</param>
/// <param name="Merges">Left and right as ids of the whole vocabulary, best first. Two merges may make the same piece.</param>
internal readonly record struct MergedVocabulary(PieceList Pieces, List<(int Left, int Right)> Merges);

/// <summary>Byte-pair encoding's training (Sennrich et al. 2016): counts of pairs are kept up to date word by word, the best pair comes from a queue.</summary>
/// <remarks>
/// The best pair is the commonest; of equally common ones that with the lower left id, then the lower right id, as in Hugging Face's trainer. So the outcome
/// depends on the counts of words alone, not on their order. In a run of one symbol (aaa) every neighbourhood counts, and merging goes from left to right.
/// </remarks>
internal sealed class PairMerger
{
    private readonly TokenizerTrainingOptions _options;
    private readonly int _firstByte; // ids below are special tokens
    private readonly int[] _symbols; // all words one after the other; a word's place keeps its first length
    private readonly int[] _starts;
    private readonly int[] _lengths;
    private readonly long[] _counts;
    private readonly PairTable _pairs = new();
    private readonly PriorityQueue<int, Priority> _queue = new(new MostFirst());
    private readonly PieceList _pieces = new(1024, 8192);
    private readonly Dictionary<string, int> _ids = []; // piece as Latin-1, for two pairs may make the same one
    private readonly HashSet<string> _forbidden = [];
    private readonly List<(int Left, int Right)> _merges = [];
    private readonly List<int> _increased = [];
    private int[] _increasedAt = [];
    private int _round;

    public PairMerger(WordTable words, TokenizerTrainingOptions options)
    {
        _options = options;
        _firstByte = options.SpecialTokens.Count;
        AddBytes();
        int[] idOfByte = new int[256];
        for (int i = 0; i < 256; i++)
        {
            idOfByte[_pieces[i][0]] = _firstByte + i;
        }

        int count = words.Count;
        _symbols = new int[words.Bytes];
        _starts = new int[count];
        _lengths = new int[count];
        _counts = new long[count];
        for (int word = 0, at = 0; word < count; word++)
        {
            ReadOnlySpan<byte> bytes = words.Word(word);
            _starts[word] = at;
            _lengths[word] = bytes.Length;
            _counts[word] = words.CountOf(word);
            foreach (byte value in bytes)
            {
                _symbols[at++] = idOfByte[value];
            }
        }
    }

    private readonly record struct Priority(long Count, int Left, int Right);

    private sealed class MostFirst : IComparer<Priority>
    {
        public int Compare(Priority x, Priority y) =>
            x.Count != y.Count ? y.Count.CompareTo(x.Count) : x.Left != y.Left ? x.Left.CompareTo(y.Left) : x.Right.CompareTo(y.Right);
    }

    /// <summary>Merges until the vocabulary has its size.</summary>
    /// <exception cref="TokenizerTrainingException">There are no more pairs to merge before that.</exception>
    public MergedVocabulary Run(IProgress<TokenizerTrainingProgress>? progress, CancellationToken cancellation)
    {
        CountPairs(cancellation);
        int size = _options.VocabularySize;
        while (_firstByte + _pieces.Count < size)
        {
            cancellation.ThrowIfCancellationRequested();
            if (!TryTakeBest(out int pair))
            {
                throw TooLarge();
            }

            (int left, int right) = _pairs[pair];
            if (Merged(left, right) is not int merged)
            {
                continue;
            }

            _merges.Add((left, right));
            Apply(pair, left, right, merged);
            progress?.Report(new TokenizerTrainingProgress(TokenizerTrainingStage.Merging, _firstByte + _pieces.Count, size));
        }

        return new MergedVocabulary(_pieces, _merges);
    }

    // In the order of the characters that spell them, which is how Hugging Face's trainer numbers them; ties between pairs go by it.
    private void AddBytes()
    {
        Span<byte> bytes = stackalloc byte[256];
        for (int i = 0; i < 256; i++)
        {
            bytes[i] = (byte)i;
        }

        bytes.Sort(static (x, y) => ByteAlphabet.CodePointOf(x).CompareTo(ByteAlphabet.CodePointOf(y)));
        for (int i = 0; i < 256; i++)
        {
            _ids.Add(((char)bytes[i]).ToString(), _firstByte + i);
            _pieces.Add(bytes.Slice(i, 1));
        }

        ByteBuffer spelt = new();
        foreach (string token in _options.SpecialTokens)
        {
            spelt.Clear();
            ByteAlphabet.Unspell(Encoding.UTF8.GetBytes(token), spelt);
            _forbidden.Add(Encoding.Latin1.GetString(spelt.Span));
        }
    }

    private TokenizerTrainingException TooLarge() => new(
        $"The texts support a vocabulary of at most {_firstByte + _pieces.Count} entries, but {_options.VocabularySize} were asked for: after "
            + $"{_pieces.Count - 256} merges no pair occurs "
        + $"{(_options.MinFrequency == 1 ? "once" : $"{_options.MinFrequency} times")} any more. Ask for at most {_firstByte + _pieces.Count}, or give more "
            + "text.") { MostEntries = _firstByte + _pieces.Count };

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void CountPairs(CancellationToken cancellation)
    {
        for (int word = 0; word < _starts.Length; word++)
        {
            if ((word & 0xFFFF) == 0)
            {
                cancellation.ThrowIfCancellationRequested();
            }

            ReadOnlySpan<int> symbols = _symbols.AsSpan(_starts[word], _lengths[word]);
            for (int i = 0; i + 1 < symbols.Length; i++)
            {
                int pair = _pairs.Index(symbols[i], symbols[i + 1]);
                _pairs.Add(pair, _counts[word]);
                _pairs.AddPlace(pair, word);
            }
        }

        for (int pair = 0; pair < _pairs.Count; pair++)
        {
            Offer(pair);
        }
    }

    private void Offer(int pair)
    {
        long count = _pairs.CountOf(pair);
        (int left, int right) = _pairs[pair];
        if (count >= _options.MinFrequency && _pieces[left - _firstByte].Length + _pieces[right - _firstByte].Length <= _options.MaxPieceBytes)
        {
            _queue.Enqueue(pair, new Priority(count, left, right));
        }
    }

    // Counts in the queue may be too high by now; then the pair goes back with its true one. Those that rose are entered when they do.
    private bool TryTakeBest(out int pair)
    {
        while (_queue.TryDequeue(out pair, out Priority priority))
        {
            if (priority.Count == _pairs.CountOf(pair))
            {
                return true;
            }

            if (priority.Count > _pairs.CountOf(pair))
            {
                Offer(pair);
            }
        }

        return false;
    }

    // The id of what a pair becomes, or null if that would be spelt like a special token.
    private int? Merged(int left, int right)
    {
        ReadOnlySpan<byte> first = _pieces[left - _firstByte], second = _pieces[right - _firstByte];
        string piece = string.Concat(Encoding.Latin1.GetString(first), Encoding.Latin1.GetString(second));
        if (_ids.TryGetValue(piece, out int known))
        {
            return known;
        }

        if (_forbidden.Contains(piece))
        {
            return null;
        }

        int id = _firstByte + _pieces.Count;
        _ids.Add(piece, id);
        _pieces.Add([.. first, .. second]);
        return id;
    }

    private void Apply(int pair, int left, int right, int merged)
    {
        _round++;
        _increased.Clear();
        for (int place = _pairs.FirstPlace(pair); place != 0;)
        {
            (int word, int next) = _pairs.Next(place);
            place = next;
            MergeIn(word, left, right, merged);
        }

        foreach (int risen in _increased)
        {
            Offer(risen);
        }
    }

    // Counts of the pairs round each merged place go down, those round each new symbol up; the others are left alone.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void MergeIn(int word, int left, int right, int merged)
    {
        Span<int> symbols = _symbols.AsSpan(_starts[word], _lengths[word]);
        long count = _counts[word];
        int from = 0, to = 0;
        bool isNewBefore = false; // whether the last symbol written is new
        while (from < symbols.Length)
        {
            int symbol = symbols[from];
            if (symbol == left && from + 1 < symbols.Length && symbols[from + 1] == right)
            {
                if (from > 0)
                {
                    // What stood before was either written as it is, or was the right half of a merge, whose end was counted down already.
                    if (!isNewBefore)
                    {
                        _pairs.Add(_pairs.Index(symbols[to - 1], left), -count);
                    }

                    Raise(symbols[to - 1], merged, word, count);
                }

                _pairs.Add(_pairs.Index(left, right), -count);
                if (from + 2 < symbols.Length)
                {
                    _pairs.Add(_pairs.Index(right, symbols[from + 2]), -count);
                }

                symbols[to++] = merged;
                from += 2;
                isNewBefore = true;
            }
            else
            {
                if (isNewBefore)
                {
                    Raise(merged, symbol, word, count);
                }

                symbols[to++] = symbol;
                from++;
                isNewBefore = false;
            }
        }

        _lengths[word] = to;
    }

    private void Raise(int left, int right, int word, long count)
    {
        int pair = _pairs.Index(left, right);
        _pairs.Add(pair, count);
        _pairs.AddPlace(pair, word);
        if (pair >= _increasedAt.Length)
        {
            Array.Resize(ref _increasedAt, Math.Max(_pairs.Count, _increasedAt.Length * 2));
        }

        if (_increasedAt[pair] != _round)
        {
            _increasedAt[pair] = _round;
            _increased.Add(pair);
        }
    }
}
