// Typed access to JSON that a stranger wrote. Knows no tokenizer.
using System.Text.Json;

namespace Kidogo.Text.Tokenizers;

/// <summary>Reads members of a JSON object, each with its type checked and a sentence for what is wrong.</summary>
internal static class JsonFields
{
    /// <summary>The member, or null if it is absent or null.</summary>
    public static JsonElement? Member(this JsonElement element, string name)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw new TokenizerFormatException($"Expected an object with a member '{name}', found {element.ValueKind}.");
        }

        return element.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    public static JsonElement Required(this JsonElement element, string name) =>
        element.Member(name) ?? throw new TokenizerFormatException($"The member '{name}' is missing{TypeOf(element)}.");

    public static string? Text(this JsonElement element, string name) => element.Member(name) is { } value ? value.AsText(name) : null;

    public static string AsText(this JsonElement value, string name)
    {
        if (value.ValueKind != JsonValueKind.String)
        {
            throw new TokenizerFormatException($"'{name}' is {value.ValueKind}; expected a string.");
        }

        return value.GetString()!;
    }

    public static bool Flag(this JsonElement element, string name, bool whenAbsent) => element.Member(name)?.ValueKind switch
    {
        null => whenAbsent,
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind kind => throw new TokenizerFormatException($"'{name}' is {kind}; expected true or false."),
    };

    public static int? Int(this JsonElement element, string name, int min, int max) => element.Member(name) is { } value ? value.AsInt(name, min, max) : null;

    public static int AsInt(this JsonElement value, string name, int min, int max) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= min && number <= max
            ? number
            : throw new TokenizerFormatException($"'{name}' is {Shown(value)}; expected an integer from {min} to {max}.");

    /// <summary>The elements of an array member; none if it is absent.</summary>
    public static IEnumerable<JsonElement> Items(this JsonElement element, string name)
    {
        JsonElement? value = element.Member(name);
        if (value is null)
        {
            return [];
        }

        return value.Value.ValueKind == JsonValueKind.Array ? value.Value.EnumerateArray() : throw new TokenizerFormatException($"'{name}' is {value.Value.ValueKind}; expected an array.");
    }

    private static string TypeOf(JsonElement element) =>
        element.TryGetProperty("type", out JsonElement type) && type.ValueKind == JsonValueKind.String ? $" in the description of type '{type.GetString()}'" : "";

    private static string Shown(JsonElement value)
    {
        string text = value.GetRawText();
        return text.Length > 40 ? text[..40] + "…" : text;
    }
}
