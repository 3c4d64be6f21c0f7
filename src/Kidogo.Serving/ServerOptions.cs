// Where a server listens, who may come in, and how much a request may be. Knows no models.
using System.Net;
using Kidogo.Routing;
using Kidogo.Serving.Access;
using Kidogo.Serving.Feedback;
using Kidogo.Serving.Portal;

namespace Kidogo.Serving;

/// <summary>How a <see cref="KidogoServer"/> is set up.</summary>
public sealed record ServerOptions
{
    /// <summary>The address to listen on. Default 127.0.0.1.</summary>
    public IPAddress Address { get; init; } = IPAddress.Loopback;

    /// <summary>The port; 0 for any that is free. Default 8080.</summary>
    public int Port { get; init; } = 8080;

    /// <summary>The file of keys; null for none. With keys in it, every request but <c>/health</c> and the page needs one, on loopback too.</summary>
    public string? KeyFile { get; init; }

    /// <summary>Whether to serve beyond this machine without keys. Default false.</summary>
    public bool AllowsAnyone { get; init; }

    /// <summary>Origins of other pages that may call, such as <c>https://example.org</c>. Default none.</summary>
    public IReadOnlyList<string> AllowedOrigins { get; init; } = [];

    /// <summary>Names beside localhost by which the server may be called, such as that of a proxy in front. Default none; beyond loopback, none means any.</summary>
    public IReadOnlyList<string> AllowedHosts { get; init; } = [];

    /// <summary>The certificate to serve TLS with; null for plain HTTP, on loopback or behind a proxy.</summary>
    public Certificate? Certificate { get; init; }

    /// <summary>The portal in front; null for the chat page alone. With one, requests to the API need a key or a session of it, on loopback too. It stays the caller's.</summary>
    public PortalSite? Portal { get; init; }

    /// <summary>Where ratings of answers are kept; null for nowhere: then none are taken. It stays the caller's.</summary>
    public FeedbackStore? Feedback { get; init; }

    /// <summary>The largest body, in bytes. Default 10 MiB.</summary>
    public long MaxBodyBytes { get; init; } = 10 * 1024 * 1024;

    /// <summary>Connections at once. Default 1024.</summary>
    public int MaxConnections { get; init; } = 1024;

    /// <summary>After how long without anything to send a stream gets a comment line. Default 10 seconds.</summary>
    public TimeSpan Heartbeat { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a client that reads nothing of its stream keeps its place; then the connection is cut. Default a minute.</summary>
    public TimeSpan ReaderPatience { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How long running answers may take to end after the server was asked to stop. Default 30 seconds.</summary>
    public TimeSpan DrainTime { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The policy by which requests for <c>auto</c> may be answered elsewhere; null for none: then no connection is opened, and there are no such names.</summary>
    public RoutingOptions? Routing { get; init; }

    /// <summary>Joules that a token of an answer takes on this machine, for the policy's budget; null for unknown.</summary>
    public double? JoulesPerToken { get; init; }

    /// <summary>Told about each request in one line without contents; null for nothing.</summary>
    public Action<string>? Log { get; init; }

    /// <summary>Told about what goes wrong inside the server, without contents; null for nothing.</summary>
    public Action<string>? Warn { get; init; }
}
