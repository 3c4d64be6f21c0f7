// A tool as a model is told of it. Knows not what it does.
using System.Text.Json;
using Kidogo.Text;

namespace Kidogo.Inference.Tools;

/// <summary>A function that a model may ask for.</summary>
/// <param name="Name">What the model calls it; see <see cref="IsName"/>.</param>
/// <param name="Description">What it does, in words; null for none.</param>
/// <param name="Parameters">A JSON schema of its arguments, an object; null for none.</param>
/// <param name="IsStrict">Whether the arguments of its calls always obey the schema.</param>
public sealed record ToolDescription(string Name, string? Description, JsonElement? Parameters, bool IsStrict = false)
{
    /// <summary>The most tools of a request.</summary>
    public const int Most = 128;

    /// <summary>The most characters of a name.</summary>
    public const int LongestName = 64;

    private static readonly JsonElement s_noParameters = JsonBuilding.Element(json => json.WriteRawValue("""{"type":"object","properties":{}}"""));

    /// <summary>What its arguments obey.</summary>
    internal JsonElement Schema => Parameters ?? s_noParameters;

    /// <summary>Whether a text can be a tool's name: 1 to <see cref="LongestName"/> letters, digits, dashes and underscores, so that none is a piece of a template.</summary>
    public static bool IsName(string name) => name.Length is > 0 and <= LongestName && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-');

    /// <summary>Writes it as templates read it.</summary>
    internal void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("type", "function");
        json.WriteStartObject("function");
        json.WriteString("name", Name);
        json.WriteString("description", Description ?? "");
        json.WritePropertyName("parameters");
        Schema.WriteTo(json);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
