// The tools of a request, and what the model may do with them. Knows their descriptions, not what they do.
using System.Text.Json;
using Kidogo.Serving.Api;
using Kidogo.Text;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Serving.Tools;

/// <summary>What a request says about tools.</summary>
internal sealed class ToolChoice
{
    private const int Most = 128;
    private const int LongestName = 64;
    private const string Unsupported = "unsupported_parameter";

    private readonly ToolCallFormat _format;
    private readonly IReadOnlyList<string> _names;
    private readonly string? _forcedStart;

    private ToolChoice(ToolCallFormat format, JsonElement tools, IReadOnlyList<string> names, string? forcedStart, bool namesOne, bool isParallel)
    {
        _format = format;
        _names = names;
        _forcedStart = forcedStart;
        Tools = tools;
        NamesOne = namesOne;
        IsParallel = isParallel;
    }

    /// <summary>The descriptions for the template.</summary>
    public JsonElement Tools { get; }

    /// <summary>Whether the request names the one tool to call; the answer's end is then called <c>stop</c>, as OpenAI does.</summary>
    public bool NamesOne { get; }

    /// <summary>Whether several calls may come at once.</summary>
    public bool IsParallel { get; }

    /// <summary>Reads <c>tools</c>, <c>tool_choice</c> and <c>parallel_tool_calls</c>.</summary>
    /// <returns>Null where the model is to call none.</returns>
    /// <exception cref="ApiException">They are malformed, or the model's template has no place for them.</exception>
    public static ToolChoice? Read(RequestFields fields, ServedModel model)
    {
        fields.Refuse("functions", "it is OpenAI's former way; use `tools`.");
        fields.Refuse("function_call", "it is OpenAI's former way; use `tool_choice`.");
        JsonElement? given = fields.Array("tools", "an array of tools");
        JsonElement? choice = fields.Element("tool_choice");
        bool isParallel = fields.Flag("parallel_tool_calls") ?? true;
        (string mode, string? name) = Mode(fields, choice);
        if (given is not { } array || array.GetArrayLength() == 0)
        {
            return mode is "none" or "auto" ? null : throw ApiException.Field("tool_choice", "`tool_choice` asks for a call, but there are no `tools`.", "invalid_value");
        }

        List<string> names = [];
        JsonElement tools = Descriptions(fields, array, names);
        if (name is not null && !names.Contains(name))
        {
            throw ApiException.Field("tool_choice.function.name", "`tool_choice` names a function that is not among the `tools`.", "invalid_value");
        }

        if (model.ToolFormat is not { } format)
        {
            throw ApiException.Field("tools", $"`tools` is not supported by `{model.Id}`: its chat template has no place for them.", Unsupported);
        }

        string? start = mode switch
        {
            "required" => format.Open + format.BeforeName,
            "function" => format.Open + format.BeforeName + name + format.AfterName,
            _ => null,
        };
        return mode == "none" ? null : new ToolChoice(format, tools, names, start, name is not null, isParallel);
    }

    /// <summary>The start of a call that the model has to go on from, as ids; empty where it is free.</summary>
    /// <remarks>The names come from the client: they never become control tokens.</remarks>
    public int[] ForcedIds(Tokenizer tokenizer)
    {
        if (_forcedStart is null)
        {
            return [];
        }

        List<TextSpan> spans = [];
        string rest = _forcedStart;
        foreach (string marker in (IEnumerable<string>)[_format.Open, .. _format.Inner])
        {
            int at = marker.Length == 0 ? -1 : rest.IndexOf(marker, StringComparison.Ordinal);
            if (at >= 0)
            {
                Add(spans, rest[..at], false);
                Add(spans, marker, true);
                rest = rest[(at + marker.Length)..];
            }
        }

        Add(spans, rest, false);
        return tokenizer.Encode(spans);
    }

    /// <summary>Reads the answer, beginning with what was forced.</summary>
    public ToolCallParser NewParser(out IReadOnlyList<ToolPiece> begun)
    {
        ToolCallParser parser = new(_format, _names);
        begun = _forcedStart is null ? [] : parser.Push(_forcedStart);
        return parser;
    }

    /// <summary>Control tokens that the parser has to see.</summary>
    public IReadOnlyCollection<int> SpelledOut(Tokenizer tokenizer) => _format.SpelledOut(tokenizer);

    private static void Add(List<TextSpan> spans, string text, bool isTrusted)
    {
        if (text.Length > 0)
        {
            spans.Add(new TextSpan(text, isTrusted));
        }
    }

    private static (string Mode, string? Name) Mode(RequestFields fields, JsonElement? choice)
    {
        if (choice is not { } value)
        {
            return ("auto", null);
        }

        if (value.ValueKind == JsonValueKind.String)
        {
            string mode = RequestFields.StringOf(value, "tool_choice");
            return mode is "none" or "auto" or "required" ? (mode, null) : throw fields.Wrong("tool_choice", value, "`none`, `auto`, `required`, or an object that names a function");
        }

        RequestFields named = new(value, "tool_choice");
        if (named.RequiredText("type") != "function")
        {
            throw ApiException.Field("tool_choice.type", "`tool_choice.type` has to be `function`; other kinds are not supported.", Unsupported);
        }

        RequestFields function = named.Object("function") ?? throw named.Missing("function", "an object with `name`");
        string name = function.RequiredText("name");
        function.RejectUnknown();
        named.RejectUnknown();
        return ("function", name);
    }

    /// <summary>The tools as templates read them; their names are collected.</summary>
    private static JsonElement Descriptions(RequestFields fields, JsonElement array, List<string> names)
    {
        if (array.GetArrayLength() > Most)
        {
            throw fields.Wrong("tools", array, $"an array of at most {Most} tools");
        }

        return JsonWriting.Element(json =>
        {
            json.WriteStartArray();
            foreach (JsonElement element in array.EnumerateArray())
            {
                RequestFields tool = new(element, $"tools[{names.Count}]");
                if (tool.RequiredText("type") != "function")
                {
                    throw ApiException.Field(tool.PathOf("type"), $"`{tool.PathOf("type")}` has to be `function`; other kinds are not supported.", Unsupported);
                }

                RequestFields function = tool.Object("function") ?? throw tool.Missing("function", "an object with `name` and `parameters`");
                tool.RejectUnknown();
                Describe(json, function, names);
            }

            json.WriteEndArray();
        });
    }

    private static void Describe(Utf8JsonWriter json, RequestFields function, List<string> names)
    {
        string name = function.RequiredText("name");
        if (name.Length is 0 or > LongestName || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-') || names.Contains(name))
        {
            throw ApiException.Field(function.PathOf("name"), $"`{function.PathOf("name")}` has to be 1 to {LongestName} letters, digits, dashes and underscores, and not be used twice.", "invalid_value");
        }

        function.Refuse("strict", "arguments are not held to their schema yet; leave it away or false.", value => value.ValueKind == JsonValueKind.False);
        string? description = function.Text("description");
        JsonElement? parameters = function.Element("parameters");
        if (parameters is { ValueKind: not JsonValueKind.Object } wrong)
        {
            throw function.Wrong("parameters", wrong, "an object: a JSON schema");
        }

        function.RejectUnknown();
        names.Add(name);
        json.WriteStartObject();
        json.WriteString("type", "function");
        json.WriteStartObject("function");
        json.WriteString("name", name);
        json.WriteString("description", description ?? "");
        json.WritePropertyName("parameters");
        if (parameters is { } schema)
        {
            schema.WriteTo(json);
        }
        else
        {
            json.WriteRawValue("""{"type":"object","properties":{}}""");
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }
}
