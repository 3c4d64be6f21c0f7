// A chat completion that may be answered elsewhere, as Microsoft.Extensions.AI has it: every field honoured, or refused by name. Knows no model.
using System.Text;
using System.Text.Json;
using Kidogo.Inference.Tools;
using Kidogo.Serving.Api;
using Kidogo.Serving.Tools;
using Microsoft.Extensions.AI;

namespace Kidogo.Serving.Routing;

/// <summary>What is asked.</summary>
/// <param name="Messages">The conversation.</param>
/// <param name="Options">How it is to be answered; <see cref="ChatOptions.ModelId"/> is the name that was asked for.</param>
/// <param name="Streams">Whether the answer comes in pieces.</param>
/// <param name="ReportsUsage">Whether a stream ends with its usage.</param>
internal sealed record RoutedRequest(IReadOnlyList<ChatMessage> Messages, ChatOptions Options, bool Streams, bool ReportsUsage)
{
    private const int MostMessages = 10_000, DeepestArguments = 32;
    private const string Alone = "it goes with a model of this machine by its own name alone: what is routed may be answered where there is no such thing.";

    /// <summary>Reads a request.</summary>
    public static RoutedRequest Read(ApiCall call, string name, RequestFields fields)
    {
        (bool streams, bool reportsUsage) = SamplingFields.Streaming(fields);
        int? tokens = ChatRequest.MaxTokens(fields);
        ChatOptions options = new()
        {
            ModelId = name,
            Temperature = (float?)fields.Number("temperature", 0, 2),
            TopP = (float?)fields.Number("top_p", 0, 1),
            TopK = fields.Int("top_k", 0, int.MaxValue),
            FrequencyPenalty = (float?)fields.Number("frequency_penalty", -2, 2),
            PresencePenalty = (float?)fields.Number("presence_penalty", -2, 2),
            Seed = fields.Long("seed", long.MinValue, long.MaxValue),
            MaxOutputTokens = tokens,
            StopSequences = SamplingFields.Stops(fields) is { Count: > 0 } stops ? [.. stops] : null,
            ResponseFormat = Format(fields),
            AdditionalProperties = new() { ["cache_owner"] = call.OwnerOf(fields) },
        };
        foreach ((string field, double least, double most) in ((string, double, double)[])[("min_p", 0, 1), ("typical_p", 0, 1), ("repetition_penalty", 0.01, 100)])
        {
            if (fields.Number(field, least, most) is { } value)
            {
                options.AdditionalProperties[field] = value; // as top_k: of this machine's answers, for OpenAI's wire has no such fields
            }
        }

        if (fields.Text("reasoning_effort") is { } effort)
        {
            options.Reasoning = new ReasoningOptions { Effort = Effort(effort) };
        }

        ReadTools(fields, options);
        foreach (string field in (string[])["logprobs", "top_logprobs", "logit_bias", "grammar", "regex", "json_schema", "chat_template_kwargs"])
        {
            fields.Refuse(field, Alone, value => value.ValueKind == JsonValueKind.False);
        }

        fields.Refuse("n", Alone, value => value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int n) && n == 1);
        fields.Flag("cache_prompt");
        ChatRequest.RefuseWhatIsNotThere(fields);
        IReadOnlyList<ChatMessage> messages = ReadMessages(fields);
        fields.RejectUnknown();
        return new RoutedRequest(messages, options, streams, reportsUsage);
    }

    private static ReasoningEffort Effort(string word) => word switch
    {
        "none" => ReasoningEffort.None,
        "minimal" or "low" => ReasoningEffort.Low,
        "medium" => ReasoningEffort.Medium,
        "high" => ReasoningEffort.High,
        "xhigh" or "max" => ReasoningEffort.ExtraHigh,
        _ => throw ApiException.Field("reasoning_effort", "`reasoning_effort` has to be none, minimal, low, medium, high, xhigh or max.", "invalid_value"),
    };

    private static ChatResponseFormat? Format(RequestFields fields)
    {
        if (fields.Object("response_format") is not { } format)
        {
            return null;
        }

        string type = format.RequiredText("type");
        ChatResponseFormat? read = null;
        switch (type)
        {
            case "text":
                break;
            case "json_object":
                read = ChatResponseFormat.Json;
                break;
            case "json_schema":
                RequestFields described = format.Object("json_schema") ?? throw format.Missing("json_schema", "an object with a name and a schema");
                described.Flag("strict");
                read = ChatResponseFormat.ForJsonSchema(
                    (described.Element("schema") ?? throw described.Missing("schema", "an object: a JSON schema")).Clone(), described.Text("name"), described.Text("description"));
                described.RejectUnknown();
                break;
            default:
                throw ApiException.Field(format.PathOf("type"), $"`{format.PathOf("type")}` has to be text, json_object or json_schema.", "invalid_value");
        }

        format.RejectUnknown();
        return read;
    }

    private static void ReadTools(RequestFields fields, ChatOptions options)
    {
        (IReadOnlyList<ToolDescription> tools, string mode, string? named) = ToolFields.ReadOpen(fields);
        options.AllowMultipleToolCalls = fields.Flag("parallel_tool_calls");
        if (tools.Count == 0)
        {
            return;
        }

        using JsonDocument none = JsonDocument.Parse("""{"type":"object","properties":{}}""");
        options.Tools = [.. tools.Select(tool => AIFunctionFactory.CreateDeclaration(tool.Name, tool.Description, tool.Parameters ?? none.RootElement.Clone()))];
        options.ToolMode = mode switch
        {
            "none" => ChatToolMode.None,
            "required" => ChatToolMode.RequireAny,
            "function" => ChatToolMode.RequireSpecific(named!),
            _ => ChatToolMode.Auto,
        };
    }

    private static List<ChatMessage> ReadMessages(RequestFields fields)
    {
        JsonElement array = fields.Array("messages", "an array of messages") ?? throw fields.Missing("messages", "an array of messages");
        if (array.GetArrayLength() is 0 or > MostMessages)
        {
            throw ApiException.Field("messages", $"`messages` has {array.GetArrayLength()} messages; it has to have 1 to {MostMessages}.", "invalid_value");
        }

        List<ChatMessage> messages = [];
        foreach (JsonElement element in array.EnumerateArray())
        {
            messages.Add(Message(new RequestFields(element, $"messages[{messages.Count}]")));
        }

        return messages;
    }

    private static ChatMessage Message(RequestFields fields)
    {
        string role = fields.RequiredText("role");
        ChatRole read = role switch
        {
            "system" or "developer" => ChatRole.System,
            "user" => ChatRole.User,
            "assistant" => ChatRole.Assistant,
            "tool" => ChatRole.Tool,
            _ => throw ApiException.Field(fields.PathOf("role"), $"`{fields.PathOf("role")}` has to be one of system, developer, user, assistant, tool.", "invalid_value"),
        };
        List<AIContent> contents = [.. Contents(fields)];
        string? author = fields.Text("name");
        if (role == "assistant")
        {
            fields.Text("reasoning_content"); // a model's own thoughts of an earlier turn
            fields.Element("kidogo");
            if (fields.Text("refusal") is { } refusal && contents.Count == 0)
            {
                contents.Add(new TextContent(refusal));
            }

            fields.Refuse("audio", "no model here speaks.");
            fields.Refuse("function_call", "it is OpenAI's former way; use `tool_calls`.");
            fields.Refuse("annotations", "no model here cites pages.", value => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0);
            contents.AddRange(Calls(fields));
        }
        else if (role == "tool")
        {
            contents = [new FunctionResultContent(fields.RequiredText("tool_call_id"), string.Concat(contents.OfType<TextContent>().Select(content => content.Text))), .. contents.Where(content => content is not TextContent)];
        }

        fields.RejectUnknown();
        return contents.Count > 0 ? new ChatMessage(read, contents) { AuthorName = author } : throw fields.Missing("content", "a text");
    }

    private static IEnumerable<AIContent> Contents(RequestFields fields)
    {
        if (fields.Element("content") is not { } content)
        {
            yield break;
        }

        if (content.ValueKind == JsonValueKind.String)
        {
            yield return new TextContent(RequestFields.StringOf(content, fields.PathOf("content")));
            yield break;
        }

        if (content.ValueKind != JsonValueKind.Array)
        {
            throw fields.Wrong("content", content, "a string, or an array of parts");
        }

        int index = 0;
        foreach (JsonElement element in content.EnumerateArray())
        {
            RequestFields part = new(element, $"{fields.PathOf("content")}[{index++}]");
            string type = part.RequiredText("type");
            switch (type)
            {
                case "text":
                    yield return new TextContent(part.RequiredText("text"));
                    ChatMessages.RefuseBreakpoint(part);
                    part.RejectUnknown();
                    break;
                case "refusal":
                    yield return new TextContent(part.RequiredText("refusal"));
                    break;
                case "image_url" or "file" or "input_file":
                    yield return Attachment(part, type);
                    break;
                default:
                    throw ApiException.Field(part.PathOf("type"), $"`{part.PathOf("type")}` has to be text, image_url or file.", "unsupported_parameter");
            }
        }
    }

    /// <summary>An attachment: text where it is a <c>data:</c> address of text; else something that nobody here can look into.</summary>
    private static AIContent Attachment(RequestFields part, string type)
    {
        RequestFields inner = part.Object(type == "image_url" ? "image_url" : "file") ?? part;
        string? address = inner.Text("url") ?? inner.Text("file_data") ?? inner.Text("file_url");
        if (address?.StartsWith("data:", StringComparison.OrdinalIgnoreCase) == true)
        {
            try
            {
                DataContent data = new(address);
                if (data.HasTopLevelMediaType("text") || data.MediaType is "application/json")
                {
                    return new TextContent(new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(data.Data.Span));
                }

                return data;
            }
            catch (Exception failure) when (failure is ArgumentException or FormatException or DecoderFallbackException)
            {
                throw ApiException.Field(part.PathOf(type), $"`{part.PathOf(type)}` is no data: address that can be read.", "invalid_value");
            }
        }

        return new DataContent(new ReadOnlyMemory<byte>([0]), "application/octet-stream"); // an address that somebody else would open: not known, so it stays
    }

    private static IEnumerable<AIContent> Calls(RequestFields fields)
    {
        if (fields.Array("tool_calls", "an array of tool calls") is not { } array)
        {
            yield break;
        }

        int index = 0;
        foreach (JsonElement element in array.EnumerateArray())
        {
            RequestFields call = new(element, $"{fields.PathOf("tool_calls")}[{index++}]");
            string id = call.RequiredText("id");
            call.Text("type");
            call.Int("index", 0, int.MaxValue);
            RequestFields function = call.Object("function") ?? throw call.Missing("function", "an object with `name` and `arguments`");
            string name = function.RequiredText("name");
            string arguments = function.RequiredText("arguments");
            function.RejectUnknown();
            call.RejectUnknown();
            yield return new FunctionCallContent(id, name, Arguments(arguments, function));
        }
    }

    private static Dictionary<string, object?> Arguments(string json, RequestFields function)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json.Length == 0 ? "{}" : json, new JsonDocumentOptions { MaxDepth = DeepestArguments });
            return document.RootElement.EnumerateObject().ToDictionary(member => member.Name, member => (object?)member.Value.Clone());
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException or ArgumentException)
        {
            throw ApiException.Field(function.PathOf("arguments"), $"`{function.PathOf("arguments")}` has to be a JSON object as a text, at most {DeepestArguments} deep.", "invalid_value");
        }
    }
}
