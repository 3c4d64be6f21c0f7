// A JSON object of a request, read field by field, so that none is ignored: what nobody asked for in the end is unknown. Knows no endpoint.
using System.Globalization;
using System.Text.Json;
using Kidogo.Models;

namespace Kidogo.Serving.Api;

/// <summary>Reads an object. A field that is null counts as absent, as OpenAI's clients mean it.</summary>
internal sealed class RequestFields
{
    private const int LongestQuoted = 60;

    private readonly JsonElement _object;
    private readonly string _path;
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);

    /// <summary>A reader of an object.</summary>
    /// <param name="element">The object.</param>
    /// <param name="path">Where it stands in the request, such as <c>messages[0]</c>; empty for the request itself.</param>
    /// <exception cref="ApiException">It is not an object.</exception>
    public RequestFields(JsonElement element, string path = "")
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw ApiException.Field(path, $"{(path.Length == 0 ? "The body" : path)} is {KindOf(element)}; it has to be an object.");
        }

        _object = element;
        _path = path;
    }

    /// <summary>The name of a field as the client sees it.</summary>
    public string PathOf(string name) => _path.Length == 0 ? name : $"{_path}.{name}";

    /// <summary>A field; null where it is absent or null.</summary>
    public JsonElement? Element(string name)
    {
        _known.Add(name);
        return _object.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    public string? Text(string name) => Element(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.String ? StringOf(value, PathOf(name)) : throw Wrong(name, value, "a string");

    public string RequiredText(string name) => Text(name) ?? throw Missing(name, "a string");

    public bool? Flag(string name) => Element(name) is not { } value ? null
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Wrong(name, value, "true or false");

    public int? Int(string name, int min, int max) => (int?)Long(name, min, max);

    public long? Long(string name, long min, long max)
    {
        if (Element(name) is not { } value)
        {
            return null;
        }

        string expected = max is int.MaxValue or long.MaxValue ? (min == long.MinValue ? "a whole number" : $"a whole number, {min} or more") : $"a whole number from {min} to {max}";
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number) && number >= min && number <= max ? number : throw Wrong(name, value, expected);
    }

    public double? Number(string name, double min, double max)
    {
        if (Element(name) is not { } value)
        {
            return null;
        }

        string expected = string.Create(CultureInfo.InvariantCulture, $"a number from {min} to {max}");
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number >= min && number <= max ? number : throw Wrong(name, value, expected);
    }

    /// <summary>An object inside; null where it is absent.</summary>
    public RequestFields? Object(string name) => Element(name) is { } value ? new RequestFields(value, PathOf(name)) : null;

    /// <summary>An array; null where it is absent.</summary>
    public JsonElement? Array(string name, string expected) => Element(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Array ? value : throw Wrong(name, value, expected);

    /// <summary>An array of texts; none where it is absent.</summary>
    public IReadOnlyList<string> Texts(string name, int most)
    {
        string expected = $"an array of at most {most} strings";
        if (Array(name, expected) is not { } array)
        {
            return [];
        }

        if (array.GetArrayLength() > most)
        {
            throw Wrong(name, array, expected);
        }

        List<string> texts = [];
        foreach (JsonElement element in array.EnumerateArray())
        {
            string path = $"{PathOf(name)}[{texts.Count}]";
            texts.Add(element.ValueKind == JsonValueKind.String ? StringOf(element, path) : throw WrongAt(path, element, "a string"));
        }

        return texts;
    }

    /// <summary>Refuses a known field, unless it says what holds anyway.</summary>
    /// <param name="name">The field.</param>
    /// <param name="because">Why, as a sentence.</param>
    /// <param name="isNeutral">Whether a value asks for nothing.</param>
    public void Refuse(string name, string because, Func<JsonElement, bool>? isNeutral = null)
    {
        if (Element(name) is { } value && isNeutral?.Invoke(value) != true)
        {
            throw ApiException.Field(PathOf(name), $"`{PathOf(name)}` is not supported: {because}", "unsupported_parameter");
        }
    }

    /// <summary>Refuses what nobody has asked for.</summary>
    public void RejectUnknown()
    {
        foreach (JsonProperty property in _object.EnumerateObject())
        {
            string name = NameOf(property);
            if (!_known.Contains(name))
            {
                string nearest = NearestName.Likely(name, _known) is { } other ? $" Did you mean `{PathOf(other)}`?" : "";
                throw ApiException.Field(PathOf(Quote(name)), $"Unknown field `{PathOf(Quote(name))}`.{nearest}", "unknown_parameter");
            }
        }
    }

    public ApiException Missing(string name, string expected) => ApiException.Field(PathOf(name), $"`{PathOf(name)}` is missing; it has to be {expected}.", "missing_required_parameter");

    public ApiException Wrong(string name, JsonElement value, string expected) => WrongAt(PathOf(name), value, expected);

    /// <summary>What is wrong with a value anywhere in a request.</summary>
    public static ApiException WrongAt(string path, JsonElement value, string expected) =>
        ApiException.Field(path, $"`{path}` is {KindOf(value)}; it has to be {expected}.", "invalid_value");

    /// <summary>A string's text; lone surrogates and the like are the client's mistake.</summary>
    public static string StringOf(JsonElement value, string path)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw ApiException.Field(path, $"`{path}` is not valid text: it holds bytes or escapes that are no characters.", "invalid_value");
        }
    }

    /// <summary>Whether a value is one of some words.</summary>
    public static bool Is(JsonElement value, params ReadOnlySpan<string> words)
    {
        foreach (string word in words)
        {
            if (value.ValueKind == JsonValueKind.String && value.ValueEquals(word))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>A value in words; numbers and short words are shown, texts are not.</summary>
    public static string KindOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => "a string",
        JsonValueKind.Number => value.GetRawText() is { Length: <= LongestQuoted } text ? text : "a very long number",
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        JsonValueKind.Array => "an array",
        JsonValueKind.Object => "an object",
        _ => "null",
    };

    private static string NameOf(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException)
        {
            return "\uFFFD";
        }
    }

    /// <summary>A name from outside, short and without control characters.</summary>
    private static string Quote(string name) => string.Concat((name.Length > LongestQuoted ? name[..LongestQuoted] + "…" : name).Select(c => char.IsControl(c) ? '\uFFFD' : c));
}
