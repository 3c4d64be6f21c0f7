// The fields of a request that speak of tools. Knows their shape, not how models call them.
using System.Text.Json;
using Kidogo.Inference.Constraints;
using Kidogo.Inference.Tools;
using Kidogo.Serving.Api;

namespace Kidogo.Serving.Tools;

/// <summary>Reads <c>tools</c>, <c>tool_choice</c> and <c>parallel_tool_calls</c>.</summary>
internal static class ToolFields
{
    private const string Unsupported = "unsupported_parameter";

    /// <summary>What a request says about tools.</summary>
    /// <param name="fields">The request.</param>
    /// <param name="model">Who answers.</param>
    /// <param name="isFlat">Whether a tool has its name beside its type, as in the Responses API, or in an object <c>function</c>.</param>
    /// <returns>Null where the model is to call none.</returns>
    /// <exception cref="ApiException">They are malformed, the model's template has no place for them, or a strict one's schema cannot be enforced.</exception>
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

        List<ToolDescription> tools = Descriptions(fields, array, isFlat);
        if (allowed?.FirstOrDefault(name => !tools.Exists(tool => tool.Name == name)) is not null)
        {
            throw ApiException.Field("tool_choice", "`tool_choice` names a function that is not among the `tools`.", "invalid_value");
        }

        if (model.ToolFormat is not { } format)
        {
            throw ApiException.Field("tools", $"`tools` is not supported by `{model.Id}`: its chat template has no place for them.", Unsupported);
        }

        CheckStrict(tools, format, isFlat);
        return mode switch
        {
            "none" => null,
            "function" => new ToolChoice(format, tools, mustCall: true, allowed![0], isParallel),
            _ => new ToolChoice(format, allowed is null ? tools : [.. tools.Where(tool => allowed.Contains(tool.Name))], mode == "required", null, isParallel), // the model is shown those alone
        };
    }

    /// <summary>What a request says about tools where it is not known yet who answers.</summary>
    /// <returns>The tools that may be called, the mode (none, auto, required, function), and the function that has to be called.</returns>
    /// <exception cref="ApiException">They are malformed.</exception>
    public static (IReadOnlyList<ToolDescription> Tools, string Mode, string? Named) ReadOpen(RequestFields fields)
    {
        (string mode, IReadOnlyList<string>? allowed) = Mode(fields, isFlat: false);
        List<ToolDescription> tools = fields.Array("tools", "an array of tools") is { } array ? Descriptions(fields, array, isFlat: false) : [];
        if ((tools.Count == 0 && (mode is not ("none" or "auto") || allowed is not null)) || allowed?.Any(name => !tools.Exists(tool => tool.Name == name)) == true)
        {
            throw ApiException.Field("tool_choice", "`tool_choice` asks for a call that is not among the `tools`.", "invalid_value");
        }

        return (allowed is null || mode == "function" ? tools : [.. tools.Where(tool => allowed.Contains(tool.Name))], mode, mode == "function" ? allowed![0] : null);
    }

    private static void CheckStrict(List<ToolDescription> tools, ToolCallFormat format, bool isFlat)
    {
        foreach ((ToolDescription tool, int index) in tools.Select((tool, index) => (tool, index)).Where(each => each.tool.IsStrict))
        {
            string path = isFlat ? $"tools[{index}]" : $"tools[{index}].function";
            if (tool.Parameters is { } schema && CallGrammar.WhyNot(format.Spelling, schema) is { } problem)
            {
                throw ApiException.Field($"{path}.parameters", $"`{path}.parameters` cannot be enforced, as `strict` asks. {problem}", "invalid_value");
            }
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

    private static List<ToolDescription> Descriptions(RequestFields fields, JsonElement array, bool isFlat)
    {
        if (array.GetArrayLength() > ToolDescription.Most)
        {
            throw fields.Wrong("tools", array, $"an array of at most {ToolDescription.Most} tools");
        }

        List<ToolDescription> tools = [];
        foreach (JsonElement element in array.EnumerateArray())
        {
            RequestFields tool = new(element, $"tools[{tools.Count}]");
            OnlyFunctions(tool);
            if (isFlat)
            {
                tool.Refuse("defer_loading", "all tools are shown to the model at once.", value => value.ValueKind == JsonValueKind.False);
                tool.Refuse("allowed_callers", "only the model calls.", value => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 1 && RequestFields.Is(value[0], "direct"));
                tool.Refuse("output_schema", "what tools return is not checked here.");
            }

            RequestFields function = isFlat ? tool : tool.Object("function") ?? throw tool.Missing("function", "an object with `name` and `parameters`");
            tools.Add(Description(function, tools));
            tool.RejectUnknown();
        }

        return tools;
    }

    private static ToolDescription Description(RequestFields function, List<ToolDescription> others)
    {
        string name = function.RequiredText("name");
        if (!ToolDescription.IsName(name) || others.Exists(other => other.Name == name))
        {
            throw ApiException.Field(
                function.PathOf("name"), $"`{function.PathOf("name")}` has to be 1 to {ToolDescription.LongestName} letters, digits, dashes and underscores, and not be used twice.", "invalid_value");
        }

        string? description = function.Text("description");
        JsonElement? parameters = function.Element("parameters");
        if (parameters is { ValueKind: not JsonValueKind.Object } wrong)
        {
            throw function.Wrong("parameters", wrong, "an object: a JSON schema");
        }

        bool isStrict = function.Flag("strict") ?? false;
        function.RejectUnknown();
        return new ToolDescription(name, description, parameters?.Clone(), isStrict);
    }
}
