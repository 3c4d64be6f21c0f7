// Where a download may be sent on to, and who may see the token. Knows addresses; opens no connection.
using System.Net;
using System.Net.Sockets;

namespace Kidogo.Catalog.Hub;

/// <summary>Decides about redirects: hubs keep large files on other hosts, and a hub, or somebody between, may send elsewhere.</summary>
internal static class RedirectRule
{
    private static readonly string[] s_insideEndings = [".localhost", ".local", ".internal"];

    /// <summary>Why a redirect is not followed; null where it is.</summary>
    /// <param name="endpoint">The hub that the user named.</param>
    /// <param name="from">Who sends on.</param>
    /// <param name="to">Where to.</param>
    public static string? Refusal(Uri endpoint, Uri from, Uri to)
    {
        if (to.Scheme is not ("http" or "https") || to.UserInfo.Length > 0)
        {
            return "only plain addresses of http and https are followed";
        }

        if (to.Scheme == "http" && from.Scheme == "https")
        {
            return "it leads from https to plain http, where anybody on the way can read and change it";
        }

        if (IsInside(to.Host) && !IsInside(endpoint.Host))
        {
            return "it leads from a public host to this computer or its own network";
        }

        return to.Scheme == "http" && !SameOrigin(endpoint, to) && !IsInside(to.Host) ? "it leads to another host by plain http, where anybody on the way can read and change it" : null;
    }

    /// <summary>Whether the token may go there: to the hub itself, and not in clear unless that is this computer.</summary>
    public static bool MaySeeToken(Uri endpoint, Uri to) => SameOrigin(endpoint, to) && (to.Scheme == "https" || to.IsLoopback);

    /// <summary>Whether two addresses are one host, by one protocol, at one port.</summary>
    public static bool SameOrigin(Uri one, Uri other) =>
        one.Scheme == other.Scheme && one.Port == other.Port && one.IdnHost.Equals(other.IdnHost, StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether a host is this computer or of its own network, by its name or its number.</summary>
    public static bool IsInside(string host)
    {
        string name = host.Trim('[', ']').TrimEnd('.');
        return IPAddress.TryParse(name, out IPAddress? address)
            ? IsInside(address)
            : name.Equals("localhost", StringComparison.OrdinalIgnoreCase) || s_insideEndings.Any(end => name.EndsWith(end, StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>Whether an address is no public one.</summary>
    public static bool IsInside(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
        {
            address = address.MapToIPv4();
        }

        if (address.AddressFamily == AddressFamily.InterNetworkV6)
        {
            return IPAddress.IsLoopback(address) || address.Equals(IPAddress.IPv6Any) || address.IsIPv6LinkLocal || address.IsIPv6SiteLocal || address.IsIPv6UniqueLocal || address.IsIPv6Multicast;
        }

        byte[] bytes = address.GetAddressBytes();
        return bytes switch
        {
            [0 or 10 or 127, ..] => true,
            [100, >= 64 and < 128, ..] => true, // shared by providers, RFC 6598
            [169, 254, ..] => true,
            [172, >= 16 and < 32, ..] => true,
            [192, 168, ..] => true,
            [>= 224, ..] => true,
            _ => false,
        };
    }
}
