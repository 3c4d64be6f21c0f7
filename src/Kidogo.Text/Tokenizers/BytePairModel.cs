// Byte-pair encoding with ranked merges. Knows not where words come from.
using System.Runtime.CompilerServices;
using System.Text;

namespace Kidogo.Text.Tokenizers;

/// <summary>What distinguishes one byte-pair encoding from another.</summary>
internal sealed record BytePairOptions
{
    /// <summary>Words are raw bytes, spelt in GPT-2's alphabet in the vocabulary.</summary>
    public bool ByteLevel { get; init; }

    /// <summary>A word that is a piece is that piece, whatever the merges say.</summary>
    public bool IgnoreMerges { get; init; }

    /// <summary>A run of newlines that is a piece is that piece (Gemma 4).</summary>
    public bool WholeNewlines { get; init; }

    /// <summary>A character without a piece becomes its bytes' tokens.</summary>
    public bool ByteFallback { get; init; }

    /// <summary>Neighbouring unknowns become one.</summary>
    public bool FuseUnknown { get; init; }

    /// <summary>The token for what has no piece, or -1: then such characters vanish.</summary>
    public int UnknownId { get; init; } = -1;

    /// <summary>What pieces inside a word begin with; mostly empty.</summary>
    public string ContinuingPrefix { get; init; } = "";

    /// <summary>What pieces that end a word end with; mostly empty.</summary>
    public string EndSuffix { get; init; } = "";

    /// <summary>As tokenizer.json has it: merges of absent pieces are an error, and the later of two equal merges counts.</summary>
    public bool Strict { get; init; }
}

/// <summary>Merges the neighbouring pair of the lowest rank, the leftmost of several, until none is left (Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units").</summary>
/// <remarks>Short words scan all pairs for each merge; long ones keep a queue, so that n symbols take n log n.</remarks>
internal sealed class BytePairModel : SubwordModel
{
    private const int QueueFrom = 28;
    private readonly Vocabulary _vocabulary;
    private readonly MergeTable _merges;
    private readonly BytePairOptions _options;
    private readonly int[] _byteIds = new int[256];
    private readonly byte[] _prefix;
    private readonly byte[] _suffix;

    public BytePairModel(Vocabulary vocabulary, PieceList merges, BytePairOptions options)
    {
        _vocabulary = vocabulary;
        _options = options;
        _prefix = Encoding.UTF8.GetBytes(options.ContinuingPrefix);
        _suffix = Encoding.UTF8.GetBytes(options.EndSuffix);
        bool mayCut = !options.ByteLevel && !options.IgnoreMerges && _prefix.Length == 0 && _suffix.Length == 0;
        _merges = new MergeTable(vocabulary, merges, _prefix, options.Strict, mayCut);
        SplitsAtMarker = mayCut && !_merges.HasInnerMarker && vocabulary.Find("▁"u8) >= 0;
        if (options.ByteLevel)
        {
            Span<byte> character = stackalloc byte[4];
            for (int value = 0; value < 256; value++)
            {
                _byteIds[value] = IdOf(character[..new Rune(ByteAlphabet.CodePointOf((byte)value)).EncodeToUtf8(character)]);
            }
        }
        else
        {
            _byteIds = vocabulary.ByteTokens();
        }
    }

    public override bool SplitsAtMarker { get; }

    public override bool TakesRawBytes => _options.ByteLevel;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Encode(ReadOnlySpan<byte> word, MergeWorkspace workspace, IdList output)
    {
        if ((_options.IgnoreMerges || (_options.WholeNewlines && word.IndexOfAnyExcept((byte)'\n') < 0)) && FindWhole(word, workspace) is >= 0 and int whole)
        {
            output.Add(whole);
            return;
        }

        workspace.Ensure(word.Length + 8);
        int count = _options.ByteLevel ? SymbolsOfBytes(word, workspace.Ids) : SymbolsOfCharacters(word, begins: true, ends: true, workspace);
        if (count <= QueueFrom)
        {
            MergeByScan(workspace.Ids.AsSpan(0, count), output);
        }
        else
        {
            MergeByQueue(count, workspace, null);
            for (int i = 0; i >= 0; i = workspace.Next[i])
            {
                Emit(workspace.Ids[i], output);
            }
        }
    }

