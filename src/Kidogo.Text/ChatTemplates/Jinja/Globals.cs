// The functions every template may call. None reads anything but its arguments and the time it was given.
using System.Globalization;
using System.Text;

namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>Jinja's and Transformers' global functions.</summary>
internal static class Globals
{
    /// <summary>The outermost scope of a rendering.</summary>
    public static Scope NewScope(RenderState state)
    {
        Scope scope = new(null, state);
        Add(scope, "range", Range);
        Add(scope, "namespace", Namespace);
        Add(scope, "raise_exception", (now, arguments) =>
            throw new ChatTemplateException(PythonText.ToText(now, arguments.Required(0, "message")).Text, now.Line, now.Column, refusedByTemplate: true));
        Add(scope, "strftime_now", (now, arguments) => Value.Of(FormatTime(now, arguments.RequiredText(0, "format").Text)));
        Add(scope, "dict", (now, arguments) =>
        {
            MappingValue mapping = new();
            ContainerMethods.Update(now, mapping, arguments);
            return Value.Of(mapping);
        });
        Add(scope, "joiner", (_, arguments) =>
        {
            Value separator = arguments.Optional(0, "sep", Value.Of(", "));
            arguments.End(1);
            return Value.Of(new JoinerValue(separator));
        });
        Add(scope, "cycler", (now, arguments) => arguments.Positional.Count == 0
            ? throw now.Fail("cycler: at least one item has to be given")
            : Value.Of(new CyclerValue(arguments.Positional)));
        Add(scope, "lipsum", (now, _) => throw now.Fail("'lipsum' is refused: a prompt has no random text"));
        return scope;
    }

    private static void Add(Scope scope, string name, Func<RenderState, Arguments, Value> body) => scope.Set(name, Value.Of(new FunctionValue(name, body)));

    private static Value Namespace(RenderState state, Arguments arguments)
    {
        MappingValue mapping = new();
        ContainerMethods.Update(state, mapping, arguments);
        NamespaceValue space = new();
        foreach (KeyValuePair<Value, Value> entry in mapping.Entries)
        {
            space.Set(entry.Key.IsText ? entry.Key.AsText.Text : throw state.Fail("namespace: attribute names must be strings"), entry.Value);
        }

        return Value.Of(space);
    }

    private static Value Range(RenderState state, Arguments arguments)
    {
        long first = Operators.ToIndex(state, arguments.Required(0, "start"), "range");
        long? second = arguments.TryGet(1, "stop", out Value stop) ? Operators.ToIndex(state, stop, "range") : null;
        long step = arguments.Integer(2, "step", 1);
        arguments.End(3);
        (long from, long to) = second is null ? (0, first) : (first, second.Value);
        if (step == 0)
        {
            throw state.Fail("range: the step cannot be zero");
        }

        Int128 span = step > 0 ? (Int128)to - from : (Int128)from - to;
        Int128 size = Int128.Abs(step);
        Int128 count = span <= 0 ? 0 : (span + size - 1) / size;
        if (count > state.MaxRange)
        {
            throw state.Fail($"range: {count} numbers are more than the {state.MaxRange} allowed");
        }

        state.AllocateElements((long)count);
        List<Value> items = new((int)count);
        for (int i = 0; i < (int)count; i++)
        {
            items.Add(Value.Of((long)((Int128)from + ((Int128)step * i))));
        }

        string text = step == 1 ? $"range({from}, {to})" : $"range({from}, {to}, {step})";
        return Value.Of(new SequenceValue(SequenceKind.Range, items) { RangeText = text });
    }

    // C's strftime in the C locale.
    private static string FormatTime(RenderState state, string format)
    {
        DateTimeOffset now = state.Now;
        StringBuilder text = new();
        state.AllocateText(8L * format.Length);
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                text.Append(format[i]);
                continue;
            }

            char code = format[++i];
            bool bare = code == '-' && i + 1 < format.Length;
            if (bare)
            {
                code = format[++i];
            }

            string piece = code switch
            {
                'a' => Now("ddd"),
                'A' => Now("dddd"),
                'b' or 'h' => Now("MMM"),
                'B' => Now("MMMM"),
                'c' => Now("ddd MMM ") + now.Day.ToString(CultureInfo.InvariantCulture).PadLeft(2) + Now(" HH:mm:ss yyyy"),
                'C' => (now.Year / 100).ToString("00", CultureInfo.InvariantCulture),
                'd' => Now("dd"),
                'D' or 'x' => Now("MM/dd/yy"),
                'e' => now.Day.ToString(CultureInfo.InvariantCulture).PadLeft(2),
                'f' => Now("ffffff"),
                'F' => Now("yyyy-MM-dd"),
                'g' => (ISOWeek.GetYear(now.DateTime) % 100).ToString("00", CultureInfo.InvariantCulture),
                'G' => ISOWeek.GetYear(now.DateTime).ToString(CultureInfo.InvariantCulture),
                'H' => Now("HH"),
                'I' => Now("hh"),
                'j' => now.DayOfYear.ToString("000", CultureInfo.InvariantCulture),
                'k' => now.Hour.ToString(CultureInfo.InvariantCulture).PadLeft(2),
                'm' => Now("MM"),
                'M' => Now("mm"),
                'n' => "\n",
                'p' => Now("tt"),
                'P' => Now("tt").ToLowerInvariant(),
                'r' => Now("hh:mm:ss tt"),
                'R' => Now("HH:mm"),
                's' => now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
                'S' => Now("ss"),
                't' => "\t",
                'T' or 'X' => Now("HH:mm:ss"),
                'u' => (now.DayOfWeek == DayOfWeek.Sunday ? 7 : (int)now.DayOfWeek).ToString(CultureInfo.InvariantCulture),
                'U' => ((now.DayOfYear + 6 - (int)now.DayOfWeek) / 7).ToString("00", CultureInfo.InvariantCulture),
                'V' => ISOWeek.GetWeekOfYear(now.DateTime).ToString("00", CultureInfo.InvariantCulture),
                'w' => ((int)now.DayOfWeek).ToString(CultureInfo.InvariantCulture),
                'W' => ((now.DayOfYear + 6 - (((int)now.DayOfWeek + 6) % 7)) / 7).ToString("00", CultureInfo.InvariantCulture),
                'y' => Now("yy"),
                'Y' => now.Year.ToString(CultureInfo.InvariantCulture),
                'z' or 'Z' => string.Empty, // Python's local time has no zone
                '%' => "%",
                _ => bare ? "%-" + code : "%" + code,
            };
            if (bare && piece.Length > 1 && char.IsAsciiDigit(piece[^1]))
            {
                string trimmed = piece.TrimStart('0', ' ');
                piece = trimmed.Length == 0 ? "0" : trimmed;
            }

            text.Append(piece);
        }

        return text.ToString();

        string Now(string pattern) => now.ToString(pattern, CultureInfo.InvariantCulture);
    }
}
