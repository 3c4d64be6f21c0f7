// What training a tokenizer throws. Knows no texts.
namespace Kidogo.Text.Tokenizers.Training;

/// <summary>The one exception of training a tokenizer: settings out of range, texts without a word, or fewer possible entries than were asked for.</summary>
public sealed class TokenizerTrainingException : TokenizerException
{
    /// <summary>Says what happened, what was expected and what to do.</summary>
    public TokenizerTrainingException(string message) : base(message)
    {
    }

    /// <summary>As above, with the cause.</summary>
    public TokenizerTrainingException(string message, Exception innerException) : base(message, innerException)
    {
    }

    /// <summary>An exception without a message, which nothing here throws.</summary>
    public TokenizerTrainingException()
    {
    }

    /// <summary>The largest vocabulary that the texts support, where more was asked for; null where something else is wrong.</summary>
    public int? MostEntries { get; init; }
}
