// A folder that results go into: looked at before work begins. Knows not what is written.
namespace Kidogo.Cli.Shell;

/// <summary>Checks on <c>--out</c> where it is a folder.</summary>
internal static class OutFolder
{
    /// <summary>Throws if the folder is a file, or cannot be made or written to: better before hours of work than after.</summary>
    /// <exception cref="UsageException">No name was given.</exception>
    /// <exception cref="FailureException">Nothing can be written there.</exception>
    public static void CheckWritable(string folder)
    {
        if (folder.Length == 0)
        {
            throw new UsageException("--out is empty; name a folder.");
        }

        string? at = Path.GetFullPath(folder);
        while (at is not null && !Directory.Exists(at))
        {
            if (File.Exists(at))
            {
                throw new FailureException($"{at} is a file, where a folder was expected. Name another --out.");
            }

            at = Path.GetDirectoryName(at);
        }

        string probe = Path.Combine(at ?? ".", $".kidogo-{Environment.ProcessId}.tmp");
        try
        {
            using FileStream stream = new(probe, FileMode.Create, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new FailureException($"The folder {at} cannot be written to: {failure.Message.TrimEnd('.')}. Name another --out.");
        }
    }
}
