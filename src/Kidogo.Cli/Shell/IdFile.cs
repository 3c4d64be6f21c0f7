// Files of token ids. Knows no vocabulary but its size.
using Kidogo.Text.Tokenizers;

namespace Kidogo.Cli.Shell;

/// <summary>Reads files of token ids.</summary>
internal static class IdFile
{
    /// <summary>The most ids that are taken from a file where all of them count.</summary>
    public const int MaxIds = 16 * 1024 * 1024;

    private const long MaxBytes = 256L * 1024 * 1024;

    /// <summary>The first ids in a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="vocabulary">Ids have to be below it.</param>
    /// <param name="most">No more are read.</param>
    /// <exception cref="TokenizerException">Something in it is no id of the vocabulary.</exception>
    /// <exception cref="FailureException">There is no such file, or it is far too long.</exception>
    public static int[] ReadFirst(string path, int vocabulary, int most)
    {
        using FileStream stream = InputFile.Open(path, MaxBytes);
        return TokenIds.Read(stream, path, vocabulary, most);
    }

    /// <summary>All ids in a file, which may not be more than <paramref name="most"/>.</summary>
    /// <param name="path">The file.</param>
    /// <param name="vocabulary">Ids have to be below it.</param>
    /// <param name="most">The most that can be used.</param>
    /// <param name="why">What these are, for the message, and what to do.</param>
    /// <exception cref="TokenizerException">Something in it is no id of the vocabulary.</exception>
    /// <exception cref="FailureException">There is no such file, or it holds more.</exception>
    public static int[] ReadAll(string path, int vocabulary, int most, string why)
    {
        int[] ids = ReadFirst(path, vocabulary, Math.Min(most, MaxIds) + 1);
        if (ids.Length <= Math.Min(most, MaxIds))
        {
            return ids;
        }

        throw new FailureException(most > MaxIds
            ? $"{path} holds more than {MaxIds} token ids, the most that are taken from a file. Cut it into parts."
            : $"{path} holds more than {most} token ids, {why}");
    }
}
