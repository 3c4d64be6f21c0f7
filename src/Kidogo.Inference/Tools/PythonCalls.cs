// Calls as Python writes them, with literals for arguments, as JSON. Evaluates nothing.
using System.Globalization;
using System.Text;
using System.Text.Json;
using Kidogo.Text;

namespace Kidogo.Inference.Tools;

/// <summary>Reads <c>[name(key="value", other=2)]</c>.</summary>
internal static class PythonCalls
{
    private const int Deepest = 32;

    /// <summary>The calls with their arguments as JSON objects; null where the text is no list of calls.</summary>
    public static IReadOnlyList<(string Name, string Arguments)>? Parse(string text)
    {
        int at = 0;
        List<(string, string)> calls = [];
        Skip(text, ref at);
        bool isList = Take(text, ref at, '[');
        while (Name(text, ref at) is { } name && Take(text, ref at, '('))
        {
            if (Arguments(text, ref at) is not { } arguments)
            {
                return null;
            }

            calls.Add((name, arguments));
            if (!Take(text, ref at, ','))
            {
                break;
            }
        }

        bool closed = !isList || Take(text, ref at, ']');
        Skip(text, ref at);
        return calls.Count > 0 && closed && at == text.Length ? calls : null;
    }

    private static string? Arguments(string text, ref int at)
    {
        List<(string Key, Action<Utf8JsonWriter> Write)> values = [];
        while (!Take(text, ref at, ')'))
        {
            if (Name(text, ref at) is not { } key || !Take(text, ref at, '=') || Value(text, ref at, 0) is not { } write)
            {
                return null;
            }

            values.Add((key, write));
            if (!Take(text, ref at, ','))
            {
                if (!Take(text, ref at, ')'))
                {
                    return null;
                }

                break;
            }
        }

        return Encoding.UTF8.GetString(JsonBuilding.Bytes(json =>
        {
            json.WriteStartObject();
            foreach ((string key, Action<Utf8JsonWriter> write) in values)
            {
                json.WritePropertyName(key);
                write(json);
            }

            json.WriteEndObject();
        }).Span);
    }

    private static Action<Utf8JsonWriter>? Value(string text, ref int at, int depth)
    {
        Skip(text, ref at);
        if (at == text.Length || depth > Deepest)
        {
            return null;
        }

        char c = text[at];
        if (c is '"' or '\'')
        {
            return Quoted(text, ref at) is { } quoted ? json => json.WriteStringValue(quoted) : null;
        }

        if (c is '[' or '(')
        {
            return Items(text, ref at, c == '[' ? ']' : ')', depth);
        }

        if (c == '{')
        {
            return Pairs(text, ref at, depth);
        }

        int start = at;
        while (at < text.Length && (char.IsLetterOrDigit(text[at]) || text[at] is '.' or '-' or '+' or '_'))
        {
            at++;
        }

        string word = text[start..at];
        return word switch
        {
            "True" or "true" => json => json.WriteBooleanValue(true),
            "False" or "false" => json => json.WriteBooleanValue(false),
            "None" or "null" => json => json.WriteNullValue(),
            _ when long.TryParse(word, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long whole) => json => json.WriteNumberValue(whole),
            _ when double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number) => json => json.WriteNumberValue(number),
            _ => null,
        };
    }

    private static Action<Utf8JsonWriter>? Items(string text, ref int at, char close, int depth)
    {
        at++;
        List<Action<Utf8JsonWriter>> items = [];
        while (!Take(text, ref at, close))
        {
            if (Value(text, ref at, depth + 1) is not { } item)
            {
                return null;
            }

            items.Add(item);
            if (!Take(text, ref at, ',') && !(at < text.Length && text[at] == close))
            {
                return null;
            }
        }

        return json =>
        {
            json.WriteStartArray();
            items.ForEach(item => item(json));
            json.WriteEndArray();
        };
    }

    private static Action<Utf8JsonWriter>? Pairs(string text, ref int at, int depth)
    {
        at++;
        List<(string Key, Action<Utf8JsonWriter> Write)> pairs = [];
        while (!Take(text, ref at, '}'))
        {
            Skip(text, ref at);
            if (Quoted(text, ref at) is not { } key || !Take(text, ref at, ':') || Value(text, ref at, depth + 1) is not { } value)
            {
                return null;
            }

            pairs.Add((key, value));
            if (!Take(text, ref at, ',') && !(at < text.Length && text[at] == '}'))
            {
                return null;
            }
        }

        return json =>
        {
            json.WriteStartObject();
            foreach ((string key, Action<Utf8JsonWriter> write) in pairs)
            {
                json.WritePropertyName(key);
                write(json);
            }

            json.WriteEndObject();
        };
    }

    private static string? Quoted(string text, ref int at)
    {
        if (at == text.Length || text[at] is not ('"' or '\''))
        {
            return null;
        }

        char quote = text[at++];
        StringBuilder value = new();
        while (at < text.Length && text[at] != quote)
        {
            char c = text[at++];
            if (c == '\\' && at < text.Length)
            {
                c = text[at++] switch { 'n' => '\n', 't' => '\t', 'r' => '\r', var other => other };
            }

            value.Append(c);
        }

        return at < text.Length && text[at++] == quote ? value.ToString() : null;
    }

    private static string? Name(string text, ref int at)
    {
        Skip(text, ref at);
        int start = at;
        while (at < text.Length && (char.IsLetterOrDigit(text[at]) || text[at] is '_' or '-' or '.'))
        {
            at++;
        }

        return at > start ? text[start..at] : null;
    }

    private static bool Take(string text, ref int at, char expected)
    {
        Skip(text, ref at);
        if (at == text.Length || text[at] != expected)
        {
            return false;
        }

        at++;
        return true;
    }

    private static void Skip(string text, ref int at)
    {
        while (at < text.Length && char.IsWhiteSpace(text[at]))
        {
            at++;
        }
    }
}
