// From a file and options to a recipe without contradictions. Knows no model and no data.
namespace Kidogo.Training.Recipes;

/// <summary>Reads recipes.</summary>
public static class RecipeReader
{
    private static readonly string[][] s_alternatives = [["steps", "tokens", "minutes"], ["from", "size", "shape"]];

    /// <inheritdoc cref="Read(Recipe, string?, IEnumerable{KeyValuePair{string, IReadOnlyList{string}}})"/>
    public static Recipe Read(string? file, IEnumerable<KeyValuePair<string, IReadOnlyList<string>>> options) => Read(new Recipe(), file, options);

    /// <summary>Reads a recipe.</summary>
    /// <param name="start">What holds where neither file nor options say otherwise.</param>
    /// <param name="file">A YAML file, or null.</param>
    /// <param name="options">Fields given as options: the field's name and the texts given; they go before the file's.</param>
    /// <exception cref="RecipeException">A field is unknown, outside its range, or contradicts another.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static Recipe Read(Recipe start, string? file, IEnumerable<KeyValuePair<string, IReadOnlyList<string>>> options)
    {
        Recipe recipe = RecipeFields.Apply(start, Fields(file, options));
        RecipeCheck.Contradictions(recipe);
        return recipe;
    }

    /// <summary>The fields of a file and of options, as they were written.</summary>
    internal static RecipeMap Fields(string? file, IEnumerable<KeyValuePair<string, IReadOnlyList<string>>> options)
    {
        Dictionary<string, RecipeNode> fields = new(StringComparer.Ordinal);
        if (file is not null)
        {
            foreach ((string name, RecipeNode value) in RecipeYaml.ReadFile(file).Fields)
            {
                fields[name] = value;
            }
        }

        foreach ((string name, IReadOnlyList<string> texts) in options)
        {
            string place = $"--{name.Replace('_', '-')}";
            foreach (string other in s_alternatives.Where(group => group.Contains(name)).SelectMany(group => group)
                .Where(other => !options.Any(option => option.Key == other)))
            {
                fields.Remove(other); // --steps goes before the file's minutes too
            }

            RecipeNode[] values = [.. texts.Select(text => Value(text, place))];
            fields[name] = values.Length == 1 ? values[0] : new RecipeList(place, values);
        }

        return new RecipeMap(file ?? "options", [.. fields]);
    }

    /// <summary>An option's value: a text, or in braces or brackets what would be written in a file.</summary>
    private static RecipeNode Value(string text, string place) =>
        text is ['{', .., '}'] or ['[', .., ']'] ? RecipeYaml.Read(text, place) : new RecipeText(place, text);
}
