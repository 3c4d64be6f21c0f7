// Files of token ids. Knows no vocabulary but its size.
using Kidogo.Text.Tokenizers;

namespace Kidogo.Cli.Shell;

/// <summary>Reads files of token ids.</summary>
internal static class IdFile
{
    /// <summary>The ids in a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="vocabulary">Ids have to be below it.</param>
    /// <exception cref="TokenizerException">Something in it is no id of the vocabulary.</exception>
    public static int[] Read(string path, int vocabulary) => TokenIds.Parse(ReadFile(path), path, vocabulary);

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
}
