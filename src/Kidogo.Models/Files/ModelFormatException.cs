// The one exception of everything that reads model files. Knows no format.
using System.Globalization;
using System.Text;

namespace Kidogo.Models.Files;

/// <summary>A model file does not say what its format prescribes, or says more than is accepted from an untrusted file.</summary>
/// <remarks>The only exception that opening or reading a model's files throws because of what is <em>in</em> them. Files that are absent or may not be read throw <see cref="IOException"/> or <see cref="UnauthorizedAccessException"/>.</remarks>
public sealed class ModelFormatException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="file">The file's path.</param>
    /// <param name="offset">Bytes from the start of the file to what is wrong, or -1 where no one place is.</param>
    /// <param name="problem">What was found, what was expected, and what to do, in whole sentences.</param>
    /// <param name="inner">What caused it, if anything did.</param>
    public ModelFormatException(string file, long offset, string problem, Exception? inner = null)
        : base(offset < 0 ? $"{Shown(file, 4096)}: {problem}" : string.Create(CultureInfo.InvariantCulture, $"{Shown(file, 4096)}, byte {offset}: {problem}"), inner)
    {
        File = file;
        Offset = offset;
        Problem = problem;
    }

    /// <summary>The path of the file that is wrong.</summary>
    public string File { get; }

    /// <summary>Bytes from the start of the file to what is wrong, or -1 where no one place is.</summary>
    public long Offset { get; }

    /// <summary>The message without the file and the offset.</summary>
    public string Problem { get; }

    /// <summary>A name from an untrusted file, fit for a terminal: control characters escaped, cut to <paramref name="limit"/> characters, in quotes.</summary>
    public static string Quote(string name, int limit = 80) => $"\"{Shown(name, limit)}\"";

    private static string Shown(string text, int limit)
    {
        StringBuilder? shown = null;
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (i == limit)
            {
                return (shown?.ToString() ?? text[..limit]) + "…";
            }

            // Besides control characters, those that turn the direction of writing, and surrogates that have lost their partner.
            bool harmless = !char.IsControl(c) && c is not ((>= '\u200E' and <= '\u200F') or (>= '\u2028' and <= '\u202E') or (>= '\u2066' and <= '\u2069') or '\uFEFF');
            if (!harmless && shown is null)
            {
                shown = new StringBuilder(text, 0, i, text.Length + 16);
            }

            if (harmless)
            {
                shown?.Append(c);
            }
            else
            {
                shown!.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:X4}");
            }
        }

        return shown?.ToString() ?? text;
    }
}
