// Finds a field in a line of .jsonl. Knows JSON, not tokens.
using System.Text;
using System.Text.Json;
using Kidogo.Text;

namespace Kidogo.Data.Readers;

/// <summary>Reads a line that holds one JSON object, all of it, so that a malformed line is noticed wherever it is so.</summary>
internal static class JsonLine
{
    private const int MaxDepth = 64;
    private const int MaxNamesShown = 12;

    public static JsonDocumentOptions DocumentOptions { get; } = new() { MaxDepth = MaxDepth };

    /// <summary>The field's text as UTF-8.</summary>
    /// <param name="line">Valid UTF-8.</param>
    /// <param name="field">The name.</param>
    /// <param name="file">The file, for messages.</param>
    /// <param name="number">The line, for messages.</param>
    /// <param name="replaced">Bytes of escapes that are no characters and were replaced.</param>
    /// <exception cref="DataFormatException">The line is malformed, or has no such text.</exception>
    public static ReadOnlyMemory<byte> Text(ReadOnlyMemory<byte> line, string field, string file, long number, out int replaced)
    {
        replaced = 0;
        try
        {
            return Find(line.Span, field, file, number);
        }
        catch (InvalidOperationException)
        {
            line = TextRepair.MendEscapes(line, out replaced); // half a surrogate pair, which Python's json writes
        }
        catch (JsonException failure)
        {
            throw Malformed(file, number, failure);
        }

        try
        {
            return Find(line.Span, field, file, number);
        }
        catch (Exception failure) when (failure is InvalidOperationException or JsonException)
        {
            throw Malformed(file, number, failure);
        }
    }

    /// <summary>The error for a line that is not JSON.</summary>
    public static DataFormatException Malformed(string file, long number, Exception failure) =>
        new(file, number, $"the line is not one JSON object ({Short(failure is JsonException json ? JsonProblem.Of(json) : failure.Message)}); a .jsonl file has one on each line", failure);

    private static ReadOnlyMemory<byte> Find(ReadOnlySpan<byte> line, string field, string file, long number)
    {
        Utf8JsonReader reader = new(line, new JsonReaderOptions { MaxDepth = MaxDepth });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            throw new DataFormatException(file, number, $"the line is a JSON value but not an object; expected {{\"{field}\": \"…\"}}");
        }

        ReadOnlyMemory<byte>? found = null;
        JsonTokenType kind = JsonTokenType.None;
        List<string> names = [];
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            bool isField = reader.ValueTextEquals(field);
            if (!isField && found is null && names.Count < MaxNamesShown)
            {
                names.Add(Short(reader.GetString()!));
            }

            reader.Read();
            if (isField)
            {
                kind = reader.TokenType;
                if (kind == JsonTokenType.String)
                {
                    byte[] text = new byte[reader.ValueSpan.Length];
                    found = text.AsMemory(0, reader.CopyString(text));
                }
            }

            reader.Skip();
        }

        reader.Read(); // throws where something follows the object
        return found ?? throw new DataFormatException(file, number, kind == JsonTokenType.None
            ? $"the field \"{Short(field)}\" is missing; the line has {(names.Count == 0 ? "no fields" : string.Join(", ", names))}; name another with field"
            : $"the field \"{Short(field)}\" is not text but {Name(kind)}");
    }

    private static string Name(JsonTokenType kind) => kind switch
    {
        JsonTokenType.Number => "a number",
        JsonTokenType.True or JsonTokenType.False => "true or false",
        JsonTokenType.Null => "null",
        JsonTokenType.StartArray => "a list",
        _ => "an object",
    };

    private static string Short(string text)
    {
        StringBuilder shown = new();
        foreach (char unit in text.Length > 120 ? text.AsSpan(0, 120) : text)
        {
            shown.Append(char.IsControl(unit) ? ' ' : unit);
        }

        return text.Length > 120 ? shown.Append('…').ToString() : shown.ToString();
    }
}
