// Who may come in: the host that is asked for, the page that asks, and the key. Looks at no body.
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Kidogo.Serving.Api;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Kidogo.Serving.Access;

/// <summary>Lets requests in or refuses them. Safe for several threads.</summary>
/// <remarks>
/// A page from elsewhere can make a browser send requests to this machine, and can point a name of its own at 127.0.0.1 (DNS rebinding): so on loopback the host has to be a name of
/// this machine, and an <c>Origin</c> that is not this server's own has to be allowed by name.
/// </remarks>
internal sealed class Gatekeeper
{
    private static readonly TimeSpan s_lookAgain = TimeSpan.FromSeconds(1);

    private readonly ServerOptions _options;
    private readonly TimeProvider _clock;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Client> _clients = new(StringComparer.Ordinal); // by hash
    private readonly Client _everyone;
    private IReadOnlyList<ApiKey> _keys = [];
    private DateTime _readAt;
    private long _looked;

    /// <summary>A gatekeeper.</summary>
    /// <param name="options">How the server is set up.</param>
    /// <param name="clock">The time.</param>
    /// <exception cref="KeyFileException">The file of keys is malformed.</exception>
    /// <exception cref="ServerSetupException">The server would be open to strangers.</exception>
    public Gatekeeper(ServerOptions options, TimeProvider clock)
    {
        _options = options;
        _clock = clock;
        _everyone = new Client("", null, null, clock);
        Reload();
        RequiresKey = (_keys.Count > 0 || options.Portal is not null) && !options.AllowsAnyone;
        if (!IPAddress.IsLoopback(options.Address) && !RequiresKey && !options.AllowsAnyone)
        {
            throw new ServerSetupException(
                $"Everyone who reaches {options.Address} could use this server, since there are no keys. Create one (kidogo key create NAME), listen on 127.0.0.1, or say --no-auth if that is meant.");
        }
    }

    /// <summary>Whether requests need a key.</summary>
    public bool RequiresKey { get; }

    /// <summary>Checks where a request comes from, and answers for browsers what they ask before they send it.</summary>
    /// <returns>Whether the request is answered already.</returns>
    /// <exception cref="ApiException">403: it comes from where it may not.</exception>
    public bool CheckOrigin(HttpContext http)
    {
        if (!IsOwnHost(http.Request.Host.Host))
        {
            throw new ApiException(403, "permission_error", "This server is not called by that name: use localhost, or start it with --allow-host NAME.", code: "host_not_allowed");
        }

        StringValues origin = http.Request.Headers.Origin;
        if (origin.Count == 0)
        {
            return false;
        }

        string given = origin.ToString();
        if (!IsOwnOrigin(given, http.Request) && !IsPortal(given) && !_options.AllowedOrigins.Contains(given, StringComparer.OrdinalIgnoreCase))
        {
            throw new ApiException(403, "permission_error", "Pages from there may not use this server: start it with --allow-origin ORIGIN if they should.", code: "origin_not_allowed");
        }

        http.Response.Headers.AccessControlAllowOrigin = given;
        http.Response.Headers.Vary = "Origin";
        if (!HttpMethods.IsOptions(http.Request.Method))
        {
            return false;
        }

        http.Response.Headers.AccessControlAllowMethods = "GET, POST";
        http.Response.Headers.AccessControlAllowHeaders = "authorization, content-type, x-api-key";
        http.Response.Headers.AccessControlMaxAge = "600";
        http.Response.StatusCode = StatusCodes.Status204NoContent;
        return true;
    }

    /// <summary>Who asks: the owner of a key, or who is logged in at the portal.</summary>
    /// <exception cref="ApiException">401: there is no key, or none that is known.</exception>
    public Client Identify(HttpContext http)
    {
        const string Bearer = "Bearer ";
        string header = http.Request.Headers.Authorization.ToString();
        string given = header.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) ? header[Bearer.Length..].Trim() : http.Request.Headers["X-Api-Key"].ToString();
        if (_options.Portal is { } portal && (given.Length == 0 ? portal.ClientOfSession(http) : portal.ClientOfKey(given)) is { } member)
        {
            return member;
        }

        if (!RequiresKey)
        {
            return _everyone;
        }

        if (given.Length == 0)
        {
            throw new ApiException(401, "authentication_error", "This server wants a key: send `Authorization: Bearer KEY`.", code: "missing_api_key");
        }

        byte[] hash = Encoding.ASCII.GetBytes(KeyFile.HashOf(given));
        lock (_gate)
        {
            if (_clock.GetElapsedTime(_looked) > s_lookAgain)
            {
                Reload();
            }

            ApiKey? found = null;
            foreach (ApiKey key in _keys) // all of them, whatever is found: how long it takes says nothing
            {
                found = CryptographicOperations.FixedTimeEquals(hash, Encoding.ASCII.GetBytes(key.Hash)) ? key : found;
            }

            if (found is null)
            {
                throw new ApiException(401, "authentication_error", "This key is not known here.", code: "invalid_api_key");
            }

            if (!_clients.TryGetValue(found.Hash, out Client? client))
            {
                client = new Client(found.Name, found.RequestsPerMinute, found.TokensPerMinute, _clock);
                _clients.Add(found.Hash, client);
            }

            return client;
        }
    }

    private bool IsOwnHost(string host)
    {
        if (_options.AllowedHosts.Contains(host, StringComparer.OrdinalIgnoreCase) || host.Equals(_options.Portal?.Address?.Host, StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        if (!IPAddress.IsLoopback(_options.Address))
        {
            return _options.AllowedHosts.Count == 0;
        }

        return host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase)
            || (IPAddress.TryParse(host.Trim('[', ']'), out IPAddress? address) && IPAddress.IsLoopback(address));
    }

    private bool IsPortal(string origin) => _options.Portal?.Address is { } address && origin.Equals(address.GetLeftPart(UriPartial.Authority), StringComparison.OrdinalIgnoreCase);

    private static bool IsOwnOrigin(string origin, HttpRequest request) =>
        Uri.TryCreate(origin, UriKind.Absolute, out Uri? uri) && (uri.Scheme is "http" or "https") && origin.Equals($"{uri.Scheme}://{request.Host.Value}", StringComparison.OrdinalIgnoreCase);

    /// <summary>Reads the file again where it has changed, so that a key that is revoked ends without a restart.</summary>
    private void Reload()
    {
        _looked = _clock.GetTimestamp();
        if (_options.KeyFile is not { } path)
        {
            return;
        }

        DateTime changed = File.GetLastWriteTimeUtc(path);
        if (changed == _readAt)
        {
            return;
        }

        try
        {
            _keys = KeyFile.Read(path);
            _readAt = changed;
        }
        catch (KeyFileException failure) when (_readAt != default)
        {
            _options.Warn?.Invoke(failure.Message); // the keys of before hold until it is repaired
        }
    }
}

/// <summary>The server cannot be set up as asked.</summary>
/// <param name="message">Why, and what to do.</param>
public sealed class ServerSetupException(string message) : Exception(message);
