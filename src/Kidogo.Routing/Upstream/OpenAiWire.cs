// OpenAI's chat completions as bytes: requests written, events of a stream read. Knows no connection and no policy.
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Kidogo.Routing.Upstream;

/// <summary>Writes requests. What is not written here is not sent.</summary>
internal static class OpenAiRequest
{
    /// <summary>A request for a stream with its usage.</summary>
    public static ReadOnlyMemory<byte> Write(string model, IEnumerable<ChatMessage> messages, ChatOptions options) => Kidogo.Text.JsonBuilding.Bytes(json =>
    {
        json.WriteStartObject();
        json.WriteString("model", model);
        json.WriteStartArray("messages");
        if (options.Instructions is { } instructions)
        {
            WriteText(json, "system", instructions, null);
        }

        foreach (ChatMessage message in messages)
        {
            WriteMessage(json, message);
        }

        json.WriteEndArray();
        json.WriteBoolean("stream", true);
        json.WriteStartObject("stream_options");
        json.WriteBoolean("include_usage", true);
        json.WriteEndObject();
        WriteOptions(json, options);
        json.WriteEndObject();
    });

    private static void WriteOptions(Utf8JsonWriter json, ChatOptions options)
    {
        WriteNumber(json, "temperature", options.Temperature);
        WriteNumber(json, "top_p", options.TopP);
        WriteNumber(json, "max_tokens", options.MaxOutputTokens);
        WriteNumber(json, "frequency_penalty", options.FrequencyPenalty);
        WriteNumber(json, "presence_penalty", options.PresencePenalty);
        WriteNumber(json, "seed", options.Seed);
        if (options.StopSequences is { Count: > 0 } stops)
        {
            json.WriteStartArray("stop");
            foreach (string stop in stops)
            {
                json.WriteStringValue(stop);
            }

            json.WriteEndArray();
        }

        if (options.ResponseFormat is ChatResponseFormatJson form)
        {
            json.WriteStartObject("response_format");
            json.WriteString("type", form.Schema is null ? "json_object" : "json_schema");
            if (form.Schema is { } schema)
            {
                json.WriteStartObject("json_schema");
                json.WriteString("name", form.SchemaName ?? "answer");
                json.WriteBoolean("strict", true);
                json.WritePropertyName("schema");
                schema.WriteTo(json);
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        AIFunctionDeclaration[] tools = [.. (options.Tools ?? []).OfType<AIFunctionDeclaration>()];
        if (tools.Length == 0)
        {
            return;
        }

        json.WriteStartArray("tools");
        foreach (AIFunctionDeclaration tool in tools)
        {
            json.WriteStartObject();
            json.WriteString("type", "function");
            json.WriteStartObject("function");
            json.WriteString("name", tool.Name);
            json.WriteString("description", tool.Description);
            json.WritePropertyName("parameters");
            tool.JsonSchema.WriteTo(json);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        switch (options.ToolMode)
        {
            case NoneChatToolMode:
                json.WriteString("tool_choice", "none");
                break;
            case RequiredChatToolMode { RequiredFunctionName: { } name }:
                json.WriteStartObject("tool_choice");
                json.WriteString("type", "function");
                json.WriteStartObject("function");
                json.WriteString("name", name);
                json.WriteEndObject();
                json.WriteEndObject();
                break;
            case RequiredChatToolMode:
                json.WriteString("tool_choice", "required");
                break;
        }

        if (options.AllowMultipleToolCalls is { } several)
        {
            json.WriteBoolean("parallel_tool_calls", several);
        }
    }

    private static void WriteMessage(Utf8JsonWriter json, ChatMessage message)
    {
        FunctionCallContent[] calls = [.. message.Contents.OfType<FunctionCallContent>()];
        string text = message.Text;
        if (calls.Length > 0)
        {
            json.WriteStartObject();
            json.WriteString("role", "assistant");
            json.WriteString("content", text);
            json.WriteStartArray("tool_calls");
            foreach (FunctionCallContent call in calls)
            {
                WireCalls.Write(json, call);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }
        else if (text.Length > 0 || !message.Contents.Any(content => content is FunctionResultContent))
        {
            WriteText(json, message.Role.Value, text, message.AuthorName);
        }

        foreach (FunctionResultContent result in message.Contents.OfType<FunctionResultContent>())
        {
            json.WriteStartObject();
            json.WriteString("role", "tool");
            json.WriteString("tool_call_id", result.CallId);
            json.WriteString("content", result.Result switch
            {
                null => "",
                string plain => plain,
                JsonElement { ValueKind: JsonValueKind.String } element => element.GetString(),
                var value => WireCalls.Json(value, value.GetType()),
            });
            json.WriteEndObject();
        }
    }

    private static void WriteText(Utf8JsonWriter json, string role, string text, string? author)
    {
        json.WriteStartObject();
        json.WriteString("role", role);
        json.WriteString("content", text);
        if (author is not null)
        {
            json.WriteString("name", author);
        }

        json.WriteEndObject();
    }

    private static void WriteNumber(Utf8JsonWriter json, string name, double? value)
    {
        if (value is { } number)
        {
            json.WriteNumber(name, name is "max_tokens" or "seed" ? number : (double)(decimal)number);
        }
    }
}

/// <summary>Calls of tools as the wire has them, going out and coming back.</summary>
public static class WireCalls
{
    /// <summary>Writes a call as an object: its id, and the function's name with its arguments as a text of JSON.</summary>
    /// <param name="json">Where.</param>
    /// <param name="call">The call.</param>
    /// <param name="index">Which call of a stream it is; null where there is none.</param>
    public static void Write(Utf8JsonWriter json, FunctionCallContent call, int? index = null)
    {
        ArgumentNullException.ThrowIfNull(json);
        ArgumentNullException.ThrowIfNull(call);
        json.WriteStartObject();
        if (index is { } which)
        {
            json.WriteNumber("index", which);
        }

        json.WriteString("id", call.CallId);
        json.WriteString("type", "function");
        json.WriteStartObject("function");
        json.WriteString("name", call.Name);
        json.WriteString("arguments", Json(call.Arguments ?? new Dictionary<string, object?>(), typeof(IDictionary<string, object?>)));
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>A value as a text of JSON, by the serializer's contract for its type.</summary>
    internal static string Json(object value, Type type) =>
        Encoding.UTF8.GetString(Kidogo.Text.JsonBuilding.Bytes(json => JsonSerializer.Serialize(json, value, AIJsonUtilities.DefaultOptions.GetTypeInfo(type))).Span);
}

/// <summary>Reads the chunks of one stream. An answer of a stranger: every field may be absent or of another kind.</summary>
/// <param name="model">What the answer's model is called.</param>
/// <param name="mostTokens">More than this an upstream does not count of a prompt or an answer: budgets and allowances go by what it says.</param>
internal sealed class OpenAiChunks(string model, int mostTokens)
{
    private const int MostCalls = 128, DeepestJson = 32;

    private readonly SortedDictionary<int, (string Id, string Name, StringBuilder Arguments)> _calls = [];
    private readonly string _messageId = $"msg_{Guid.NewGuid():N}";
    private string? _responseId;

    /// <summary>Whether a reason of the end has come: without one a stream was cut.</summary>
    public bool IsFinished { get; private set; }

    /// <summary>The updates of a chunk's data.</summary>
    /// <exception cref="UpstreamException">It is no chunk, or an error.</exception>
    public IEnumerable<ChatResponseUpdate> Read(ReadOnlyMemory<byte> data)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(data, new JsonDocumentOptions { MaxDepth = DeepestJson });
            return [.. Updates(document.RootElement)];
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException) // the latter: a name or a text that is no Unicode
        {
            throw new UpstreamException("malformed", "The upstream sent an event that is not JSON in Unicode.", isTransient: true, failure);
        }
    }

    private IEnumerable<ChatResponseUpdate> Updates(JsonElement chunk)
    {
        if (chunk.ValueKind != JsonValueKind.Object)
        {
            throw new UpstreamException("malformed", "The upstream sent an event that is no object.", isTransient: true);
        }

        if (chunk.TryGetProperty("error", out JsonElement error) && error.ValueKind is not JsonValueKind.Null)
        {
            throw new UpstreamException("status", "The upstream told of an error within its stream.", isTransient: true);
        }

        _responseId ??= Text(chunk, "id") ?? $"chatcmpl-{Guid.NewGuid():N}";
        if (chunk.TryGetProperty("choices", out JsonElement choices) && choices.ValueKind == JsonValueKind.Array && choices.GetArrayLength() > 0 && choices[0].ValueKind == JsonValueKind.Object)
        {
            JsonElement choice = choices[0];
            foreach (string part in (string[])["delta", "message"])
            {
                if (choice.TryGetProperty(part, out JsonElement delta) && delta.ValueKind == JsonValueKind.Object)
                {
                    if (Text(delta, "reasoning_content") is { Length: > 0 } reasoning)
                    {
                        yield return Update(new TextReasoningContent(reasoning));
                    }

                    if ((Text(delta, "content") ?? Text(delta, "refusal")) is { Length: > 0 } text)
                    {
                        yield return Update(new TextContent(text));
                    }

                    TakeCalls(delta);
                    break; // never both: some servers end a stream with all of the message again
                }
            }

            if (Text(choice, "finish_reason") is { } finish && !IsFinished)
            {
                IsFinished = true;
                foreach ((string id, string name, StringBuilder arguments) in _calls.Values)
                {
                    yield return Update(Call(id, name, arguments.ToString()));
                }

                ChatResponseUpdate last = Update();
                last.FinishReason = new ChatFinishReason(_calls.Count > 0 && finish == "stop" ? "tool_calls" : finish);
                yield return last;
            }
        }

        if (chunk.TryGetProperty("usage", out JsonElement usage) && usage.ValueKind == JsonValueKind.Object)
        {
            yield return Update(new UsageContent(new UsageDetails
            {
                InputTokenCount = Tokens(usage, "prompt_tokens"),
                OutputTokenCount = Tokens(usage, "completion_tokens"),
                TotalTokenCount = Tokens(usage, "total_tokens"),
            }));
        }
    }

    private void TakeCalls(JsonElement delta)
    {
        if (!delta.TryGetProperty("tool_calls", out JsonElement calls) || calls.ValueKind != JsonValueKind.Array)
        {
            return;
        }

        foreach (JsonElement call in calls.EnumerateArray().Where(call => call.ValueKind == JsonValueKind.Object))
        {
            int index = (int)Math.Clamp(Number(call, "index") ?? _calls.Count, 0, int.MaxValue);
            if (!_calls.TryGetValue(index, out (string Id, string Name, StringBuilder Arguments) known))
            {
                known = (Text(call, "id") ?? $"call_{Guid.NewGuid():N}", "", new StringBuilder());
                if (_calls.Count >= MostCalls)
                {
                    throw new UpstreamException("malformed", $"The upstream called more than {MostCalls} tools at once.", isTransient: false);
                }
            }

            if (call.TryGetProperty("function", out JsonElement function) && function.ValueKind == JsonValueKind.Object)
            {
                known.Name += Text(function, "name");
                known.Arguments.Append(Text(function, "arguments"));
            }

            _calls[index] = known;
        }
    }

    private static FunctionCallContent Call(string id, string name, string arguments)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(arguments.Length == 0 ? "{}" : arguments, new JsonDocumentOptions { MaxDepth = DeepestJson });
            Dictionary<string, object?> read = new(StringComparer.Ordinal);
            foreach (JsonProperty member in document.RootElement.EnumerateObject())
            {
                read[member.Name] = member.Value.ValueKind == JsonValueKind.Null ? null : member.Value.Clone();
            }

            return new FunctionCallContent(id, name, read);
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException)
        {
            throw new UpstreamException("malformed", "The upstream called a tool with arguments that are not a JSON object.", isTransient: true, failure);
        }
    }

    private ChatResponseUpdate Update(params AIContent[] contents) => new(ChatRole.Assistant, contents) { MessageId = _messageId, ResponseId = _responseId, ModelId = model, CreatedAt = DateTimeOffset.UtcNow };

    private static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private long? Tokens(JsonElement usage, string name) => Number(usage, name) is { } count ? Math.Min(count, mostTokens) : null;

    private static long? Number(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number) && number >= 0 ? number : null;
}
