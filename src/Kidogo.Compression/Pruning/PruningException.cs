// What cannot be pruned as was asked. Knows no files.
namespace Kidogo.Compression.Pruning;

/// <summary>A sparsity or a shape that cannot be, or a target that cannot be reached; the message says what can.</summary>
public sealed class PruningException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">What was asked, what can be, and what to do.</param>
    public PruningException(string message)
        : base(message)
    {
    }
}
