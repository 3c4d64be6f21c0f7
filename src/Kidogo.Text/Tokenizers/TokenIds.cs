// Texts of token ids: decimal numbers with white space between them. Knows no files, and of a vocabulary its size.
using System.Buffers.Text;
using System.Text;

namespace Kidogo.Text.Tokenizers;

/// <summary>Reads token ids.</summary>
public static class TokenIds
{
    private const int LongestShown = 24;
    private const int LongestWord = 1024;
    private const int BufferBytes = 64 * 1024;

    /// <summary>The ids in UTF-8 text.</summary>
    /// <param name="text">The bytes.</param>
    /// <param name="source">What to call them in messages.</param>
    /// <param name="vocabulary">Ids have to be below it.</param>
    /// <exception cref="TokenizerException">Something is no id of the vocabulary.</exception>
    public static int[] Parse(ReadOnlySpan<byte> text, string source, int vocabulary)
    {
        List<int> ids = [];
        Take(text, 0, isLast: true, source, vocabulary, int.MaxValue, ids);
        return [.. ids];
    }

    /// <summary>The ids in a stream of UTF-8 text, of any length in little memory.</summary>
    /// <param name="stream">The bytes; read to the end, or until there are enough ids.</param>
    /// <param name="source">What to call them in messages.</param>
    /// <param name="vocabulary">Ids have to be below it.</param>
    /// <param name="most">No more ids are read than these; ask for one more than can be used to see whether there are more.</param>
    /// <exception cref="TokenizerException">Something is no id of the vocabulary.</exception>
    public static int[] Read(Stream stream, string source, int vocabulary, int most)
    {
        ArgumentNullException.ThrowIfNull(stream);
        List<int> ids = [];
        byte[] buffer = new byte[BufferBytes];
        long before = 0;
        for (int kept = 0; ids.Count < most;)
        {
            int read = stream.Read(buffer, kept, buffer.Length - kept);
            int filled = kept + read;
            int used = Take(buffer.AsSpan(0, filled), before, read == 0, source, vocabulary, most, ids);
            if (read == 0)
            {
                break;
            }

            before += used;
            kept = filled - used;
            buffer.AsSpan(used, kept).CopyTo(buffer);
        }

        return [.. ids];
    }

    /// <summary>Takes whole words and returns the bytes taken: all but a word at the end that may go on.</summary>
    /// <param name="text">Bytes.</param>
    /// <param name="before">Bytes before them.</param>
    /// <param name="isLast">Whether nothing comes after them.</param>
    /// <param name="source">What to call them.</param>
    /// <param name="vocabulary">Ids have to be below it.</param>
    /// <param name="most">Enough ids.</param>
    /// <param name="ids">Where they go.</param>
    private static int Take(ReadOnlySpan<byte> text, long before, bool isLast, string source, int vocabulary, int most, List<int> ids)
    {
        ReadOnlySpan<byte> mark = [0xEF, 0xBB, 0xBF];
        int at = before == 0 && text.StartsWith(mark) ? mark.Length : 0;
        while (true)
        {
            while (at < text.Length && IsSpace(text[at]))
            {
                at++;
            }

            int end = at;
            while (end < text.Length && !IsSpace(text[end]))
            {
                end++;
            }

            // A word that reaches the end may go on, but no longer one is an id, however it goes on.
            if (end == at || ids.Count == most || (end == text.Length && !isLast && end - at <= LongestWord))
            {
                return at;
            }

            ReadOnlySpan<byte> word = text[at..end];
            bool isNumber = Utf8Parser.TryParse(word, out long id, out int used) && used == word.Length && word[0] != '+' && word.Length <= LongestWord;
            if (!isNumber || id < 0 || id >= vocabulary)
            {
                string shown = Encoding.UTF8.GetString(word[..Math.Min(word.Length, LongestShown)]) + (word.Length > LongestShown ? "…" : "");
                bool isWhole = isNumber || IsLongNumber(word);
                throw new TokenizerException(isWhole
                    ? $"The token id {shown} at position {ids.Count} (byte {before + at}) of {source} is outside the model's vocabulary of {vocabulary} (0 to {vocabulary - 1})."
                    : $"\"{shown}\" at position {ids.Count} (byte {before + at}) of {source} is no token id; expected decimal numbers with white space between them.");
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
