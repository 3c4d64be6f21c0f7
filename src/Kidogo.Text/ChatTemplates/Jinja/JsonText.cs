// JSON in and out: messages become values, values become text as Python's json.dumps writes it.
using System.Globalization;
using System.Numerics;
using System.Text.Json;

namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>Reads JSON elements into values and writes values as JSON.</summary>
internal static class JsonText
{
    // As Python: reading takes time in the square of the length.
    private const int MaxIntegerDigits = 4300;

    /// <summary>A value whose texts are all untrusted, and by an author where that is above 0.</summary>
    public static Value FromUser(JsonElement element, int depth = 0, int author = 0)
    {
        if (depth > Operators.MaxValueDepth / 2)
        {
            throw new ChatTemplateException($"the JSON given is nested more than {Operators.MaxValueDepth / 2} deep");
        }

        switch (element.ValueKind)
        {
            case JsonValueKind.String:
                return Value.Of(MarkedText.Untrusted(ReadString(element), author));
            case JsonValueKind.Number:
                return Number(element);
            case JsonValueKind.True:
                return Value.True;
            case JsonValueKind.False:
                return Value.False;
            case JsonValueKind.Array:
                List<Value> items = new(element.GetArrayLength());
                foreach (JsonElement item in element.EnumerateArray())
                {
                    items.Add(FromUser(item, depth + 1, author));
                }

                return Value.List(items);
            case JsonValueKind.Object:
                MappingValue mapping = new();
                foreach (JsonProperty property in element.EnumerateObject())
                {
                    mapping.Set(Value.Of(MarkedText.Untrusted(ReadName(property), author)), FromUser(property.Value, depth + 1, author));
                }

                return Value.Of(mapping);
            case JsonValueKind.Undefined:
                throw new ChatTemplateException("a JSON value given is uninitialised");
            default:
                return Value.None;
        }
    }

    /// <summary>Writes json.dumps(value, ensure_ascii, indent, separators, sort_keys).</summary>
    public static void Write(RenderState state, MarkedText.Builder output, Value value, JsonStyle style, int depth = 0)
    {
        state.Work(1);
        switch (value.Kind)
        {
            case ValueKind.None: output.Append("null"); break;
            case ValueKind.Boolean: output.Append(value.IsTruthy ? "true" : "false"); break;
            case ValueKind.Integer or ValueKind.BigInteger or ValueKind.Float: output.Append(Number(value)); break;
            case ValueKind.Text: WriteString(output, value.AsText, style.Ascii); break;
            case ValueKind.Sequence when value.AsSequence.Kind is SequenceKind.List or SequenceKind.Tuple:
                Operators.GuardDepth(state, depth);
                WriteItems(state, output, value.AsSequence.Items, null, style, depth);
                break;
            case ValueKind.Mapping:
                Operators.GuardDepth(state, depth);
                List<Value> keys = value.AsMapping.Keys();
                if (style.SortKeys)
                {
                    Filters.Sort(state, keys, key => key);
                }

                WriteItems(state, output, keys, value.AsMapping, style, depth);
                break;
            default:
                throw state.Fail(value.IsUndefined ? $"tojson: {value.UndefinedHint}" : $"tojson: a '{value.TypeName}' cannot be written as JSON");
        }
    }

    /// <summary>A list, or an object of which <paramref name="items"/> are the keys. No closures: a small list that holds itself sixty times over is written a million times.</summary>
    private static void WriteItems(RenderState state, MarkedText.Builder output, List<Value> items, MappingValue? mapping, JsonStyle style, int depth)
    {
        output.Append(mapping is null ? '[' : '{');
        for (int i = 0; i < items.Count; i++)
        {
            output.Append(i == 0 ? MarkedText.Empty : style.Comma);
            NewLine(output, style, depth + 1);
            Value item = items[i];
            if (mapping is not null)
            {
                WriteString(output, Key(state, item), style.Ascii);
                output.Append(style.Colon);
                mapping.TryGet(items[i], out item);
            }

            Write(state, output, item, style, depth + 1);
        }

        if (items.Count > 0)
        {
            NewLine(output, style, depth);
        }

        output.Append(mapping is null ? ']' : '}');
    }

    private static void NewLine(MarkedText.Builder output, JsonStyle style, int depth)
    {
        if (style.Indent is not null)
        {
            output.Append('\n');
            for (int i = 0; i < depth; i++)
            {
                output.Append(style.Indent);
            }
        }
    }

    private static MarkedText Key(RenderState state, Value key) => key.Kind switch
    {
        ValueKind.Text => key.AsText,
        ValueKind.None => MarkedText.Trusted("null"),
        ValueKind.Boolean => MarkedText.Trusted(key.IsTruthy ? "true" : "false"),
        ValueKind.Integer or ValueKind.BigInteger or ValueKind.Float => MarkedText.Trusted(Number(key)),
        _ => throw state.Fail($"tojson: a '{key.TypeName}' cannot be a JSON key"),
    };

    private static string Number(Value value) => value.Kind switch
    {
        ValueKind.Float when double.IsNaN(value.AsFloat) => "NaN",
        ValueKind.Float when double.IsInfinity(value.AsFloat) => value.AsFloat > 0 ? "Infinity" : "-Infinity",
        ValueKind.Float => PythonText.Float(value.AsFloat),
        _ => value.AsBigInteger.ToString(CultureInfo.InvariantCulture),
    };

    private static void WriteString(MarkedText.Builder output, MarkedText value, bool ascii)
    {
        string text = value.Text;
        output.Append('"');
        int plain = 0;
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            string? escape = c switch
            {
                '"' => "\\\"",
                '\\' => @"\\",
                '\n' => @"\n",
                '\r' => @"\r",
                '\t' => @"\t",
                '\b' => @"\b",
                '\f' => @"\f",
                < ' ' => $"\\u{(int)c:x4}",
                > '~' when ascii && c != '\x7f' => $"\\u{(int)c:x4}",
                _ => null,
            };
            if (escape is not null)
            {
                output.Append(value, plain, i - plain);
                output.Append(escape, value.IsUntrusted(i));
                plain = i + 1;
            }
        }

        output.Append(value, plain, text.Length - plain);
        output.Append('"');
    }

    private static Value Number(JsonElement element)
    {
        string raw = element.GetRawText();
        if (raw.AsSpan().IndexOfAny('.', 'e', 'E') >= 0)
        {
            return Value.Of(double.Parse(raw, CultureInfo.InvariantCulture));
        }

        return long.TryParse(raw, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long small) ? Value.Of(small)
            : raw.Length <= MaxIntegerDigits ? Value.Of(BigInteger.Parse(raw, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture))
            : throw new ChatTemplateException($"an integer of {raw.Length} digits is longer than the {MaxIntegerDigits} allowed");
    }

    private static string ReadString(JsonElement element)
    {
        try
        {
            return element.GetString()!;
        }
        catch (InvalidOperationException error)
        {
            throw new ChatTemplateException("a JSON string given has half a surrogate pair, which is no character", error);
        }
    }

    private static string ReadName(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException error)
        {
            throw new ChatTemplateException("a JSON name given has half a surrogate pair, which is no character", error);
        }
    }
}

/// <summary>How JSON is written. The default is Transformers': no ASCII escapes, <c>", "</c> and <c>": "</c>.</summary>
internal sealed record JsonStyle
{
    public bool Ascii { get; init; }

    public MarkedText? Indent { get; init; }

    public MarkedText Comma { get; init; } = MarkedText.Trusted(", ");

    public MarkedText Colon { get; init; } = MarkedText.Trusted(": ");

    public bool SortKeys { get; init; }
}
