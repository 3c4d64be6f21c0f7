// Decodes ids as they come, never showing half a character. Knows not who generates them.
using System.Text;

namespace Kidogo.Text.Tokenizers;

/// <summary>Turns ids into text one at a time: what is given out, all together, is what <see cref="Tokenizer.Decode(ReadOnlySpan{int}, bool)"/> makes of all the ids.</summary>
/// <remarks>A character whose bytes have not all come yet is held back. Not for use by several threads at once.</remarks>
public sealed class TokenStreamDecoder
{
    private readonly Tokenizer _tokenizer;
    private readonly bool _skipSpecial;
    private readonly bool _continues;
    private readonly Decoder _utf8 = new UTF8Encoding(false, false).GetDecoder();
    private readonly ByteBuffer _bytes = new();
    private DecodeState _state;

    /// <summary>A decoder at the start of a text.</summary>
    /// <param name="tokenizer">Whose ids they are.</param>
    /// <param name="skipSpecial">Whether control tokens vanish, as in an answer, or are spelt out.</param>
    /// <param name="continues">Whether the ids go on after a text that is already there, so that a space at their start belongs to the text.</param>
    public TokenStreamDecoder(Tokenizer tokenizer, bool skipSpecial = true, bool continues = false)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        _tokenizer = tokenizer;
        _skipSpecial = skipSpecial;
        _continues = continues;
        _state = tokenizer.Decoder.Begin(continues);
    }

    /// <summary>Takes an id and returns the characters that are complete now; often none.</summary>
    /// <exception cref="TokenizerException">The id lies outside the vocabulary.</exception>
    public string Append(int id)
    {
        _bytes.Clear();
        _tokenizer.AppendPiece(id, _skipSpecial, ref _state, _bytes);
        return Take(flush: false);
    }

    /// <summary>Returns what was held back; bytes that never became a character are U+FFFD. The decoder is then at the start of a text again.</summary>
    public string Flush()
    {
        _bytes.Clear();
        _tokenizer.Decoder.Finish(ref _state, _bytes);
        string rest = Take(flush: true);
        _state = _tokenizer.Decoder.Begin(_continues);
        return rest;
    }

    private string Take(bool flush)
    {
        if (_bytes.Count == 0 && !flush)
        {
            return "";
        }

        int count = _utf8.GetCharCount(_bytes.Span, flush);
        if (count == 0 && !flush)
        {
            Span<char> none = stackalloc char[4];
            _utf8.GetChars(_bytes.Span, none, flush);
            return "";
        }

        char[] chars = new char[count];
        int written = _utf8.GetChars(_bytes.Span, chars, flush);
        return new string(chars, 0, written);
    }
}
