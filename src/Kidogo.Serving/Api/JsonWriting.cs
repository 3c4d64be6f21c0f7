// Small helps for writing JSON by hand. Knows no shapes.
using System.Text.Json;
using Kidogo.Routing;

namespace Kidogo.Serving.Api;

/// <summary>Writes JSON.</summary>
internal static class JsonWriting
{
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

    /// <summary><c>kidogo</c>: where an answer came from and why; nothing where there is no router.</summary>
    public static void WriteRoute(this Utf8JsonWriter json, RouteOutcome? route)
    {
        if (route is not null)
        {
            json.WritePropertyName(RouteOutcome.Key);
            route.Write(json);
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
