// The likeliest segmentation under a unigram language model. Knows not where words come from.
namespace Kidogo.Text.Tokenizers;

/// <summary>Viterbi over all segmentations of a word into pieces, each with its own log-probability (Kudo 2018, "Subword Regularization").</summary>
/// <remarks>A character without a piece costs ten nats more than the least likely piece; neighbours of that sort become one unknown token, or their bytes' tokens.</remarks>
internal sealed class UnigramModel : SubwordModel
{
    private const double UnknownPenalty = 10;
    private readonly PieceTrie _trie = new();
    private readonly double[] _scores;
    private readonly int[]? _byteIds;
    private readonly int _unknownId;
    private readonly double _unknownScore;
    private readonly int _lowestId = -1;

    public UnigramModel(Vocabulary vocabulary, double[] scores, int unknownId, bool byteFallback, bool userDefinedAreFree)
    {
        _unknownId = unknownId;
        _scores = new double[vocabulary.Count];
        double lowest = double.PositiveInfinity;
        bool inner = false;
        for (int id = 0; id < vocabulary.Count; id++)
        {
            TokenKind kind = vocabulary.Kinds[id];
            double score = double.IsFinite(scores[id]) ? scores[id] : 0;
            _scores[id] = userDefinedAreFree && kind == TokenKind.UserDefined ? 0 : score;
            if (kind == TokenKind.Normal)
            {
                _lowestId = score < lowest ? id : _lowestId;
                lowest = Math.Min(lowest, score);
            }

            if (kind is TokenKind.Normal or TokenKind.UserDefined or TokenKind.Unused)
            {
                _trie.Add(vocabulary[id], id);
                inner |= HasInnerMarker(vocabulary[id]);
            }
        }

        _unknownScore = (double.IsFinite(lowest) ? lowest : 0) - UnknownPenalty;
        SplitsAtMarker = !inner && vocabulary.FindText("▁"u8) >= 0;
        int[] bytes = byteFallback ? vocabulary.ByteTokens() : [-1];
        _byteIds = Array.IndexOf(bytes, -1) < 0 ? bytes : null;
    }

    public override bool SplitsAtMarker { get; }

    public override void Encode(ReadOnlySpan<byte> word, MergeWorkspace workspace, IdList output)
    {
        int length = word.Length;
        workspace.Ensure(length + 1);
        int[] ids = workspace.Ids, starts = workspace.Starts;
        double[] best = length < 256 ? workspace.Sums : new double[length + 1];
        best.AsSpan(0, length + 1).Fill(double.NegativeInfinity);
        best[0] = 0;
        for (int at = 0; at < length;)
        {
            int character = CharacterLength(word[at], length - at);
            double sum = best[at];
            bool covered = false;
            for (int end = at, node = 0; end < length;)
            {
                node = _trie.Child(node, word[end++]);
                if (node < 0)
                {
                    break;
                }

                int id = _trie.ValueAt(node);
                if (id >= 0)
                {
                    covered |= end - at == character;
                    if (sum + _scores[id] > best[end])
                    {
                        best[end] = sum + _scores[id];
                        ids[end] = id;
                        starts[end] = at;
                    }
                }
            }

            int next = at + character;
            if (!covered && sum + _unknownScore > best[next])
            {
                best[next] = sum + _unknownScore;
                ids[next] = -1;
                starts[next] = at;
            }

            at = next;
        }

        Collect(word, ids, starts, output);
    }

    public override void AddEssential(Vocabulary vocabulary, HashSet<int> ids)
    {
        if (_lowestId >= 0)
        {
            ids.Add(_lowestId); // what an unknown character costs goes by it
        }

        if (_byteIds is null || !AddAll(_byteIds, vocabulary, ids))
        {
            base.AddEssential(vocabulary, ids);
        }
    }

    private void Collect(ReadOnlySpan<byte> word, int[] ids, int[] starts, IdList output)
    {
        int first = output.Count;
        bool unknownAfter = false;
        for (int end = word.Length; end > 0; end = starts[end])
        {
            bool unknown = ids[end] < 0;
            if (!unknown)
            {
                output.Add(ids[end]);
            }
            else if (_byteIds is not null)
            {
                for (int i = end - 1; i >= starts[end]; i--)
                {
                    output.Add(_byteIds[word[i]]);
                }
            }
            else if (!unknownAfter && _unknownId >= 0)
            {
                output.Add(_unknownId);
            }

            unknownAfter = unknown;
        }

        output.ReverseFrom(first);
    }
}
