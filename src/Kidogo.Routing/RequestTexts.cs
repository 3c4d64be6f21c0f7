// All that a request would send, as texts: to be looked at, and to be replaced. Knows no finder and no wire.
using System.Text;
using System.Text.Json;
using Kidogo.Privacy;
using Microsoft.Extensions.AI;

namespace Kidogo.Routing;

/// <summary>Texts that a reader sees together: what is cut in two is seen whole here.</summary>
/// <param name="Whole">The texts as one.</param>
/// <param name="Parts">Each by itself.</param>
/// <param name="Except">Kinds that are not looked for, since texts that only follow each other seem to have them.</param>
internal readonly record struct Seam(string Whole, IReadOnlyList<string> Parts, params IReadOnlyList<PersonalKind> Except);

/// <summary>The texts of a request: messages, authors, tool calls with their arguments, tool results, tools, forms, stop strings, attachments that are text.</summary>
/// <remarks>The same walk reads and replaces, so that nothing leaves that was not looked at.</remarks>
internal sealed class RequestTexts
{
    private const int DeepestJson = 64;
    private const int SeamLength = 64; // characters on either side of where two messages meet

    private static readonly ChatRole[] s_roles = [ChatRole.System, ChatRole.User, ChatRole.Assistant, ChatRole.Tool];

    private RequestTexts(IReadOnlyList<string> texts, IReadOnlyList<Seam> seams, bool hasUnknown)
    {
        Texts = texts;
        Seams = seams;
        HasUnknown = hasUnknown;
    }

    /// <summary>Every text, in the order of the walk.</summary>
    public IReadOnlyList<string> Texts { get; }

