// What a grammar is made of. Knows neither its spellings nor how texts are matched.
using System.Text;

namespace Kidogo.Inference.Constraints;

/// <summary>A part of a rule.</summary>
internal abstract record Expression
{
    /// <summary>Matches the empty text.</summary>
    public static Expression Empty { get; } = new Sequence([]);

    /// <summary>A text as it is.</summary>
    public static Expression Text(string text) => new Literal(Encoding.UTF8.GetBytes(text));

    /// <summary>One character of some ranges.</summary>
    public static Expression OneOf(params ReadOnlySpan<(int First, int Last)> ranges) => new CharacterClass(CharacterSet.Of(ranges));

    /// <summary>Parts one after another.</summary>
    public static Expression Then(params Expression[] parts) => parts.Length == 1 ? parts[0] : new Sequence(parts);

    /// <summary>One of several.</summary>
    public static Expression Either(params Expression[] choices) => choices.Length == 1 ? choices[0] : new Choice(choices);

    /// <summary>This, or nothing.</summary>
    public Expression Maybe() => new Repeat(this, 0, 1);

    /// <summary>This some times.</summary>
    public Expression Times(int least, int? most = null) => new Repeat(this, least, most);
}

/// <summary>Bytes as they are.</summary>
internal sealed record Literal(byte[] Bytes) : Expression;

/// <summary>One character of a set.</summary>
internal sealed record CharacterClass(CharacterSet Set) : Expression;

/// <summary>Parts one after another.</summary>
internal sealed record Sequence(IReadOnlyList<Expression> Parts) : Expression;

/// <summary>One of several.</summary>
internal sealed record Choice(IReadOnlyList<Expression> Choices) : Expression;

/// <summary>A part several times; without an end where Most is null.</summary>
internal sealed record Repeat(Expression Part, int Least, int? Most) : Expression;

/// <summary>What a rule says.</summary>
internal sealed record RuleReference(int Rule) : Expression;

/// <summary>The rules of a grammar.</summary>
public sealed class Grammar
{
    private readonly List<(string Name, Expression? Expression)> _rules = [];

    /// <summary>The rule that whole texts follow.</summary>
    internal int Root { get; set; }

    internal IReadOnlyList<(string Name, Expression? Expression)> Rules => _rules;

    /// <summary>A new rule, to be defined later.</summary>
    internal int Declare(string name)
    {
        _rules.Add((name, null));
        return _rules.Count - 1;
    }

    /// <summary>Says what a rule is.</summary>
    internal void Define(int rule, Expression expression) => _rules[rule] = (_rules[rule].Name, expression);

    /// <summary>A new rule.</summary>
    internal RuleReference Add(string name, Expression expression)
    {
        int rule = Declare(name);
        Define(rule, expression);
        return new RuleReference(rule);
    }
}
