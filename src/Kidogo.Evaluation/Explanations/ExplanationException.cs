// What is wrong with an example that a person has typed. Knows no command line.
namespace Kidogo.Evaluation.Explanations;

/// <summary>An example cannot be worked: what was typed is no matrix, the shapes do not belong together, or a text is too long for a picture.</summary>
public sealed class ExplanationException : Exception
{
    /// <summary>Says what happened, what was expected and what to do.</summary>
    public ExplanationException(string message) : base(message)
    {
    }

    /// <summary>As above, with the cause.</summary>
    public ExplanationException(string message, Exception innerException) : base(message, innerException)
    {
    }

    /// <summary>An exception without a message, which nothing here throws.</summary>
    public ExplanationException()
    {
    }
}
