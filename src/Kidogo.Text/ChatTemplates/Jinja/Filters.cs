// What stands after "|": the table of filters and those that read one value. Those that read lists are in ListFilters.
using System.Collections.Frozen;
using System.Globalization;

namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>Jinja's filters.</summary>
internal static class Filters
{
    private delegate Value Filter(RenderState state, Value value, Arguments arguments);

    private static readonly FrozenDictionary<string, Filter> s_table = new Dictionary<string, Filter>(StringComparer.Ordinal)
    {
        ["abs"] = Abs,
        ["attr"] = Attr,
        ["batch"] = ListFilters.Batch,
        ["capitalize"] = (state, value, arguments) => Plain(state, value, arguments, StringMethods.Capitalize),
        ["center"] = Center,
        ["count"] = Length,
        ["d"] = Default,
        ["default"] = Default,
        ["dictsort"] = ListFilters.DictSort,
        ["e"] = Escape,
        ["escape"] = Escape,
        ["first"] = ListFilters.First,
        ["float"] = Float,
        ["forceescape"] = Escape,
        ["format"] = Format,
        ["groupby"] = ListFilters.GroupBy,
        ["indent"] = Indent,
        ["int"] = Int,
        ["items"] = ListFilters.Items,
        ["join"] = ListFilters.Join,
        ["last"] = ListFilters.Last,
        ["length"] = Length,
        ["list"] = ListFilters.ToList,
        ["lower"] = (state, value, arguments) => Plain(state, value, arguments, StringMethods.Lower),
        ["map"] = ListFilters.Map,
        ["max"] = (state, value, arguments) => ListFilters.Extreme(state, value, arguments, largest: true),
        ["min"] = (state, value, arguments) => ListFilters.Extreme(state, value, arguments, largest: false),
        ["reject"] = (state, value, arguments) => ListFilters.Select(state, value, arguments, keep: false, byAttribute: false),
        ["rejectattr"] = (state, value, arguments) => ListFilters.Select(state, value, arguments, keep: false, byAttribute: true),
        ["replace"] = Replace,
        ["reverse"] = ListFilters.Reverse,
        ["round"] = Round,
        ["safe"] = (state, value, arguments) => Plain(state, value, arguments, (_, text) => text),
        ["select"] = (state, value, arguments) => ListFilters.Select(state, value, arguments, keep: true, byAttribute: false),
        ["selectattr"] = (state, value, arguments) => ListFilters.Select(state, value, arguments, keep: true, byAttribute: true),
        ["slice"] = ListFilters.Slice,
        ["sort"] = ListFilters.Sorted,
        ["string"] = (state, value, arguments) => Plain(state, value, arguments, (_, text) => text),
        ["sum"] = ListFilters.Sum,
        ["title"] = (state, value, arguments) => Plain(state, value, arguments, TitleWords),
        ["tojson"] = ToJson,
        ["trim"] = Trim,
        ["truncate"] = Truncate,
        ["unique"] = ListFilters.Unique,
        ["upper"] = (state, value, arguments) => Plain(state, value, arguments, StringMethods.Upper),
        ["wordcount"] = WordCount,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    public static bool Exists(string name) => s_table.ContainsKey(name);

    public static Value Apply(RenderState state, string name, Value value, Arguments arguments)
    {
        if (s_table.TryGetValue(name, out Filter? filter))
        {
            return filter(state, value, arguments);
        }

        throw state.Fail(name is "random" or "urlize" or "xmlattr" or "pprint" or "filesizeformat" or "striptags" or "urlencode" or "wordwrap"
            ? $"the filter '{name}' is refused: it has no place in a prompt"
            : $"there is no filter named '{name}'");
    }

    /// <summary>Sorts in place, stably, by a key.</summary>
    public static void Sort(RenderState state, List<Value> items, Func<Value, Value> key, bool reverse = false)
    {
        state.AllocateElements(2L * items.Count);
        Value[] keys = [.. items.Select(key)];
        int[] order = [.. Enumerable.Range(0, items.Count)];
        MergeSort(state, order, new int[order.Length], 0, order.Length, keys, reverse);
        Value[] sorted = [.. order.Select(index => items[index])];
        for (int i = 0; i < sorted.Length; i++)
        {
            items[i] = sorted[i];
        }
    }

    // Our own, because a comparison may throw and because the library's sort is not stable.
    private static void MergeSort(RenderState state, int[] order, int[] spare, int start, int end, Value[] keys, bool reverse)
    {
        if (end - start < 2)
        {
            return;
        }

        int middle = (start + end) / 2;
        MergeSort(state, order, spare, start, middle, keys, reverse);
        MergeSort(state, order, spare, middle, end, keys, reverse);
        Array.Copy(order, start, spare, start, end - start);
        int left = start;
        int right = middle;
        for (int i = start; i < end; i++)
        {
            bool takeRight = left >= middle ||
                (right < end && (reverse
                    ? Operators.Order(state, keys[spare[left]], keys[spare[right]]) is < 0
                    : Operators.Order(state, keys[spare[right]], keys[spare[left]]) is < 0));
            order[i] = takeRight ? spare[right++] : spare[left++];
        }
    }

    private static Value Plain(RenderState state, Value value, Arguments arguments, Func<RenderState, MarkedText, MarkedText> change)
    {
        arguments.End(0);
        return Value.Of(change(state, PythonText.ToText(state, value)));
    }

    private static Value Abs(RenderState state, Value value, Arguments arguments)
    {
        arguments.End(0);
        return value.IsIntegral ? Operators.Integer(state, Int128.Abs(value.AsInteger))
            : value.Kind == ValueKind.Float ? Value.Of(Math.Abs(value.AsFloat))
            : throw state.Fail($"abs: a number was expected, not {Arguments.Describe(value)}");
    }

    private static Value Attr(RenderState state, Value value, Arguments arguments)
    {
        MarkedText name = arguments.RequiredText(0, "name");
        arguments.End(1);
        return value.Kind == ValueKind.Mapping && !ContainerMethods.MappingNames.Contains(name.Text)
            ? Value.Undefined($"'dict' object has no attribute '{name.Text}'")
            : Access.Attribute(state, value, name.Text);
    }

    private static Value Center(RenderState state, Value value, Arguments arguments)
    {
        long width = arguments.Integer(0, "width", 80);
        arguments.End(1);
        return Value.Of(StringMethods.Pad(state, PythonText.ToText(state, value), "center", width, MarkedText.Trusted(" ")));
    }

    private static Value Length(RenderState state, Value value, Arguments arguments)
    {
        arguments.End(0);
        state.Work(value.IsText ? value.AsText.Length / 16 : 1);
        return Value.Of(Operators.Length(state, value));
    }

    private static Value Default(RenderState state, Value value, Arguments arguments)
    {
        Value otherwise = arguments.Optional(0, "default_value", Value.Of(MarkedText.Empty));
        bool falsy = arguments.Flag(1, "boolean", false);
        arguments.End(2);
        return value.IsUndefined || (falsy && !value.IsTruthy) ? otherwise : value;
    }

    private static Value Escape(RenderState state, Value value, Arguments arguments)
    {
        arguments.End(0);
        MarkedText text = PythonText.ToText(state, value);
        foreach ((string mark, string entity) in (ReadOnlySpan<(string, string)>)[("&", "&amp;"), (">", "&gt;"), ("<", "&lt;"), ("'", "&#39;"), ("\"", "&#34;")])
        {
            text = StringMethods.Replace(state, text, MarkedText.Trusted(mark), MarkedText.Trusted(entity), -1);
        }

        return Value.Of(text);
    }

    private static Value Float(RenderState state, Value value, Arguments arguments)
    {
        Value otherwise = arguments.Optional(0, "default", Value.Of(0.0));
        arguments.End(1);
        if (value.IsNumber)
        {
            return Value.Of(value.AsFloat);
        }

        if (value.IsUndefined)
        {
            throw state.Fail(value.UndefinedHint);
        }

        return value.IsText && TryParseFloat(value.AsText.Text, out double parsed) ? Value.Of(parsed)
            : value.Kind == ValueKind.BigInteger ? Value.Of((double)value.AsBigInteger)
            : otherwise;
    }

    private static bool TryParseFloat(string text, out double value)
    {
        value = 0;
        text = text.Trim().Replace("_", string.Empty, StringComparison.Ordinal);
        switch (text.TrimStart('+', '-').ToLowerInvariant())
        {
            case "inf" or "infinity":
                value = text.StartsWith('-') ? double.NegativeInfinity : double.PositiveInfinity;
                return true;
            case "nan":
                value = double.NaN;
                return true;
        }

        return text.Length is > 0 and < 1000 && text.All(c => char.IsAsciiDigit(c) || c is '.' or 'e' or 'E' or '+' or '-') &&
            double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value);
    }

