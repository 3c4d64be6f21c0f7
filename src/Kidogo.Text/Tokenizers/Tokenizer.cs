// Text to token ids and back. Knows no tensors, no model files, no templates.
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Unicode;

namespace Kidogo.Text.Tokenizers;

/// <summary>Turns text into token ids and token ids into text, exactly as the vocabulary's own tokenizer does. Immutable to its user and safe for several threads.</summary>
/// <remarks>
/// <para>A text goes through: added tokens, normalisation, added tokens again (those that want to see normalised text), pre-tokenisation into words, the subword model on each word, post-processing.</para>
/// <para>Text never becomes a control token unless that is asked for; user-defined tokens are always recognised. Bytes that are not UTF-8 and lone surrogates count as U+FFFD.</para>
/// </remarks>
public sealed class Tokenizer
{
    private readonly TokenizerParts _parts;
    private readonly Vocabulary _vocabulary;
    private readonly EncodeState?[] _idle = new EncodeState?[Math.Clamp(Environment.ProcessorCount, 1, 256)];

    internal Tokenizer(TokenizerParts parts, string fingerprint = "")
    {
        _parts = parts;
        _vocabulary = parts.Vocabulary;
        Fingerprint = fingerprint;
    }

    /// <summary>A hash (lower-case hex) of the description this was made from: tokenizers with equal ones encode alike. The same vocabulary from another kind of file has another.</summary>
    public string Fingerprint { get; }

    /// <summary>The number of ids: 0 to this, exclusive.</summary>
    public int VocabularySize => _vocabulary.Count;

    /// <summary>Bytes of the longest piece: a text of more than n times as many has more than n tokens, unless normalising shortens it.</summary>
    public int LongestPiece => _vocabulary.MaxPieceLength;

    /// <summary>The token at the start of a text, if there is one.</summary>
    public int? BosId => _parts.BosId;

    /// <summary>The token at the end of a text, if there is one.</summary>
    public int? EosId => _parts.EosId;

    /// <summary>The token at the end of a turn, if there is one.</summary>
    public int? EotId => _parts.EotId;

    /// <summary>The token that fills up a batch, if there is one.</summary>
    public int? PadId => _parts.PadId;

    /// <summary>The token for what has no piece, if there is one.</summary>
    public int? UnkId => _parts.UnkId;

    /// <summary>The token between texts, if there is one.</summary>
    public int? SepId => _parts.SepId;

    /// <summary>The token for a hidden piece, if there is one.</summary>
    public int? MaskId => _parts.MaskId;

    /// <summary>Whether <see cref="BosId"/> is put before a text where special tokens are added.</summary>
    public bool AddsBos => BosId is int bos && Array.IndexOf(_parts.Prefix, bos) >= 0;

    /// <summary>Whether <see cref="EosId"/> is put after a text where special tokens are added.</summary>
    public bool AddsEos => EosId is int eos && Array.IndexOf(_parts.Suffix, eos) >= 0;

    /// <summary>The ids at which generation ends, in ascending order.</summary>
    public IReadOnlyList<int> EndOfGenerationIds => [.. _parts.Ends.Order()];

    /// <summary>The tokens around a text with a hole in it, for models that fill such; null where the vocabulary has none.</summary>
    public FillInMiddleTokens? FillInMiddle => _parts.Hole;

    /// <summary>What is odd about the description this was made from, one sentence each; mostly none.</summary>
    public IReadOnlyList<string> Warnings => _parts.Warnings;

    internal PieceDecoder Decoder => _parts.Decoder;

    internal Vocabulary Vocabulary => _vocabulary;

    internal SubwordModel Model => _parts.Model.Value;

    /// <summary>A tokenizer from what a model file says.</summary>
    /// <exception cref="TokenizerFormatException">The description contradicts itself.</exception>
    public static Tokenizer Create(TokenizerDefinition definition)
    {
        ArgumentNullException.ThrowIfNull(definition);
        return new Tokenizer(DefinitionBuilder.Build(definition), TokenizerFingerprint.Of(definition));
    }

