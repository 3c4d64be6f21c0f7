// One JSON object a line on standard output. Knows no verb; the names are the verbs' promise.
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Kidogo.Cli.Shell;

/// <summary>Writes the objects of <c>--json</c>.</summary>
internal static class JsonOutput
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes one object and a line end.</summary>
    public static void Write(Session session, Action<Utf8JsonWriter> members)
    {
        session.Output.Flush();
        using (Utf8JsonWriter json = new(session.OutputBytes, s_options))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }

        session.OutputBytes.WriteByte((byte)'\n');
        session.OutputBytes.Flush();
    }

    /// <summary>A number, or null where it is none: JSON has no NaN and no infinity.</summary>
    public static void WriteFinite(this Utf8JsonWriter json, string name, double value)
    {
        if (double.IsFinite(value))
        {
            json.WriteNumber(name, value);
        }
        else
        {
            json.WriteNull(name);
        }
    }

    /// <summary>An array of texts.</summary>
    public static void WriteStrings(this Utf8JsonWriter json, string name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (string value in values)
        {
            json.WriteStringValue(value);
        }

        json.WriteEndArray();
    }

    /// <summary>An array of numbers.</summary>
    public static void WriteNumbers(this Utf8JsonWriter json, string name, ReadOnlySpan<int> values)
    {
        json.WriteStartArray(name);
        foreach (int value in values)
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }
}