    public override void Derive(ReadOnlySpan<byte> piece, MergeWorkspace workspace, List<MergeStep> steps)
    {
        ByteBuffer word = new();
        bool begins = true, ends = true;
        if (_options.ByteLevel)
        {
            ByteAlphabet.Unspell(piece, word);
        }
        else
        {
            begins = _prefix.Length == 0 || !piece.StartsWith(_prefix);
            ends = _suffix.Length == 0 || piece.EndsWith(_suffix);
            int start = begins ? 0 : _prefix.Length, end = ends ? piece.Length - _suffix.Length : piece.Length;
            word.Add(piece[start..Math.Max(start, end)]);
        }

        workspace.Ensure(word.Count + 8);
        int count = _options.ByteLevel ? SymbolsOfBytes(word.Span, workspace.Ids) : SymbolsOfCharacters(word.Span, begins, ends, workspace);
        if (count > 1)
        {
            MergeByQueue(count, workspace, steps);
        }
    }

    public override void AddEssential(Vocabulary vocabulary, HashSet<int> ids)
    {
        if (!((_options.ByteLevel || _options.ByteFallback) && AddAll(_byteIds, vocabulary, ids)))
        {
            base.AddEssential(vocabulary, ids);
        }
    }

    protected override bool IsCharacter(ReadOnlySpan<byte> piece)
    {
        piece = _prefix.Length > 0 && piece.Length > _prefix.Length && piece.StartsWith(_prefix) ? piece[_prefix.Length..] : piece;
        piece = _suffix.Length > 0 && piece.Length > _suffix.Length && piece.EndsWith(_suffix) ? piece[..^_suffix.Length] : piece;
        return base.IsCharacter(piece);
    }

    private int FindWhole(ReadOnlySpan<byte> word, MergeWorkspace workspace)
    {
        if (!_options.ByteLevel)
        {
            return _vocabulary.FindText(word);
        }

        if (word.Length > _vocabulary.MaxPieceLength)
        {
            return -1;
        }

        workspace.Spelling.Clear();
        ByteAlphabet.Spell(word, workspace.Spelling);
        return _vocabulary.FindText(workspace.Spelling.Span);
    }

    private int IdOf(ReadOnlySpan<byte> piece)
    {
        int id = _vocabulary.FindText(piece);
        return id >= 0 ? id : _merges.FindAbsent(piece);
    }

    private int SymbolsOfBytes(ReadOnlySpan<byte> word, int[] ids)
    {
        for (int i = 0; i < word.Length; i++)
        {
            ids[i] = _byteIds[word[i]];
        }

        return word.Length;
    }

    private int SymbolsOfCharacters(ReadOnlySpan<byte> word, bool begins, bool ends, MergeWorkspace workspace)
    {
        int count = 0;
        bool unknownBefore = false;
        for (int at = 0, length; at < word.Length; at += length)
        {
            length = CharacterLength(word[at], word.Length - at);
            ReadOnlySpan<byte> character = word.Slice(at, length);
            int id = IdOf(Affixed(character, begins && at == 0, ends && at + length == word.Length, workspace.Spelling));
            if (id < 0 && _options.ByteFallback && (!_options.Strict || HasAllBytes(character)))
            {
                // Where a byte lacks its token, -1 stays in its place: its neighbours are no pair.
                foreach (byte value in character)
                {
                    workspace.Ids[count++] = _byteIds[value];
                }

                unknownBefore = false;
                continue;
            }

            if (id < 0)
            {
                bool fused = unknownBefore && _options.FuseUnknown;
                unknownBefore = true;
                if (fused || _options.UnknownId < 0)
                {
                    continue;
                }

                workspace.Ids[count++] = _options.UnknownId;
                continue;
            }

            unknownBefore = false;
            workspace.Ids[count++] = id;
        }

        return count;
    }

