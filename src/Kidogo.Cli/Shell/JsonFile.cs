// JSON files that people hand over: messages, tools, variables. Knows not what they mean.
using System.Text.Json;
using System.Text.Unicode;
using Kidogo.Text;

namespace Kidogo.Cli.Shell;

/// <summary>Reads JSON files, with the place in the message where they are none.</summary>
internal static class JsonFile
{
    private const int MaxBytes = 64 * 1024 * 1024;
    private const int MaxDepth = 64;

    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    /// <summary>The value in a file.</summary>
    public static JsonElement Read(string path)
    {
        byte[] bytes = InputFile.ReadAll(path, MaxBytes);
        try
        {
            if (!Utf8.IsValid(bytes))
            {
                throw new FailureException($"{path} is not valid UTF-8. JSON has to be; save the file again as UTF-8.");
            }

            ReadOnlyMemory<byte> json = bytes.AsSpan().StartsWith(ByteOrderMark) ? bytes.AsMemory(ByteOrderMark.Length) : bytes;
            using JsonDocument document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MaxDepth });
            return document.RootElement.Clone();
        }
        catch (JsonException failure)
        {
            throw new FailureException($"{path} is no JSON: {Explain(failure, bytes)}");
        }
    }

    /// <summary>The messages of a conversation: objects, each with a role.</summary>
    public static IReadOnlyList<JsonElement> ReadMessages(string path)
    {
        IReadOnlyList<JsonElement> messages = ReadArray(path);
        for (int i = 0; i < messages.Count; i++)
        {
            if (messages[i].ValueKind != JsonValueKind.Object)
            {
                throw new FailureException($"Message {i + 1} of {path} is no JSON object; expected one with role and content.");
            }

            bool hasRole = messages[i].TryGetProperty("role", out JsonElement role);
            if (!hasRole || role.ValueKind != JsonValueKind.String)
            {
                throw new FailureException($"Message {i + 1} of {path} has {(hasRole ? $"a role that is {NameOf(role.ValueKind)}" : "no role")}; expected a text such as \"user\".");
            }

            // Calls of tools stand in for a content.
            if (!messages[i].TryGetProperty("content", out _) && !messages[i].TryGetProperty("tool_calls", out _))
            {
                throw new FailureException($"Message {i + 1} of {path} has no content.");
            }
        }

        return messages;
    }

    /// <summary>The reader's message with the place as people count it: line and column from 1, the column in characters.</summary>
    private static string Explain(JsonException failure, ReadOnlySpan<byte> bytes)
    {
        if (bytes.StartsWith(ByteOrderMark))
        {
            bytes = bytes[ByteOrderMark.Length..];
        }

        for (long line = failure.LineNumber ?? 0; line > 0 && bytes.IndexOf((byte)'\n') is >= 0 and var end; line--)
        {
            bytes = bytes[(end + 1)..];
        }

        int column = System.Text.Encoding.UTF8.GetCharCount(bytes[..(int)Math.Min(failure.BytePositionInLine ?? 0, bytes.Length)]) + 1;
        return $"line {(failure.LineNumber ?? 0) + 1}, column {column}: {JsonProblem.Of(failure)}.";
    }

    private static string NameOf(JsonValueKind kind) => kind switch
    {
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "true or false",
        JsonValueKind.Array => "an array",
        JsonValueKind.Object => "an object",
        JsonValueKind.Null => "null",
        _ => "no text",
    };

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
