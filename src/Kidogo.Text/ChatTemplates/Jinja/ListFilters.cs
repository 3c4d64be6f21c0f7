// The filters that read lists.
namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>Jinja's filters of sequences.</summary>
internal static class ListFilters
{
    public static Value ToList(RenderState state, Value value, Arguments arguments)
    {
        arguments.End(0);
        return Value.List(Copy(state, value));
    }

    public static Value First(RenderState state, Value value, Arguments arguments)
    {
        arguments.End(0);
        if (value.IsText)
        {
            return value.AsText.Length == 0 ? Nothing() : Access.Item(state, value, Value.Of(0L));
        }

        List<Value> items = Operators.Iterate(state, value);
        return items.Count == 0 ? Nothing() : items[0];
    }

    public static Value Last(RenderState state, Value value, Arguments arguments)
    {
        arguments.End(0);
        if (value.IsText)
        {
            return value.AsText.Length == 0 ? Nothing() : Access.Item(state, value, Value.Of(-1L));
        }

        if (value.Kind == ValueKind.Sequence && value.AsSequence.Kind == SequenceKind.Generator)
        {
            throw state.Fail("last: a generator cannot be read from its end; put '| list' before");
        }

        List<Value> items = Operators.Iterate(state, value);
        return items.Count == 0 ? Nothing() : items[^1];
    }

    public static Value Items(RenderState state, Value value, Arguments arguments)
    {
        arguments.End(0);
        if (value.IsUndefined)
        {
            return SequenceValue.Generator([]);
        }

        if (value.Kind != ValueKind.Mapping)
        {
            throw state.Fail($"items: a mapping was expected, not {value.TypeName}");
        }

        state.AllocateElements(3L * value.AsMapping.Count);
        return SequenceValue.Generator(value.AsMapping.Items());
    }

    public static Value Join(RenderState state, Value value, Arguments arguments)
    {
        MarkedText separator = PythonText.ToText(state, arguments.Optional(0, "d", Value.Of(MarkedText.Empty)));
        bool byAttribute = arguments.TryGet(1, "attribute", out Value attribute) && !attribute.IsNone;
        arguments.End(2);
        MarkedText.Builder output = new(state);
        bool first = true;
        foreach (Value item in Operators.Iterate(state, value))
        {
            if (!first)
            {
                output.Append(separator);
            }

            first = false;
            PythonText.Write(state, output, byAttribute ? Access.Path(state, item, attribute) : item);
        }

        return Value.Of(output.Build());
    }

    public static Value Map(RenderState state, Value value, Arguments arguments)
    {
        List<Value> items = Operators.Iterate(state, value);
        state.AllocateElements(items.Count);
        List<Value> mapped = new(items.Count);
        if (arguments.Positional.Count == 0)
        {
            Value attribute = arguments.Required(-1, "attribute");
            bool hasDefault = arguments.TryGet(-1, "default", out Value otherwise);
            arguments.End(0);
            foreach (Value item in items)
            {
                Value found = Access.Path(state, item, attribute);
                mapped.Add(hasDefault && found.IsUndefined ? otherwise : found);
            }
        }
        else
        {
            string name = arguments.RequiredText(0, "name").Text;
            foreach (Value item in items)
            {
                state.Work(64);
                mapped.Add(Filters.Apply(state, name, item, new Arguments(state, name, arguments.Positional[1..], arguments.Named)));
            }
        }

        return SequenceValue.Generator(mapped);
    }

    public static Value Select(RenderState state, Value value, Arguments arguments, bool keep, bool byAttribute)
    {
        int at = byAttribute ? 1 : 0;
        Value attribute = byAttribute ? arguments.Required(0, "attribute") : default;
        string? test = arguments.Positional.Count > at ? PythonText.ToText(state, arguments.Positional[at]).Text : null;
        List<Value> rest = arguments.Positional.Count > at + 1 ? arguments.Positional[(at + 1)..] : [];
        List<Value> picked = [];
        foreach (Value item in Operators.Iterate(state, value))
        {
            state.Work(64);
            Value subject = byAttribute ? Access.Path(state, item, attribute) : item;
            bool holds = test is null ? subject.IsTruthy : Tests.Apply(state, test, subject, new Arguments(state, test, rest, arguments.Named));
            if (holds == keep)
            {
                state.AllocateElements(1);
                picked.Add(item);
            }
        }

        return SequenceValue.Generator(picked);
    }

