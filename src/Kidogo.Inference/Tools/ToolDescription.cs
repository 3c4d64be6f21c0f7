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

    /// <summary>Whether a text can be a tool's name: 1 to <see cref="LongestName"/> letters, digits, dashes and underscores, so that none is a piece of a template.</summary>
    public static bool IsName(string name) => name.Length is > 0 and <= LongestName && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-');

    /// <summary>The schema of a tool that says none.</summary>
    internal static JsonElement NoParameters { get; } = JsonBuilding.Element(json => json.WriteRawValue("""{"type":"object","properties":{}}"""));

    /// <summary>Writes it as templates read it.</summary>
    internal void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("type", "function");
        json.WriteStartObject("function");
        json.WriteString("name", Name);
        json.WriteString("description", Description ?? "");
        json.WritePropertyName("parameters");
        (Parameters ?? NoParameters).WriteTo(json);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
