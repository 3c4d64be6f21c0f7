// What every piece of a parsed template is, and the scopes in which it is evaluated.
namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>A node of the syntax tree. Immutable: many threads may evaluate it.</summary>
internal abstract class Node(Token at, int depth)
{
    public int Line { get; } = at.Line;

    public int Column { get; } = at.Column;

    /// <summary>1 for a leaf; one more than the deepest child. Chains of operators of one precedence are one node.</summary>
    public int Depth { get; } = depth;

    public static int Above(params ReadOnlySpan<Node?> children)
    {
        int deepest = 0;
        foreach (Node? child in children)
        {
            deepest = Math.Max(deepest, child?.Depth ?? 0);
        }

        return deepest + 1;
    }

    public static int Above<T>(IReadOnlyList<T> children)
        where T : Node
    {
        int deepest = 0;
        for (int i = 0; i < children.Count; i++)
        {
            deepest = Math.Max(deepest, children[i].Depth);
        }

        return deepest + 1;
    }
}

/// <summary>A node with a value.</summary>
internal abstract class Expression(Token at, int depth) : Node(at, depth)
{
    public abstract Value Evaluate(Scope scope);
}

/// <summary>How a statement ended.</summary>
internal enum Flow : byte
{
    Next,
    Break,
    Continue,
}

/// <summary>A node that writes.</summary>
internal abstract class Statement(Token at, int depth) : Node(at, depth)
{
    public abstract Flow Execute(Scope scope, MarkedText.Builder output);

    public static Flow ExecuteAll(Statement[] body, Scope scope, MarkedText.Builder output)
    {
        foreach (Statement statement in body)
        {
            scope.State.At(statement);
            Flow flow = statement.Execute(scope, output);
            if (flow != Flow.Next)
            {
                return flow;
            }
        }

        return Flow.Next;
    }
}

/// <summary>The variables of a block. What it does not hold is looked for outside; what is set stays inside.</summary>
internal sealed class Scope(Scope? outer, RenderState state)
{
    private Dictionary<string, Value>? _variables;

    public RenderState State { get; } = state;

    public void Set(string name, Value value) => (_variables ??= new(StringComparer.Ordinal))[name] = value;

    public Value Get(string name) => TryGet(name, out Value value) ? value : Value.Undefined($"'{name}' is undefined");

    public bool TryGet(string name, out Value value)
    {
        for (Scope? scope = this; scope is not null; scope = scope.Outer)
        {
            if (scope._variables is not null && scope._variables.TryGetValue(name, out value))
            {
                return true;
            }
        }

        value = default;
        return false;
    }

    public Scope Inner() => new(this, State);

    private Scope? Outer { get; } = outer;
}
