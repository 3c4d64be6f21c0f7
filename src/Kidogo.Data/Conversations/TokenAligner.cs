// Finds which bytes of a text each of its tokens stands for. Knows pieces, not templates.
using Kidogo.Text.Tokenizers;

namespace Kidogo.Data.Conversations;

/// <summary>Lays tokens over the text that they came from. Any number of threads may use it at once.</summary>
internal sealed class TokenAligner(Tokenizer tokenizer)
{
    private readonly byte[]?[] _pieces = new byte[]?[tokenizer.VocabularySize];

    /// <summary>The end of each token in <paramref name="text"/>; a token begins where the one before ends, or after white space that no token stands
    /// for.</summary>
    /// <returns>False where the tokens do not spell the text: the tokenizer changes it.</returns>
    /// <remarks>
    /// A tokenizer may drop white space beside a special token and may put a space before a text; both are followed. One that changes letters is not.
    /// </remarks>
    public bool TryAlign(ReadOnlySpan<int> ids, ReadOnlySpan<byte> text, Span<(int Start, int End)> places)
    {
        int at = 0;
        for (int i = 0; i < ids.Length; i++)
        {
            ReadOnlySpan<byte> piece = Piece(ids[i]);
            int start = Find(text, at, piece, out int length);
            if (start < 0)
            {
                return false;
            }

            at = start + length;
            places[i] = (start, at);
        }

        return text[at..].Trim(" \t\r\n"u8).IsEmpty;
    }

    // Where the piece begins at or after a place, with only white space between; -1 if nowhere.
    private static int Find(ReadOnlySpan<byte> text, int at, ReadOnlySpan<byte> piece, out int length)
    {
        length = piece.Length;
        if (text[at..].StartsWith(piece))
        {
            return at;
        }

        bool addsSpace = piece.Length > 0 && piece[0] == (byte)' ';
        for (int start = at; start <= text.Length; start++)
        {
            if (text[start..].StartsWith(piece))
            {
                return start;
            }

            if (addsSpace && text[start..].StartsWith(piece[1..]))
            {
                length = piece.Length - 1;
                return start;
            }

            if (start == text.Length || text[start] is not ((byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t'))
            {
                break;
            }
        }

        return -1;
    }

    private ReadOnlySpan<byte> Piece(int id) => _pieces[id] ??= tokenizer.PieceBytes(id);
}
