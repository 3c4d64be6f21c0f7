// The tools of one answer, and what the model may do with them. Knows their descriptions, not what they do.
using System.Text.Json;
using Kidogo.Inference.Constraints;
using Kidogo.Text;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Inference.Tools;

/// <summary>What an answer may call, and how.</summary>
public sealed class ToolChoice
{
    private readonly ToolCallFormat _format;
    private readonly IReadOnlyList<string> _names;
    private readonly string? _forcedStart;
    private readonly IReadOnlyList<ToolDescription> _callable;
    private readonly CallStart _start;

    /// <summary>Lets a model call tools.</summary>
    /// <param name="format">How the model's template has it call them.</param>
    /// <param name="tools">One or more, each with a name of its own.</param>
    /// <param name="mustCall">Whether the answer has to be a call.</param>
    /// <param name="name">The one tool that has to be called; null for any.</param>
    /// <param name="isParallel">Whether several calls may come at once.</param>
    public ToolChoice(ToolCallFormat format, IReadOnlyList<ToolDescription> tools, bool mustCall = false, string? name = null, bool isParallel = true)
    {
        _format = format;
        _names = [.. tools.Select(tool => tool.Name)];
        _forcedStart = name is not null ? format.Open + format.BeforeName + name + format.AfterName : mustCall ? format.Open + format.BeforeName : null;
        _callable = name is null ? tools : [.. tools.Where(tool => tool.Name == name)];
        _start = name is not null ? CallStart.Arguments : mustCall ? CallStart.Name : CallStart.Free;
        NamesOne = name is not null;
        IsParallel = isParallel;
        Tools = JsonBuilding.Element(json =>
        {
            json.WriteStartArray();
            foreach (ToolDescription tool in tools)
            {
                tool.Write(json);
            }

            json.WriteEndArray();
        });
    }

    private ToolChoice(ToolChoice other)
    {
        _format = other._format;
        _names = other._names;
        _callable = other._callable;
        _start = CallStart.Forced;
        NamesOne = other.NamesOne;
        IsParallel = other.IsParallel;
        Tools = other.Tools;
    }

    /// <summary>The descriptions for the template.</summary>
    public JsonElement Tools { get; }

    /// <summary>Whether the one tool to call is named; the answer's end is then called <c>stop</c>, as OpenAI does.</summary>
    public bool NamesOne { get; }

    /// <summary>Whether several calls may come at once.</summary>
    public bool IsParallel { get; }

    /// <summary>The same for a prompt that has opened reasoning: a call that has to come follows the reasoning, where its start in the prompt would lie within.</summary>
    /// <param name="reasoningClose">What closes the reasoning; null where there is none, then this is the choice.</param>
    public ToolChoice After(string? reasoningClose) => reasoningClose is null || _start == CallStart.Free ? this : new ToolChoice(this);

    /// <summary>The start of a call that the model has to go on from, as ids; empty where it is free.</summary>
    /// <remarks>The names come from outside: they never become control tokens.</remarks>
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

    /// <summary>What the answer is held to: calls of known tools where one has to come, arguments that obey where a tool is strict; null for nothing.</summary>
    /// <param name="reasoningClose">What closes reasoning that the prompt has opened; null where it has not.</param>
    public AnswerForm? Form(string? reasoningClose) => _start == CallStart.Free && !_callable.Any(tool => tool.IsStrict) ? null
        : AnswerForm.Calls(_format.Spelling, [.. _callable.Select(tool => new CallRule(tool.Name, tool.IsStrict ? tool.Schema : null))], _start, IsParallel, reasoningClose);

    /// <summary>Reads the answer, beginning with what was forced.</summary>
    /// <param name="begun">What the forced start already is.</param>
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
}
