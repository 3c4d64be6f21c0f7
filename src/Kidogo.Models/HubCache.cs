// Where things lie in Hugging Face's cache of models: models--org--name/{blobs,refs,snapshots}. Reads names of files; writes nothing and opens no model.
namespace Kidogo.Models;

/// <summary>The cache that programs of Hugging Face's hub share.</summary>
/// <param name="folder">The folder that holds <c>models--org--name</c>.</param>
public sealed class HubCache(string folder)
{
    /// <summary>The branch that is meant where no revision was named.</summary>
    public const string MainRevision = "main";

    private const string Prefix = "models--";
    private const int LongestReference = 256;

    /// <summary>The folder that holds <c>models--org--name</c>.</summary>
    public string Folder { get; } = folder;

    /// <summary>The folder of a repository, whether it is there or not.</summary>
    public string RepositoryFolder(string repository) => Path.Combine(Folder, FolderNameOf(repository));

    /// <summary>The name of a repository's folder.</summary>
    public static string FolderNameOf(string repository) => $"{Prefix}{repository.Replace("/", "--", StringComparison.Ordinal)}";

    /// <summary>The repositories that have a folder, by name.</summary>
    public IReadOnlyList<string> Repositories() => !Directory.Exists(Folder)
        ? []
        : [.. Directory.EnumerateDirectories(Folder, $"{Prefix}*").Select(path => RepositoryOf(Path.GetFileName(path))).OfType<string>().Order(StringComparer.OrdinalIgnoreCase)];

    /// <summary>The snapshots of a repository, each a commit, the newest first.</summary>
    public IReadOnlyList<string> Commits(string repository)
    {
        string snapshots = Path.Combine(RepositoryFolder(repository), "snapshots");
        return Directory.Exists(snapshots)
            ? [.. Directory.EnumerateDirectories(snapshots).OrderByDescending(Directory.GetLastWriteTimeUtc).Select(path => Path.GetFileName(path)).Where(HubName.IsRevision)]
            : [];
    }

    /// <summary>The commit that a branch or tag points to; null where the cache does not know.</summary>
    public string? Reference(string repository, string revision)
    {
        string path = Path.Combine(RepositoryFolder(repository), "refs", revision);
        if (!HubName.IsRevision(revision) || !File.Exists(path) || new FileInfo(path).Length >= LongestReference)
        {
            return null;
        }

        string commit = File.ReadAllText(path).Trim();
        return HubName.IsRevision(commit) && !commit.Contains('/', StringComparison.Ordinal) ? commit : null;
    }

    /// <summary>The commit of a revision that has a snapshot; null where there is none.</summary>
    /// <param name="repository"><c>org/name</c>.</param>
    /// <param name="revision">A branch, a tag, or a commit or its beginning; null for <c>main</c>, and where the cache does not know that, the newest.</param>
    public string? CommitOf(string repository, string? revision)
    {
        IReadOnlyList<string> commits = Commits(repository);
        if (Reference(repository, revision ?? MainRevision) is { } referenced && commits.Contains(referenced))
        {
            return referenced;
        }

        const int ShortestPrefix = 7;
        return revision is null ? commits.Count > 0 ? commits[0] : null
            : commits.FirstOrDefault(commit => commit == revision)
                ?? (revision.Length >= ShortestPrefix && commits.Where(commit => commit.StartsWith(revision, StringComparison.OrdinalIgnoreCase)).ToArray() is [{ } only] ? only : null);
    }

    /// <summary>The folder of a commit's files.</summary>
    public string SnapshotFolder(string repository, string commit) => Path.Combine(RepositoryFolder(repository), "snapshots", commit);

    /// <summary>The files of a snapshot, relative to it and with slashes; links that lead nowhere are left out.</summary>
    public IReadOnlyList<string> Files(string repository, string commit)
    {
        string snapshot = SnapshotFolder(repository, commit);
        EnumerationOptions options = new() { RecurseSubdirectories = true, MaxRecursionDepth = 4, AttributesToSkip = FileAttributes.None, IgnoreInaccessible = true };
        return Directory.Exists(snapshot)
            ? [.. Directory.EnumerateFiles(snapshot, "*", options).Where(File.Exists).Select(path => Path.GetRelativePath(snapshot, path).Replace('\\', '/')).Order(StringComparer.Ordinal)]
            : [];
    }

    private static string? RepositoryOf(string folderName) => folderName[Prefix.Length..].Split("--") switch
    {
        [{ Length: > 0 } name] => name,
        [{ Length: > 0 } organisation, .. var rest] => $"{organisation}/{string.Join("--", rest)}",
        _ => null,
    };
}