    public static Value Reverse(RenderState state, Value value, Arguments arguments)
    {
        arguments.End(0);
        List<Value> items = Copy(state, value);
        items.Reverse();
        if (!value.IsText)
        {
            return SequenceValue.Generator(items);
        }

        MarkedText.Builder text = new(state);
        items.ForEach(item => text.Append(item.AsText));
        return Value.Of(text.Build());
    }

    public static Value Sorted(RenderState state, Value value, Arguments arguments)
    {
        bool reverse = arguments.Flag(0, "reverse", false);
        bool caseSensitive = arguments.Flag(1, "case_sensitive", false);
        bool byAttribute = arguments.TryGet(2, "attribute", out Value attribute) && !attribute.IsNone;
        arguments.End(3);
        List<Value> items = Copy(state, value);
        Value[] paths = byAttribute && attribute.IsText ? [.. attribute.AsText.Text.Split(',').Select(Value.Of)] : [attribute];
        Filters.Sort(state, items, item => paths.Length > 1
            ? Value.Tuple(paths.Select(path => Fold(state, Access.Path(state, item, path), caseSensitive)).ToList())
            : Fold(state, byAttribute ? Access.Path(state, item, attribute) : item, caseSensitive), reverse);
        return Value.List(items);
    }

    public static Value DictSort(RenderState state, Value value, Arguments arguments)
    {
        bool caseSensitive = arguments.Flag(0, "case_sensitive", false);
        string by = arguments.TryGet(1, "by", out Value given) && given.IsText ? given.AsText.Text : "key";
        bool reverse = arguments.Flag(2, "reverse", false);
        arguments.End(3);
        if (value.Kind != ValueKind.Mapping || by is not ("key" or "value"))
        {
            throw state.Fail(value.Kind != ValueKind.Mapping ? $"dictsort: a mapping was expected, not {Arguments.Describe(value)}" : "dictsort: by is 'key' or 'value'");
        }

        state.AllocateElements(3L * value.AsMapping.Count);
        List<Value> items = value.AsMapping.Items();
        Filters.Sort(state, items, item => Fold(state, item.AsSequence.Items[by == "key" ? 0 : 1], caseSensitive), reverse);
        return Value.List(items);
    }

    public static Value Unique(RenderState state, Value value, Arguments arguments)
    {
        bool caseSensitive = arguments.Flag(0, "case_sensitive", false);
        bool byAttribute = arguments.TryGet(1, "attribute", out Value attribute) && !attribute.IsNone;
        arguments.End(2);
        HashSet<Value> seen = new(Operators.KeyComparer);
        List<Value> unique = [];
        foreach (Value item in Operators.Iterate(state, value))
        {
            Value key = Fold(state, byAttribute ? Access.Path(state, item, attribute) : item, caseSensitive);
            Operators.RequireHashable(state, key);
            state.AllocateElements(2);
            if (seen.Add(key))
            {
                unique.Add(item);
            }
        }

        return SequenceValue.Generator(unique);
    }

    public static Value Sum(RenderState state, Value value, Arguments arguments)
    {
        bool byAttribute = arguments.TryGet(0, "attribute", out Value attribute) && !attribute.IsNone;
        Value total = arguments.Optional(1, "start", Value.Of(0L));
        arguments.End(2);
        if (total.IsText)
        {
            throw state.Fail("sum: texts are joined with 'join', not summed");
        }

        foreach (Value item in Operators.Iterate(state, value))
        {
            total = Operators.Arithmetic(state, "+", total, byAttribute ? Access.Path(state, item, attribute) : item);
        }

        return total;
    }