    /// <summary>A tokenizer from a <c>tokenizer.json</c> of Hugging Face's tokenizers and, where there is one, its <c>tokenizer_config.json</c> (which names the special tokens).</summary>
    /// <param name="tokenizerJson">The file's bytes, UTF-8.</param>
    /// <param name="tokenizerConfigJson">The other file's bytes, or empty.</param>
    /// <exception cref="TokenizerFormatException">A file is not JSON, describes something that is not understood, or contradicts itself.</exception>
    public static Tokenizer FromJson(ReadOnlyMemory<byte> tokenizerJson, ReadOnlyMemory<byte> tokenizerConfigJson = default) =>
        new(TokenizerJson.Build(tokenizerJson, tokenizerConfigJson), TokenizerFingerprint.Of(tokenizerJson.Span, tokenizerConfigJson.Span));

    /// <summary>The ids of <paramref name="text"/>.</summary>
    /// <param name="text">Any characters.</param>
    /// <param name="addSpecial">Whether the tokens that the model wants around a text are added (its start token, BERT's [CLS] and [SEP], …).</param>
    /// <param name="parseSpecial">Whether control tokens that are spelt out in the text count as such. Never for text from users.</param>
    /// <exception cref="TokenizerException">The pre-tokenizer's pattern takes too long on this text, or the steps before it make it far longer than it is.</exception>
    public int[] Encode(string text, bool addSpecial = false, bool parseSpecial = false)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Encode([new TextSpan(text, parseSpecial)], addSpecial);
    }

    /// <summary>The ids of <paramref name="utf8"/>; as the overload for strings.</summary>
    public int[] Encode(ReadOnlySpan<byte> utf8, bool addSpecial = false, bool parseSpecial = false)
    {
        EncodeState state = Take();
        state.Untrusted.Clear();
        state.Input.Clear();
        if (!Utf8.IsValid(utf8))
        {
            AddValid(utf8, state.Input);
            utf8 = state.Input.Span;
        }

        if (!parseSpecial)
        {
            state.Untrusted.Add(new Fragment(0, utf8.Length, -1));
        }

        return Finish(utf8, addSpecial, state);
    }

    /// <summary>How many bytes of a text are no UTF-8; each counts as U+FFFD when it is encoded.</summary>
    public static int CountInvalid(ReadOnlySpan<byte> utf8)
    {
        int count = 0;
        for (bool isValid = Utf8.IsValid(utf8); !isValid && !utf8.IsEmpty;)
        {
            count += Rune.DecodeFromUtf8(utf8, out _, out int length) == System.Buffers.OperationStatus.Done ? 0 : length;
            utf8 = utf8[length..];
        }

        return count;
    }

    /// <summary>The ids of the texts one after the other, as those of one text, but that control tokens are recognised only where every character allows it.</summary>
    public int[] Encode(IReadOnlyList<TextSpan> spans, bool addSpecial = false)
    {
        ArgumentNullException.ThrowIfNull(spans);
        EncodeState state = Take();
        state.Untrusted.Clear();
        state.Input.Clear();
        Join(spans, state);
        return Finish(state.Input.Span, addSpecial, state);
    }

    /// <summary>The ids of <paramref name="text"/> with the tokens that the model wants around it, cut to a length: what is left out is at the end of the text, within those tokens.</summary>
    /// <param name="text">Any characters.</param>
    /// <param name="most">The most ids; at least as many as the model wants around a text.</param>
    /// <param name="whole">How many ids there were before the cut.</param>
    /// <exception cref="TokenizerException">As <see cref="Encode(string, bool, bool)"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no room for the tokens around a text.</exception>
    public int[] EncodeCut(string text, int most, out int whole)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(most, _parts.Prefix.Length + _parts.Suffix.Length);
        int[] ids = Encode(text, addSpecial: true);
        whole = ids.Length;
        return whole <= most ? ids : [.. ids.AsSpan(0, most - _parts.Suffix.Length), .. _parts.Suffix];
    }

    /// <summary>Appends the ids of <paramref name="text"/> to <paramref name="output"/> and returns their number; as <see cref="Encode(string, bool, bool)"/>.</summary>
    public int Encode(string text, ICollection<int> output, bool addSpecial = false, bool parseSpecial = false)
    {
        ArgumentNullException.ThrowIfNull(output);
        int[] ids = Encode(text, addSpecial, parseSpecial);
        foreach (int id in ids)
        {
            output.Add(id);
        }

        return ids.Length;
    }

    /// <summary>The text of <paramref name="ids"/>; bytes that are not UTF-8 are U+FFFD.</summary>
    /// <param name="ids">Ids below <see cref="VocabularySize"/>.</param>
    /// <param name="skipSpecial">Whether control tokens vanish or are spelt out.</param>
    /// <exception cref="TokenizerException">An id lies outside the vocabulary.</exception>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false) => Encoding.UTF8.GetString(DecodeToBuffer(ids, skipSpecial).Span);

    /// <summary>The text of <paramref name="ids"/>, byte for byte.</summary>
    /// <param name="ids">Ids below <see cref="VocabularySize"/>.</param>
    /// <param name="skipSpecial">Whether control tokens vanish or are spelt out.</param>
    /// <exception cref="TokenizerException">An id lies outside the vocabulary.</exception>
    public byte[] DecodeBytes(ReadOnlySpan<int> ids, bool skipSpecial = false) => DecodeToBuffer(ids, skipSpecial).Span.ToArray();

    /// <summary>The bytes that one token adds in the middle of a text; part of a character, maybe.</summary>
    /// <exception cref="TokenizerException">The id lies outside the vocabulary.</exception>
    public byte[] PieceBytes(int id)
    {
        ByteBuffer bytes = new();
        DecodeState state = Decoder.Begin(continues: true);
        AppendPiece(id, skipSpecial: false, ref state, bytes);
        return bytes.Span.ToArray();
    }

    /// <summary>One token for people to see: its text in the middle of a text, with U+FFFD for parts of characters.</summary>
    /// <exception cref="TokenizerException">The id lies outside the vocabulary.</exception>
    public string TokenText(int id) => Encoding.UTF8.GetString(PieceBytes(id));

    /// <summary>One token as the vocabulary spells it (<c>Ġthe</c>, <c>▁the</c>, <c>&lt;0x0A&gt;</c>).</summary>
    /// <exception cref="TokenizerException">The id lies outside the vocabulary.</exception>
    public string Piece(int id) => Encoding.UTF8.GetString(_vocabulary[Checked(id)]);

    /// <summary>The id of the token that the vocabulary spells so, or null.</summary>
    public int? FindPiece(string piece)
    {
        ArgumentNullException.ThrowIfNull(piece);
        return _vocabulary.Find(piece) is >= 0 and int id ? id : null;
    }

    /// <summary>What sort of token an id is.</summary>
    /// <exception cref="TokenizerException">The id lies outside the vocabulary.</exception>
    public TokenKind Kind(int id) => _vocabulary.Kinds[Checked(id)];

    /// <summary>Whether generation ends with this token: the end of the text, of a turn or of a message.</summary>
    public bool IsEndOfGeneration(int id) => _parts.Ends.Contains(id);

    internal void AppendPiece(int id, bool skipSpecial, ref DecodeState state, ByteBuffer output)
    {
        TokenKind kind = _vocabulary.Kinds[Checked(id)];
        if (!skipSpecial || kind is not (TokenKind.Control or TokenKind.Unknown))
        {
            Decoder.Append(id, _vocabulary[id], kind, ref state, output);
        }
        else if (state.DropSpace || Decoder is MarkerPieceDecoder)
        {
            int before = output.Count; // what is not shown still changes what comes after it
            Decoder.Append(id, _vocabulary[id], kind, ref state, output);
            output.Truncate(before);
        }
    }

    private static void AddValid(ReadOnlySpan<byte> text, ByteBuffer output)
    {
        while (!text.IsEmpty)
        {
            if (Rune.DecodeFromUtf8(text, out _, out int length) == System.Buffers.OperationStatus.Done)
            {
                output.Add(text[..length]);
            }
            else
            {
                for (int i = 0; i < length; i++)
                {
                    output.Add("\uFFFD"u8);
                }
            }

            text = text[length..];
        }
    }

    // A surrogate pair may lie across two spans: then its character is untrusted if either half is.
    private static void Join(IReadOnlyList<TextSpan> spans, EncodeState state)
    {
        Encoder encoder = Encoding.UTF8.GetEncoder();
        bool halfUntrusted = false;
        for (int i = 0; i < spans.Count; i++)
        {
            ReadOnlySpan<char> text = spans[i].Text;
            int start = state.Input.Count;
            bool flush = i == spans.Count - 1;
            for (ReadOnlySpan<char> rest = text; !rest.IsEmpty || flush;)
            {
                ReadOnlySpan<char> part = rest[..Math.Min(rest.Length, 1 << 20)];
                rest = rest[part.Length..];
                Span<byte> room = state.Input.Reserve(Encoding.UTF8.GetMaxByteCount(part.Length + 1));
                state.Input.Advance(encoder.GetBytes(part, room, flush && rest.IsEmpty));
                if (rest.IsEmpty)
                {
                    break;
                }
            }

            int end = state.Input.Count;
            bool untrusted = !spans[i].AllowSpecial;
            if (untrusted && end > start)
            {
                state.Untrusted.Add(new Fragment(start, end, -1));
            }
            else if (halfUntrusted && end > start)
            {
                state.Untrusted.Add(new Fragment(start, Math.Min(end, start + 4), -1));
            }

            halfUntrusted = text.IsEmpty ? halfUntrusted : untrusted && char.IsHighSurrogate(text[^1]);
        }
    }

    // A state remembers words, so that each of several threads should find one that was used before.
    private EncodeState Take()
    {
        foreach (ref EncodeState? slot in _idle.AsSpan())
        {
            if (slot is not null && Interlocked.Exchange(ref slot, null) is { } state)
            {
                return state;
            }
        }

        return new EncodeState();
    }

    private void Return(EncodeState state)
    {
        foreach (ref EncodeState? slot in _idle.AsSpan())
        {
            if (slot is null && Interlocked.CompareExchange(ref slot, state, null) is null)
            {
                return;
            }
        }
    }

    private int[] Finish(ReadOnlySpan<byte> text, bool addSpecial, EncodeState state)
    {
        IdList ids = state.FreshIds();
        if (addSpecial)
        {
            ids.Add(_parts.Prefix);
        }

        state.GrowthLeft = TextGrowth.LimitFor(text.Length);
        state.Fragments.Clear();
        ReadOnlySpan<Fragment> untrusted = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(state.Untrusted);
        _parts.Added.Cut(text, untrusted, state.Fragments);
        foreach (Fragment fragment in state.Fragments)
        {
            if (fragment.Id >= 0)
            {
                ids.Add(fragment.Id);
            }
            else
            {
                EncodeFragment(text, fragment, state, ids);
            }
        }

        if (addSpecial)
        {
            ids.Add(_parts.Suffix);
        }

        int[] result = ids.Span.ToArray();
        Return(state);
        return result;
    }

    private void EncodeFragment(ReadOnlySpan<byte> text, Fragment fragment, EncodeState state, IdList ids)
    {
        ReadOnlySpan<byte> piece = text[fragment.Start..fragment.End];
        if (_parts.Normalizer is not null)
        {
            state.Normalized.Clear();
            state.Normalized.Limit = TextGrowth.LimitOfBuffer(state.GrowthLeft);
            _parts.Normalizer.Apply(piece, state.Normalized);
            piece = state.Normalized.Span;
            state.GrowthLeft -= piece.Length;
        }

        bool atStart = fragment.Start == 0;
        if (_parts.AddedNormalized is null)
        {
            EncodeWords(piece, atStart, state, ids);
            return;
        }

        // Places in normalised text are not places in the text: one untrusted character makes the whole stretch untrusted.
        bool trusted = true;
        foreach (Fragment stretch in state.Untrusted)
        {
            trusted &= stretch.End <= fragment.Start || stretch.Start >= fragment.End;
        }

        state.InnerFragments.Clear();
        _parts.AddedNormalized.Cut(piece, trusted ? [] : [new Fragment(0, piece.Length, -1)], state.InnerFragments);
        foreach (Fragment inner in state.InnerFragments)
        {
            if (inner.Id >= 0)
            {
                ids.Add(inner.Id);
            }
            else
            {
                EncodeWords(piece[inner.Start..inner.End], atStart && inner.Start == 0, state, ids);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void EncodeWords(ReadOnlySpan<byte> piece, bool atStart, EncodeState state, IdList ids)
    {
        SubwordModel model = _parts.Model.Value;
        if (_parts.PreTokenizer is null)
        {
            EncodeRange(piece, model, state, ids);
            return;
        }

        state.Words.Reset(piece, atStart, TextGrowth.LimitOfBuffer(state.GrowthLeft));
        _parts.PreTokenizer.Apply(state.Words);
        ReadOnlySpan<byte> text = state.Words.Text.Span;
        state.GrowthLeft -= text.Length;
        foreach ((int start, int end) in state.Words.Ranges.Span)
        {
            EncodeRange(text[start..end], model, state, ids);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void EncodeRange(ReadOnlySpan<byte> text, SubwordModel model, EncodeState state, IdList ids)
    {
        if (!model.SplitsAtMarker)
        {
            EncodeWord(text, model, state, ids);
            return;
        }

        ReadOnlySpan<byte> marker = "▁"u8;
        while (!text.IsEmpty)
        {
            int end = 0;
            while (text[end..].StartsWith(marker))
            {
                end += marker.Length;
            }

            int next = text[end..].IndexOf(marker);
            end = next < 0 ? text.Length : end + next;
            EncodeWord(text[..end], model, state, ids);
            text = text[end..];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void EncodeWord(ReadOnlySpan<byte> word, SubwordModel model, EncodeState state, IdList ids)
    {
        if (word.Length > WordCache.MaxWordLength)
        {
            model.Encode(word, state.Workspace, ids);
        }
        else if (!word.IsEmpty && !state.Cache.TryAppend(word, ids, out uint hash))
        {
            int before = ids.Count;
            model.Encode(word, state.Workspace, ids);
            state.Cache.Add(word, hash, ids.Span[before..]);
        }
    }

    private ByteBuffer DecodeToBuffer(ReadOnlySpan<int> ids, bool skipSpecial)
    {
        ByteBuffer bytes = new();
        DecodeState state = Decoder.Begin(continues: false);
        foreach (int id in ids)
        {
            AppendPiece(id, skipSpecial, ref state, bytes);
        }

        Decoder.Finish(ref state, bytes);
        return bytes;
    }

    private int Checked(int id) => (uint)id < (uint)_vocabulary.Count
        ? id
        : throw new TokenizerException($"Token id {id} lies outside the vocabulary of {_vocabulary.Count} tokens; ids go from 0 to {_vocabulary.Count - 1}. Is it from another model?");
}

/// <summary>Tokens that ask a model to fill a hole: prefix token, text before, suffix token, text after, middle token; the model goes on with what belongs between.</summary>
/// <param name="Prefix">Before the text before the hole.</param>
/// <param name="Suffix">Before the text after it.</param>
/// <param name="Middle">Before what fills it.</param>
public sealed record FillInMiddleTokens(int Prefix, int Suffix, int Middle)
{
    /// <summary>Before the name of a repository; null where the vocabulary has no such token.</summary>
    public int? Repository { get; init; }

    /// <summary>Before the name of a file, other files that belong to the text among them; null where the vocabulary has no such token.</summary>
    public int? File { get; init; }
}
