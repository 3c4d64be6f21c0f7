// A model as it travels on a stick: a folder with a list and pieces that every file system takes, all named by hashes. Reads and writes the list; trusts none of it.
using System.Text.Json;
using Kidogo.Catalog.Hub;
using Kidogo.Models;
using Kidogo.Models.Files;

namespace Kidogo.Catalog.Cache;

/// <summary>A file that travels.</summary>
/// <param name="Path">Its name in the snapshot.</param>
/// <param name="Bytes">Its length.</param>
/// <param name="Sha256">The hash of all of it; also the name of its pieces.</param>
/// <param name="Etag">What the cache calls its content: that hash, or git's.</param>
internal sealed record CarriedFile(string Path, long Bytes, string Sha256, string Etag);

/// <summary>The list of what travels: <c>manifest.json</c>.</summary>
/// <param name="Repository"><c>org/name</c>.</param>
/// <param name="Commit">The snapshot.</param>
/// <param name="References">Branches and tags that meant it.</param>
/// <param name="Files">The files.</param>
internal sealed record CarriedModel(string Repository, string Commit, IReadOnlyList<string> References, IReadOnlyList<CarriedFile> Files)
{
    /// <summary>How the folder's name ends.</summary>
    public const string Ending = ".kidogo";

    /// <summary>The list's name.</summary>
    public const string ListName = "manifest.json";

    /// <summary>The folder of pieces.</summary>
    public const string PiecesName = "data";

    /// <summary>The longest piece: FAT32, which most sticks have, ends at 4 GiB.</summary>
    public const long PieceBytes = 2_000_000_000;

    private const string Format = "kidogo-model/1";
    private const int MaxListBytes = 16 * 1024 * 1024;
    private const int MostFiles = 10_000;

    /// <summary>The name of a piece: made from a hash that was checked, never from a name in the list.</summary>
    public static string PieceName(string sha256, int number) => FormattableString.Invariant($"{sha256}.{number:000}");

    /// <summary>How many pieces a file takes.</summary>
    public static int PiecesOf(long bytes, long pieceBytes) => checked((int)Math.Max(1, (bytes + pieceBytes - 1) / pieceBytes));

    /// <summary>The list as JSON.</summary>
    public byte[] ToJson()
    {
        using MemoryStream text = new();
        using (Utf8JsonWriter json = new(text, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("format", Format);
            json.WriteString("repository", Repository);
            json.WriteString("commit", Commit);
            json.WriteStartArray("references");
            foreach (string reference in References)
            {
                json.WriteStringValue(reference);
            }

            json.WriteEndArray();
            json.WriteStartArray("files");
            foreach (CarriedFile file in Files)
            {
                json.WriteStartObject();
                json.WriteString("path", file.Path);
                json.WriteNumber("bytes", file.Bytes);
                json.WriteString("sha256", file.Sha256);
                json.WriteString("etag", file.Etag);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return text.ToArray();
    }

    /// <summary>Reads a list and looks at every word of it.</summary>
    /// <exception cref="HubException">It is none, or one that would do harm.</exception>
    public static CarriedModel Read(string path)
    {
        try
        {
            JsonFields root = JsonFields.Load(path, MaxListBytes);
            if (root.GetString("format", "") != Format)
            {
                throw new HubException($"{path} is no list of a model that travels ({Format}). kidogo export makes one.");
            }

            CarriedModel model = new(root.GetString("repository"), root.GetString("commit"), root.TryGetStrings("references", out string[] references) ? references : [], ReadFiles(root));
            return Problem(model) is { } problem ? throw new HubException($"{path} is not accepted: {problem}. Nothing was taken from it.") : model;
        }
        catch (ModelFormatException failure)
        {
            throw new HubException(failure.Message, failure);
        }
    }

    private static List<CarriedFile> ReadFiles(JsonFields root)
    {
        List<CarriedFile> files = [];
        if (root.Element.TryGetProperty("files", out JsonElement list) && list.ValueKind == JsonValueKind.Array && list.GetArrayLength() <= MostFiles)
        {
            files.AddRange(list.EnumerateArray().Select(file => new CarriedFile(Text(file, "path"), Number(file, "bytes"), Text(file, "sha256"), Text(file, "etag"))));
        }

        return files;
    }

    private static string? Problem(CarriedModel model)
    {
        if (!HubName.IsRepository(model.Repository))
        {
            return $"{ModelFormatException.Quote(model.Repository)} is no name of a repository";
        }

        if (!HubName.IsRevision(model.Commit) || model.Commit.Contains('/', StringComparison.Ordinal) || model.References.FirstOrDefault(reference => !HubName.IsRevision(reference)) is not null)
        {
            return "its commit, or a reference, is no name that a file may have";
        }

        if (model.Files.Count == 0 || model.Files.Select(file => file.Path).Distinct(StringComparer.OrdinalIgnoreCase).Count() != model.Files.Count)
        {
            return "it lists no files, or one of them twice";
        }

        foreach (CarriedFile file in model.Files)
        {
            if (!FileChoice.IsOfModel(file.Path))
            {
                return $"{ModelFormatException.Quote(file.Path)} is no file of a model, or would lead out of the cache";
            }

            bool isNamed = ContentHash.IsKnown(file.Sha256) && file.Sha256.Length == 64 && ContentHash.IsKnown(file.Etag) && (file.Etag.Length != 64 || file.Etag == file.Sha256);
            if (!isNamed || file.Bytes is < 0 or > 1L << 50)
            {
                return $"{ModelFormatException.Quote(file.Path)} has no length or hashes that belong together";
            }
        }

        return null;
    }

    private static string Text(JsonElement json, string name)
    {
        try
        {
            return json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
        }
        catch (InvalidOperationException)
        {
            return ""; // no Unicode, and refused as any other empty name
        }
    }

    private static long Number(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number) ? number : -1;
}
