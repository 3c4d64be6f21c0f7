// JSON values made by hand, without reflection. Knows no shapes.
using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Kidogo.Text;

/// <summary>Builds JSON values.</summary>
public static class JsonBuilding
{
    /// <summary>What is not ASCII stays as it is: for JSON that is read as JSON, never inside a page.</summary>
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
}
