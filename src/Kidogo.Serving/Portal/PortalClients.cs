// Whose allowance a request uses: an account's, a key's within it, or that of a visitor's address. Knows no cookies and no secrets.
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Kidogo.Serving.Access;
using Microsoft.AspNetCore.Http;
using Microsoft.Data.Sqlite;

namespace Kidogo.Serving.Portal;

/// <summary>Finds the allowance. For any number of threads.</summary>
internal sealed class PortalClients(PortalSettings settings, Counts counts, TimeProvider clock)
{
    private readonly ConcurrentDictionary<long, Client> _accounts = new();
    private readonly ConcurrentDictionary<long, Client> _keys = new();

    /// <summary>Of an account.</summary>
    public Client Of(long user) =>
        _accounts.GetOrAdd(user, id => new Client(NameOf(id), settings.Accounts.RequestsPerMinute, settings.Accounts.TokensPerMinute, clock, count: (requests, tokens) => Count(id, requests, tokens)));

    /// <summary>Of a key, within its account's.</summary>
    public Client Of(OwnKey key, long user) => _keys.GetOrAdd(key.Id, _ => new Client(NameOf(user), key.RequestsPerMinute, key.TokensPerMinute, clock, Of(user)));

    /// <summary>Lets go of a key that is revoked.</summary>
    public void ForgetKey(long id) => _keys.TryRemove(id, out _);

    /// <summary>Lets go of an account that is removed, with its keys.</summary>
    public void Forget(long user, IEnumerable<OwnKey> keys)
    {
        _accounts.TryRemove(user, out _);
        foreach (OwnKey key in keys)
        {
            ForgetKey(key.Id);
        }
    }

    /// <summary>Of a visitor, by address; requests of all of them are counted together.</summary>
    public Client OfVisitor(IPAddress address, int requestsPerMinute) =>
        new($"visitor\n{address}", requestsPerMinute, null, clock, count: (requests, tokens) => Count(PortalSchema.Nobody, requests, tokens));

    /// <summary>Where a request comes from: what a trusted proxy says, else the other end of the connection. Of an IPv6 address the half that its owner does not choose.</summary>
    public IPAddress AddressOf(HttpContext http)
    {
        IPAddress address = Plain(http.Connection.RemoteIpAddress ?? IPAddress.None);
        string[] forwarded = [.. http.Request.Headers["X-Forwarded-For"].SelectMany(line => (line ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))];
        for (int i = forwarded.Length - 1; i >= 0 && settings.Proxies.Contains(address) && IPAddress.TryParse(forwarded[i], out IPAddress? before); i--)
        {
            address = Plain(before); // each proxy has added the one that it heard from
        }

        if (address.AddressFamily != AddressFamily.InterNetworkV6)
        {
            return address;
        }

        byte[] bytes = address.GetAddressBytes();
        bytes.AsSpan(8).Clear();
        return new IPAddress(bytes);
    }

    private static IPAddress Plain(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;

    // Own keys and sessions of an account find each other's cached prompts.
    private static string NameOf(long user) => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"account\n{user}");

    private void Count(long user, long requests, long tokens)
    {
        try
        {
            counts.Add(user, requests, tokens);
        }
        catch (SqliteException)
        {
            // Numbers are lost; whoever asks gets an answer all the same.
        }
    }
}

/// <summary>Allowances by address, of the addresses that were seen last. For any number of threads.</summary>
/// <param name="make">Makes the allowance of an address.</param>
internal sealed class AddressAllowances(Func<IPAddress, Client> make)
{
    private const int Most = 10_000;

    private readonly Lock _gate = new();
    private readonly Dictionary<IPAddress, LinkedListNode<(IPAddress Address, Client Client)>> _known = [];
    private readonly LinkedList<(IPAddress Address, Client Client)> _byUse = new();

    /// <summary>The allowance of an address.</summary>
    public Client Of(IPAddress address)
    {
        lock (_gate)
        {
            if (_known.TryGetValue(address, out LinkedListNode<(IPAddress Address, Client Client)>? node))
            {
                _byUse.Remove(node);
            }
            else
            {
                if (_known.Count >= Most)
                {
                    _known.Remove(_byUse.First!.Value.Address);
                    _byUse.RemoveFirst();
                }

                node = new LinkedListNode<(IPAddress, Client)>((address, make(address)));
                _known.Add(address, node);
            }

            _byUse.AddLast(node);
            return node.Value.Client;
        }
    }
}
