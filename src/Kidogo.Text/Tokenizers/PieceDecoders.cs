// Turns ids back into bytes, one after the other. Knows not where ids come from.
using System.Text;

namespace Kidogo.Text.Tokenizers;

/// <summary>What a decoder must remember from one id to the next.</summary>
internal struct DecodeState
{
    /// <summary>Whether some token has been decoded.</summary>
    public bool NotFirst;

    /// <summary>Whether the next token's leading space was added in encoding and is to be dropped.</summary>
    public bool DropSpace;

    /// <summary>The id before.</summary>
    public int Previous;

    /// <summary>How many characters were dropped at the start so far.</summary>
    public int Dropped;

    /// <summary>Whether anything has been given out, after which nothing is dropped at the start.</summary>
    public bool Started;

    /// <summary>What is held back because it may turn out to be the end.</summary>
    public int HeldBack;
}

/// <summary>Turns ids into bytes. Immutable; what it remembers lies in a <see cref="DecodeState"/>.</summary>
internal abstract class PieceDecoder
{
    /// <summary>The state at the start of a text, or in the middle of one, where no leading space is dropped.</summary>
    public virtual DecodeState Begin(bool continues) => new() { NotFirst = continues, Started = continues, Previous = -1 };

    /// <summary>Appends what <paramref name="piece"/>, the token <paramref name="id"/>, adds to the text.</summary>
    public abstract void Append(int id, ReadOnlySpan<byte> piece, TokenKind kind, ref DecodeState state, ByteBuffer output);

    /// <summary>Appends what was held back, at the end of the ids.</summary>
    public virtual void Finish(ref DecodeState state, ByteBuffer output)
    {
    }

    /// <summary>Appends <paramref name="text"/> with every <paramref name="from"/> replaced.</summary>
    public static void Replace(ReadOnlySpan<byte> text, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to, ByteBuffer output)
    {
        int found;
        for (; !from.IsEmpty && (found = text.IndexOf(from)) >= 0; text = text[(found + from.Length)..])
        {
            output.Add(text[..found]);
            output.Add(to);
        }

        output.Add(text);
    }
}

/// <summary>Pieces in GPT-2's alphabet of bytes.</summary>
internal sealed class ByteLevelPieceDecoder : PieceDecoder
{
    public override void Append(int id, ReadOnlySpan<byte> piece, TokenKind kind, ref DecodeState state, ByteBuffer output)
    {
        if (kind == TokenKind.Byte && Vocabulary.ByteOf(piece) is >= 0 and int value)
        {
            output.Add((byte)value);
        }
        else if (kind is TokenKind.Control or TokenKind.UserDefined or TokenKind.Unknown)
        {
            output.Add(piece);
        }
        else
        {
            ByteAlphabet.Unspell(piece, output);
        }
    }
}

/// <summary>Pieces with <c>▁</c> for a space and <c>&lt;0xNN&gt;</c> for bytes, as SentencePiece writes them.</summary>
/// <param name="dropsAddedSpace">Whether encoding puts a space before each stretch of text, which is dropped again: at the start and after each added token.</param>
internal sealed class MarkerPieceDecoder(bool dropsAddedSpace) : PieceDecoder
{
    public override DecodeState Begin(bool continues) => new() { DropSpace = dropsAddedSpace && !continues };

    public override void Append(int id, ReadOnlySpan<byte> piece, TokenKind kind, ref DecodeState state, ByteBuffer output)
    {
        bool drop = state.DropSpace;
        state.DropSpace = false;
        if (kind is TokenKind.Control or TokenKind.UserDefined or TokenKind.Unknown)
        {
            output.Add(piece);
            state.DropSpace = dropsAddedSpace;
        }
        else if (kind == TokenKind.Byte && Vocabulary.ByteOf(piece) is >= 0 and int value)
        {
            output.Add((byte)value);
        }
        else
        {
            Replace(drop && piece.StartsWith("▁"u8) ? piece["▁"u8.Length..] : piece, "▁"u8, " "u8, output);
        }
    }
}

