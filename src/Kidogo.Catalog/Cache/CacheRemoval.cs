// Takes models out of the cache: what no other snapshot needs goes with them. Knows no network.
using Kidogo.Catalog.Hub;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Catalog.Cache;

/// <summary>Removes models.</summary>
public static class CacheRemoval
{
    /// <summary>Removes a repository, a snapshot (<c>@revision</c>), or one format of it (<c>:FORMAT</c>), and returns the bytes that this freed.</summary>
    /// <exception cref="HubException">There is no such thing, or another program is writing it now.</exception>
    public static long Remove(HubCache cache, HubName name)
    {
        string repository = name.Repository, folder = cache.RepositoryFolder(repository);
        if (!Directory.Exists(folder))
        {
            string nearest = NearestName.Likely(repository, cache.Repositories()) is { } near ? $" The nearest is {near}." : "";
            throw new HubException($"The cache {cache.Folder} has no {repository}.{nearest} kidogo list shows what it has.");
        }

        if (CacheLock.IsAnyTaken(cache, repository))
        {
            throw new HubException($"Another program is writing {repository} to the cache now. Wait until it is done, or end it, and try again.");
        }

        long before = CachedModel.DiskBytes(cache, repository);
        if (name is { Revision: null, Format: null, File: null })
        {
            DeleteWhole(cache, folder);
            return before;
        }

        string[] commits = name.Revision is null ? [.. cache.Commits(repository)]
            : cache.CommitOf(repository, name.Revision) is { } commit ? [commit] : throw new HubException($"The cache has no {name.Revision} of {repository}. It has {string.Join(", ", cache.Commits(repository))}.");
        bool isFound = false;
        foreach (string each in commits)
        {
            isFound |= RemoveFrom(cache, name, each);
        }

        if (!isFound)
        {
            throw new HubException($"The cache has no {name}. It has {string.Join(", ", CachedModel.Of(cache, repository).Select(model => $"{repository}:{model.Format}").Distinct())}.");
        }

        DeleteUnneeded(cache, repository, folder);
        if (cache.Commits(repository).Count == 0)
        {
            DeleteWhole(cache, folder);
            return before;
        }

        return before - CachedModel.DiskBytes(cache, repository);
    }

    /// <summary>The folder goes out of sight at once, and only then file by file: what is half deleted is no model.</summary>
    private static void DeleteWhole(HubCache cache, string folder)
    {
        string hidden = Path.Combine(cache.Folder, $".removed.{Environment.ProcessId}.{Path.GetFileName(folder)}");
        Directory.Move(folder, hidden);
        CacheWriter.DeleteFolder(hidden);
    }

    private static bool RemoveFrom(HubCache cache, HubName name, string commit)
    {
        string snapshot = cache.SnapshotFolder(name.Repository, commit);
        if (name is { Format: null, File: null })
        {
            string hidden = Path.Combine(cache.RepositoryFolder(name.Repository), $".removed.{Environment.ProcessId}.{commit}");
            Directory.Move(snapshot, hidden);
            CacheWriter.DeleteFolder(hidden);
            return true;
        }

        IReadOnlyList<CachedModel> models = [.. CachedModel.Of(cache, name.Repository).Where(model => model.Commit == commit)];
        string[] files = name.File is { } one ? [.. models.SelectMany(model => model.Files).Where(file => file == one)]
            : [.. models.Where(model => model.IsCalled(name.Format!)).SelectMany(model => model.Files)];
        foreach (string file in files)
        {
            File.Delete(Path.Combine(snapshot, file));
        }

        if (!models.Any(model => model.Files.Any(file => FileChoice.IsWeights(file) && !files.Contains(file))))
        {
            CacheWriter.DeleteFolder(snapshot); // licences alone are no snapshot
        }

        return files.Length > 0;
    }

    /// <summary>Blobs that no snapshot links to any more, and references to snapshots that are gone.</summary>
    private static void DeleteUnneeded(HubCache cache, string repository, string folder)
    {
        EnumerationOptions options = new() { RecurseSubdirectories = true, MaxRecursionDepth = 4, AttributesToSkip = FileAttributes.None };
        string snapshots = Path.Combine(folder, "snapshots");
        HashSet<string> needed = Directory.Exists(snapshots)
            ? [.. Directory.EnumerateFiles(snapshots, "*", options).Where(path => new FileInfo(path).LinkTarget is not null).Select(path => Path.GetFileName(RealPath.Of(path)))]
            : [];
        string blobs = Path.Combine(folder, "blobs");
        foreach (string blob in Directory.Exists(blobs) ? Directory.GetFiles(blobs) : [])
        {
            if (!needed.Contains(Path.GetFileName(blob)) && !blob.EndsWith(".incomplete", StringComparison.Ordinal))
            {
                File.Delete(blob);
            }
        }

        string references = Path.Combine(folder, "refs");
        HashSet<string> commits = [.. cache.Commits(repository)];
        foreach (string path in Directory.Exists(references) ? Directory.GetFiles(references, "*", options) : [])
        {
            if (cache.Reference(repository, Path.GetRelativePath(references, path).Replace('\\', '/')) is { } commit && !commits.Contains(commit))
            {
                File.Delete(path);
            }
        }
    }
}
