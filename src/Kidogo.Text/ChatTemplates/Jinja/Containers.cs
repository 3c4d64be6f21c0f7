// Lists, dictionaries and the objects that only templates have. They hold values; what one may do with them is elsewhere.
namespace Kidogo.Text.ChatTemplates.Jinja;

internal enum SequenceKind : byte
{
    List,
    Tuple,
    Range,
    Keys,
    Values,
    Items,
    Generator, // what map, select and their like give: can be read once
}

/// <summary>A Python sequence or one of its lazy relatives.</summary>
internal sealed class SequenceValue(SequenceKind kind, List<Value> items)
{
    private bool _read;

    public SequenceKind Kind { get; } = kind;

    /// <summary>The elements. For a generator use <see cref="Take"/>.</summary>
    public List<Value> Items { get; } = items;

    /// <summary>For a range: how Python prints it.</summary>
    public string? RangeText { get; init; }

    /// <summary>For what groupby gives: a pair that also has the names <c>grouper</c> and <c>list</c>.</summary>
    public bool IsGroup { get; init; }

    public bool IsTruthy => Kind == SequenceKind.Generator || Items.Count > 0;

    /// <summary>Whether it has elements by number.</summary>
    public bool IsIndexable => Kind is SequenceKind.List or SequenceKind.Tuple or SequenceKind.Range;

    public string TypeName => Kind switch
    {
        SequenceKind.List => "list",
        SequenceKind.Tuple => "tuple",
        SequenceKind.Range => "range",
        SequenceKind.Keys => "dict_keys",
        SequenceKind.Values => "dict_values",
        SequenceKind.Items => "dict_items",
        _ => "generator",
    };

    /// <summary>The elements for reading once.</summary>
    public List<Value> Take()
    {
        if (Kind == SequenceKind.Generator)
        {
            if (_read)
            {
                return [];
            }

            _read = true;
        }

        return Items;
    }

    public static Value Generator(List<Value> items) => Value.Of(new SequenceValue(SequenceKind.Generator, items));
}

/// <summary>A Python dictionary: in order of insertion, keys equal as in Python (1, 1.0 and True are one key).</summary>
internal sealed class MappingValue
{
    private readonly OrderedDictionary<Value, Value> _entries = new(Operators.KeyComparer);

    public int Count => _entries.Count;

    public IEnumerable<KeyValuePair<Value, Value>> Entries => _entries;

    public bool TryGet(Value key, out Value value) => _entries.TryGetValue(key, out value);

    public bool TryGet(string key, out Value value) => _entries.TryGetValue(Value.Of(key), out value);

    public void Set(Value key, Value value) => _entries[key] = value;

    public bool Remove(Value key) => _entries.Remove(key);

    public void Clear() => _entries.Clear();

    public KeyValuePair<Value, Value> At(int index) => _entries.GetAt(index);

    public List<Value> Keys()
    {
        List<Value> keys = new(_entries.Count);
        foreach (KeyValuePair<Value, Value> entry in _entries)
        {
            keys.Add(entry.Key);
        }

        return keys;
    }

    public List<Value> Values()
    {
        List<Value> values = new(_entries.Count);
        foreach (KeyValuePair<Value, Value> entry in _entries)
        {
            values.Add(entry.Value);
        }

        return values;
    }

    public List<Value> Items()
    {
        List<Value> items = new(_entries.Count);
        foreach (KeyValuePair<Value, Value> entry in _entries)
        {
            items.Add(Value.Tuple(entry.Key, entry.Value));
        }

        return items;
    }

    public MappingValue Copy()
    {
        MappingValue copy = new();
        foreach (KeyValuePair<Value, Value> entry in _entries)
        {
            copy.Set(entry.Key, entry.Value);
        }

        return copy;
    }
}

/// <summary>Something with attributes, or that can be called.</summary>
internal abstract class ObjectValue
{
    public abstract string TypeName { get; }

    public virtual bool IsCallable => false;

    /// <summary>An attribute by name, where there is one.</summary>
    public virtual bool TryGetAttribute(RenderState state, string name, out Value value)
    {
        value = default;
        return false;
    }

    public virtual Value Call(RenderState state, Arguments arguments) => throw state.Fail($"'{TypeName}' object is not callable");
}

/// <summary>What <c>namespace()</c> gives: attributes that <c>set</c> may assign.</summary>
internal sealed class NamespaceValue : ObjectValue
{
    private readonly Dictionary<string, Value> _attributes = new(StringComparer.Ordinal);

    public override string TypeName => "Namespace";

    public override bool TryGetAttribute(RenderState state, string name, out Value value) => _attributes.TryGetValue(name, out value);

    public void Set(string name, Value value) => _attributes[name] = value;
}

/// <summary>A function with a name.</summary>
internal sealed class FunctionValue(string name, Func<RenderState, Arguments, Value> body) : ObjectValue
{
    public string Name { get; } = name;

    public override string TypeName => "function";

    public override bool IsCallable => true;

    public override Value Call(RenderState state, Arguments arguments) => body(state, arguments);
}

/// <summary>What <c>cycler(…)</c> gives.</summary>
internal sealed class CyclerValue(List<Value> items) : ObjectValue
{
    private int _position;

    public override string TypeName => "Cycler";

    public override bool TryGetAttribute(RenderState state, string name, out Value value)
    {
        switch (name)
        {
            case "current":
                value = items[_position];
                return true;
            case "next":
                value = Value.Of(new FunctionValue("next", (_, arguments) =>
                {
                    arguments.End(0);
                    Value current = items[_position];
                    _position = (_position + 1) % items.Count;
                    return current;
                }));
                return true;
            case "reset":
                value = Value.Of(new FunctionValue("reset", (_, arguments) =>
                {
                    arguments.End(0);
                    _position = 0;
                    return Value.None;
                }));
                return true;
            default:
                value = default;
                return false;
        }
    }
}

/// <summary>What <c>joiner(separator)</c> gives: nothing at the first call, the separator afterwards.</summary>
internal sealed class JoinerValue(Value separator) : ObjectValue
{
    private bool _used;

    public override string TypeName => "Joiner";

    public override bool IsCallable => true;

    public override Value Call(RenderState state, Arguments arguments)
    {
        arguments.End(0);
        if (_used)
        {
            return separator;
        }

        _used = true;
        return Value.Of(MarkedText.Empty);
    }
}
