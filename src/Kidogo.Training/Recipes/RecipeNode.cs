// A value of a recipe as it was written: a text, a list or fields, and where it stands. Knows no field's meaning.
using System.Globalization;
using System.Text.Json;

namespace Kidogo.Training.Recipes;

/// <summary>A value of a recipe.</summary>
/// <param name="Place">Where it stands, for messages: <c>recipe.yaml, line 3</c> or <c>--size</c>.</param>
public abstract record RecipeNode(string Place)
{
    /// <summary>What kind of value it is, for messages.</summary>
    internal abstract string Kind { get; }

    /// <summary>An error about this value.</summary>
    internal RecipeException Refuse(string problem) => new($"{Place}: {problem}");

    /// <summary>Writes the value as JSON: texts that are numbers or truth values as such.</summary>
    public abstract void WriteTo(Utf8JsonWriter json);

    /// <summary>A value that was written by <see cref="WriteTo"/>.</summary>
    /// <param name="json">The value.</param>
    /// <param name="place">Where it stands.</param>
    public static RecipeNode From(JsonElement json, string place) => json.ValueKind switch
    {
        JsonValueKind.Object => new RecipeMap(place, [.. json.EnumerateObject().Select(field => KeyValuePair.Create(field.Name, From(field.Value, place)))]),
        JsonValueKind.Array => new RecipeList(place, [.. json.EnumerateArray().Select(item => From(item, place))]),
        JsonValueKind.String => new RecipeText(place, json.GetString()!),
        JsonValueKind.Null => new RecipeText(place, ""),
        _ => new RecipeText(place, json.GetRawText()),
    };
}

/// <summary>A word, a number, a truth value.</summary>
/// <param name="Place">Where it stands.</param>
/// <param name="Text">What is written.</param>
public sealed record RecipeText(string Place, string Text) : RecipeNode(Place)
{
    internal override string Kind => $"\"{(Text.Length > 60 ? Text[..60] + "…" : Text)}\"";

    /// <inheritdoc/>
    public override void WriteTo(Utf8JsonWriter json)
    {
        if (long.TryParse(Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long whole)
            && whole.ToString(CultureInfo.InvariantCulture) == Text)
        {
            json.WriteNumberValue(whole);
        }
        else if (Text is "true" or "false")
        {
            json.WriteBooleanValue(Text == "true");
        }
        else if (double.TryParse(Text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number)
            && number.ToString("R", CultureInfo.InvariantCulture) == Text)
        {
            json.WriteNumberValue(number);
        }
        else
        {
            json.WriteStringValue(Text);
        }
    }
}

/// <summary>A list.</summary>
/// <param name="Place">Where it stands.</param>
/// <param name="Items">The items.</param>
public sealed record RecipeList(string Place, IReadOnlyList<RecipeNode> Items) : RecipeNode(Place)
{
    internal override string Kind => "a list";

    /// <inheritdoc/>
    public override void WriteTo(Utf8JsonWriter json)
    {
        json.WriteStartArray();
        foreach (RecipeNode item in Items)
        {
            item.WriteTo(json);
        }

        json.WriteEndArray();
    }
}

/// <summary>Fields by name, in the order in which they are written.</summary>
/// <param name="Place">Where it stands.</param>
/// <param name="Fields">The fields.</param>
public sealed record RecipeMap(string Place, IReadOnlyList<KeyValuePair<string, RecipeNode>> Fields) : RecipeNode(Place)
{
    internal override string Kind => "a list of fields";

    /// <inheritdoc/>
    public override void WriteTo(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        foreach ((string name, RecipeNode value) in Fields)
        {
            json.WritePropertyName(name);
            value.WriteTo(json);
        }

        json.WriteEndObject();
    }
}
