// How models write tool calls into their answers: a table of forms, told apart by what their templates say. Knows no requests.
using Kidogo.Inference.Constraints;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Inference.Tools;

/// <summary>What stands between the markers.</summary>
public enum ToolCallLayout
{
    /// <summary>JSON objects with <c>name</c> and <c>arguments</c> (or <c>parameters</c>), one or in an array.</summary>
    Objects,

    /// <summary>A name, then the arguments as a JSON object; or as <see cref="Objects"/>.</summary>
    NameThenArguments,

    /// <summary>Calls as Python writes them: <c>[name(key="value")]</c>.</summary>
    Python,
}

/// <summary>One way to write tool calls.</summary>
/// <param name="Layout">What stands between the markers.</param>
/// <param name="Open">Opens calls; empty where an answer that is a call is nothing else, and begins with a brace.</param>
/// <param name="Close">Closes them; null where they end with the answer.</param>
public sealed record ToolCallFormat(ToolCallLayout Layout, string Open, string? Close)
{
    /// <summary>Further control tokens inside calls.</summary>
    public IReadOnlyList<string> Inner { get; private init; } = [];

    /// <summary>What leads to the name of a call, after <see cref="Open"/>.</summary>
    public string BeforeName { get; private init; } = "{\"name\": \"";

    /// <summary>What leads from the name to the arguments.</summary>
    public string AfterName { get; private init; } = "\", \"arguments\": ";

    /// <summary>What leads from a call's arguments to the name of the next.</summary>
    public string NextCall { get; private init; } = "}, {\"name\": \"";

    /// <summary>What follows the last call's arguments.</summary>
    public string Last { get; private init; } = "}]";

    /// <summary>How calls are spelt, for grammars of answers.</summary>
    public CallSpelling Spelling => new(Open, BeforeName, AfterName, NextCall, Last) { IsPython = Layout == ToolCallLayout.Python };

    private static readonly ToolCallFormat s_tagged = new(ToolCallLayout.Objects, "<tool_call>", "</tool_call>")
    {
        BeforeName = "\n{\"name\": \"", NextCall = "}\n</tool_call>\n<tool_call>\n{\"name\": \"", Last = "}\n</tool_call>",
    };

    private static readonly ToolCallFormat s_mistral = new(ToolCallLayout.NameThenArguments, "[TOOL_CALLS]", null) { Inner = ["[ARGS]", "[CALL_ID]"], BeforeName = "[{\"name\": \"" };
    private static readonly ToolCallFormat s_mistralNamed = s_mistral with { BeforeName = "", AfterName = "[ARGS]", NextCall = "[TOOL_CALLS]", Last = "" };
    private static readonly ToolCallFormat s_granite = new(ToolCallLayout.Objects, "<|tool_call|>", null) { BeforeName = "[{\"name\": \"" };
    private static readonly ToolCallFormat s_llama = new(ToolCallLayout.Objects, "", null) { Inner = ["<|python_tag|>"], AfterName = "\", \"parameters\": ", NextCall = "}; {\"name\": \"", Last = "}" };
    private static readonly ToolCallFormat s_liquid = new(ToolCallLayout.Python, "<|tool_call_start|>", "<|tool_call_end|>") 
    {
        BeforeName = "[", AfterName = "(", NextCall = "), ", Last = ")]<|tool_call_end|>",
    };


    private static readonly ToolCallFormat s_deepSeek = new(ToolCallLayout.NameThenArguments, "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>")
    {
        Inner = ["<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"],
        BeforeName = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
        AfterName = "\n```json\n",
        NextCall = "\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
        Last = "\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    };

    /// <summary>The format that a template teaches its model; null where it speaks of no tools.</summary>
    public static ToolCallFormat? Of(string template)
    {
        bool Says(string text) => template.Contains(text, StringComparison.Ordinal);
        if (!Says("tools"))
        {
            return null;
        }

        return Says("<｜tool▁calls▁begin｜>") ? s_deepSeek
            : Says("[TOOL_CALLS]") ? Says("[ARGS]") ? s_mistralNamed : s_mistral
            : Says("<|tool_call|>") ? s_granite
            : Says("<|tool_list_start|>") ? s_liquid
            : Says("<tool_call>") ? s_tagged
            : Says("\"parameters\": ") || Says("<|python_tag|>") ? s_llama
            : null;
    }

    /// <summary>The control tokens that have to be seen in the answer's text.</summary>
    public IReadOnlyCollection<int> SpelledOut(Tokenizer tokenizer)
    {
        HashSet<int> ids = [];
        foreach (string? marker in (IEnumerable<string?>)[Open, Close, .. Inner])
        {
            if (!string.IsNullOrEmpty(marker) && tokenizer.FindPiece(marker) is { } id && tokenizer.Kind(id) == TokenKind.Control && !tokenizer.IsEndOfGeneration(id))
            {
                ids.Add(id);
            }
        }

        return ids;
    }
}
