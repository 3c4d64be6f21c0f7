// Reads a conversation from a line of .jsonl. Knows the two usual layouts, no templates and no tokens.
using System.Text.Json;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Data.Conversations;

/// <summary>A conversation as templates want it.</summary>
/// <param name="Messages">Objects with <c>role</c> and what else the template reads.</param>
/// <param name="Tools">The line's <c>tools</c>, if any.</param>
internal sealed record Conversation(IReadOnlyList<JsonElement> Messages, JsonElement? Tools)
{
    public const string OpenAiField = "messages";
    public const string ShareGptField = "conversations";

    private const int MaxMessages = 100_000;

    /// <summary>Whether a line has one of the fields, for finding out what a source holds.</summary>
    public static bool IsIn(JsonElement line) =>
        line.ValueKind == JsonValueKind.Object && ((line.TryGetProperty(OpenAiField, out JsonElement list) && list.ValueKind == JsonValueKind.Array) ||
            (line.TryGetProperty(ShareGptField, out list) && list.ValueKind == JsonValueKind.Array));

    /// <summary>The conversation of a line, whose document has to outlive it.</summary>
    /// <exception cref="DataFormatException">There is none.</exception>
    public static Conversation Read(JsonElement line, string file, long number)
    {
        if (line.ValueKind != JsonValueKind.Object)
        {
            throw new DataFormatException(file, number, "the line is a JSON value but not an object; expected {\"messages\": [{\"role\": …, \"content\": …}, "
                + "…]}");
        }

        bool isShareGpt = !line.TryGetProperty(OpenAiField, out JsonElement list);
        if (isShareGpt && !line.TryGetProperty(ShareGptField, out list))
        {
            throw new DataFormatException(file, number, "the field \"messages\" is missing (\"conversations\" would do); expected {\"messages\": [{\"role\": "
                + "…, \"content\": …}, …]}");
        }

        if (list.ValueKind != JsonValueKind.Array || list.GetArrayLength() is 0 or > MaxMessages)
        {
            throw new DataFormatException(file, number, $"\"{(isShareGpt ? ShareGptField : OpenAiField)}\" is not a list of 1 to {MaxMessages} messages");
        }

        List<JsonElement> messages = [];
        foreach (JsonElement message in list.EnumerateArray())
        {
            int index = messages.Count;
            messages.Add(isShareGpt && !Has(message, "role") ? FromShareGpt(message, index, file, number) : Has(message, "role")
                ? message
                : throw new DataFormatException(file, number, $"message {index} is not an object with a text \"role\""));
        }

        return new Conversation(messages, line.TryGetProperty("tools", out JsonElement tools) && tools.ValueKind == JsonValueKind.Array ? tools : null);
    }

    /// <summary>A message's role; messages of a conversation have one.</summary>
    public static string Role(JsonElement message) => message.GetProperty("role").GetString()!;

    /// <summary>Whether a message calls tools.</summary>
    public static bool CallsTools(JsonElement message) => message.TryGetProperty("tool_calls", out JsonElement calls) && calls.ValueKind == JsonValueKind.Array
        && calls.GetArrayLength() > 0;

    private static bool Has(JsonElement message, string name) => message.ValueKind == JsonValueKind.Object
        && message.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String;

    private static JsonElement FromShareGpt(JsonElement message, int index, string file, long number)
    {
        if (!Has(message, "from") || !Has(message, "value"))
        {
            throw new DataFormatException(file, number, $"message {index} is not an object with texts \"from\" and \"value\"");
        }

        string from = message.GetProperty("from").GetString()!;
        string role = from switch
        {
            "human" or "user" => "user",
            "gpt" or "assistant" or "chatgpt" or "model" or "bot" => "assistant",
            "system" => "system",
            "tool" or "observation" or "function_response" => "tool",
            _ => throw new DataFormatException(file, number, $"message {index} is from \"{(from.Length > 40 ? from[..40] : from)}\"; known are human, gpt, "
                + "system and tool"),
        };
        return new ChatMessage(role, message.GetProperty("value").GetString()!).ToJson();
    }
}
