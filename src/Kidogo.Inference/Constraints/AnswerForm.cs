// What an answer can be held to, before there is a vocabulary. Knows no requests and no tokens.
using System.Text.Json;

namespace Kidogo.Inference.Constraints;

/// <summary>A form of answers. <see cref="AnswerGrammars"/> makes it one of a vocabulary's tokens.</summary>
public sealed class AnswerForm
{
    private AnswerForm(string key, Func<Grammar> read, bool hasMarkers = false)
    {
        Key = key;
        Read = read;
        HasMarkers = hasMarkers;
    }

    /// <summary>Any JSON object.</summary>
    public static AnswerForm AnyObject { get; } = new("object", JsonSchemaReader.AnyObject);

    /// <summary>What tells it from other forms.</summary>
    internal string Key { get; }

    /// <summary>Makes the grammar, each time anew; throws <see cref="GrammarException"/> where it cannot be enforced.</summary>
    internal Func<Grammar> Read { get; }

    /// <summary>Whether control tokens are part of it: those around calls and reasoning.</summary>
    internal bool HasMarkers { get; }

    /// <summary>JSON that obeys a schema.</summary>
    public static AnswerForm Schema(JsonElement schema)
    {
        string text = schema.GetRawText(); // the element's document may be gone when it is read
        return new AnswerForm($"schema {text}", () => JsonSchemaReader.Read(text));
    }

    /// <summary>Texts of a grammar, in GBNF.</summary>
    public static AnswerForm Gbnf(string grammar) => new($"grammar {grammar}", () => GbnfReader.Read(grammar));

    /// <summary>Texts that a regular expression matches as a whole.</summary>
    public static AnswerForm Pattern(string pattern) => new($"pattern {pattern}", () => RegexReader.Read(pattern));

    /// <summary>Texts that may call tools.</summary>
    /// <inheritdoc cref="CallGrammar.Of"/>
    public static AnswerForm Calls(CallSpelling spelling, IReadOnlyList<CallRule> tools, CallStart start, bool isParallel, string? reasoningClose)
    {
        IEnumerable<string> rules = tools.Select(tool => $"{tool.Name} {tool.Schema?.GetRawText()}");
        return new AnswerForm($"calls {start} {isParallel} {reasoningClose}\n{string.Join('\n', rules)}", () => CallGrammar.Of(spelling, tools, start, isParallel, reasoningClose), hasMarkers: true);
    }

    /// <summary>Reasoning that the prompt has opened, and then this form.</summary>
    /// <param name="reasoningClose">What ends the reasoning; null where the prompt has opened none, then this is the form.</param>
    public AnswerForm After(string? reasoningClose) =>
        reasoningClose is null ? this : new AnswerForm($"{reasoningClose}\n{Key}", () => CallGrammar.AfterReasoning(reasoningClose, Read()), hasMarkers: true);
}
