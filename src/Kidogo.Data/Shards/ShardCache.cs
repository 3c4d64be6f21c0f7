// Finds the shards of a source or has them made, so that whatever happens in between, a folder is complete or counts as nothing. Knows no tokens.
namespace Kidogo.Data.Shards;

/// <summary>A folder with a folder of shards for each key. Several processes may use it at once.</summary>
internal static class ShardCache
{
    private const int LockPollMilliseconds = 100;

    /// <summary>The store of a key.</summary>
    /// <param name="root">The cache's folder.</param>
    /// <param name="key">Hash of all that decides the shards.</param>
    /// <param name="vocabulary">Ids lie below it.</param>
    /// <param name="make">Writes all into an empty folder.</param>
    /// <param name="cancellation">Stops waiting for another process.</param>
    /// <returns>The store, and whether it was there.</returns>
    public static (TokenStore Store, bool WasThere) OpenOrMake(string root, byte[] key, int vocabulary, Action<string> make, CancellationToken cancellation)
    {
        string name = Convert.ToHexStringLower(key)[..32];
        string folder = Path.Combine(root, name);
        if (TryOpen(folder, key, vocabulary) is { } found)
        {
            return (found, true);
        }

        Directory.CreateDirectory(root);
        using FileStream hold = Lock(Path.Combine(root, $"{name}.lock"), cancellation);
        if (TryOpen(folder, key, vocabulary) is { } foundNow)
        {
            return (foundNow, true); // another process has made it meanwhile
        }

        string beside = Path.Combine(root, $"{name}.partial");
        Remove(beside); // of a process that was killed
        try
        {
            Directory.CreateDirectory(beside);
            make(beside);
            Remove(folder); // damaged or stale
            Directory.Move(beside, folder);
        }
        catch
        {
            try
            {
                Remove(beside);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                // the next process that has the lock removes it; what went wrong first is what to tell
            }

            throw;
        }

        return (TokenStore.Open(folder, key, vocabulary), false);
    }

    private static TokenStore? TryOpen(string folder, byte[] key, int vocabulary)
    {
        if (!Directory.Exists(folder))
        {
            return null;
        }

        TokenStore? store = null;
        try
        {
            store = TokenStore.Open(folder, key, vocabulary);
            foreach (ShardEntry entry in store.ReadIndex())
            {
                _ = entry; // read whole, since a damaged one means to make it anew
            }

            return store;
        }
        catch (DataFormatException)
        {
            store?.Dispose();
            return null;
        }
    }

    // A lock of the system, which goes with the process.
    private static FileStream Lock(string path, CancellationToken cancellation)
    {
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.None);
            }
            catch (IOException failure) when (failure is not (DirectoryNotFoundException or PathTooLongException) && File.Exists(path))
            {
                cancellation.WaitHandle.WaitOne(LockPollMilliseconds);
            }
        }
    }

    private static void Remove(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
