// Texts of token ids: decimal numbers with white space between them. Knows no files, and of a vocabulary its size.
using System.Buffers.Text;
using System.Text;

namespace Kidogo.Text.Tokenizers;

/// <summary>Reads token ids.</summary>
public static class TokenIds
{
    private const int LongestShown = 24;

    /// <summary>The ids in UTF-8 text.</summary>
    /// <param name="text">The bytes.</param>
    /// <param name="source">What to call them in messages.</param>
    /// <param name="vocabulary">Ids have to be below it.</param>
    /// <exception cref="TokenizerException">Something is no id of the vocabulary.</exception>
    public static int[] Parse(ReadOnlySpan<byte> text, string source, int vocabulary)
    {
        List<int> ids = [];
        ReadOnlySpan<byte> mark = [0xEF, 0xBB, 0xBF];
        int at = text.StartsWith(mark) ? mark.Length : 0;
        while (true)
        {
            while (at < text.Length && IsSpace(text[at]))
            {
                at++;
            }

            if (at == text.Length)
            {
                return [.. ids];
            }

            int end = at;
            while (end < text.Length && !IsSpace(text[end]))
            {
                end++;
            }

            ReadOnlySpan<byte> word = text[at..end];
            bool isNumber = Utf8Parser.TryParse(word, out long id, out int used) && used == word.Length && word[0] != '+';
            if (!isNumber || id < 0 || id >= vocabulary)
            {
                string shown = Encoding.UTF8.GetString(word[..Math.Min(word.Length, LongestShown)]) + (word.Length > LongestShown ? "…" : "");
                bool isWhole = isNumber || IsLongNumber(word);
                throw new TokenizerException(isWhole
                    ? $"The token id {shown} at position {ids.Count} (byte {at}) of {source} is outside the model's vocabulary of {vocabulary} (0 to {vocabulary - 1})."
                    : $"\"{shown}\" at position {ids.Count} (byte {at}) of {source} is no token id; expected decimal numbers with white space between them.");
            }

            ids.Add((int)id);
            at = end;
        }
    }

    private static bool IsSpace(byte value) => value is (byte)' ' or (>= (byte)'\t' and <= (byte)'\r');

    private static bool IsLongNumber(ReadOnlySpan<byte> word)
    {
        ReadOnlySpan<byte> digits = word[0] == '-' ? word[1..] : word;
        return digits.Length > 0 && digits.IndexOfAnyExceptInRange((byte)'0', (byte)'9') < 0;
    }
}
