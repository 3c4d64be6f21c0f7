// What a tokenizer throws. Knows no tokens.
namespace Kidogo.Text.Tokenizers;

/// <summary>A tokenizer was asked something it cannot answer: an id outside its vocabulary, or a text that its own pattern cannot split in bounded time.</summary>
public class TokenizerException : Exception
{
    /// <summary>Says what happened, what was expected and what to do.</summary>
    public TokenizerException(string message) : base(message)
    {
    }

    /// <summary>As above, with the cause.</summary>
    public TokenizerException(string message, Exception innerException) : base(message, innerException)
    {
    }

    /// <summary>An exception without a message, which nothing here throws.</summary>
    public TokenizerException()
    {
    }
}

/// <summary>The one exception that reading a tokenizer's description throws: a <c>tokenizer.json</c> or a <see cref="TokenizerDefinition"/> that is malformed, contradictory or too large.</summary>
public sealed class TokenizerFormatException : TokenizerException
{
    /// <summary>Says what was found, where, and what was expected.</summary>
    public TokenizerFormatException(string message) : base(message)
    {
    }

    /// <summary>As above, with the cause.</summary>
    public TokenizerFormatException(string message, Exception innerException) : base(message, innerException)
    {
    }

    /// <summary>An exception without a message, which nothing here throws.</summary>
    public TokenizerFormatException()
    {
    }
}
