// The methods of lists and dictionaries.
using System.Collections.Frozen;

namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>Methods of lists and dictionaries. Changes stay inside one rendering: each has its own copy of the messages.</summary>
internal static class ContainerMethods
{
    public static FrozenSet<string> MappingNames { get; } =
        FrozenSet.Create(StringComparer.Ordinal, "get", "items", "keys", "values", "copy", "update", "pop", "popitem", "setdefault", "clear");

    public static FrozenSet<string> ListNames { get; } =
        FrozenSet.Create(StringComparer.Ordinal, "append", "extend", "insert", "pop", "remove", "index", "count", "reverse", "sort", "copy", "clear");

    public static Value Call(RenderState state, MappingValue mapping, string name, Arguments arguments)
    {
        switch (name)
        {
            case "get":
                Value wanted = arguments.Required(0, "key");
                Value otherwise = arguments.Optional(1, "default", Value.None);
                arguments.End(2);
                Operators.RequireHashable(state, wanted);
                return mapping.TryGet(wanted, out Value found) ? found : otherwise;
            case "pop" or "setdefault":
                Value key = arguments.Required(0, "key");
                bool given = arguments.TryGet(1, "default", out Value fallback);
                arguments.End(2);
                Operators.RequireHashable(state, key);
                if (mapping.TryGet(key, out Value present))
                {
                    if (name == "pop")
                    {
                        mapping.Remove(key);
                    }

                    return present;
                }

                if (name == "setdefault")
                {
                    fallback = given ? fallback : Value.None;
                    state.AllocateElements(2);
                    mapping.Set(key, fallback);
                    return fallback;
                }

                return given ? fallback : throw state.Fail("pop: the dictionary has no such key");
            case "update":
                Update(state, mapping, arguments);
                return Value.None;
        }

        arguments.End(0);
        switch (name)
        {
            case "clear":
                mapping.Clear();
                return Value.None;
            case "popitem":
                if (mapping.Count == 0)
                {
                    throw state.Fail("popitem: the dictionary is empty");
                }

                KeyValuePair<Value, Value> last = mapping.At(mapping.Count - 1);
                mapping.Remove(last.Key);
                return Value.Tuple(last.Key, last.Value);
        }

        state.AllocateElements(4L * mapping.Count);
        return name switch
        {
            "items" => Value.Of(new SequenceValue(SequenceKind.Items, mapping.Items())),
            "keys" => Value.Of(new SequenceValue(SequenceKind.Keys, mapping.Keys())),
            "values" => Value.Of(new SequenceValue(SequenceKind.Values, mapping.Values())),
            _ => Value.Of(mapping.Copy()),
        };
    }

    /// <summary>Adds another mapping or pairs, and named arguments, as Python's dict and update do.</summary>
    public static void Update(RenderState state, MappingValue mapping, Arguments arguments)
    {
        if (arguments.Positional.Count > 1)
        {
            throw state.Fail($"{arguments.Function} takes at most one argument by position");
        }

        if (arguments.Positional.Count == 1)
        {
            Value source = arguments.Positional[0];
            if (source.Kind == ValueKind.Mapping)
            {
                state.AllocateElements(2L * source.AsMapping.Count);
                foreach (KeyValuePair<Value, Value> entry in source.AsMapping.Copy().Entries)
                {
                    mapping.Set(entry.Key, entry.Value);
                }
            }
            else
            {
                foreach (Value pair in Operators.Iterate(state, source))
                {
                    List<Value> parts = Operators.Iterate(state, pair);
                    if (parts.Count != 2)
                    {
                        throw state.Fail($"{arguments.Function}: an element has {parts.Count} parts, not a key and a value");
                    }

                    Operators.RequireHashable(state, parts[0]);
                    state.AllocateElements(2);
                    mapping.Set(parts[0], parts[1]);
                }
            }
        }

        state.AllocateElements(2L * arguments.Named.Count);
        foreach (KeyValuePair<string, Value> pair in arguments.Named)
        {
            mapping.Set(Value.Of(pair.Key), pair.Value);
        }
    }

    public static Value Call(RenderState state, List<Value> list, string name, Arguments arguments)
    {
        switch (name)
        {
            case "append":
                Value added = arguments.Required(0, "object");
                arguments.End(1);
                state.AllocateElements(1);
                list.Add(added);
                return Value.None;
            case "extend":
                Value[] more = [.. Operators.Iterate(state, arguments.Required(0, "iterable"))];
                arguments.End(1);
                state.AllocateElements(more.Length);
                list.AddRange(more);
                return Value.None;
            case "insert":
                long at = Operators.ToIndex(state, arguments.Required(0, "index"), "insert");
                Value inserted = arguments.Required(1, "object");
                arguments.End(2);
                state.AllocateElements(1);
                state.Work(list.Count);
                list.Insert((int)Math.Clamp(at < 0 ? at + list.Count : at, 0, list.Count), inserted);
                return Value.None;
            case "pop":
                long index = arguments.Integer(0, "index", -1);
                arguments.End(1);
                index = index < 0 ? index + list.Count : index;
                if (index < 0 || index >= list.Count)
                {
                    throw state.Fail($"pop: the list of {list.Count} elements has no such element");
                }

                state.Work(list.Count - index);
                Value popped = list[(int)index];
                list.RemoveAt((int)index);
                return popped;
            case "remove" or "index" or "count":
                Value sought = arguments.Required(0, "value");
                arguments.End(1);
                long seen = 0;
                for (int i = 0; i < list.Count; i++)
                {
                    if (!Operators.AreEqual(state, list[i], sought))
                    {
                        continue;
                    }

                    seen++;
                    if (name == "index")
                    {
                        return Value.Of((long)i);
                    }

                    if (name == "remove")
                    {
                        list.RemoveAt(i);
                        return Value.None;
                    }
                }

                return name == "count" ? Value.Of(seen) : throw state.Fail($"{name}: the value is not in the list");
            case "sort":
                bool reverse = arguments.Flag(-1, "reverse", false);
                arguments.End(0);
                Filters.Sort(state, list, item => item, reverse);
                return Value.None;
        }

        arguments.End(0);
        state.Work(list.Count);
        switch (name)
        {
            case "reverse":
                list.Reverse();
                return Value.None;
            case "clear":
                list.Clear();
                return Value.None;
            default:
                state.AllocateElements(list.Count);
                return Value.List([.. list]);
        }
    }
}