    /// <summary>Where texts meet: the parts of one message, a name in JSON and its value, the end of a message and the beginning of the next one.</summary>
    public IReadOnlyList<Seam> Seams { get; }

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
        return new RequestTexts(texts, [.. walk.Seams, .. seen.Where(message => message.Contents.Count(content => content is TextContent) > 1).Select(SeamOfParts), .. SeamsOfMessages(seen)], walk.HasUnknown);
    }

    /// <summary>The same request with other texts, given in the order of the walk.</summary>
    public static (IReadOnlyList<ChatMessage> Messages, ChatOptions Options) With(IEnumerable<ChatMessage> messages, ChatOptions options, IReadOnlyList<string> texts)
    {
        int at = 0;
        Walk walk = new(_ => texts[at++]);
        return (walk.Messages(messages), walk.Options(options));
    }

    /// <summary>The arguments of a tool's call with every text in them replaced.</summary>
    public static Dictionary<string, object?>? Map(IDictionary<string, object?>? arguments, Func<string, string> map) => new Walk(map).Arguments(arguments);

    private static Seam SeamOfParts(ChatMessage message) => new(message.Text, [.. message.Contents.OfType<TextContent>().Select(part => part.Text)]);

    /// <summary>Where a message meets the one before it, and the one before it of the same role. A capital at the start of a sentence is no name in the middle of one, and an illness is somebody's only in the words of one role.</summary>
    private static IEnumerable<Seam> SeamsOfMessages(IReadOnlyList<ChatMessage> messages)
    {
        Dictionary<ChatRole, string> last = [];
        (ChatRole Role, string Text)? before = null;
        foreach (ChatMessage message in messages)
        {
            string text = $"{message.Text}{string.Concat(message.Contents.OfType<FunctionResultContent>().Select(result => AsText(result.Result)))}";
            if (text.Length == 0)
            {
                continue;
            }

            if (before is { } other && other.Role != message.Role)
            {
                yield return SeamOf(other.Text, text, PersonalKind.Name, PersonalKind.Health);
            }

            if (last.TryGetValue(message.Role, out string? own))
            {
                yield return SeamOf(own, text, PersonalKind.Name);
            }

            last[message.Role] = text;
            before = (message.Role, text);
        }
    }

    private static Seam SeamOf(string first, string second, params PersonalKind[] except)
    {
        string[] parts = [first[^Math.Min(first.Length, SeamLength)..], second[..Math.Min(second.Length, SeamLength)]];
        return new Seam(string.Join(' ', parts), parts, except);
    }

    /// <summary>A value as one text; null where it is none, or several.</summary>
    private static string? AsText(object? value) => value switch
    {
        string text => text,
        JsonElement { ValueKind: JsonValueKind.String } element => element.GetString(),
        JsonElement { ValueKind: JsonValueKind.Number } element => element.GetRawText(),
        int or long or double or float or decimal => Convert.ToString(value, System.Globalization.CultureInfo.InvariantCulture),
        _ => null,
    };

    private sealed class Walk(Func<string, string> map)
    {
        private readonly Dictionary<string, string> _callIds = new(StringComparer.Ordinal);

        public bool HasUnknown { get; private set; }

        /// <summary>Names in JSON with their values.</summary>
        public List<Seam> Seams { get; } = [];

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
                ToolMode = options.ToolMode is RequiredChatToolMode { RequiredFunctionName: { } required } ? ChatToolMode.RequireSpecific(map(required)) : options.ToolMode,
                Instructions = options.Instructions is { } instructions ? map(instructions) : null,
                StopSequences = options.StopSequences is { } stops ? [.. stops.Select(map)] : null,
            };
            if (options.ResponseFormat is ChatResponseFormatJson { Schema: { } schema } json)
            {
                sent.ResponseFormat = ChatResponseFormat.ForJsonSchema(Json(schema, isSchema: true), json.SchemaName is { } name ? map(name) : null, json.SchemaDescription is { } about ? map(about) : null);
            }
            else
            {
                sent.ResponseFormat = options.ResponseFormat;
            }

            foreach (AITool tool in options.Tools ?? [])
            {
                if (tool is AIFunctionDeclaration function)
                {
                    (sent.Tools ??= []).Add(AIFunctionFactory.CreateDeclaration(map(function.Name), map(function.Description), Json(function.JsonSchema, isSchema: true)));
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

        public Dictionary<string, object?>? Arguments(IDictionary<string, object?>? arguments)
        {
            if (arguments is null)
            {
                return null;
            }

            Dictionary<string, object?> mapped = new(StringComparer.Ordinal);
            foreach ((string name, object? value) in arguments)
            {
                (string key, object? given) = (map(name), Value(value));
                mapped[key] = given; // where two names became one, the last
                AddSeam(key, AsText(given));
            }

            return mapped;
        }

        private void AddSeam(string name, string? value)
        {
            if (value is not null)
            {
                Seams.Add(new Seam($"{name}: {value}", [name, value], PersonalKind.Name));
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
                    return new FunctionCallContent(CallId(call.CallId), map(call.Name), Arguments(call.Arguments));
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

        private JsonElement Json(JsonElement element, bool isSchema = false)
        {
            using MemoryStream stream = new();
            using (Utf8JsonWriter json = new(stream, Kidogo.Text.JsonBuilding.Options))
            {
                Write(json, element, isSchema, 0);
            }

            stream.Position = 0;
            using JsonDocument document = JsonDocument.Parse(stream, new JsonDocumentOptions { MaxDepth = DeepestJson + 1 });
            return document.RootElement.Clone();
        }

        /// <summary>Writes an element with its texts replaced.</summary>
        /// <returns>What it is as one text; null where it is none.</returns>
        private string? Write(Utf8JsonWriter json, JsonElement element, bool isSchema, int depth)
        {
            if (depth >= DeepestJson)
            {
                HasUnknown = true;
                json.WriteNullValue();
                return null;
            }

            string? seen = null;

            switch (element.ValueKind)
            {
                case JsonValueKind.String:
                    seen = map(element.GetString()!);
                    json.WriteStringValue(seen);
                    break;
                case JsonValueKind.Number when element.GetRawText() is { Length: >= 7 } digits:
                    seen = map(digits);
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
                        Write(json, item, isSchema, depth + 1);
                    }

                    json.WriteEndArray();
                    break;
                case JsonValueKind.Object:
                    json.WriteStartObject();
                    foreach (JsonProperty property in element.EnumerateObject())
                    {
                        string name = map(property.Name);
                        json.WritePropertyName(name);
                        string? value = Write(json, property.Value, isSchema, depth + 1);
                        if (!isSchema)
                        {
                            AddSeam(name, value);
                        }
                    }

                    json.WriteEndObject();
                    break;
                default:
                    seen = AsText(element);
                    element.WriteTo(json);
                    break;
            }

            return seen;
        }
    }
}
