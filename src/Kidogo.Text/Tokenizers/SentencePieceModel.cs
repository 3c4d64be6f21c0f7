// SentencePiece's byte-pair encoding by scores. Knows not where words come from.

namespace Kidogo.Text.Tokenizers;

/// <summary>Merges the neighbouring pair whose joined piece has the highest score, the leftmost of several, until no pair makes a piece; what is left without a piece becomes bytes.</summary>
/// <remarks>Kudo and Richardson 2018, "SentencePiece"; the merge order of its BPE model.</remarks>
internal sealed class SentencePieceModel : SubwordModel
{
    private readonly Vocabulary _vocabulary;
    private readonly float[] _scores;
    private readonly int[] _byteIds;
    private readonly int _unknownId;

    public SentencePieceModel(Vocabulary vocabulary, float[] scores, int unknownId)
    {
        _vocabulary = vocabulary;
        _scores = scores;
        _unknownId = unknownId;
        _byteIds = vocabulary.ByteTokens();
        bool inner = vocabulary.Find("▁"u8) < 0;
        for (int id = 0; id < vocabulary.Count && !inner; id++)
        {
            inner = vocabulary.Kinds[id] is not (TokenKind.Control or TokenKind.Unknown) && HasInnerMarker(vocabulary[id]);
        }

        SplitsAtMarker = !inner;
        Span<byte> single = stackalloc byte[1];
        for (int value = 0; value < 256; value++)
        {
            single[0] = (byte)value;
            _byteIds[value] = _byteIds[value] >= 0 ? _byteIds[value] : vocabulary.FindText(single);
        }
    }

    public override bool SplitsAtMarker { get; }

    public override void Encode(ReadOnlySpan<byte> word, MergeWorkspace workspace, IdList output)
    {
        Merge(word, workspace, null);
        for (int i = 0; i >= 0; i = workspace.Next[i])
        {
            if (workspace.Ids[i] >= 0)
            {
                output.Add(workspace.Ids[i]);
                continue;
            }

            foreach (byte value in word.Slice(workspace.Starts[i], workspace.Lengths[i]))
            {
                if (_byteIds[value] >= 0 || _unknownId >= 0)
                {
                    output.Add(_byteIds[value] >= 0 ? _byteIds[value] : _unknownId);
                }
            }
        }
    }

    public override void Derive(ReadOnlySpan<byte> piece, MergeWorkspace workspace, List<MergeStep> steps)
    {
        if (!piece.IsEmpty)
        {
            Merge(piece, workspace, steps);
        }
    }

    public override void AddEssential(Vocabulary vocabulary, HashSet<int> ids)
    {
        if (!AddAll(_byteIds, vocabulary, ids))
        {
            base.AddEssential(vocabulary, ids);
        }
    }

    private void Merge(ReadOnlySpan<byte> word, MergeWorkspace workspace, List<MergeStep>? steps)
    {
        workspace.Ensure(word.Length);
        int count = 0;
        for (int at = 0; at < word.Length; count++)
        {
            int length = CharacterLength(word[at], word.Length - at);
            workspace.Starts[count] = at;
            workspace.Lengths[count] = length;
            workspace.Ids[count] = _vocabulary.FindText(word.Slice(at, length));
            at += length;
        }

        workspace.Chain(count);
        for (int i = 0; i + 1 < count; i++)
        {
            Offer(word, i, i + 1, workspace);
        }

        while (workspace.HeapCount > 0)
        {
            (ulong key, ulong check) = workspace.Pop();
            int left = (int)(uint)key;
            int right = workspace.Next[left];
            if (right < 0 || workspace.Lengths[left] == 0 || workspace.Lengths[left] + workspace.Lengths[right] != (int)(check >> 32))
            {
                continue; // one of the two has become part of something else
            }

            steps?.Add(new MergeStep(workspace.Ids[left], workspace.Ids[right], (int)(uint)check));
            workspace.Unlink(left, right);
            workspace.Ids[left] = (int)(uint)check;
            Offer(word, workspace.Previous[left], left, workspace);
            Offer(word, left, workspace.Next[left], workspace);
        }
    }

    private void Offer(ReadOnlySpan<byte> word, int left, int right, MergeWorkspace workspace)
    {
        if (left < 0 || right < 0)
        {
            return;
        }

        int length = workspace.Lengths[left] + workspace.Lengths[right];
        int id = _vocabulary.FindText(word.Slice(workspace.Starts[left], length));
        if (id >= 0)
        {
            workspace.Push(((ulong)Descending(_scores[id]) << 32) | (uint)left, ((ulong)(uint)length << 32) | (uint)id);
        }
    }

    // Floats as integers that ascend where the floats descend; the two zeros are one.
    private static uint Descending(float score)
    {
        uint bits = BitConverter.SingleToUInt32Bits(score + 0f);
        return (bits & 0x8000_0000) != 0 ? bits : ~(bits | 0x8000_0000);
    }
}
