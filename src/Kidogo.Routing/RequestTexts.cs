// All that a request would send, as texts: to be looked at, and to be replaced. Knows no finder and no wire.
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Kidogo.Routing;

/// <summary>The texts of a request: messages, authors, tool calls with their arguments, tool results, tools, forms, stop strings, attachments that are text.</summary>
/// <remarks>The same walk reads and replaces, so that nothing leaves that was not looked at.</remarks>
internal sealed class RequestTexts
{
    private const int DeepestJson = 64;

    private static readonly ChatRole[] s_roles = [ChatRole.System, ChatRole.User, ChatRole.Assistant, ChatRole.Tool];

    private RequestTexts(IReadOnlyList<string> texts, IReadOnlyList<string> joined, bool hasUnknown)
    {
        Texts = texts;
        Joined = joined;
        HasUnknown = hasUnknown;
    }

    /// <summary>Every text, in the order of the walk.</summary>
    public IReadOnlyList<string> Texts { get; }

    /// <summary>The texts of messages that come in several parts, each as one: what is cut in two is seen whole here.</summary>
    public IReadOnlyList<string> Joined { get; }

    /// <summary>Whether there is content that cannot be looked at: an image, a sound, an address.</summary>
    public bool HasUnknown { get; }

    /// <summary>Reads the texts of a request.</summary>
    public static RequestTexts Of(IEnumerable<ChatMessage> messages, ChatOptions options)
    {
        List<string> texts = [];
        Walk walk = new(text =>
        {
            texts.Add(text);
            return text;
        });
        IReadOnlyList<ChatMessage> seen = walk.Messages(messages);
        walk.Options(options);
        string[] joined = [.. seen.Where(message => message.Contents.Count(content => content is TextContent) > 1).Select(message => message.Text)];
        return new RequestTexts(texts, joined, walk.HasUnknown);
    }

    /// <summary>The same request with other texts, given in the order of the walk.</summary>
    public static (IReadOnlyList<ChatMessage> Messages, ChatOptions Options) With(IEnumerable<ChatMessage> messages, ChatOptions options, IReadOnlyList<string> texts)
    {
        int at = 0;
        Walk walk = new(_ => texts[at++]);
        return (walk.Messages(messages), walk.Options(options));
    }

    /// <summary>A value of a tool's arguments or result with every text in it replaced.</summary>
    public static object? Map(object? value, Func<string, string> map) => new Walk(map).Value(value);

    private sealed class Walk(Func<string, string> map)
    {
        private readonly Dictionary<string, string> _callIds = new(StringComparer.Ordinal);

        public bool HasUnknown { get; private set; }

        public IReadOnlyList<ChatMessage> Messages(IEnumerable<ChatMessage> messages) => [.. messages.Select(Message)];

        /// <summary>What of the options is sent: nothing that the wire does not carry.</summary>
        public ChatOptions Options(ChatOptions options)
        {
            ChatOptions sent = new()
            {
                Temperature = options.Temperature,
                TopP = options.TopP,
                MaxOutputTokens = options.MaxOutputTokens,
                FrequencyPenalty = options.FrequencyPenalty,
                PresencePenalty = options.PresencePenalty,
                Seed = options.Seed,
                AllowMultipleToolCalls = options.AllowMultipleToolCalls,
                ToolMode = options.ToolMode,
                Instructions = options.Instructions is { } instructions ? map(instructions) : null,
                StopSequences = options.StopSequences is { } stops ? [.. stops.Select(map)] : null,
            };
            if (options.ResponseFormat is ChatResponseFormatJson { Schema: { } schema } json)
            {
                sent.ResponseFormat = ChatResponseFormat.ForJsonSchema(Json(schema), json.SchemaName is { } name ? map(name) : null, json.SchemaDescription is { } about ? map(about) : null);
            }
            else
            {
                sent.ResponseFormat = options.ResponseFormat;
            }

            foreach (AITool tool in options.Tools ?? [])
            {
                if (tool is AIFunctionDeclaration function)
                {
                    (sent.Tools ??= []).Add(AIFunctionFactory.CreateDeclaration(map(function.Name), map(function.Description), Json(function.JsonSchema)));
                }
                else
                {
                    HasUnknown = true;
                }
            }

            return sent;
        }

