// What a repository holds at a commit, from the hub's own word, checked. Knows no model and no disk.
using System.Text.Json;
using Kidogo.Models;
using Kidogo.Models.Files;

namespace Kidogo.Catalog.Hub;

/// <summary>A file of a repository.</summary>
/// <param name="Path">Relative, with slashes.</param>
/// <param name="Bytes">Its length; null where the hub has not said.</param>
/// <param name="Etag">The name of its content, 64 digits of SHA-256 or 40 of git; null where the hub has not said.</param>
public sealed record HubFile(string Path, long? Bytes, string? Etag)
{
    private const int LongestPath = 1024, LongestName = 255;

    /// <summary>Git's name of what the repository itself holds (for a large file, of the pointer to it); null where the hub has not said.</summary>
    public string? GitId { get; init; }

    /// <summary>Whether a name can be a file in a snapshot on every system: parts that neither leave the folder nor mean something else.</summary>
    public static bool IsSafe(string path) => path.Length is > 0 and <= LongestPath && path.Split('/').All(IsSafePart);

    private static bool IsSafePart(string part) =>
        part.Length is > 0 and <= LongestName && part is not ("." or "..") && part[^1] is not ('.' or ' ') && part[0] != ' ' && !part.Any(c => char.IsControl(c) || char.IsSurrogate(c) || "\\:*?\"<>|".Contains(c, StringComparison.Ordinal));
}

/// <summary>A repository at a commit.</summary>
/// <param name="Repository"><c>org/name</c>.</param>
/// <param name="Commit">The commit that the revision means now.</param>
/// <param name="Files">All files, in the hub's order.</param>
public sealed record HubListing(string Repository, string Commit, IReadOnlyList<HubFile> Files)
{
    private const int MostFiles = 20_000;

    /// <summary>Reads the answer of <c>/api/models/…/revision/…</c>.</summary>
    /// <param name="repository">Whose it is.</param>
    /// <param name="json">The answer.</param>
    /// <exception cref="HubException">It is none.</exception>
    internal static HubListing Parse(string repository, byte[] json)
    {
        try
        {
            JsonFields root = JsonFields.Parse($"the hub's answer about {repository}", json);
            if (!root.TryGetString("sha", out string commit) || !HubName.IsRevision(commit) || commit.Contains('/', StringComparison.Ordinal))
            {
                throw new HubException($"The hub's answer about {repository} names no commit. Is HF_ENDPOINT the address of a hub?");
            }

            List<HubFile> files = [];
            if (root.Element.TryGetProperty("siblings", out JsonElement siblings) && siblings.ValueKind == JsonValueKind.Array)
            {
                if (siblings.GetArrayLength() > MostFiles)
                {
                    throw new HubException($"The hub lists {siblings.GetArrayLength()} files in {repository}; at most {MostFiles} are accepted.");
                }

                files.AddRange(siblings.EnumerateArray().Select(sibling => ReadFile(repository, sibling)));
            }

            return new HubListing(repository, commit, files);
        }
        catch (ModelFormatException failure)
        {
            throw new HubException(failure.Message, failure);
        }
        catch (InvalidOperationException failure) // a text that is no Unicode
        {
            throw new HubException($"The hub's answer about {repository} has a name that is no valid Unicode.", failure);
        }
    }

    private static HubFile ReadFile(string repository, JsonElement sibling)
    {
        string? path = Text(sibling, "rfilename");
        if (path is null || !HubFile.IsSafe(path))
        {
            throw new HubException($"The hub lists a file {ModelFormatException.Quote(path ?? "without a name")} in {repository}, which could lead out of the cache; nothing of this repository is taken.");
        }

        string? git = Hash(sibling, "blobId");
        bool isLarge = sibling.TryGetProperty("lfs", out JsonElement lfs) && lfs.ValueKind == JsonValueKind.Object;
        long? bytes = Number(sibling, "size");
        long? large = isLarge ? Number(lfs, "size") : bytes;
        return bytes is { } one && large is { } other && one != other
            ? throw new HubException($"The hub gives two sizes for {path} of {repository}, {one} and {other} bytes; nothing is taken.")
            : new HubFile(path, large ?? bytes, isLarge ? Hash(lfs, "sha256") ?? Hash(lfs, "oid") : git) { GitId = git };
    }

    private static string? Text(JsonElement json, string name) => json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static string? Hash(JsonElement json, string name) => Text(json, name) is { } text && ContentHash.IsKnown(text) ? text : null;

    private static long? Number(JsonElement json, string name) =>
        json.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number) && number >= 0 ? number : null;
}