    private static Value Format(RenderState state, Value value, Arguments arguments)
    {
        if (arguments.Named.Count > 0 && arguments.Positional.Count > 0)
        {
            throw state.Fail("format: values are given by position or by name, not both");
        }

        MappingValue named = new();
        foreach (KeyValuePair<string, Value> pair in arguments.Named)
        {
            named.Set(Value.Of(pair.Key), pair.Value);
        }

        return Value.Of(PythonFormat.Percent(
            state,
            PythonText.ToText(state, value),
            arguments.Named.Count > 0 ? Value.Of(named) : Value.Tuple([.. arguments.Positional])));
    }

    private static Value Indent(RenderState state, Value value, Arguments arguments)
    {
        MarkedText by = IndentOf(state, arguments.Optional(0, "width", Value.Of(4L)));
        bool first = arguments.Flag(1, "first", false);
        bool blank = arguments.Flag(2, "blank", false);
        arguments.End(3);
        MarkedText.Builder ended = new(state);
        ended.Append(PythonText.ToText(state, value));
        ended.Append('\n');
        List<Value> lines = StringMethods.SplitLines(state, ended.Build(), false);
        MarkedText.Builder output = new(state);
        for (int i = 0; i < lines.Count; i++)
        {
            MarkedText line = lines[i].AsText;
            output.Append(i == 0 ? string.Empty : "\n");
            if (i == 0 ? first : blank || line.Length > 0)
            {
                output.Append(by);
            }

            output.Append(line);
        }

        return Value.Of(output.Build());
    }

