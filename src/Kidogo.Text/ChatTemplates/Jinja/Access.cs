// Attributes, elements and slices. Only listed methods exist: there is no way from a value to anything else.
namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>What <c>a.b</c>, <c>a[b]</c> and <c>a[b:c]</c> give.</summary>
internal static class Access
{
    /// <summary><c>value.name</c>: method or attribute, then element.</summary>
    public static Value Attribute(RenderState state, Value value, string name)
    {
        if (TryMember(state, value, name, out Value member))
        {
            return member;
        }

        return value.Kind == ValueKind.Mapping && value.AsMapping.TryGet(name, out Value item) ? item : Missing(value, $"attribute '{name}'");
    }

    /// <summary><c>value[key]</c>: element, then method or attribute.</summary>
    public static Value Item(RenderState state, Value value, Value key)
    {
        switch (value.Kind)
        {
            case ValueKind.Undefined:
                throw state.Fail(value.UndefinedHint);
            case ValueKind.Mapping:
                if (key.Kind != ValueKind.Mapping && !(key.Kind == ValueKind.Sequence && key.AsSequence.Kind != SequenceKind.Tuple))
                {
                    Operators.RequireHashable(state, key);
                    if (value.AsMapping.TryGet(key, out Value found))
                    {
                        return found;
                    }
                }

                break;
            case ValueKind.Sequence when key.IsIntegral && value.AsSequence.IsIndexable:
                List<Value> items = value.AsSequence.Items;
                long index = key.AsInteger < 0 ? key.AsInteger + items.Count : key.AsInteger;
                if (index >= 0 && index < items.Count)
                {
                    return items[(int)index];
                }

                break;
            case ValueKind.Text when key.IsIntegral:
                MarkedText text = value.AsText;
                state.Work(text.CodePoints == text.Length ? 1 : text.Length);
                long at = key.AsInteger < 0 ? key.AsInteger + text.CodePoints : key.AsInteger;
                if (at >= 0 && at < text.CodePoints)
                {
                    int start = text.IndexOfCodePoint((int)at);
                    bool pair = start + 1 < text.Length && char.IsSurrogatePair(text.Text[start], text.Text[start + 1]);
                    return Value.Of(text.Slice(start, pair ? 2 : 1));
                }

                break;
        }

        if (key.IsText)
        {
            string name = key.AsText.Text;
            return TryMember(state, value, name, out Value member) ? member : Missing(value, $"attribute '{(name.Length > 80 ? name[..80] : name)}'");
        }

        return Missing(value, key.IsIntegral ? $"element {key.AsInteger}" : "such element");
    }

    /// <summary><c>value[start:stop:step]</c>.</summary>
    public static Value Slice(RenderState state, Value value, Value start, Value stop, Value step)
    {
        long by = step.IsNone ? 1 : Operators.ToIndex(state, step, "slice");
        if (by == 0)
        {
            throw state.Fail("a slice's step cannot be zero");
        }

        bool isText = value.IsText;
        if (!isText && !(value.Kind == ValueKind.Sequence && value.AsSequence.IsIndexable))
        {
            throw state.Fail(value.IsUndefined ? value.UndefinedHint : $"'{value.TypeName}' object cannot be sliced");
        }

        long count = isText ? value.AsText.CodePoints : value.AsSequence.Items.Count;
        long from = Bound(state, start, count, by, by > 0 ? 0 : count - 1);
        long to = Bound(state, stop, count, by, by > 0 ? count : -1);
        if (isText)
        {
            MarkedText text = value.AsText;
            if (by == 1)
            {
                state.Work(text.Length);
                int first = text.IndexOfCodePoint((int)from);
                int last = text.IndexOfCodePoint((int)Math.Max(from, to));
                state.AllocateNewText(last - first);
                return Value.Of(text.Slice(first, last - first));
            }

            MarkedText.Builder picked = new(state);
            List<Value>? characters = text.CodePoints == text.Length ? null : Operators.Iterate(state, value);
            for (Int128 i = from; by > 0 ? i < to : i > to; i += by)
            {
                if (characters is null)
                {
                    picked.Append(text, (int)i, 1);
                }
                else
                {
                    picked.Append(characters[(int)i].AsText);
                }
            }

            return Value.Of(picked.Build());
        }

        List<Value> items = [];
        for (Int128 i = from; by > 0 ? i < to : i > to; i += by)
        {
            state.AllocateElements(1);
            items.Add(value.AsSequence.Items[(int)i]);
        }

        return Value.Of(new SequenceValue(value.AsSequence.Kind == SequenceKind.Tuple ? SequenceKind.Tuple : SequenceKind.List, items));
    }

    /// <summary>The value at a dotted path or number, as the attribute argument of filters: <c>a.b.0</c>.</summary>
    public static Value Path(RenderState state, Value value, Value path)
    {
        if (!path.IsText)
        {
            return Item(state, value, path);
        }

        foreach (string part in path.AsText.Text.Split('.'))
        {
            state.Work(part.Length + 1);
            value = Item(state, value, long.TryParse(part, System.Globalization.NumberStyles.None, null, out long index) ? Value.Of(index) : Value.Of(part));
        }

        return value;
    }

    private static bool TryMember(RenderState state, Value value, string name, out Value member)
    {
        switch (value.Kind)
        {
            case ValueKind.Undefined:
                throw state.Fail(value.UndefinedHint);
            case ValueKind.Text when StringMethods.Names.Contains(name):
                member = Value.Of(new FunctionValue(name, (now, arguments) => StringMethods.Call(now, value.AsText, name, arguments)));
                return true;
            case ValueKind.Mapping when ContainerMethods.MappingNames.Contains(name):
                member = Value.Of(new FunctionValue(name, (now, arguments) => ContainerMethods.Call(now, value.AsMapping, name, arguments)));
                return true;
            case ValueKind.Sequence when (value.AsSequence.Kind == SequenceKind.List && ContainerMethods.ListNames.Contains(name)) ||
                (value.AsSequence.Kind is SequenceKind.Tuple or SequenceKind.Range && name is "count" or "index"):
                member = Value.Of(new FunctionValue(name, (now, arguments) => ContainerMethods.Call(now, value.AsSequence.Items, name, arguments)));
                return true;
            case ValueKind.Sequence when value.AsSequence.IsGroup && name is "grouper" or "list":
                member = value.AsSequence.Items[name == "list" ? 1 : 0];
                return true;
            case ValueKind.Object:
                return value.AsObject.TryGetAttribute(state, name, out member);
            default:
                member = default;
                return false;
        }
    }

    private static Value Missing(Value value, string what) =>
        Value.Undefined(value.IsNone ? $"'None' has no {what}" : $"'{value.TypeName}' object has no {what}");

    private static long Bound(RenderState state, Value bound, long count, long step, long otherwise)
    {
        if (bound.IsNone)
        {
            return otherwise;
        }

        long at = Operators.ToIndex(state, bound, "slice");
        at = at < 0 ? Math.Max(at + count, -1) : at;
        return step > 0 ? Math.Clamp(at, 0, count) : Math.Clamp(at, -1, count - 1);
    }
}
