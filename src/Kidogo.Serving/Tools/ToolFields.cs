// The fields of a request that speak of tools. Knows their shape, not how models call them.
using System.Text.Json;
using Kidogo.Inference.Tools;
using Kidogo.Serving.Api;

namespace Kidogo.Serving.Tools;

/// <summary>Reads <c>tools</c>, <c>tool_choice</c> and <c>parallel_tool_calls</c>.</summary>
internal static class ToolFields
{
    private const string Unsupported = "unsupported_parameter";

    /// <summary>What a request says about tools.</summary>
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

        List<ToolDescription> tools = Descriptions(fields, array);
        if (name is not null && !tools.Exists(tool => tool.Name == name))
        {
            throw ApiException.Field("tool_choice.function.name", "`tool_choice` names a function that is not among the `tools`.", "invalid_value");
        }

        if (model.ToolFormat is not { } format)
        {
            throw ApiException.Field("tools", $"`tools` is not supported by `{model.Id}`: its chat template has no place for them.", Unsupported);
        }

        return mode == "none" ? null : new ToolChoice(format, tools, mode == "required", name, isParallel);
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

    private static List<ToolDescription> Descriptions(RequestFields fields, JsonElement array)
    {
        if (array.GetArrayLength() > ToolDescription.Most)
        {
            throw fields.Wrong("tools", array, $"an array of at most {ToolDescription.Most} tools");
        }

        List<ToolDescription> tools = [];
        foreach (JsonElement element in array.EnumerateArray())
        {
            RequestFields tool = new(element, $"tools[{tools.Count}]");
            if (tool.RequiredText("type") != "function")
            {
                throw ApiException.Field(tool.PathOf("type"), $"`{tool.PathOf("type")}` has to be `function`; other kinds are not supported.", Unsupported);
            }

            RequestFields function = tool.Object("function") ?? throw tool.Missing("function", "an object with `name` and `parameters`");
            tool.RejectUnknown();
            tools.Add(Description(function, tools));
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

        function.Refuse("strict", "arguments are not held to their schema yet; leave it away or false.", value => value.ValueKind == JsonValueKind.False);
        string? description = function.Text("description");
        JsonElement? parameters = function.Element("parameters");
        if (parameters is { ValueKind: not JsonValueKind.Object } wrong)
        {
            throw function.Wrong("parameters", wrong, "an object: a JSON schema");
        }

        function.RejectUnknown();
        return new ToolDescription(name, description, parameters);
    }
}