    private static MarkedText IndentOf(RenderState state, Value width) => width.IsText ? width.AsText
        : MarkedText.Trusted(new string(' ', (int)Math.Clamp(Operators.ToIndex(state, width, "indent"), 0, 1000)));

    private static Value Int(RenderState state, Value value, Arguments arguments)
    {
        Value otherwise = arguments.Optional(0, "default", Value.Of(0L));
        long radix = arguments.Integer(1, "base", 10);
        arguments.End(2);
        if (value.IsIntegral)
        {
            return Value.Of(value.AsInteger);
        }

        if (value.Kind == ValueKind.Float)
        {
            return double.IsFinite(value.AsFloat) ? Value.Of(PythonFormat.Truncate(state, value.AsFloat)) : otherwise;
        }

        if (value.IsUndefined)
        {
            throw state.Fail(value.UndefinedHint);
        }

        if (!value.IsText)
        {
            return value.Kind == ValueKind.BigInteger ? value : otherwise;
        }

        string text = value.AsText.Text.Trim();
        if (radix != 10)
        {
            return ParseRadix(text, radix) is long other ? Value.Of(other) : otherwise;
        }

        return long.TryParse(text.Replace("_", string.Empty, StringComparison.Ordinal), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long integer)
            ? Value.Of(integer)
            : TryParseFloat(text, out double parsed) && double.IsFinite(parsed) ? Value.Of(PythonFormat.Truncate(state, parsed))
            : otherwise;
    }

    private static long? ParseRadix(string text, long radix)
    {
        bool negative = text.StartsWith('-');
        text = text.TrimStart('+', '-').ToLowerInvariant();
        string prefix = radix switch { 16 => "0x", 8 => "0o", 2 => "0b", _ => "\0" };
        text = text.StartsWith(prefix, StringComparison.Ordinal) ? text[2..] : text;
        Int128 value = 0;
        foreach (char c in text)
        {
            int digit = char.IsAsciiDigit(c) ? c - '0' : char.IsAsciiLetterLower(c) ? c - 'a' + 10 : int.MaxValue;
            value = (value * radix) + digit;
            if (digit >= radix || value > long.MaxValue)
            {
                return null;
            }
        }

        return text.Length == 0 ? null : (long)(negative ? -value : value);
    }

    private static Value Replace(RenderState state, Value value, Arguments arguments)
    {
        MarkedText old = PythonText.ToText(state, arguments.Required(0, "old"));
        MarkedText with = PythonText.ToText(state, arguments.Required(1, "new"));
        long count = arguments.OptionalInteger(2, "count") ?? -1;
        arguments.End(3);
        return Value.Of(StringMethods.Replace(state, PythonText.ToText(state, value), old, with, count));
    }

