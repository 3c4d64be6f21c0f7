// Names of tool calls for templates that take only short ones. Knows no calls' contents.
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Kidogo.Text;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Inference.Tools;

/// <summary>Brings the names of calls into the form of Mistral's templates: nine letters and digits, and any other is refused.</summary>
/// <remarks>Clients send the names that an answer gave its calls, or that another server gave them; a call and its result keep one name in common, and the same name always becomes the same.</remarks>
internal static class CallIds
{
    private const int Length = 9;

    /// <summary>Whether a template takes no other names.</summary>
    public static bool AreShort(ChatTemplate template) => template.Source.Contains("length != 9", StringComparison.Ordinal);

    /// <summary>The same conversation with such names.</summary>
    public static IReadOnlyList<JsonElement> Shortened(IReadOnlyList<JsonElement> messages) => [.. messages.Select(message => Shortened(message))];

    private static JsonElement Shortened(JsonElement message)
    {
        if (message.ValueKind != JsonValueKind.Object || !(message.TryGetProperty("tool_calls", out _) || message.TryGetProperty("tool_call_id", out _)))
        {
            return message;
        }

        return JsonBuilding.Element(json => Write(json, message, property => property.Name switch
        {
            "tool_call_id" => WriteId(json, property),
            "tool_calls" => WriteCalls(json, property),
            _ => false,
        }));
    }

    /// <summary>Writes an object, its members by a way of their own where there is one.</summary>
    private static void Write(Utf8JsonWriter json, JsonElement item, Func<JsonProperty, bool> write)
    {
        json.WriteStartObject();
        foreach (JsonProperty property in item.EnumerateObject())
        {
            if (!write(property))
            {
                property.WriteTo(json);
            }
        }

        json.WriteEndObject();
    }

    private static bool WriteCalls(Utf8JsonWriter json, JsonProperty calls)
    {
        if (calls.Value.ValueKind != JsonValueKind.Array || calls.Value.EnumerateArray().Any(call => call.ValueKind != JsonValueKind.Object))
        {
            return false;
        }

        json.WriteStartArray(calls.Name);
        foreach (JsonElement call in calls.Value.EnumerateArray())
        {
            Write(json, call, property => property.Name == "id" && WriteId(json, property));
        }

        json.WriteEndArray();
        return true;
    }

    private static bool WriteId(Utf8JsonWriter json, JsonProperty id)
    {
        if (id.Value.ValueKind != JsonValueKind.String)
        {
            return false;
        }

        string given = id.Value.GetString()!;
        bool fits = given.Length == Length && given.All(char.IsAsciiLetterOrDigit);
        json.WriteString(id.Name, fits ? given : Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(given)))[..Length]);
        return true;
    }
}
