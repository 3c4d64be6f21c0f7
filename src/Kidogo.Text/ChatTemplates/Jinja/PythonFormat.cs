// Python's two ways of formatting: "…" % values and "…".format(values). Knows placeholders; refuses attributes and indices in them.
using System.Globalization;

namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>Formats texts with placeholders.</summary>
internal static class PythonFormat
{
    private const int MaxWidth = 10_000;

    /// <summary><c>format % values</c>.</summary>
    public static MarkedText Percent(RenderState state, MarkedText format, Value values)
    {
        MarkedText.Builder output = new(state);
        string text = format.Text;
        List<Value> items = values.Kind == ValueKind.Sequence && values.AsSequence.Kind == SequenceKind.Tuple ? values.AsSequence.Items : [values];
        int next = 0;
        bool named = false;
        int plain = 0;
        for (int i = text.IndexOf('%', StringComparison.Ordinal); i >= 0; i = i < text.Length ? text.IndexOf('%', i) : -1)
        {
            output.Append(format, plain, i - plain);
            Spec spec = new() { Align = '>' };
            i++;
            Value? byName = null;
            if (i < text.Length && text[i] == '(')
            {
                int close = text.IndexOf(')', i);
                if (close < 0 || values.Kind != ValueKind.Mapping)
                {
                    throw state.Fail(close < 0 ? "a format's name is not closed" : "the format requires a mapping");
                }

                named = true;
                string name = text[(i + 1)..close];
                byName = values.AsMapping.TryGet(name, out Value found) ? found : throw state.Fail($"the format's name '{name}' is not in the mapping");
                i = close + 1;
            }

            for (; i < text.Length && text[i] is '-' or '+' or ' ' or '0' or '#'; i++)
            {
                spec = text[i] switch
                {
                    '-' => spec with { Align = '<', Fill = ' ' },
                    '0' when spec.Align != '<' => spec with { Align = '=', Fill = '0' },
                    '+' or ' ' => spec with { Sign = text[i] },
                    _ => spec,
                };
            }

            spec = spec with { Width = Number(state, text, ref i) ?? 0 };
            if (i < text.Length && text[i] == '.')
            {
                i++;
                spec = spec with { Precision = Number(state, text, ref i) ?? 0 };
            }

            char kind = i < text.Length ? text[i++] : throw state.Fail("the format is incomplete");
            plain = i;
            if (kind == '%')
            {
                output.Append('%');
                continue;
            }

            Value value = byName ?? (next < items.Count ? items[next++] : throw state.Fail("there are not enough values for the format"));
            if (spec.Align == '=' && kind is 's' or 'r' or 'c')
            {
                spec = spec with { Align = '>', Fill = ' ' };
            }

            MarkedText body = kind switch
            {
                's' => Cut(PythonText.ToText(state, value), spec.Precision),
                'r' or 'a' => Cut(Repr(state, value), spec.Precision),
                'c' when value.IsText && value.AsText.CodePoints == 1 => value.AsText,
                'd' or 'i' or 'u' when value.IsNumber =>
                    Numeric(state, value.IsIntegral ? value : Value.Of(Truncate(state, value.AsFloat)), spec with { Precision = null }, 'd'),
                'x' or 'X' or 'o' when value.IsIntegral => Numeric(state, value, spec, kind),
                'f' or 'F' or 'e' or 'E' or 'g' or 'G' when value.IsNumber => Numeric(state, value, spec, kind),
                _ => throw state.Fail($"the format '%{kind}' does not suit {Arguments.Describe(value)}"),
            };
            Pad(output, body, spec);
        }

        if (plain < text.Length)
        {
            output.Append(format, plain, text.Length - plain);
        }

        return !named && next < items.Count && values.Kind is not (ValueKind.Mapping or ValueKind.Undefined)
            ? throw state.Fail("not all values were used by the format")
            : output.Build();
    }