    private ReadOnlySpan<byte> Affixed(ReadOnlySpan<byte> character, bool first, bool last, ByteBuffer buffer)
    {
        if ((first || _prefix.Length == 0) && (!last || _suffix.Length == 0))
        {
            return character;
        }

        buffer.Clear();
        if (!first)
        {
            buffer.Add(_prefix);
        }

        buffer.Add(character);
        if (last)
        {
            buffer.Add(_suffix);
        }

        return buffer.Span;
    }

    private bool HasAllBytes(ReadOnlySpan<byte> character)
    {
        foreach (byte value in character)
        {
            if (_byteIds[value] < 0)
            {
                return false;
            }
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void MergeByScan(Span<int> ids, IdList output)
    {
        Span<int> ranks = stackalloc int[QueueFrom];
        int count = ids.Length;
        for (int i = 0; i + 1 < count; i++)
        {
            ranks[i] = _merges.Rank(ids[i], ids[i + 1], out _);
        }

        while (count > 1)
        {
            int best = int.MaxValue, at = 0;
            for (int i = 0; i + 1 < count; i++)
            {
                if (ranks[i] < best)
                {
                    best = ranks[i];
                    at = i;
                }
            }

            if (best == int.MaxValue)
            {
                break;
            }

            _merges.Rank(ids[at], ids[at + 1], out ids[at]);
            ids[(at + 2)..count].CopyTo(ids[(at + 1)..]);
            count--;
            ranks[(at + 1)..count].CopyTo(ranks[at..]);
            if (at > 0)
            {
                ranks[at - 1] = _merges.Rank(ids[at - 1], ids[at], out _);
            }

            if (at + 1 < count)
            {
                ranks[at] = _merges.Rank(ids[at], ids[at + 1], out _);
            }
        }

        for (int i = 0; i < count; i++)
        {
            Emit(ids[i], output);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void MergeByQueue(int count, MergeWorkspace workspace, List<MergeStep>? steps)
    {
        workspace.Chain(count);
        for (int i = 0; i + 1 < count; i++)
        {
            Offer(i, i + 1, workspace);
        }

        while (workspace.HeapCount > 0)
        {
            (ulong key, ulong check) = workspace.Pop();
            int left = (int)(uint)key;
            int right = workspace.Next[left];
            if (right < 0 || workspace.Ids[left] != (int)(check >> 32) || workspace.Ids[right] != (int)(uint)check)
            {
                continue; // one of the two has become part of something else
            }

            _merges.Rank(workspace.Ids[left], workspace.Ids[right], out int merged);
            steps?.Add(new MergeStep(workspace.Ids[left], workspace.Ids[right], merged));
            workspace.Ids[left] = merged;
            workspace.Unlink(left, right);
            workspace.Ids[right] = -1;
            Offer(workspace.Previous[left], left, workspace);
            Offer(left, workspace.Next[left], workspace);
        }
    }

    private void Offer(int left, int right, MergeWorkspace workspace)
    {
        if (left < 0 || right < 0)
        {
            return;
        }

        int leftId = workspace.Ids[left], rightId = workspace.Ids[right];
        int rank = _merges.Rank(leftId, rightId, out _);
        if (rank != int.MaxValue)
        {
            workspace.Push(((ulong)(uint)rank << 32) | (uint)left, ((ulong)(uint)leftId << 32) | (uint)rightId);
        }
    }

    private void Emit(int id, IdList output)
    {
        if ((uint)id < (uint)_vocabulary.Count)
        {
            output.Add(id);
        }
        else if (id < 0)
        {
            if (_options.ByteLevel && _options.UnknownId >= 0)
            {
                output.Add(_options.UnknownId);
            }
        }
        else
        {
            EmitAbsent(id, output);
        }
    }

    // A piece that only the merges know is taken apart again, in a loop: hostile merges may nest it deeply or in a circle.
    private void EmitAbsent(int id, IdList output)
    {
        Stack<int> pending = new([id]);
        for (int steps = 0; pending.TryPop(out int next) && steps < 100_000; steps++)
        {
            if (next < _vocabulary.Count)
            {
                output.Add(next);
            }
            else if (_merges.HalvesOf(next) is (int left, int right))
            {
                pending.Push(right);
                pending.Push(left);
            }
            else if (_options.UnknownId >= 0)
            {
                output.Add(_options.UnknownId);
            }
        }
    }
}