    public static Value Extreme(RenderState state, Value value, Arguments arguments, bool largest)
    {
        bool caseSensitive = arguments.Flag(0, "case_sensitive", false);
        bool byAttribute = arguments.TryGet(1, "attribute", out Value attribute) && !attribute.IsNone;
        arguments.End(2);
        Value best = Nothing();
        Value bestKey = best;
        foreach (Value item in Operators.Iterate(state, value))
        {
            Value key = Fold(state, byAttribute ? Access.Path(state, item, attribute) : item, caseSensitive);
            if (bestKey.IsUndefined ||
                (largest ? Operators.Order(state, key, bestKey) is > 0 : Operators.Order(state, key, bestKey) is < 0))
            {
                (best, bestKey) = (item, key);
            }
        }

        return best;
    }

    public static Value GroupBy(RenderState state, Value value, Arguments arguments)
    {
        Value attribute = arguments.Required(0, "attribute");
        bool hasDefault = arguments.TryGet(1, "default", out Value otherwise);
        bool caseSensitive = arguments.Flag(2, "case_sensitive", false);
        arguments.End(3);
        List<Value> items = Copy(state, value);
        Filters.Sort(state, items, Key);
        List<Value> groups = [];
        List<Value>? group = null;
        Value last = default;
        foreach (Value item in items)
        {
            Value key = Key(item);
            if (group is null || !Operators.AreEqual(state, key, last))
            {
                group = [];
                last = key;
                state.AllocateElements(4);
                Value shown = Access.Path(state, item, attribute);
                shown = hasDefault && shown.IsUndefined ? otherwise : shown;
                groups.Add(Value.Of(new SequenceValue(SequenceKind.Tuple, [shown, Value.List(group)]) { IsGroup = true }));
            }

            group.Add(item);
        }

        return Value.List(groups);

        Value Key(Value item)
        {
            Value key = Access.Path(state, item, attribute);
            return Fold(state, hasDefault && key.IsUndefined ? otherwise : key, caseSensitive);
        }
    }

    public static Value Batch(RenderState state, Value value, Arguments arguments)
    {
        long size = Operators.ToIndex(state, arguments.Required(0, "linecount"), "batch");
        bool fills = arguments.TryGet(1, "fill_with", out Value fill) && !fill.IsNone;
        arguments.End(2);
        List<Value> batches = [];
        List<Value> batch = [];
        foreach (Value item in Operators.Iterate(state, value))
        {
            if (batch.Count == size)
            {
                batches.Add(Value.List(batch));
                batch = [];
            }

            state.AllocateElements(2);
            batch.Add(item);
        }

        if (batch.Count > 0)
        {
            while (fills && batch.Count < size)
            {
                state.AllocateElements(1);
                batch.Add(fill);
            }

            batches.Add(Value.List(batch));
        }

        return SequenceValue.Generator(batches);
    }

    public static Value Slice(RenderState state, Value value, Arguments arguments)
    {
        long slices = Operators.ToIndex(state, arguments.Required(0, "slices"), "slice");
        bool fills = arguments.TryGet(1, "fill_with", out Value fill) && !fill.IsNone;
        arguments.End(2);
        List<Value> items = Copy(state, value);
        if (slices < 1 || slices > state.MaxRange)
        {
            throw state.Fail($"slice: {slices} slices are not between 1 and {state.MaxRange}");
        }

        state.AllocateElements(slices + items.Count);
        (long size, long larger) = Math.DivRem(items.Count, slices);
        List<Value> result = [];
        int at = 0;
        for (long i = 0; i < slices; i++)
        {
            int count = (int)(size + (i < larger ? 1 : 0));
            List<Value> piece = items.GetRange(at, count);
            at += count;
            if (fills && i >= larger)
            {
                piece.Add(fill);
            }

            result.Add(Value.List(piece));
        }

        return SequenceValue.Generator(result);
    }

    private static List<Value> Copy(RenderState state, Value value)
    {
        List<Value> items = Operators.Iterate(state, value);
        state.AllocateElements(items.Count);
        return [.. items];
    }

    private static Value Fold(RenderState state, Value value, bool caseSensitive) =>
        value.IsText && !caseSensitive ? Value.Of(StringMethods.Lower(state, value.AsText)) : value;

    private static Value Nothing() => Value.Undefined("the sequence is empty");
}