    /// <summary><c>format.format(values)</c>.</summary>
    public static MarkedText Braces(RenderState state, MarkedText format, Arguments values)
    {
        MarkedText.Builder output = new(state);
        string text = format.Text;
        int next = 0;
        int plain = 0;
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (c is not ('{' or '}'))
            {
                continue;
            }

            output.Append(format, plain, i - plain);
            if (i + 1 < text.Length && text[i + 1] == c)
            {
                output.Append(format, i, 1);
                i++;
                plain = i + 1;
                continue;
            }

            int close = c == '{' ? text.IndexOf('}', i) : -1;
            if (close < 0)
            {
                throw state.Fail($"a single '{c}' stands in the format");
            }

            string field = text[(i + 1)..close];
            int colon = field.IndexOf(':', StringComparison.Ordinal);
            string specification = colon < 0 ? string.Empty : field[(colon + 1)..];
            string name = colon < 0 ? field : field[..colon];
            char conversion = name.Length >= 2 && name[^2] == '!' ? name[^1] : '\0';
            name = conversion == '\0' ? name : name[..^2];
            Value value = name.Length == 0 ? At(state, values, next++)
                : int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int index) ? At(state, values, index)
                : values.TryGet(-1, name, out Value found) ? found
                : throw state.Fail($"the format's field '{name}' is not among the values (attributes and indices in fields are refused)");
            Spec spec = ParseSpec(state, specification, out char kind);
            MarkedText body;
            if (conversion is 'r' or 'a' || (conversion == '\0' && value.IsNumber && value.Kind != ValueKind.Boolean))
            {
                body = conversion == '\0' ? Numeric(state, value, spec, kind) : Cut(Repr(state, value), spec.Precision);
                spec = spec.Align == '\0' ? spec with { Align = conversion == '\0' ? '>' : '<' } : spec;
            }
            else
            {
                if (kind is not ('\0' or 's'))
                {
                    throw state.Fail($"the format code '{kind}' does not suit {Arguments.Describe(value)}");
                }

                body = Cut(PythonText.ToText(state, value), spec.Precision);
                spec = spec.Align == '\0' ? spec with { Align = '<' } : spec;
            }

