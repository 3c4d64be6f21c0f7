// What is wrong with a grammar, a schema or a regular expression.
namespace Kidogo.Inference.Constraints;

/// <summary>A grammar, a JSON schema or a regular expression cannot be used: it is malformed, asks for what Kidogo cannot enforce, or is too large.</summary>
public sealed class GrammarException : Exception
{
    /// <summary>An exception without a message.</summary>
    public GrammarException()
    {
    }

    /// <summary>An exception with a message.</summary>
    /// <param name="message">What is wrong, where, and what was expected.</param>
    public GrammarException(string message)
        : base(message)
    {
    }

    /// <summary>An exception that another caused.</summary>
    /// <param name="message">What is wrong, where, and what was expected.</param>
    /// <param name="inner">The cause.</param>
    public GrammarException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
