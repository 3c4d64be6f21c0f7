// A conversation as clients send it, checked and brought into the form that templates read. Knows roles and parts, no template.
using System.Text;
using System.Text.Json;
using Kidogo.Text;

namespace Kidogo.Serving.Api;

/// <summary>Reads <c>messages</c>.</summary>
internal static class ChatMessages
{
    private const int Most = 10_000;

    private static readonly string[] s_roles = ["system", "developer", "user", "assistant", "tool"];

    /// <summary>The messages for a template: plain texts, tool calls with their arguments as objects.</summary>
    /// <param name="fields">The request.</param>
    /// <param name="knowsDeveloper">Whether the template has a role of that name; else it is the system's.</param>
    public static IReadOnlyList<JsonElement> Read(RequestFields fields, bool knowsDeveloper)
    {
        JsonElement array = fields.Array("messages", "an array of messages") ?? throw fields.Missing("messages", "an array of messages");
        int count = array.GetArrayLength();
        if (count is 0 or > Most)
        {
            throw ApiException.Field(fields.PathOf("messages"), $"`messages` has {count} messages; it has to have 1 to {Most}.", "invalid_value");
        }

        List<JsonElement> messages = new(count);
        foreach (JsonElement element in array.EnumerateArray())
        {
            messages.Add(Message(new RequestFields(element, $"{fields.PathOf("messages")}[{messages.Count}]"), knowsDeveloper));
        }

        return messages;
    }

    private static JsonElement Message(RequestFields fields, bool knowsDeveloper)
    {
        string role = fields.RequiredText("role");
        if (!s_roles.Contains(role))
        {
            throw ApiException.Field(fields.PathOf("role"), $"`{fields.PathOf("role")}` has to be one of {string.Join(", ", s_roles)}.", "invalid_value");
        }

        string? content = Content(fields, role);
        string? name = fields.Text("name");
        string? reasoning = role == "assistant" ? fields.Text("reasoning_content") : null;
        string? refusal = role == "assistant" ? fields.Text("refusal") : null;
        JsonElement? calls = role == "assistant" ? fields.Array("tool_calls", "an array of tool calls") : null;
        string? callId = role == "tool" ? fields.RequiredText("tool_call_id") : null;
        if (role == "assistant")
        {
            fields.Refuse("audio", "no model here speaks.");
            fields.Refuse("function_call", "it is OpenAI's former way; use `tool_calls`.");
            fields.Refuse("annotations", "no model here cites pages.", value => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0); // clients hand back what they got
        }

        fields.RejectUnknown();
        content ??= refusal;
        if (content is null && calls is null)
        {
            throw fields.Missing("content", "a text");
        }

        return JsonBuilding.Element(json =>
        {
            json.WriteStartObject();
            json.WriteString("role", role == "developer" && !knowsDeveloper ? "system" : role);
            json.WriteString("content", content ?? "");
            if (name is not null)
            {
                json.WriteString("name", name);
            }

            if (reasoning is not null)
            {
                json.WriteString("reasoning_content", reasoning);
            }

            if (callId is not null)
            {
                json.WriteString("tool_call_id", callId);
            }

            if (calls is { } array && array.GetArrayLength() > 0)
            {
                WriteCalls(json, array, fields.PathOf("tool_calls"));
            }

            json.WriteEndObject();
        });
    }

    /// <summary>A text, or the texts of an array of parts one after the other.</summary>
    private static string? Content(RequestFields fields, string role)
    {
        if (fields.Element("content") is not { } content)
        {
            return null;
        }

        if (content.ValueKind == JsonValueKind.String)
        {
            return RequestFields.StringOf(content, fields.PathOf("content"));
        }

        if (content.ValueKind != JsonValueKind.Array)
        {
            throw fields.Wrong("content", content, "a string, or an array of text parts");
        }

        StringBuilder text = new();
        int index = 0;
        foreach (JsonElement element in content.EnumerateArray())
        {
            RequestFields part = new(element, $"{fields.PathOf("content")}[{index++}]");
            string type = part.RequiredText("type");
            text.Append(type switch
            {
                "text" => part.RequiredText("text"),
                "refusal" when role == "assistant" => part.RequiredText("refusal"),
                _ => throw ApiException.Field(part.PathOf("type"), $"`{part.PathOf("type")}` has to be `text`: the models here read text only.", "unsupported_parameter"),
            });
            RefuseBreakpoint(part);
            part.RejectUnknown();
        }

        return index > 0 ? text.ToString() : throw ApiException.Field(fields.PathOf("content"), $"`{fields.PathOf("content")}` has no parts.", "invalid_value");
    }

    private static void WriteCalls(Utf8JsonWriter json, JsonElement calls, string path)
    {
        json.WriteStartArray("tool_calls");
        int index = 0;
        foreach (JsonElement element in calls.EnumerateArray())
        {
            RequestFields call = new(element, $"{path}[{index++}]");
            string id = call.RequiredText("id");
            string type = call.Text("type") ?? "function";
            call.Int("index", 0, int.MaxValue); // of a streamed call that is handed back
            if (type != "function")
            {
                throw ApiException.Field(call.PathOf("type"), $"`{call.PathOf("type")}` has to be `function`.", "invalid_value");
            }

            RequestFields function = call.Object("function") ?? throw call.Missing("function", "an object with `name` and `arguments`");
            string name = function.RequiredText("name");
            string arguments = function.RequiredText("arguments");
            function.RejectUnknown();
            call.RejectUnknown();
            WriteCall(json, id, name, arguments);
        }

        json.WriteEndArray();
    }

    /// <summary>Refuses a client's own places where a cached prompt may end; here it may end anywhere.</summary>
    internal static void RefuseBreakpoint(RequestFields part) => part.Refuse("prompt_cache_breakpoint", "every prompt is cached from its start, wherever it ends.");

    /// <summary>A call as templates read it.</summary>
    internal static void WriteCall(Utf8JsonWriter json, string id, string name, string arguments)
    {
        json.WriteStartObject();
        json.WriteString("id", id);
        json.WriteString("type", "function");
        json.WriteStartObject("function");
        json.WriteString("name", name);
        json.WritePropertyName("arguments");
        WriteArguments(json, arguments);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>Clients send arguments as a text of JSON; templates read an object.</summary>
    private static void WriteArguments(Utf8JsonWriter json, string arguments)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(arguments.Length == 0 ? "{}" : arguments, new JsonDocumentOptions { MaxDepth = 32 });
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                document.RootElement.WriteTo(json);
                return;
            }
        }
        catch (JsonException)
        {
            // What a model wrote badly goes back to it as it was.
        }

        json.WriteStringValue(arguments);
    }
}
