// Writes Hugging Face's cache: blobs, then a snapshot of links that appears at once, then the reference. Knows no network and no model.
using System.Text;
using System.Text.Json;
using Kidogo.Catalog.Hub;
using Kidogo.Models;
using Kidogo.Models.Files;
using Kidogo.Tensors;

namespace Kidogo.Catalog.Cache;

/// <summary>Writes the folder of one repository.</summary>
/// <param name="cache">The cache.</param>
/// <param name="repository"><c>org/name</c>.</param>
/// <param name="hasLinks">Whether the disk has links; where it has none, files lie in the snapshot itself.</param>
internal sealed class CacheWriter(HubCache cache, string repository, bool hasLinks = true)
{
    private readonly string _folder = cache.RepositoryFolder(repository);
    private readonly Dictionary<string, string> _moved = new(StringComparer.Ordinal); // where there are no links: by the name of the content, where it went
    private bool _hasLinks = hasLinks;

    /// <summary>Where a file's content lies, or will.</summary>
    public string BlobPath(string etag) => Path.Combine(_folder, "blobs", etag);

    /// <summary>Where a file's content grows.</summary>
    public string GrowingPath(string etag) => $"{BlobPath(etag)}.incomplete";

    /// <summary>Makes the folders for blobs.</summary>
    public void Prepare() => Directory.CreateDirectory(Path.Combine(_folder, "blobs"));

    /// <summary>Whether a file is there already: as a blob, or in the snapshot itself where there are no links.</summary>
    public bool Has(string commit, HubFile file) => HasLength(BlobPath(file.Etag!), file.Bytes) || HasLength(Path.Combine(cache.SnapshotFolder(repository, commit), file.Path), file.Bytes);

    /// <summary>Bytes that are still to come for a file.</summary>
    public long Missing(string commit, HubFile file) => Has(commit, file) ? 0
        : new FileInfo(GrowingPath(file.Etag!)) is { Exists: true } growing && growing.Length <= file.Bytes ? file.Bytes!.Value - growing.Length : file.Bytes!.Value;

    /// <summary>Gives a file that is complete its name.</summary>
    public void Finish(string etag)
    {
        File.Move(GrowingPath(etag), BlobPath(etag), overwrite: true);
        FolderFlush.Flush(Path.Combine(_folder, "blobs"));
    }

    /// <summary>Puts files into a snapshot. A snapshot that is new appears with all of them at once.</summary>
    public void AddToSnapshot(string commit, IReadOnlyList<HubFile> files)
    {
        string snapshot = cache.SnapshotFolder(repository, commit);
        Directory.CreateDirectory(Path.GetDirectoryName(snapshot)!);
        if (!Directory.Exists(snapshot))
        {
            string hidden = Path.Combine(_folder, $".{commit}.{Environment.ProcessId}.tmp");
            DeleteFolder(hidden);
            try
            {
                foreach (HubFile file in files)
                {
                    Place(file, hidden, snapshot);
                }

                Directory.Move(hidden, snapshot);
                FolderFlush.Flush(Path.GetDirectoryName(snapshot)!);
                return;
            }
            catch (IOException) when (Directory.Exists(snapshot))
            {
                // Another program has made it meanwhile: what is missing there is added below.
            }
            finally
            {
                DeleteFolder(hidden);
            }
        }

        // Weights first and the configuration last: a folder without one is no model yet.
        foreach (HubFile file in files.OrderBy(file => FileChoice.IsWeights(file.Path) ? 0 : file.Path == "config.json" ? 2 : 1))
        {
            if (!HasLength(Path.Combine(snapshot, file.Path), file.Bytes))
            {
                Place(file, snapshot, snapshot);
            }
        }
    }

    /// <summary>Lets a branch or tag point to a commit.</summary>
    public void SetReference(string revision, string commit)
    {
        if (revision == commit)
        {
            return;
        }

        string path = Path.Combine(_folder, "refs", revision);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        NewFile.Write(path, Encoding.ASCII.GetBytes(commit));
    }

    /// <summary>Notes files that a commit does not have, so that no program asks for them again.</summary>
    public void NoteAbsent(string commit, IEnumerable<string> paths)
    {
        foreach (string path in paths)
        {
            string marker = Path.Combine(_folder, ".no_exist", commit, path);
            Directory.CreateDirectory(Path.GetDirectoryName(marker)!);
            File.Create(marker).Dispose();
        }
    }

    /// <summary>Keeps a commit's list of files as Hugging Face's programs do (<c>trees/COMMIT.json</c>), where all of it is known.</summary>
    public void NoteListing(HubListing listing)
    {
        if (listing.Files.Any(file => file.Bytes is null || file.GitId is null || file.Etag is null))
        {
            return;
        }

        using MemoryStream text = new();
        using (Utf8JsonWriter json = new(text, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteNumber("format_version", 1);
            json.WriteStartObject("files");
            foreach (HubFile file in listing.Files.DistinctBy(file => file.Path).OrderBy(file => file.Path, StringComparer.Ordinal))
            {
                json.WriteStartObject(file.Path);
                json.WriteNumber("size", file.Bytes!.Value);
                json.WriteString("blob_id", file.GitId);
                if (file.Etag != file.GitId)
                {
                    json.WriteString("lfs_sha256", file.Etag);
                    json.WriteNumber("lfs_size", file.Bytes.Value);
                }

                json.WriteEndObject();
            }

            json.WriteEndObject();
            json.WriteEndObject();
        }

        NewFile.Write(Path.Combine(Directory.CreateDirectory(Path.Combine(_folder, "trees")).FullName, $"{listing.Commit}.json"), text.ToArray());
    }

    internal static void DeleteFolder(string path)
    {
        if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true); // a link in it is deleted, not what it leads to
        }
    }

    /// <summary>Whether there is a file of a length, at a path or behind a link.</summary>
    private static bool HasLength(string path, long? bytes)
    {
        FileInfo file = new(path);
        return file.Exists && (file.LinkTarget is null ? file : file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo) is { Exists: true } real && real.Length == bytes;
    }

    /// <summary>Links a file's blob into a folder that is, or will be, <paramref name="snapshot"/>.</summary>
    private void Place(HubFile file, string folder, string snapshot)
    {
        string path = Path.Combine(folder, file.Path);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        string blob = BlobPath(file.Etag!);
        string beside = $"{path}.{Environment.ProcessId}.tmp";
        if (_hasLinks && File.Exists(blob))
        {
            try
            {
                string target = Path.GetRelativePath(Path.GetDirectoryName(Path.Combine(snapshot, file.Path))!, blob);
                File.CreateSymbolicLink(beside, target);
                File.Move(beside, path, overwrite: true);
                return;
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or PlatformNotSupportedException)
            {
                _hasLinks = false; // a disk, or a Windows, without them
                File.Delete(beside);
            }
        }

        if (_moved.TryGetValue(file.Etag!, out string? first))
        {
            File.Copy(Path.Combine(folder, first), path, overwrite: true);
        }
        else
        {
            File.Move(blob, path, overwrite: true);
            _moved.Add(file.Etag!, file.Path);
        }
    }
}