    private static Value Round(RenderState state, Value value, Arguments arguments)
    {
        long precision = arguments.Integer(0, "precision", 0);
        string method = arguments.TryGet(1, "method", out Value given) && given.IsText ? given.AsText.Text : "common";
        arguments.End(2);
        if (!value.IsNumber)
        {
            throw state.Fail($"round: a number was expected, not {Arguments.Describe(value)}");
        }

        if (Math.Abs(precision) > 300 || method is not ("common" or "ceil" or "floor"))
        {
            throw state.Fail($"round: precision {precision} and method '{method}' are not understood");
        }

        double number = value.AsFloat;
        if (method == "common" && value.IsIntegral)
        {
            return value.IsIntegral && precision >= 0 ? Value.Of(value.AsInteger) : Value.Of(RoundDecimal(number, (int)precision));
        }

        if (method == "common")
        {
            return Value.Of(RoundDecimal(number, (int)precision));
        }

        double scale = Math.Pow(10, precision);
        return Value.Of((method == "ceil" ? Math.Ceiling(number * scale) : Math.Floor(number * scale)) / scale);
    }

    // Python rounds the exact binary value, which is also what "F" formats.
    private static double RoundDecimal(double number, int precision)
    {
        if (!double.IsFinite(number))
        {
            return number;
        }

        if (precision <= 0)
        {
            double scale = Math.Pow(10, -precision);
            return Math.Round(number / scale, MidpointRounding.ToEven) * scale;
        }

        return double.Parse(number.ToString("F" + precision, CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
    }

    // Jinja's title, unlike Python's, starts words only after spaces, hyphens and opening brackets.
    private static MarkedText TitleWords(RenderState state, MarkedText text) => StringMethods.Map(
        state,
        text,
        (c, before) => before == '\0' || before is '-' or '(' or '{' or '[' or '<' || PythonText.IsSpace(before)
            ? char.ToUpperInvariant(c) : char.ToLowerInvariant(c));

    private static Value ToJson(RenderState state, Value value, Arguments arguments)
    {
        JsonStyle style = new()
        {
            Ascii = arguments.Flag(0, "ensure_ascii", false),
            SortKeys = arguments.Flag(3, "sort_keys", false),
        };
        if (arguments.TryGet(1, "indent", out Value indent) && !indent.IsNone)
        {
            style = style with { Indent = IndentOf(state, indent), Comma = MarkedText.Trusted(",") };
        }

        if (arguments.TryGet(2, "separators", out Value separators) && !separators.IsNone)
        {
            List<Value> pair = Operators.Iterate(state, separators);
            style = pair.Count == 2 && pair[0].IsText && pair[1].IsText
                ? style with { Comma = pair[0].AsText, Colon = pair[1].AsText }
                : throw state.Fail("tojson: 'separators' must be two strings");
        }

        arguments.End(4);
        MarkedText.Builder output = new(state);
        JsonText.Write(state, output, value, style);
        return Value.Of(output.Build());
    }

    private static Value Trim(RenderState state, Value value, Arguments arguments)
    {
        Value characters = arguments.Optional(0, "chars", Value.None);
        arguments.End(1);
        return Value.Of(StringMethods.Strip(state, PythonText.ToText(state, value), characters, true, true));
    }

    private static Value Truncate(RenderState state, Value value, Arguments arguments)
    {
        long length = arguments.Integer(0, "length", 255);
        bool killWords = arguments.Flag(1, "killwords", false);
        MarkedText end = arguments.TryGet(2, "end", out Value given) ? PythonText.ToText(state, given) : MarkedText.Trusted("...");
        long leeway = arguments.OptionalInteger(3, "leeway") ?? 5;
        arguments.End(4);
        MarkedText text = PythonText.ToText(state, value);
        if (length < end.CodePoints || leeway < 0)
        {
            throw state.Fail($"truncate: length {length} is shorter than the end's {end.CodePoints}, or the leeway is negative");
        }

        if (text.CodePoints <= length + leeway)
        {
            return Value.Of(text);
        }

        MarkedText cut = text.Slice(0, text.IndexOfCodePoint((int)(length - end.CodePoints)));
        int space = killWords ? -1 : cut.Text.LastIndexOf(' ');
        return Value.Of(Operators.Join(state, space < 0 ? cut : cut.Slice(0, space), end));
    }

    private static Value WordCount(RenderState state, Value value, Arguments arguments)
    {
        arguments.End(0);
        long count = 0;
        bool inside = false;
        MarkedText text = PythonText.ToText(state, value);
        state.Work(text.Length);
        foreach (char c in text.Text)
        {
            bool word = c == '_' || char.IsLetterOrDigit(c);
            count += word && !inside ? 1 : 0;
            inside = word;
        }

        return Value.Of(count);
    }
}
