// What is learned from preferences. Knows no model and no data.
namespace Kidogo.Training.Recipes;

/// <summary>Which loss of preferences.</summary>
public enum PreferenceKind
{
    /// <summary>Direct preference optimisation, of pairs (arXiv 2305.18290).</summary>
    Dpo,

    /// <summary>Kahneman-Tversky optimisation, of single answers (arXiv 2402.01306).</summary>
    Kto,
}

/// <summary>Learning from preferences instead of texts.</summary>
public sealed record PreferenceRecipe
{
    /// <summary>The loss; null where only its numbers were given, which is refused.</summary>
    public PreferenceKind? Kind { get; init; }

    /// <summary>β, above 0 to 100: how dear it is to go away from the reference. Default 0.1.</summary>
    public double Beta { get; init; } = 0.1;

    /// <summary>Of kto: λ of liked answers, 0 to 100. Default 1.</summary>
    public double LikedWeight { get; init; } = 1;

    /// <summary>Of kto: λ of disliked answers, 0 to 100. Default 1.</summary>
    public double DislikedWeight { get; init; } = 1;

    /// <summary>Sequences of an item.</summary>
    public int RowsPerItem => Kind == PreferenceKind.Dpo ? 2 : 1;
}

/// <summary>The table of its fields.</summary>
internal static class PreferenceFields
{
    private const string Range = "text, dpo, kto; kidogo adapt also classify";

    public static IReadOnlyList<RecipeField> All { get; } =
    [
        new("task", "What the data are: texts, preferred and rejected answers (dpo), liked and disliked answers (kto), or labelled lines (classify)", Range, "text",
            (r, node) => node switch
            {
                RecipeText { Text: "text" } => r with { Preference = null },
                RecipeText { Text: "dpo" } => With(r, preference => preference with { Kind = PreferenceKind.Dpo }),
                RecipeText { Text: "kto" } => With(r, preference => preference with { Kind = PreferenceKind.Kto }),
                _ => throw RecipeField.Refuse(node, "task", Range),
            },
            r => r.Preference?.Kind is { } kind ? RecipeField.Written(kind.ToString().ToLowerInvariant()) : null),
        RecipeField.Number("beta", "Of dpo and kto: how dear it is to go away from the model that it began as", 0, 100, "0.1",
            (r, v) => With(r, preference => preference with { Beta = v }), r => r.Preference?.Beta, openMin: true),
        RecipeField.Number("liked_weight", "Of kto: the weight of liked answers", 0, 100, "1",
            (r, v) => With(r, preference => preference with { LikedWeight = v }), r => r.Preference?.Kind == PreferenceKind.Kto ? r.Preference.LikedWeight : null),
        RecipeField.Number("disliked_weight", "Of kto: the weight of disliked answers", 0, 100, "1",
            (r, v) => With(r, preference => preference with { DislikedWeight = v }), r => r.Preference?.Kind == PreferenceKind.Kto ? r.Preference.DislikedWeight : null),
    ];

    private static Recipe With(Recipe recipe, Func<PreferenceRecipe, PreferenceRecipe> change) => recipe with { Preference = change(recipe.Preference ?? new PreferenceRecipe()) };
}