            Pad(output, body, spec);
            i = close;
            plain = close + 1;
        }

        output.Append(format, plain, text.Length - plain);
        return output.Build();
    }

    public static MarkedText Repr(RenderState state, Value value)
    {
        MarkedText.Builder text = new(state);
        PythonText.WriteRepr(state, text, value, 0);
        return text.Build();
    }

    /// <summary>The integer part, which must fit in 64 bits.</summary>
    public static long Truncate(RenderState state, double value) =>
        double.IsFinite(value) && Math.Abs(value) < 9.2e18 ? (long)value : throw state.Fail("a float is beyond 64 bits or no number");

    private static Value At(RenderState state, Arguments values, int index) =>
        index < values.Positional.Count ? values.Positional[index] : throw state.Fail($"the format asks for value {index}, {values.Positional.Count} are given");

    private static MarkedText Cut(MarkedText text, int? precision) =>
        precision is int most && most < text.CodePoints ? text.Slice(0, text.IndexOfCodePoint(most)) : text;

    private static Spec ParseSpec(RenderState state, string text, out char kind)
    {
        Spec spec = new();
        int i = 0;
        if (text.Length > 1 && text[1] is '<' or '>' or '^' or '=')
        {
            spec = spec with { Fill = text[0], Align = text[1] };
            i = 2;
        }
        else if (text.Length > 0 && text[0] is '<' or '>' or '^' or '=')
        {
            spec = spec with { Align = text[0] };
            i = 1;
        }

        if (i < text.Length && text[i] is '+' or '-' or ' ')
        {
            spec = spec with { Sign = text[i++] };
        }

        if (i < text.Length && text[i] == '0')
        {
            spec = spec.Align == '\0' ? spec with { Fill = '0', Align = '=' } : spec;
            i++;
        }

        spec = spec with { Width = Number(state, text, ref i) ?? 0 };
        if (i < text.Length && text[i] is ',' or '_')
        {
            spec = spec with { Group = text[i++] };
        }

        if (i < text.Length && text[i] == '.')
        {
            i++;
            spec = spec with { Precision = Number(state, text, ref i) ?? throw state.Fail("a format's precision is missing") };
        }

        kind = i < text.Length ? text[i++] : '\0';
        return i == text.Length && kind is '\0' or 's' or 'd' or 'f' or 'F' or 'e' or 'E' or 'g' or 'G' or 'x' or 'X' or 'o' or 'b' or '%'
            ? spec
            : throw state.Fail($"the format specification '{text}' is not understood");
    }

    private static int? Number(RenderState state, string text, ref int at)
    {
        int start = at;
        int value = 0;
        for (; at < text.Length && char.IsAsciiDigit(text[at]); at++)
        {
            value = (value * 10) + text[at] - '0';
            if (value > MaxWidth)
            {
                throw state.Fail($"a format's width is more than {MaxWidth}");
            }
        }

        return at == start ? null : value;
    }

    private static MarkedText Numeric(RenderState state, Value value, Spec spec, char kind)
    {
        string digits;
        bool negative;
        if (value.Kind == ValueKind.BigInteger)
        {
            return MarkedText.Trusted(value.AsBigInteger.ToString(CultureInfo.InvariantCulture));
        }

        if (value.IsIntegral && kind is '\0' or 'd' or 'x' or 'X' or 'o' or 'b')
        {
            negative = value.AsInteger < 0;
            ulong magnitude = negative ? (ulong)-(value.AsInteger + 1) + 1 : (ulong)value.AsInteger;
            digits = kind switch
            {
                'x' => magnitude.ToString("x", CultureInfo.InvariantCulture),
                'X' => magnitude.ToString("X", CultureInfo.InvariantCulture),
                'b' => magnitude.ToString("b", CultureInfo.InvariantCulture),
                'o' => magnitude == 0 ? "0" : Octal(magnitude),
                _ => magnitude.ToString(CultureInfo.InvariantCulture),
            };
        }
        else if (kind is 'd' or 'x' or 'X' or 'o' or 'b' or 's')
        {
            throw state.Fail($"the format code '{kind}' does not suit a {value.TypeName}");
        }
        else
        {
            double number = value.AsFloat;
            negative = double.IsNegative(number) && !double.IsNaN(number);
            number = Math.Abs(number);
            int precision = spec.Precision ?? 6;
            digits = !double.IsFinite(number) ? PythonText.Float(number) : kind switch
            {
                'f' or 'F' => number.ToString("F" + precision, CultureInfo.InvariantCulture),
                '%' => (number * 100).ToString("F" + precision, CultureInfo.InvariantCulture) + "%",
                'e' or 'E' => Exponential(number, precision, kind),
                '\0' when spec.Precision is null => PythonText.Float(number),
                _ => General(number, Math.Max(precision, 1), kind),
            };
        }

        if (spec.Group != '\0')
        {
            int end = digits.AsSpan().IndexOfAny('.', 'e');
            for (int i = (end < 0 ? digits.Length : end) - 3; i > 0; i -= 3)
            {
                digits = digits.Insert(i, spec.Group.ToString());
            }
        }

        string sign = negative ? "-" : spec.Sign is '+' or ' ' ? spec.Sign.ToString() : string.Empty;
        return MarkedText.Trusted(spec.Align == '=' ? sign + new string(spec.Fill, Math.Max(0, spec.Width - digits.Length - sign.Length)) + digits : sign + digits);
    }

    private static string Octal(ulong value)
    {
        string digits = string.Empty;
        for (; value > 0; value >>= 3)
        {
            digits = (char)('0' + (value & 7)) + digits;
        }

        return digits;
    }

    private static string Exponential(double number, int precision, char kind)
    {
        string text = number.ToString((kind == 'E' ? "E" : "e") + precision, CultureInfo.InvariantCulture);
        int mark = text.IndexOf(kind == 'E' ? 'E' : 'e', StringComparison.Ordinal);
        return text[..(mark + 2)] + int.Parse(text.AsSpan(mark + 2), CultureInfo.InvariantCulture).ToString("00", CultureInfo.InvariantCulture);
    }

    private static string General(double number, int precision, char kind)
    {
        int exponent = 0;
        if (number != 0)
        {
            string rounded = number.ToString("e" + (precision - 1), CultureInfo.InvariantCulture);
            exponent = int.Parse(rounded.AsSpan(rounded.IndexOf('e', StringComparison.Ordinal) + 1), CultureInfo.InvariantCulture);
        }

        bool scientific = exponent < -4 || exponent >= precision;
        string text = scientific ? Exponential(number, precision - 1, kind == 'G' ? 'E' : 'e')
            : number.ToString("F" + Math.Max(0, precision - 1 - exponent), CultureInfo.InvariantCulture);
        int mark = text.AsSpan().IndexOfAny('e', 'E');
        string mantissa = mark < 0 ? text : text[..mark];
        if (mantissa.Contains('.', StringComparison.Ordinal))
        {
            mantissa = mantissa.TrimEnd('0').TrimEnd('.');
        }

        return mark < 0 ? mantissa : mantissa + text[mark..];
    }

    private static void Pad(MarkedText.Builder output, MarkedText body, Spec spec)
    {
        int missing = Math.Max(0, spec.Width - body.CodePoints);
        int before = spec.Align switch { '<' => 0, '^' => missing / 2, _ => missing };
        output.Append(spec.Fill, before);
        output.Append(body);
        output.Append(spec.Fill, missing - before);
    }

    private readonly record struct Spec()
    {
        public char Fill { get; init; } = ' ';

        public char Align { get; init; }

        public char Sign { get; init; }

        public char Group { get; init; }

        public int Width { get; init; }

        public int? Precision { get; init; }
    }
}
