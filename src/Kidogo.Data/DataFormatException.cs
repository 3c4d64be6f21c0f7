// What is wrong with training data. Knows no tokens and no models.
namespace Kidogo.Data;

/// <summary>The one exception of this room for data that cannot be used: no texts, a field that is missing, a malformed line, a conversation that does not fit,
/// a damaged file.</summary>
/// <remarks>Files that are absent or may not be read give an <see cref="IOException"/> or <see cref="UnauthorizedAccessException"/> as everywhere.</remarks>
public sealed class DataFormatException : Exception
{
    /// <summary>An exception without a place.</summary>
    public DataFormatException(string message) : base(message) => Problem = message;

    /// <summary>As above, with the cause.</summary>
    public DataFormatException(string message, Exception innerException) : base(message, innerException) => Problem = message;

    /// <summary>An exception without a message, which nothing here throws.</summary>
    public DataFormatException() => Problem = Message;

    /// <summary>A problem in a file, with its line if that is known.</summary>
    /// <param name="path">The file.</param>
    /// <param name="line">The line from 1, counted by line feeds of the text as unpacked; 0 where there is none.</param>
    /// <param name="problem">What happened, what was expected and what to do.</param>
    /// <param name="innerException">The cause, if any.</param>
    public DataFormatException(string path, long line, string problem, Exception? innerException = null)
        : base(line > 0 ? $"{path}, line {line}: {problem}" : $"{path}: {problem}", innerException)
    {
        Path = path;
        Line = line;
        Problem = problem;
    }

    /// <summary>The file, or null.</summary>
    public string? Path { get; }

    /// <summary>The line from 1; 0 where there is none.</summary>
    public long Line { get; }

    /// <summary>The message without the place.</summary>
    public string Problem { get; }
}
