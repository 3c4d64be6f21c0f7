// The arguments of one call, read by position or name. Knows how to complain; knows no function.
namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>The arguments of one call of a function, filter, test or macro.</summary>
internal sealed class Arguments(RenderState state, string function, List<Value> positional, List<KeyValuePair<string, Value>>? named)
{
    private int _namedRead;

    public string Function { get; } = function;

    public List<Value> Positional { get; } = positional;

    public List<KeyValuePair<string, Value>> Named { get; } = named ?? [];

    public int Count => Positional.Count + Named.Count;

    public bool TryGet(int position, string name, out Value value)
    {
        if (position >= 0 && position < Positional.Count)
        {
            value = Positional[position];
            return true;
        }

        foreach (KeyValuePair<string, Value> pair in Named)
        {
            if (pair.Key == name)
            {
                _namedRead++;
                value = pair.Value;
                return true;
            }
        }

        value = default;
        return false;
    }

    public Value Required(int position, string name) =>
        TryGet(position, name, out Value value) ? value : throw state.Fail($"{Function} is called without its argument '{name}'");

    public Value Optional(int position, string name, Value otherwise) => TryGet(position, name, out Value value) ? value : otherwise;

    public bool Flag(int position, string name, bool otherwise) => TryGet(position, name, out Value value) ? value.IsTruthy : otherwise;

    public long Integer(int position, string name, long otherwise) =>
        TryGet(position, name, out Value value) ? Operators.ToIndex(state, value, Function) : otherwise;

    /// <summary>An integer, or null where it is absent or none.</summary>
    public long? OptionalInteger(int position, string name) =>
        TryGet(position, name, out Value value) && !value.IsNone ? Operators.ToIndex(state, value, Function) : null;

    public MarkedText RequiredText(int position, string name)
    {
        Value value = Required(position, name);
        return value.IsText ? value.AsText : throw state.Fail($"{Function}: argument '{name}' must be a string, not {Describe(value)}");
    }

    /// <summary>Checks that nothing else was given: at most <paramref name="most"/> by position, and no name that was not read.</summary>
    public void End(int most)
    {
        if (Positional.Count > most)
        {
            throw state.Fail($"{Function} takes at most {most} arguments by position, {Positional.Count} were given");
        }

        if (_namedRead < Named.Count)
        {
            throw state.Fail($"{Function} is called with an argument it does not know among {string.Join(", ", Named.Select(pair => $"'{pair.Key}'"))}");
        }
    }

    public static string Describe(Value value) => value.IsUndefined ? value.UndefinedHint : value.TypeName;
}
