// Files of token ids: decimal numbers with white space between them. Knows no vocabulary but its size.
using System.Buffers.Text;

namespace Kidogo.Cli.Shell;

/// <summary>Reads token ids.</summary>
internal static class IdFile
{
    private const int LongestShown = 24;

    /// <summary>The ids in a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="vocabulary">Ids have to be below it.</param>
    public static int[] Read(string path, int vocabulary) => Parse(ReadFile(path), path, vocabulary);

    /// <summary>The ids in UTF-8 text.</summary>
    /// <param name="text">The bytes.</param>
    /// <param name="source">What to call them in messages.</param>
    /// <param name="vocabulary">Ids have to be below it.</param>
    /// <exception cref="FailureException">Something is no id of the vocabulary.</exception>
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
                string shown = System.Text.Encoding.UTF8.GetString(word[..Math.Min(word.Length, LongestShown)]) + (word.Length > LongestShown ? "…" : "");
                bool isWhole = isNumber || IsLongNumber(word);
                throw new FailureException(isWhole
                    ? $"The token id {shown} at position {ids.Count} (byte {at}) of {source} is outside the model's vocabulary of {vocabulary} (0 to {vocabulary - 1})."
                    : $"\"{shown}\" at position {ids.Count} (byte {at}) of {source} is no token id; expected decimal numbers with white space between them.");
            }

            ids.Add((int)id);
            at = end;
        }
    }

    /// <summary>The bytes of a file that must be a file.</summary>
    public static byte[] ReadFile(string path)
    {
        if (Directory.Exists(path))
        {
            throw new FailureException($"{path} is a folder, where a file was expected.");
        }

        if (!File.Exists(path))
        {
            throw new FailureException($"There is no file {path}.");
        }

        return File.ReadAllBytes(path);
    }

    private static bool IsSpace(byte value) => value is (byte)' ' or (>= (byte)'\t' and <= (byte)'\r');

    private static bool IsLongNumber(ReadOnlySpan<byte> word)
    {
        ReadOnlySpan<byte> digits = word[0] == '-' ? word[1..] : word;
        return digits.Length > 0 && digits.IndexOfAnyExceptInRange((byte)'0', (byte)'9') < 0;
    }
}