/// <summary>WordPiece: a space before pieces that begin a word, and English punctuation drawn to the word before it.</summary>
internal sealed class WordPieceDecoder : PieceDecoder
{
    private static readonly (byte[] From, byte[] To)[] s_cleanUp =
        [.. new[] { (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re") }
            .Select(static pair => (Encoding.UTF8.GetBytes(pair.Item1), Encoding.UTF8.GetBytes(pair.Item2)))];

    private readonly byte[] _prefix;
    private readonly bool _prefixBeginsWord;
    private readonly bool _cleanUp;

    /// <param name="prefix">What pieces inside a word begin with (<c>##</c>), or those that begin one (<c>▁</c>).</param>
    /// <param name="prefixBeginsWord">Which of the two.</param>
    /// <param name="cleanUp">Whether punctuation is drawn to the word before it.</param>
    public WordPieceDecoder(string prefix, bool prefixBeginsWord, bool cleanUp)
    {
        _prefix = Encoding.UTF8.GetBytes(prefix);
        _prefixBeginsWord = prefixBeginsWord;
        _cleanUp = cleanUp;
    }

    public override void Append(int id, ReadOnlySpan<byte> piece, TokenKind kind, ref DecodeState state, ByteBuffer output)
    {
        bool prefixed = piece.StartsWith(_prefix);
        bool special = kind is TokenKind.Control or TokenKind.UserDefined or TokenKind.Unknown;
        bool beginsWord = special || prefixed == _prefixBeginsWord;
        ReadOnlySpan<byte> text = prefixed && !special && (_prefixBeginsWord || state.NotFirst) ? piece[_prefix.Length..] : piece;
        byte[] token = state.NotFirst && beginsWord ? [(byte)' ', .. text] : text.ToArray();
        state.NotFirst = true;
        output.Add(_cleanUp ? CleanUp(token) : token);
    }

    /// <summary>A token with English punctuation drawn to the word before it.</summary>
    public static byte[] CleanUp(byte[] token)
    {
        foreach ((byte[] from, byte[] to) in s_cleanUp)
        {
            if (token.AsSpan().IndexOf(from) >= 0)
            {
                ByteBuffer clean = new();
                Replace(token, from, to, clean);
                token = clean.Span.ToArray();
            }
        }

        return token;
    }
}

/// <summary>One step of tokenizer.json's decoders, over one token at a time.</summary>
internal abstract record DecoderStep
{
    /// <summary>Pieces in GPT-2's alphabet.</summary>
    public sealed record ByteLevel : DecoderStep;

    /// <summary><c>&lt;0xNN&gt;</c> is a byte.</summary>
    public sealed record ByteFallback : DecoderStep;

    /// <summary>From here on the tokens are one string.</summary>
    public sealed record Fuse : DecoderStep;

    /// <summary>A string becomes another.</summary>
    public sealed record Replace(byte[] From, byte[] To) : DecoderStep;

    /// <summary>At most Start of a character go at the start, Stop at the end.</summary>
    public sealed record Strip(byte[] Content, int Start, int Stop) : DecoderStep;

    /// <summary>The marker becomes a space, in the first token nothing.</summary>
    public sealed record Metaspace(byte[] Marker, bool DropFirst) : DecoderStep;

    /// <summary>WordPiece's rule.</summary>
    public sealed record WordPiece(WordPieceDecoder Decoder) : DecoderStep;

    /// <summary>The suffix that ends words becomes a space, at the end of the text nothing.</summary>
    public sealed record Suffix(byte[] Ending) : DecoderStep;

    /// <summary>Repeated tokens count once, the pad token never, the delimiter is a space.</summary>
    public sealed record Ctc(byte[] Pad, byte[] Delimiter, bool CleanUp) : DecoderStep;

    /// <summary>No decoder: tokens with spaces between.</summary>
    public sealed record Join : DecoderStep;
}

/// <summary>tokenizer.json's chain of decoders.</summary>
internal sealed class ChainDecoder(IReadOnlyList<DecoderStep> steps) : PieceDecoder
{
    public override void Append(int id, ReadOnlySpan<byte> piece, TokenKind kind, ref DecodeState state, ByteBuffer output)
    {
        ByteBuffer token = new() { Limit = TextGrowth.LimitForPiece(piece.Length) };
        token.Add(piece);
        bool fused = false, first = !state.NotFirst;
        foreach (DecoderStep step in steps)
        {
            if (step is DecoderStep.Fuse)
            {
                fused = true;
                continue;
            }

            if (step is DecoderStep.Ctc && id == state.Previous)
            {
                return;
            }

            token = Apply(step, token, kind, fused, first, ref state);
        }

        state.NotFirst = true;
        state.Previous = id;
        output.Add(token.Span);
        state.Started |= token.Count > 0;
    }

    public override void Finish(ref DecodeState state, ByteBuffer output)
    {
        // What is held back at the end of a text is what the steps drop there.
        state.HeldBack = 0;
    }

    private static ByteBuffer Apply(DecoderStep step, ByteBuffer token, TokenKind kind, bool fused, bool first, ref DecodeState state)
    {
        ByteBuffer result = new() { Limit = token.Limit };
        switch (step)
        {
            case DecoderStep.ByteLevel:
                ByteAlphabet.Unspell(token.Span, result);
                break;
            case DecoderStep.ByteFallback when Vocabulary.ByteOf(token.Span) is >= 0 and int value:
                result.Add((byte)value);
                break;
            case DecoderStep.Replace replace:
                Replace(token.Span, replace.From, replace.To, result);
                break;
            case DecoderStep.Metaspace space:
                Replace(token.Span, space.Marker, space.DropFirst && first ? default : " "u8, result);
                break;
            case DecoderStep.WordPiece word:
                DecodeState own = new() { NotFirst = !first };
                word.Decoder.Append(0, token.Span, TokenKind.Normal, ref own, result);
                break;
            case DecoderStep.Join:
                result.Add(first ? default : " "u8);
                result.Add(token.Span);
                break;
            case DecoderStep.Strip strip:
                Strip(strip, token.Span, fused, ref state, result);
                break;
            case DecoderStep.Suffix suffix:
                if (state.HeldBack > 0)
                {
                    result.Add((byte)' ');
                }

                bool ends = token.Span.EndsWith(suffix.Ending);
                state.HeldBack = ends ? 1 : 0;
                Replace(ends ? token.Span[..^suffix.Ending.Length] : token.Span, suffix.Ending, " "u8, result);
                break;
            case DecoderStep.Ctc ctc:
                if (!token.Span.SequenceEqual(ctc.Pad))
                {
                    byte[] clean = ctc.CleanUp ? WordPieceDecoder.CleanUp(token.Span.ToArray()) : token.Span.ToArray();
                    Replace(clean, ctc.CleanUp ? ctc.Delimiter : default, " "u8, result);
                }

                break;
            default:
                return token;
        }

        return result;
    }

    // Before Fuse each token is stripped, after it the whole text; there, what could be its end is held back and comes before the next token.
    private static void Strip(DecoderStep.Strip strip, ReadOnlySpan<byte> token, bool fused, ref DecodeState state, ByteBuffer result)
    {
        if (strip.Content.Length == 0)
        {
            result.Add(token);
            return;
        }

        int dropped = fused ? state.Dropped : 0;
        while (dropped < strip.Start && (!fused || !state.Started) && token.StartsWith(strip.Content))
        {
            token = token[strip.Content.Length..];
            dropped++;
        }

        state.Dropped = fused ? dropped : state.Dropped;
        if (fused)
        {
            for (; state.HeldBack > 0 && !token.IsEmpty; state.HeldBack--)
            {
                result.Add(strip.Content);
            }
        }

        int atEnd = 0;
        while (atEnd < strip.Stop && token.EndsWith(strip.Content))
        {
            token = token[..^strip.Content.Length];
            atEnd++;
        }

        state.HeldBack = fused ? atEnd : state.HeldBack;
        result.Add(token);
    }
}
