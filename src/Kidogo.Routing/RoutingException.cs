// What cannot be routed or set up. Knows no wire.
namespace Kidogo.Routing;

/// <summary>A policy that cannot be used, or a request that no place may or can answer.</summary>
public sealed class RoutingException : Exception
{
    /// <summary>An error.</summary>
    /// <param name="message">What happened, what was expected, and what to do. No contents and no keys.</param>
    /// <param name="inner">What it came from.</param>
    public RoutingException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}

/// <summary>An upstream that failed.</summary>
public sealed class UpstreamException : Exception
{
    /// <summary>An error.</summary>
    /// <param name="kind">In a word: timeout, refused, redirect, status, too-large, malformed, cut, open (left alone after failures), busy.</param>
    /// <param name="message">In a sentence, without contents and keys.</param>
    /// <param name="isTransient">Whether another try might help.</param>
    /// <param name="inner">What it came from.</param>
    public UpstreamException(string kind, string message, bool isTransient, Exception? inner = null)
        : base(message, inner)
    {
        Kind = kind;
        IsTransient = isTransient;
    }

    /// <summary>What happened, in a word.</summary>
    public string Kind { get; }

    /// <summary>Whether another try might help.</summary>
    public bool IsTransient { get; }
}