        public object? Value(object? value)
        {
            switch (value)
            {
                case null or bool or int or long or double or float or decimal:
                    if (value is not (null or bool))
                    {
                        string digits = Convert.ToString(value, System.Globalization.CultureInfo.InvariantCulture)!;
                        return map(digits) is var seen && seen == digits ? value : seen; // a number may be somebody's
                    }

                    return value;
                case string text:
                    return map(text);
                case JsonElement element:
                    return Json(element);
                case TextContent content:
                    return map(content.Text);
                case IEnumerable<AIContent> contents:
                    return string.Concat(contents.Select(content => content is TextContent text ? map(text.Text) : Unknown()));
                case AIContent:
                    return Unknown();
                default:
                    try
                    {
                        return Json(JsonSerializer.SerializeToElement(value, AIJsonUtilities.DefaultOptions.GetTypeInfo(value.GetType())));
                    }
                    catch (Exception failure) when (failure is NotSupportedException or JsonException)
                    {
                        return Unknown();
                    }
            }
        }

        private string Unknown()
        {
            HasUnknown = true;
            return "";
        }

        /// <summary>What an earlier call is called: a number of our own, for whatever a client put there is nobody's business.</summary>
        private string CallId(string given)
        {
            if (!_callIds.TryGetValue(given, out string? id))
            {
                id = $"call_{_callIds.Count + 1}";
                _callIds[given] = id;
            }

            return id;
        }

        private ChatMessage Message(ChatMessage message)
        {
            HasUnknown |= !s_roles.Contains(message.Role); // a role of somebody's own is a text like any other
            return new ChatMessage(message.Role, [.. message.Contents.Select(Content).OfType<AIContent>()]) { AuthorName = message.AuthorName is { } author ? map(author) : null };
        }

        private AIContent? Content(AIContent content)
        {
            switch (content)
            {
                case TextReasoningContent:
                    return null; // a model's reasoning is its own, and is not sent
                case TextContent text:
                    return new TextContent(map(text.Text));
                case FunctionCallContent call:
                    return new FunctionCallContent(CallId(call.CallId), map(call.Name), call.Arguments?.ToDictionary(pair => map(pair.Key), pair => Value(pair.Value)));
                case FunctionResultContent result:
                    return new FunctionResultContent(CallId(result.CallId), Value(result.Result ?? result.Exception?.Message));
                case DataContent data when TextOf(data) is { } attached:
                    return new TextContent(map(attached));
                case UsageContent:
                    return null;
                default:
                    HasUnknown = true;
                    return null;
            }
        }

        /// <summary>An attachment's text; null where it is none.</summary>
        private static string? TextOf(DataContent data)
        {
            if (!data.HasTopLevelMediaType("text") && data.MediaType is not ("application/json" or "application/xml" or "application/yaml" or "application/x-yaml" or "application/csv"))
            {
                return null;
            }

            try
            {
                return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(data.Data.Span);
            }
            catch (DecoderFallbackException)
            {
                return null;
            }
        }

        private JsonElement Json(JsonElement element)
        {
            using MemoryStream stream = new();
            using (Utf8JsonWriter json = new(stream, Kidogo.Text.JsonBuilding.Options))
            {
                Write(json, element, 0);
            }

            stream.Position = 0;
            using JsonDocument document = JsonDocument.Parse(stream, new JsonDocumentOptions { MaxDepth = DeepestJson + 1 });
            return document.RootElement.Clone();
        }

        private void Write(Utf8JsonWriter json, JsonElement element, int depth)
        {
            if (depth >= DeepestJson)
            {
                HasUnknown = true;
                json.WriteNullValue();
                return;
            }

            switch (element.ValueKind)
            {
                case JsonValueKind.String:
                    json.WriteStringValue(map(element.GetString()!));
                    break;
                case JsonValueKind.Number when element.GetRawText() is { Length: >= 7 } digits:
                    string seen = map(digits);
                    if (seen == digits)
                    {
                        element.WriteTo(json);
                    }
                    else
                    {
                        json.WriteStringValue(seen);
                    }

                    break;
                case JsonValueKind.Array:
                    json.WriteStartArray();
                    foreach (JsonElement item in element.EnumerateArray())
                    {
                        Write(json, item, depth + 1);
                    }

                    json.WriteEndArray();
                    break;
                case JsonValueKind.Object:
                    json.WriteStartObject();
                    foreach (JsonProperty property in element.EnumerateObject())
                    {
                        json.WritePropertyName(map(property.Name));
                        Write(json, property.Value, depth + 1);
                    }

                    json.WriteEndObject();
                    break;
                default:
                    element.WriteTo(json);
                    break;
            }
        }
    }
}
