// One field of a recipe: its name, meaning, range and default, how it is read and how it is written. Knows no other field.
using System.Globalization;
using Kidogo.Models.Export;

namespace Kidogo.Training.Recipes;

/// <summary>A field of a recipe. The table of fields (<see cref="RecipeFields"/>) drives the file, the options and the documentation.</summary>
public sealed class RecipeField
{
    private readonly Func<Recipe, RecipeNode, Recipe> _set;
    private readonly Func<Recipe, RecipeNode?> _get;

    internal RecipeField(string name, string meaning, string range, string usual, Func<Recipe, RecipeNode, Recipe> set, Func<Recipe, RecipeNode?> get)
    {
        Name = name;
        Meaning = meaning;
        Range = range;
        Default = usual;
        _set = set;
        _get = get;
    }

    /// <summary>The name in a file, such as <c>checkpoint_every</c>.</summary>
    public string Name { get; }

    /// <summary>The name of the option, such as <c>--checkpoint-every</c>.</summary>
    public string Option => $"--{Name.Replace('_', '-')}";

    /// <summary>What it means.</summary>
    public string Meaning { get; }

    /// <summary>Which values it may have.</summary>
    public string Range { get; }

    /// <summary>What it is where it is not given.</summary>
    public string Default { get; }

    /// <summary>Whether its option may be given several times.</summary>
    public bool IsList { get; init; }

    /// <summary>Whether it is true or false: then its option needs no value.</summary>
    public bool IsSwitch { get; init; }

    /// <summary>Sets the field.</summary>
    /// <exception cref="RecipeException">The value is outside the range.</exception>
    internal Recipe Set(Recipe recipe, RecipeNode value) => _set(recipe, value);

    /// <summary>The field's value as it may be written; null where it is not set.</summary>
    internal RecipeNode? Get(Recipe recipe) => _get(recipe);

    internal static RecipeField Number(string name, string meaning, double min, double max, string usual, Func<Recipe, double, Recipe> set,
        Func<Recipe, double?> get, bool openMin = false, bool openMax = false)
    {
        string range = string.Create(CultureInfo.InvariantCulture, $"{(openMin ? "above " : "")}{min} to {(openMax ? "below " : "")}{max}");
        return new RecipeField(name, meaning, range, usual,
            (recipe, node) => ReadNumber(node) is { } value && (openMin ? value > min : value >= min) && (openMax ? value < max : value <= max)
                ? set(recipe, value) : throw Refuse(node, name, range),
            recipe => get(recipe) is { } value ? Written(value.ToString("R", CultureInfo.InvariantCulture)) : null);
    }

    internal static RecipeField Whole(string name, string meaning, long min, long max, string usual, Func<Recipe, long, Recipe> set, Func<Recipe, long?> get)
    {
        string range = string.Create(CultureInfo.InvariantCulture, $"{min:#,0} to {max:#,0}");
        return new RecipeField(name, meaning, range, usual,
            (recipe, node) => ReadWhole(node) is { } value && value >= min && value <= max ? set(recipe, value)
                : throw Refuse(node, name, $"a whole number, {range}"),
            recipe => get(recipe) is { } value ? Written(value.ToString(CultureInfo.InvariantCulture)) : null);
    }

    internal static RecipeField Switch(string name, string meaning, Func<Recipe, bool, Recipe> set, Func<Recipe, bool?> get, string usual = "false") =>
        new(name, meaning, "true or false", usual,
            (recipe, node) => node is RecipeText { Text: "true" or "True" or "yes" or "on" } ? set(recipe, true)
                : node is RecipeText { Text: "false" or "False" or "no" or "off" } ? set(recipe, false) : throw Refuse(node, name, "true or false"),
            recipe => get(recipe) is { } value ? Written(value ? "true" : "false") : null)
        {
            IsSwitch = true,
        };

    internal static RecipeField Choice<T>(string name, string meaning, IReadOnlyList<(string Word, T Value)> words, string usual, Func<Recipe, T, Recipe> set,
        Func<Recipe, T> get)
        where T : struct
    {
        string range = string.Join(", ", words.Select(word => word.Word));
        return new RecipeField(name, meaning, range, usual,
            (recipe, node) =>
            {
                foreach ((string word, T value) in words)
                {
                    if (node is RecipeText text && text.Text.Equals(word, StringComparison.OrdinalIgnoreCase))
                    {
                        return set(recipe, value);
                    }
                }

                throw Refuse(node, name, $"one of {range}");
            },
            recipe => Written(words.First(word => word.Value.Equals(get(recipe))).Word));
    }

    internal static RecipeField Text(string name, string meaning, string range, string usual, Func<Recipe, string, Recipe> set, Func<Recipe, string?> get) =>
        new(name, meaning, range, usual,
            (recipe, node) => node is RecipeText { Text.Length: > 0 } text ? set(recipe, text.Text) : throw Refuse(node, name, range),
            recipe => get(recipe) is { } value ? Written(value) : null);

    /// <summary>A mix of formats by name.</summary>
    /// <exception cref="RecipeException">There is none of that name.</exception>
    internal static FormatMix Mix(string field, string name) => FormatMix.ForName(name) ?? throw new RecipeException($"{field} is {FormatMix.Unknown(name)}");

    /// <summary>As <see cref="ReadNumber"/>, whole and exact: a float64 has 53 bits only.</summary>
    internal static long? ReadWhole(RecipeNode node)
    {
        if (node is RecipeText text && long.TryParse(text.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long exact))
        {
            return exact;
        }

        return ReadNumber(node) is { } value && value == Math.Floor(value) && Math.Abs(value) < long.MaxValue ? (long)value : null;
    }

    /// <summary>A number, with <c>k</c>, <c>M</c> or <c>B</c> after it for thousands, millions and billions; null where it is none.</summary>
    internal static double? ReadNumber(RecipeNode node)
    {
        if (node is not RecipeText { Text: { Length: > 0 and < 40 } text })
        {
            return null;
        }

        double factor = text[^1] switch { 'k' or 'K' => 1e3, 'M' or 'm' => 1e6, 'B' or 'b' or 'G' => 1e9, _ => 1 };
        string digits = (factor == 1 ? text : text[..^1]).Replace("_", "", StringComparison.Ordinal);
        return double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && double.IsFinite(value)
            ? factor == 1 ? value : Math.Round(value * factor) : null;
    }

    internal static RecipeException Refuse(RecipeNode node, string name, string range) => node.Refuse($"{name} is {node.Kind}; it has to be {range}.");

    internal static RecipeText Written(string text) => new("", text);
}
