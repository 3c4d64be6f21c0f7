// One program at a time writes a blob: the lock files that Hugging Face's own programs use. Knows not what is written.
using Kidogo.Models;

namespace Kidogo.Catalog.Cache;

/// <summary>An exclusive lock on <c>.locks/models--org--name/HASH.lock</c>, which the system lets go of when its owner ends, however that happens.</summary>
internal sealed class CacheLock : IDisposable
{
    private static readonly TimeSpan s_between = TimeSpan.FromMilliseconds(200);
    private readonly FileStream _file;

    private CacheLock(FileStream file) => _file = file;

    /// <summary>The folder of a repository's locks.</summary>
    public static string FolderOf(HubCache cache, string repository) => Path.Combine(cache.Folder, ".locks", HubCache.FolderNameOf(repository));

    /// <summary>Waits for a lock.</summary>
    /// <param name="cache">The cache.</param>
    /// <param name="repository">Whose.</param>
    /// <param name="name">What is locked: the name of a blob.</param>
    /// <param name="waiting">Told once, where another program has it.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    public static async Task<CacheLock> TakeAsync(HubCache cache, string repository, string name, Action? waiting, CancellationToken cancellation)
    {
        string path = Path.Combine(Directory.CreateDirectory(FolderOf(cache, repository)).FullName, $"{name}.lock");
        for (bool isFirst = true; ; isFirst = false)
        {
            if (TryTake(path) is { } taken)
            {
                return taken;
            }

            if (isFirst)
            {
                waiting?.Invoke();
            }

            await Task.Delay(s_between, cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>Whether another program holds any lock of a repository now.</summary>
    public static bool IsAnyTaken(HubCache cache, string repository)
    {
        string folder = FolderOf(cache, repository);
        return Directory.Exists(folder) && Directory.EnumerateFiles(folder, "*.lock").Any(path =>
        {
            using CacheLock? taken = TryTake(path);
            return taken is null;
        });
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private static CacheLock? TryTake(string path)
    {
        try
        {
            // .NET's exclusive sharing is flock on Unix, as it is in the Python programs.
            return new CacheLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1));
        }
        catch (IOException failure) when (failure is not (DirectoryNotFoundException or PathTooLongException))
        {
            return null;
        }
    }
}
