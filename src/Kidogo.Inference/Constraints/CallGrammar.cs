// Answers that may call tools, as grammars: free text until a call begins, then the call and arguments that obey their schema. Knows no templates and no tokens.
using System.Text.Json;

namespace Kidogo.Inference.Constraints;

/// <summary>How a model writes calls.</summary>
/// <param name="Open">What opens them; empty where an answer that is a call is nothing else.</param>
/// <param name="BeforeName">What leads to the first call's name.</param>
/// <param name="AfterName">What leads from a name to its arguments.</param>
/// <param name="NextCall">What leads from arguments to the next call's name.</param>
/// <param name="Last">What follows the last arguments.</param>
public sealed record CallSpelling(string Open, string BeforeName, string AfterName, string NextCall, string Last)
{
    /// <summary>Whether arguments are written as Python writes them, <c>name=value</c> with commas between, rather than as a JSON object.</summary>
    public bool IsPython { get; init; }
}

/// <summary>A tool that may be called.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Schema">What its arguments obey; null for any object.</param>
public sealed record CallRule(string Name, JsonElement? Schema);

/// <summary>What of an answer's first call the prompt has already.</summary>
public enum CallStart
{
    /// <summary>Nothing: the answer may be text, or call.</summary>
    Free,

    /// <summary>Nothing, and the answer has to call.</summary>
    Forced,

    /// <summary>All up to the name.</summary>
    Name,

    /// <summary>All up to the arguments of the one tool that there is.</summary>
    Arguments,
}

/// <summary>Makes such grammars.</summary>
public static class CallGrammar
{
    private const int MostSpace = 8;

    private static readonly Expression s_space = Expression.OneOf((' ', ' '), ('\n', '\n'), ('\r', '\r'), ('\t', '\t'));

    /// <summary>Answers with calls.</summary>
    /// <param name="spelling">How calls are written.</param>
    /// <param name="tools">What may be called, one or more.</param>
    /// <param name="start">Where the answer begins.</param>
    /// <param name="isParallel">Whether several calls may come.</param>
    /// <param name="reasoningClose">What ends the reasoning that the prompt has opened; null where it has not.</param>
    /// <exception cref="GrammarException">A schema cannot be enforced, or is not one of an object.</exception>
    public static Grammar Of(CallSpelling spelling, IReadOnlyList<CallRule> tools, CallStart start, bool isParallel, string? reasoningClose = null)
    {
        Grammar grammar = new();
        JsonText json = new(grammar, spelling.IsPython);
        Expression Any() => spelling.IsPython ? json.AnyArguments : json.Object;
        Expression[] arguments = [.. tools.Select(tool => tool.Schema is { } schema ? JsonSchemaReader.ReadArguments(grammar, schema, spelling.IsPython) : Any())];
        RuleReference rest = new(grammar.Declare("after arguments"));
        Expression named = grammar.Add("call", Expression.Either([.. tools.Select((tool, i) => Expression.Then(Expression.Text(tool.Name + spelling.AfterName), arguments[i], rest))]));
        Expression last = Expression.Text(spelling.Last);
        grammar.Define(rest.Rule, isParallel ? Expression.Either(last, Expression.Then(Expression.Text(spelling.NextCall), named)) : last);
        Expression answer = start switch
        {
            CallStart.Forced => Expression.Then(s_space.Times(0, MostSpace), Expression.Text(spelling.Open + spelling.BeforeName), named),
            CallStart.Name => named,
            CallStart.Arguments => Expression.Then(arguments[0], rest),
            _ => Free(grammar, spelling, named),
        };
        grammar.Root = grammar.Add("root", reasoningClose is null ? answer : Until(grammar, reasoningClose, answer, mayEnd: start != CallStart.Forced)).Rule;
        return grammar;
    }

    /// <summary>Why arguments cannot be held to a schema; null where they can.</summary>
    /// <param name="spelling">How calls are written.</param>
    /// <param name="schema">The schema.</param>
    public static string? WhyNot(CallSpelling spelling, JsonElement schema)
    {
        try
        {
            JsonSchemaReader.ReadArguments(new Grammar(), schema, spelling.IsPython);
            return null;
        }
        catch (GrammarException failure)
        {
            return failure.Message;
        }
    }

    /// <summary>Reasoning that the prompt has opened, and then an answer of a form.</summary>
    /// <param name="reasoningClose">What ends the reasoning.</param>
    /// <param name="form">The form; it becomes part of the result.</param>
    public static Grammar AfterReasoning(string reasoningClose, Grammar form)
    {
        form.Root = form.Add("reasoning", Until(form, reasoningClose, Expression.Then(s_space.Times(0, MostSpace), new RuleReference(form.Root)), mayEnd: false)).Rule;
        return form;
    }

    private static Expression Free(Grammar grammar, CallSpelling spelling, Expression named)
    {
        Expression call = Expression.Then(Expression.Text(spelling.BeforeName), named);
        if (spelling.Open.Length > 0)
        {
            return Until(grammar, spelling.Open, call, mayEnd: true);
        }

        // Without a marker an answer is a call where it begins as one; else its first character is another.
        int first = char.ConvertToUtf32(spelling.BeforeName, 0);
        Expression other = new CharacterClass(CharacterSet.All.Except(CharacterSet.Of((' ', ' '), ('\n', '\n'), ('\r', '\r'), ('\t', '\t'), (first, first))));
        Expression text = Expression.Then(other, new CharacterClass(CharacterSet.All).Times(0));
        return Expression.Then(s_space.Times(0), Expression.Either(call, text, Expression.Empty));
    }

    /// <summary>Any text until a marker, and then something: a rule for each number of the marker's characters that the text ends with (Knuth, Morris and Pratt 1977).</summary>
    private static RuleReference Until(Grammar grammar, string marker, Expression then, bool mayEnd)
    {
        int[] characters = [.. marker.EnumerateRunes().Select(rune => rune.Value)];
        RuleReference[] states = [.. characters.Select((_, i) => new RuleReference(grammar.Declare($"{marker} {i}")))];
        for (int i = 0; i < characters.Length; i++)
        {
            List<Expression> choices = [];
            List<(int, int)> known = [];
            foreach (int character in characters.Take(i + 1).Distinct())
            {
                int next = Matched([.. characters.Take(i), character], characters);
                if (next > 0)
                {
                    known.Add((character, character));
                    choices.Add(Expression.Then(Expression.OneOf((character, character)), next == characters.Length ? then : states[next]));
                }
            }

            choices.Add(Expression.Then(new CharacterClass(CharacterSet.All.Except(CharacterSet.Of([.. known]))), states[0]));
            if (mayEnd)
            {
                choices.Add(Expression.Empty);
            }

            grammar.Define(states[i].Rule, Expression.Either([.. choices]));
        }

        return states[0];
    }

    /// <summary>How many characters of a marker's beginning a text ends with.</summary>
    private static int Matched(int[] text, int[] marker)
    {
        int length = Math.Min(text.Length, marker.Length);
        while (length > 0 && !text.AsSpan(text.Length - length).SequenceEqual(marker.AsSpan(0, length)))
        {
            length--;
        }

        return length;
    }
}
