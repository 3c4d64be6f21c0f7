// The tools of a request, and what the model may do with them. Knows their descriptions, not what they do.
using System.Text.Json;
using Kidogo.Inference.Constraints;
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

    private static readonly JsonElement s_noParameters = JsonWriting.Element(json => json.WriteRawValue("""{"type":"object","properties":{}}"""));

    private readonly ToolCallFormat _format;
    private readonly IReadOnlyList<string> _names;
    private readonly IReadOnlyList<DescribedTool> _tools;
    private readonly CallStart _start;
    private readonly string? _forcedStart;

    private ToolChoice(ToolCallFormat format, JsonElement descriptions, IReadOnlyList<DescribedTool> tools, CallStart start, string? forcedStart, bool namesOne, bool isParallel)
    {
        _format = format;
        _names = [.. tools.Select(tool => tool.Name)];
        _tools = tools;
        _start = start;
        _forcedStart = forcedStart;
        Tools = descriptions;
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
    /// <param name="fields">The request.</param>
    /// <param name="model">Who answers.</param>
    /// <param name="isFlat">Whether a tool has its name beside its type, as in the Responses API, or in an object <c>function</c>.</param>
    /// <returns>Null where the model is to call none.</returns>
    /// <exception cref="ApiException">They are malformed, or the model's template has no place for them.</exception>
    public static ToolChoice? Read(RequestFields fields, ServedModel model, bool isFlat = false)
    {
        if (!isFlat)
        {
            fields.Refuse("functions", "it is OpenAI's former way; use `tools`.");
            fields.Refuse("function_call", "it is OpenAI's former way; use `tool_choice`.");
        }

        JsonElement? given = fields.Array("tools", "an array of tools");
        bool isParallel = fields.Flag("parallel_tool_calls") ?? true;
        (string mode, IReadOnlyList<string>? allowed) = Mode(fields, isFlat);
        if (given is not { } array || array.GetArrayLength() == 0)
        {
            return mode is "none" or "auto" && allowed is null ? null : throw ApiException.Field("tool_choice", "`tool_choice` asks for a call, but there are no `tools`.", "invalid_value");
        }

        List<DescribedTool> tools = Described(fields, array, isFlat);
        if (allowed?.FirstOrDefault(name => tools.All(tool => tool.Name != name)) is not null)
        {
            throw ApiException.Field("tool_choice", "`tool_choice` names a function that is not among the `tools`.", "invalid_value");
        }

        if (model.ToolFormat is not { } format)
        {
            throw ApiException.Field("tools", $"`tools` is not supported by `{model.Id}`: its chat template has no place for them.", Unsupported);
        }

        if (format.Spelling is null && tools.FindIndex(tool => tool.IsStrict) is >= 0 and int strict)
        {
            throw ApiException.Field(tools[strict].PathOf("strict"), $"`{tools[strict].PathOf("strict")}` is not supported by `{model.Id}`: it writes calls as Python, which is held to no schema here.", Unsupported);
        }

        if (mode == "none")
        {
            return null;
        }

        if (mode == "function")
        {
            DescribedTool one = tools.First(tool => tool.Name == allowed![0]);
            return new ToolChoice(format, Json(tools), [one], CallStart.Arguments, format.Open + format.BeforeName + one.Name + format.AfterName, namesOne: true, isParallel);
        }

        tools = allowed is null ? tools : [.. tools.Where(tool => allowed.Contains(tool.Name))]; // the model is shown those alone
        return mode == "required"
            ? new ToolChoice(format, Json(tools), tools, CallStart.Name, format.Open + format.BeforeName, namesOne: false, isParallel)
            : new ToolChoice(format, Json(tools), tools, CallStart.Free, null, namesOne: false, isParallel);
    }

    /// <summary>What the answer is held to: calls of known tools where one has to come, arguments that obey where a tool is strict; null for nothing.</summary>
    /// <param name="model">Who answers.</param>
    /// <param name="reasoning">What closes reasoning that the prompt has opened; null where it has not.</param>
    /// <exception cref="ApiException">A strict tool's schema cannot be enforced.</exception>
    public TokenGrammar? Form(ServedModel model, string? reasoning)
    {
        if (_format.Spelling is not { } spelling || (_start == CallStart.Free && !_tools.Any(tool => tool.IsStrict)))
        {
            return null;
        }

        string key = $"{_start} {IsParallel} {reasoning}\n{string.Join('\n', _tools.Select(tool => $"{tool.Name} {(tool.IsStrict ? tool.Parameters.GetRawText() : "")}"))}";
        CallRule[] rules = [.. _tools.Select(tool => new CallRule(tool.Name, tool.IsStrict ? tool.Parameters : null))];
        try
        {
            return model.Grammars.OfMarked(key, model.Markers, () => CallGrammar.Of(spelling, rules, _start, IsParallel, reasoning));
        }
        catch (GrammarException failure)
        {
            DescribedTool? wrong = _tools.FirstOrDefault(tool => tool.IsStrict && !CallGrammar.CanEnforce(tool.Parameters));
            string field = wrong is null ? "tools" : wrong.PathOf("parameters");
            throw ApiException.Field(field, $"`{field}` cannot be enforced, as `strict` asks. {failure.Message}", "invalid_value");
        }
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

    /// <summary>Whether to call, and which tools may be called; null for all.</summary>
    private static (string Mode, IReadOnlyList<string>? Names) Mode(RequestFields fields, bool isFlat)
    {
        if (fields.Element("tool_choice") is not { } value)
        {
            return ("auto", null);
        }

        if (value.ValueKind == JsonValueKind.String)
        {
            string mode = RequestFields.StringOf(value, "tool_choice");
            return mode is "none" or "auto" or "required" ? (mode, null) : throw fields.Wrong("tool_choice", value, "`none`, `auto`, `required`, or an object that names a function");
        }

        RequestFields named = new(value, "tool_choice");
        switch (named.RequiredText("type"))
        {
            case "function":
                string name = NameIn(named, isFlat);
                named.RejectUnknown();
                return ("function", [name]);
            case "allowed_tools":
                RequestFields allowed = isFlat ? named : named.Object("allowed_tools") ?? throw named.Missing("allowed_tools", "an object with `mode` and `tools`");
                string among = allowed.RequiredText("mode");
                JsonElement array = allowed.Array("tools", "an array of tools") ?? throw allowed.Missing("tools", "an array of tools");
                List<string> names = [];
                foreach (JsonElement element in array.EnumerateArray())
                {
                    RequestFields tool = new(element, $"{allowed.PathOf("tools")}[{names.Count}]");
                    OnlyFunctions(tool);
                    names.Add(NameIn(tool, isFlat));
                    tool.RejectUnknown();
                }

                allowed.RejectUnknown();
                named.RejectUnknown();
                return among is "auto" or "required" && names.Count > 0 ? (among, names) : throw ApiException.Field(allowed.PathOf("mode"), $"`{allowed.PathOf("mode")}` has to be auto or required, and there has to be a tool.", "invalid_value");
            default:
                throw ApiException.Field("tool_choice.type", "`tool_choice.type` has to be `function` or `allowed_tools`; other kinds are not supported.", Unsupported);
        }
    }

    private static string NameIn(RequestFields tool, bool isFlat)
    {
        if (isFlat)
        {
            return tool.RequiredText("name");
        }

        RequestFields function = tool.Object("function") ?? throw tool.Missing("function", "an object with `name`");
        string name = function.RequiredText("name");
        function.RejectUnknown();
        return name;
    }

    private static void OnlyFunctions(RequestFields tool)
    {
        if (tool.RequiredText("type") != "function")
        {
            throw ApiException.Field(tool.PathOf("type"), $"`{tool.PathOf("type")}` has to be `function`; other kinds are not supported.", Unsupported);
        }
    }

    private static List<DescribedTool> Described(RequestFields fields, JsonElement array, bool isFlat)
    {
        if (array.GetArrayLength() > Most)
        {
            throw fields.Wrong("tools", array, $"an array of at most {Most} tools");
        }

        List<DescribedTool> tools = [];
        foreach (JsonElement element in array.EnumerateArray())
        {
            RequestFields tool = new(element, $"tools[{tools.Count}]");
            OnlyFunctions(tool);
            RequestFields function = isFlat ? tool : tool.Object("function") ?? throw tool.Missing("function", "an object with `name` and `parameters`");
            if (isFlat)
            {
                tool.Refuse("defer_loading", "all tools are shown to the model at once.", value => value.ValueKind == JsonValueKind.False);
                tool.Refuse("allowed_callers", "only the model calls.", value => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 1 && RequestFields.Is(value[0], "direct"));
                tool.Refuse("output_schema", "what tools return is not checked here.");
            }

            string name = function.RequiredText("name");
            if (name.Length is 0 or > LongestName || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-') || tools.Exists(other => other.Name == name))
            {
                throw ApiException.Field(function.PathOf("name"), $"`{function.PathOf("name")}` has to be 1 to {LongestName} letters, digits, dashes and underscores, and not be used twice.", "invalid_value");
            }

            if (function.Element("parameters") is { ValueKind: not JsonValueKind.Object } wrong)
            {
                throw function.Wrong("parameters", wrong, "an object: a JSON schema");
            }

            tools.Add(new DescribedTool(function, name, function.Text("description") ?? "", function.Element("parameters")?.Clone() ?? s_noParameters, function.Flag("strict") ?? false));
            function.RejectUnknown();
            tool.RejectUnknown();
        }

        return tools;
    }

    /// <summary>The tools as templates read them.</summary>
    private static JsonElement Json(IReadOnlyList<DescribedTool> tools) => JsonWriting.Element(json =>
    {
        json.WriteStartArray();
        foreach (DescribedTool tool in tools)
        {
            json.WriteStartObject();
            json.WriteString("type", "function");
            json.WriteStartObject("function");
            json.WriteString("name", tool.Name);
            json.WriteString("description", tool.Description);
            json.WritePropertyName("parameters");
            tool.Parameters.WriteTo(json);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });

    /// <summary>A tool of a request.</summary>
    /// <param name="Fields">Where it is described.</param>
    /// <param name="Name">Its name.</param>
    /// <param name="Description">What it does.</param>
    /// <param name="Parameters">The schema of its arguments.</param>
    /// <param name="IsStrict">Whether arguments always obey it.</param>
    private sealed record DescribedTool(RequestFields Fields, string Name, string Description, JsonElement Parameters, bool IsStrict)
    {
        public string PathOf(string field) => Fields.PathOf(field);
    }
}
