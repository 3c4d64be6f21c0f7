// Small helps for writing JSON by hand. Knows no shapes.
using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Kidogo.Serving.Api;

/// <summary>Writes JSON.</summary>
internal static class JsonWriting
{
    /// <summary>For bodies: what is not ASCII stays as it is. Answers are served as JSON, never inside a page.</summary>
    public static JsonWriterOptions Options { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>The bytes of one JSON value.</summary>
    public static ReadOnlyMemory<byte> Bytes(Action<Utf8JsonWriter> write)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer, Options))
        {
            write(json);
        }

        return buffer.WrittenMemory;
    }

    /// <summary>One JSON value as an element of its own.</summary>
    public static JsonElement Element(Action<Utf8JsonWriter> write)
    {
        Utf8JsonReader reader = new(Bytes(write).Span);
        return JsonElement.ParseValue(ref reader);
    }

    public static void WriteStringOrNull(this Utf8JsonWriter json, string name, string? value)
    {
        if (value is null)
        {
            json.WriteNull(name);
        }
        else
        {
            json.WriteString(name, value);
        }
    }

    public static void WriteNumbers(this Utf8JsonWriter json, string name, ReadOnlySpan<int> values)
    {
        json.WriteStartArray(name);
        foreach (int value in values)
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }

    /// <summary>Bytes as an array of numbers, as OpenAI writes the bytes of a token.</summary>
    public static void WriteByteNumbers(this Utf8JsonWriter json, string name, ReadOnlySpan<byte> values)
    {
        json.WriteStartArray(name);
        foreach (byte value in values)
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }

    /// <summary>A number; 0 where it is none, since JSON has no infinity.</summary>
    public static void WriteFinite(this Utf8JsonWriter json, string name, double value) => json.WriteNumber(name, double.IsFinite(value) ? value : 0);
}
