// Whether a model's zeros mean something: whether it was pruned. Looks at no weights.
using Kidogo.Models.Files;

namespace Kidogo.Models.Passports;

/// <summary>Models whose zeros are to stay zeros.</summary>
public static class SparseModel
{
    /// <summary>The verb of the passports of pruned models.</summary>
    public const string Verb = "prune";

    /// <summary>Whether the passport says that single weights were pruned, in the last step or in one before. Zeros alone say nothing: rounding to few bits makes many.</summary>
    public static bool IsOne(ModelHeader header)
    {
        try
        {
            return PassportJson.Of(header) is { } passport && (IsSparse(passport.Recipe) || passport.Lineage.Any(step => IsSparse(step.Recipe)));
        }
        catch (ModelFormatException)
        {
            return false;
        }
    }

    private static bool IsSparse(PassportRecipe recipe) => recipe.Verb == Verb && recipe.Options.Any(option => option.Key is "sparsity" or "threshold");
}
