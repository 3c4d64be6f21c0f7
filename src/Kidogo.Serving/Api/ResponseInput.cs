// A conversation as the Responses API has it: items, checked and brought into the messages that templates read. Knows no template.
using System.Text;
using System.Text.Json;
using Kidogo.Text;

namespace Kidogo.Serving.Api;

/// <summary>Reads <c>instructions</c> and <c>input</c>.</summary>
internal sealed class ResponseInput
{
    private const int Most = 10_000;
    private const string Expected = "a text, or an array of items";

    private readonly List<JsonElement> _messages = [];
    private readonly bool _knowsDeveloper;
    private StringBuilder? _content; // of the assistant's turn that is being read
    private StringBuilder? _reasoning;
    private List<(string Id, string Name, string Arguments)> _calls = [];

    private ResponseInput(bool knowsDeveloper) => _knowsDeveloper = knowsDeveloper;

    /// <summary>The messages for a template: plain texts, tool calls with their arguments as objects.</summary>
    /// <param name="fields">The request.</param>
    /// <param name="knowsDeveloper">Whether the template has a role of that name; else it is the system's.</param>
    public static IReadOnlyList<JsonElement> Read(RequestFields fields, bool knowsDeveloper)
    {
        ResponseInput reader = new(knowsDeveloper);
        if (fields.Text("instructions") is { } instructions)
        {
            reader.Add("system", instructions);
        }

        JsonElement input = fields.Element("input") ?? throw fields.Missing("input", Expected);
        switch (input.ValueKind)
        {
            case JsonValueKind.String:
                reader.Add("user", RequestFields.StringOf(input, "input"));
                break;
            case JsonValueKind.Array when input.GetArrayLength() is > 0 and <= Most:
                int index = 0;
                foreach (JsonElement item in input.EnumerateArray())
                {
                    reader.Take(new RequestFields(item, $"input[{index++}]"));
                }

                break;
            default:
                throw fields.Wrong("input", input, $"{Expected}, 1 to {Most}");
        }

        reader.EndTurn();
        return reader._messages;
    }

    private void Take(RequestFields item)
    {
        string type = item.Text("type") ?? "message";
        item.Text("id"); // names things that nobody keeps here
        if (item.Text("status") is { } status && status is not ("in_progress" or "completed" or "incomplete"))
        {
            throw ApiException.Field(item.PathOf("status"), $"`{item.PathOf("status")}` has to be in_progress, completed or incomplete.", "invalid_value");
        }

        switch (type)
        {
            case "message":
                TakeMessage(item);
                break;
            case "function_call":
                item.Refuse("namespace", "functions have no namespaces here.");
                item.Refuse("caller", "only the model calls.", value => value.ValueKind == JsonValueKind.Object && value.TryGetProperty("type", out JsonElement kind) && kind.ValueKind == JsonValueKind.String && kind.ValueEquals("direct"));
                _calls.Add((item.RequiredText("call_id"), item.RequiredText("name"), item.RequiredText("arguments")));
                break;
            case "function_call_output":
                item.Refuse("caller", "only the model calls.", value => value.ValueKind == JsonValueKind.Object && value.TryGetProperty("type", out JsonElement kind) && kind.ValueKind == JsonValueKind.String && kind.ValueEquals("direct"));
                EndTurn();
                TakeOutput(item);
                break;
            case "reasoning":
                TakeReasoning(item);
                break;
            case "item_reference":
                throw ApiException.Field(item.PathOf("type"), $"`{item.PathOf("type")}` is item_reference, but nothing is stored here: send the item itself.", "unsupported_parameter");
            default:
                throw ApiException.Field(item.PathOf("type"), $"`{item.PathOf("type")}` has to be message, function_call, function_call_output or reasoning; the models here know no others.", "unsupported_parameter");
        }

        item.RejectUnknown();
    }

    private void TakeMessage(RequestFields item)
    {
        string role = item.RequiredText("role");
        item.Refuse("phase", "the models here know no phases.", value => value.ValueKind == JsonValueKind.String && value.ValueEquals("final_answer"));
        string content = Content(item, "content", role == "assistant");
        switch (role)
        {
            case "assistant":
                if (_content is not null || _calls.Count > 0)
                {
                    EndTurn();
                }

                _content = new StringBuilder(content);
                break;
            case "user" or "system" or "developer":
                EndTurn();
                Add(role, content);
                break;
            default:
                throw ApiException.Field(item.PathOf("role"), $"`{item.PathOf("role")}` has to be one of user, assistant, system, developer.", "invalid_value");
        }
    }

