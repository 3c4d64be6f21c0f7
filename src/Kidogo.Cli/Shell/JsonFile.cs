// JSON files that people hand over: messages, tools, variables. Knows not what they mean.
using System.Text.Json;

namespace Kidogo.Cli.Shell;

/// <summary>Reads JSON files, with the place in the message where they are none.</summary>
internal static class JsonFile
{
    private const int MaxBytes = 64 * 1024 * 1024;
    private const int MaxDepth = 64;

    /// <summary>The path, if there is such a file.</summary>
    public static string Existing(string path) => File.Exists(path)
        ? path
        : throw new FailureException(Directory.Exists(path) ? $"{path} is a folder, where a file was expected." : $"There is no file {path}.");

    /// <summary>The value in a file.</summary>
    public static JsonElement Read(string path)
    {
        if (new FileInfo(Existing(path)).Length > MaxBytes)
        {
            throw new FailureException($"{path} has more than {MaxBytes} bytes.");
        }

        try
        {
            using FileStream file = File.OpenRead(path);
            using JsonDocument document = JsonDocument.Parse(file, new JsonDocumentOptions { MaxDepth = MaxDepth });
            return document.RootElement.Clone();
        }
        catch (JsonException failure)
        {
            throw new FailureException($"{path} is no JSON: {failure.Message}");
        }
    }

    /// <summary>The elements of the array in a file.</summary>
    public static IReadOnlyList<JsonElement> ReadArray(string path) => Read(path) is { ValueKind: JsonValueKind.Array } array
        ? [.. array.EnumerateArray()]
        : throw new FailureException($"{path} has to hold a JSON array.");

    /// <summary>The members of the object in a file.</summary>
    public static Dictionary<string, JsonElement> ReadObject(string path)
    {
        JsonElement value = Read(path);
        if (value.ValueKind != JsonValueKind.Object)
        {
            throw new FailureException($"{path} has to hold a JSON object.");
        }

        Dictionary<string, JsonElement> members = new(StringComparer.Ordinal);
        foreach (JsonProperty member in value.EnumerateObject())
        {
            members[member.Name] = member.Value;
        }

        return members;
    }
}
