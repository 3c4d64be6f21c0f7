// The one exception of the model store. Knows no protocol.
namespace Kidogo.Catalog.Hub;

/// <summary>What the hub, the network, an archive or the cache gave is not what was asked for, or is not accepted from a stranger.</summary>
public sealed class HubException : Exception
{
    /// <summary>Says what happened, what was expected and what to do.</summary>
    public HubException(string message) : base(message)
    {
    }

    /// <summary>As above, with the cause.</summary>
    public HubException(string message, Exception innerException) : base(message, innerException)
    {
    }

    /// <summary>An exception without a message, which nothing here throws.</summary>
    public HubException()
    {
    }

    /// <summary>Whether the hub could not be reached at all, so that a copy in the cache is the best that there is.</summary>
    public bool IsUnreachable { get; init; }
}
