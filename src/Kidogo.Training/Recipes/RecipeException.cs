// What is wrong with a recipe. Knows no model.
namespace Kidogo.Training.Recipes;

/// <summary>A recipe that cannot be followed: an unknown field, a value outside its range, fields that contradict each other, or a file that is no
/// YAML.</summary>
public sealed class RecipeException : Exception
{
    /// <summary>Says what happened, what was expected and what to do.</summary>
    public RecipeException(string message) : base(message)
    {
    }

    /// <summary>As above, with the cause.</summary>
    public RecipeException(string message, Exception innerException) : base(message, innerException)
    {
    }

    /// <summary>An exception without a message, which nothing here throws.</summary>
    public RecipeException()
    {
    }
}
