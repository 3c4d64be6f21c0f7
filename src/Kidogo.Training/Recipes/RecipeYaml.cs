// From YAML to a recipe's values. Knows no field's meaning.
using Kidogo.Text;

namespace Kidogo.Training.Recipes;

/// <summary>Reads the part of YAML that recipes are written in: fields, lists and plain values. Anchors, aliases and tags are refused.</summary>
public static class RecipeYaml
{
    /// <summary>Characters of the longest recipe.</summary>
    public const int MaxCharacters = YamlTree.MaxCharacters;

    /// <summary>Reads a file.</summary>
    /// <exception cref="RecipeException">It is no recipe.</exception>
    /// <exception cref="IOException">It is absent or cannot be read.</exception>
    public static RecipeMap ReadFile(string path) =>
        Read(() => YamlTree.ReadFile(path)) is RecipeMap map ? map : throw new RecipeException($"{path}: expected fields such as \"data: texts\", one a line.");

    /// <summary>Reads a text.</summary>
    /// <param name="text">YAML.</param>
    /// <param name="place">What it is, for messages: a file's name or an option's.</param>
    /// <exception cref="RecipeException">It is no YAML, or too large.</exception>
    public static RecipeNode Read(string text, string place) => Read(() => YamlTree.Read(text, place));

    private static RecipeNode Read(Func<YamlValue> read)
    {
        try
        {
            return From(read());
        }
        catch (YamlFormatException failure)
        {
            throw new RecipeException(failure.Message, failure);
        }
    }

    private static RecipeNode From(YamlValue value) => value switch
    {
        YamlText text => new RecipeText(text.Place, text.Text),
        YamlList list => new RecipeList(list.Place, [.. list.Items.Select(From)]),
        YamlMap map => new RecipeMap(map.Place, [.. map.Fields.Select(field => KeyValuePair.Create(field.Key, From(field.Value)))]),
        _ => throw new InvalidOperationException("YAML has no other values."),
    };
}