    private void TakeReasoning(RequestFields item)
    {
        item.Refuse("encrypted_content", "reasoning is not encrypted here; send it as `content`.");
        StringBuilder text = new();
        foreach (string list in (string[])["content", "summary"])
        {
            if (item.Array(list, "an array of parts") is not { } parts || text.Length > 0)
            {
                continue; // a summary counts where there is nothing else
            }

            int index = 0;
            foreach (JsonElement element in parts.EnumerateArray())
            {
                RequestFields part = new(element, $"{item.PathOf(list)}[{index++}]");
                string type = part.RequiredText("type");
                text.Append(type is "reasoning_text" or "summary_text" ? part.RequiredText("text") : throw ApiException.Field(part.PathOf("type"), $"`{part.PathOf("type")}` has to be reasoning_text or summary_text.", "invalid_value"));
                part.RejectUnknown();
            }
        }

        if (_content is not null || _calls.Count > 0)
        {
            EndTurn();
        }

        (_reasoning ??= new StringBuilder()).Append(text);
    }

    private void TakeOutput(RequestFields item)
    {
        string id = item.RequiredText("call_id");
        string output = Content(item, "output", isAssistant: false);
        _messages.Add(JsonBuilding.Element(json =>
        {
            json.WriteStartObject();
            json.WriteString("role", "tool");
            json.WriteString("content", output);
            json.WriteString("tool_call_id", id);
            json.WriteEndObject();
        }));
    }

    /// <summary>A text, or the texts of an array of parts one after the other.</summary>
    private static string Content(RequestFields item, string name, bool isAssistant)
    {
        JsonElement content = item.Element(name) ?? throw item.Missing(name, "a text");
        if (content.ValueKind == JsonValueKind.String)
        {
            return RequestFields.StringOf(content, item.PathOf(name));
        }

        if (content.ValueKind != JsonValueKind.Array)
        {
            throw item.Wrong(name, content, "a string, or an array of text parts");
        }

        StringBuilder text = new();
        int index = 0;
        foreach (JsonElement element in content.EnumerateArray())
        {
            RequestFields part = new(element, $"{item.PathOf(name)}[{index++}]");
            string type = part.RequiredText("type");
            text.Append(type switch
            {
                "input_text" or "output_text" => part.RequiredText("text"),
                "refusal" when isAssistant => part.RequiredText("refusal"),
                _ => throw ApiException.Field(part.PathOf("type"), $"`{part.PathOf("type")}` has to be `{(isAssistant ? "output_text" : "input_text")}`: the models here read text only.", "unsupported_parameter"),
            });
            part.Refuse("annotations", "no model here cites pages or files.", value => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0); // clients hand back what they got
            part.Array("logprobs", "an array");
            ChatMessages.RefuseBreakpoint(part);
            part.RejectUnknown();
        }

        return text.ToString();
    }

    private void Add(string role, string content) => _messages.Add(JsonBuilding.Element(json =>
    {
        json.WriteStartObject();
        json.WriteString("role", role == "developer" && !_knowsDeveloper ? "system" : role);
        json.WriteString("content", content);
        json.WriteEndObject();
    }));

    /// <summary>Adds the assistant's turn that was being read, if any.</summary>
    private void EndTurn()
    {
        if (_content is null && _calls.Count == 0)
        {
            _reasoning = null; // what led to nothing is not shown again
            return;
        }

        string content = _content?.ToString() ?? "";
        string? reasoning = _reasoning?.ToString();
        List<(string Id, string Name, string Arguments)> calls = _calls;
        (_content, _reasoning, _calls) = (null, null, []);
        _messages.Add(JsonBuilding.Element(json =>
        {
            json.WriteStartObject();
            json.WriteString("role", "assistant");
            json.WriteString("content", content);
            if (!string.IsNullOrEmpty(reasoning))
            {
                json.WriteString("reasoning_content", reasoning);
            }

            if (calls.Count > 0)
            {
                json.WriteStartArray("tool_calls");
                calls.ForEach(call => ChatMessages.WriteCall(json, call.Id, call.Name, call.Arguments));
                json.WriteEndArray();
            }

            json.WriteEndObject();
        }));
    }
}
