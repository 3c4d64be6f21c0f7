// What lies in the cache, whoever wrote it: models that are whole, and downloads that are not. Opens no model and writes nothing.
using Kidogo.Catalog.Hub;
using Kidogo.Models;

namespace Kidogo.Catalog.Cache;

/// <summary>A model in the cache.</summary>
/// <param name="Repository"><c>org/name</c>.</param>
/// <param name="Commit">The snapshot.</param>
/// <param name="Format">A GGUF format, or <c>safetensors</c>.</param>
/// <param name="Path">The .gguf file or the folder.</param>
/// <param name="Files">Its files, relative to the snapshot.</param>
/// <param name="Bytes">What they take.</param>
public sealed record CachedModel(string Repository, string Commit, string Format, string Path, IReadOnlyList<string> Files, long Bytes)
{
    /// <summary>Branches and tags that mean this snapshot.</summary>
    public IReadOnlyList<string> References { get; init; } = [];

    /// <summary>The name by which other verbs find it; the format is in it only where the snapshot has several.</summary>
    public required string Name { get; init; }

    /// <summary>Whether a format's name, whatever its case, or a file's means this model.</summary>
    public bool IsCalled(string format) => Format.Equals(format, StringComparison.OrdinalIgnoreCase) || Format == GgufVariant.Normal(format) || Files.Contains(format);

    /// <summary>All models of a cache, by name; of each repository the snapshot that its name alone means, then the others.</summary>
    public static IReadOnlyList<CachedModel> All(HubCache cache) => [.. cache.Repositories().SelectMany(repository => Of(cache, repository))];

    /// <summary>The models of one repository.</summary>
    public static IReadOnlyList<CachedModel> Of(HubCache cache, string repository)
    {
        string? current = cache.CommitOf(repository, null);
        List<CachedModel> models = [];
        Dictionary<string, string> references = ReadReferences(cache, repository);
        foreach (string commit in cache.Commits(repository).OrderBy(commit => commit == current ? 0 : 1))
        {
            IReadOnlyList<string> files = cache.Files(repository, commit);
            string snapshot = cache.SnapshotFolder(repository, commit);
            string named = commit == current ? repository : $"{repository}@{(commit.Length > 12 ? commit[..12] : commit)}";
            IReadOnlyList<GgufVariant> variants = GgufVariant.Of(files);
            bool isFolder = files.Contains("config.json") && files.Any(file => file.EndsWith(".safetensors", StringComparison.Ordinal));
            string[] tags = [.. references.Where(pair => pair.Value == commit).Select(pair => pair.Key).Order(StringComparer.Ordinal)];
            foreach (GgufVariant variant in variants)
            {
                string name = variants.Count == 1 && !isFolder ? named : $"{named}:{variant.Format}";
                models.Add(new CachedModel(repository, commit, variant.Format, System.IO.Path.Combine(snapshot, variant.Files[0]), variant.Files, variant.Files.Sum(file => LengthOf(snapshot, file))) { Name = name, References = tags });
            }

            if (isFolder)
            {
                string[] own = [.. files.Where(file => !file.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase))];
                models.Add(new CachedModel(repository, commit, FileChoice.Folder, snapshot, own, own.Sum(file => LengthOf(snapshot, file))) { Name = named, References = tags });
            }
        }

        return models;
    }

    /// <summary>Downloads that were begun and are not whole: how many, and what they take.</summary>
    public static (int Count, long Bytes) Unfinished(HubCache cache, string repository)
    {
        DirectoryInfo blobs = new(System.IO.Path.Combine(cache.RepositoryFolder(repository), "blobs"));
        FileInfo[] files = blobs.Exists ? blobs.GetFiles("*.incomplete") : [];
        return (files.Length, files.Sum(file => file.Length));
    }

    /// <summary>What a repository takes on the disk: every blob and every file that is no link, once.</summary>
    public static long DiskBytes(HubCache cache, string repository)
    {
        DirectoryInfo folder = new(cache.RepositoryFolder(repository));
        EnumerationOptions options = new() { RecurseSubdirectories = true, MaxRecursionDepth = 8, AttributesToSkip = FileAttributes.ReparsePoint, IgnoreInaccessible = true };
        return folder.Exists ? folder.EnumerateFiles("*", options).Sum(file => file.Length) : 0;
    }

    /// <summary>The length of a file, or of what a link leads to.</summary>
    internal static long LengthOf(string snapshot, string file)
    {
        FileInfo info = new(System.IO.Path.Combine(snapshot, file));
        return (info.LinkTarget is null ? info : info.ResolveLinkTarget(returnFinalTarget: true) as FileInfo) is { Exists: true } real ? real.Length : 0;
    }

    private static Dictionary<string, string> ReadReferences(HubCache cache, string repository)
    {
        string folder = System.IO.Path.Combine(cache.RepositoryFolder(repository), "refs");
        EnumerationOptions options = new() { RecurseSubdirectories = true, MaxRecursionDepth = 4, AttributesToSkip = FileAttributes.ReparsePoint, IgnoreInaccessible = true };
        return !Directory.Exists(folder) ? []
            : Directory.EnumerateFiles(folder, "*", options).Select(path => System.IO.Path.GetRelativePath(folder, path).Replace('\\', '/'))
                .Select(name => (Name: name, Commit: cache.Reference(repository, name))).Where(pair => pair.Commit is not null).ToDictionary(pair => pair.Name, pair => pair.Commit!, StringComparer.Ordinal);
    }
}
