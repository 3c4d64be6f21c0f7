// What a folder of shards holds, as JSON beside them. Knows no tokens.
using System.Text.Json;

namespace Kidogo.Data.Shards;

/// <summary>The last file that is written into a folder of shards: with it, the folder is complete.</summary>
/// <param name="Key">Hash (hex) of all that decided the shards.</param>
/// <param name="Documents">Documents.</param>
/// <param name="EmptyDocuments">Documents without text, left out.</param>
/// <param name="Tokens">Tokens.</param>
/// <param name="TextBytes">Bytes of text.</param>
/// <param name="InvalidBytes">Bytes that were replaced.</param>
/// <param name="Shards">The shards' names and lengths.</param>
internal sealed record Manifest(string Key, long Documents, long EmptyDocuments, long Tokens, long TextBytes, long InvalidBytes,
    IReadOnlyList<(string Name, long Bytes)> Shards)
{
    public const string FileName = "manifest.json";

    private const int MaxBytes = 64 << 20;
    private const int MaxShards = 1 << 20;

    /// <summary>Writes the file and flushes it to the disk.</summary>
    public void Write(string folder)
    {
        using FileStream stream = new(Path.Combine(folder, FileName), FileMode.CreateNew, FileAccess.Write, FileShare.None);
        using (Utf8JsonWriter writer = new(stream, new JsonWriterOptions { Indented = true }))
        {
            writer.WriteStartObject();
            writer.WriteString("key"u8, Key);
            writer.WriteNumber("documents"u8, Documents);
            writer.WriteNumber("empty_documents"u8, EmptyDocuments);
            writer.WriteNumber("tokens"u8, Tokens);
            writer.WriteNumber("text_bytes"u8, TextBytes);
            writer.WriteNumber("invalid_bytes"u8, InvalidBytes);
            writer.WriteStartArray("shards"u8);
            foreach ((string name, long bytes) in Shards)
            {
                writer.WriteStartObject();
                writer.WriteString("name"u8, name);
                writer.WriteNumber("bytes"u8, bytes);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        stream.Flush(flushToDisk: true);
    }

    /// <summary>Reads the file of a folder.</summary>
    /// <exception cref="DataFormatException">It is absent or damaged.</exception>
    public static Manifest Read(string folder)
    {
        string path = Path.Combine(folder, FileName);
        try
        {
            FileInfo file = new(path);
            if (!file.Exists || file.Length > MaxBytes)
            {
                throw new DataFormatException(path, 0, "the file is absent or too large");
            }

            using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions { MaxDepth = 4 });
            JsonElement root = json.RootElement;
            List<(string, long)> shards = [];
            foreach (JsonElement shard in root.GetProperty("shards").EnumerateArray())
            {
                string name = shard.GetProperty("name").GetString()!;
                if (name != $"{shards.Count:D5}.tokens" || shards.Count >= MaxShards)
                {
                    throw new DataFormatException(path, 0, "a shard has another name than its place in the list gives it");
                }

                shards.Add((name, Number(shard, "bytes", path)));
            }

            return new Manifest(root.GetProperty("key").GetString()!, Number(root, "documents", path), Number(root, "empty_documents", path),
                Number(root, "tokens", path),
                Number(root, "text_bytes", path), Number(root, "invalid_bytes", path), shards);
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new DataFormatException(path, 0, $"the file is damaged ({failure.Message})", failure);
        }
    }

    private static long Number(JsonElement element, string name, string path) =>
        element.GetProperty(name).TryGetInt64(out long value) && value >= 0 ? value
            : throw new DataFormatException(path, 0, $"\"{name}\" is not a whole number from 0 on");
}
