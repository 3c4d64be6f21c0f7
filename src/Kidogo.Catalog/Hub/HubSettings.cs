// Where the hub is, who asks, and how patiently: from the environment variables that Hugging Face's programs heed. Opens no connection.
using System.Globalization;
using Kidogo.Models;

namespace Kidogo.Catalog.Hub;

/// <summary>How the hub is spoken to.</summary>
public sealed record HubSettings
{
    private const int LongestToken = 1024;

    /// <summary>The folder of the cache (<c>HF_HUB_CACHE</c>, <c>HF_HOME</c>, <c>XDG_CACHE_HOME</c>).</summary>
    public required string CacheFolder { get; init; }

    /// <summary>The hub's address without a slash at its end (<c>HF_ENDPOINT</c>).</summary>
    public Uri Endpoint { get; init; } = new("https://huggingface.co");

    /// <summary>What proves who asks (<c>HF_TOKEN</c>, else the file <c>HF_TOKEN_PATH</c>, else <c>token</c> in <c>HF_HOME</c>); null for nobody. It goes to <see cref="Endpoint"/> and nowhere else.</summary>
    public string? Token { get; init; }

    /// <summary>Whether no connection may be opened (<c>HF_HUB_OFFLINE</c>).</summary>
    public bool IsOffline { get; init; }

    /// <summary>How long a connection, or an answer about a file, may take (<c>HF_HUB_ETAG_TIMEOUT</c>, in seconds).</summary>
    public TimeSpan EtagTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a download may bring nothing before the line counts as dead (<c>HF_HUB_DOWNLOAD_TIMEOUT</c>, in seconds).</summary>
    public TimeSpan DownloadTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Whether no bar is wanted (<c>HF_HUB_DISABLE_PROGRESS_BARS</c>).</summary>
    public bool HidesProgress { get; init; }

    /// <summary>Bytes a second that downloads may take; null for all there are.</summary>
    public long? MaxBytesPerSecond { get; init; }

    /// <summary>How often in a row an attempt may bring nothing new before it is given up.</summary>
    public int Attempts { get; init; } = 8;

    /// <summary>What the first pause between attempts is; each further one is twice as long, up to 64 times.</summary>
    public TimeSpan FirstPause { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>As the environment says.</summary>
    /// <exception cref="HubException">A variable holds something that it cannot mean. A token is never shown.</exception>
    public static HubSettings FromEnvironment() => new()
    {
        CacheFolder = ModelPlaces.FromEnvironment().CacheFolder,
        Endpoint = EndpointOf(Environment.GetEnvironmentVariable("HF_ENDPOINT")),
        Token = IsSet("HF_HUB_DISABLE_IMPLICIT_TOKEN") ? null : ReadToken(),
        IsOffline = IsSet("HF_HUB_OFFLINE") || IsSet("TRANSFORMERS_OFFLINE"),
        EtagTimeout = Seconds("HF_HUB_ETAG_TIMEOUT"),
        DownloadTimeout = Seconds("HF_HUB_DOWNLOAD_TIMEOUT"),
        HidesProgress = IsSet("HF_HUB_DISABLE_PROGRESS_BARS"),
    };

    /// <summary>An address of a hub.</summary>
    /// <exception cref="HubException">It is none.</exception>
    internal static Uri EndpointOf(string? text)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            return new Uri("https://huggingface.co");
        }

        return Uri.TryCreate(text.Trim().TrimEnd('/'), UriKind.Absolute, out Uri? uri) && uri.Scheme is "http" or "https" && uri is { UserInfo: "", Query: "", Fragment: "", Host.Length: > 0 }
            ? uri
            : throw new HubException("HF_ENDPOINT is no address of a hub; expected one such as https://huggingface.co, without a name, a password or a question mark in it.");
    }

    private static bool IsSet(string name) => Environment.GetEnvironmentVariable(name)?.Trim().ToUpperInvariant() is "1" or "ON" or "YES" or "TRUE";

    private static TimeSpan Seconds(string name)
    {
        const double Usual = 10, Longest = 86_400;
        string? text = Environment.GetEnvironmentVariable(name);
        return string.IsNullOrWhiteSpace(text) ? TimeSpan.FromSeconds(Usual)
            : double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double seconds) && seconds is > 0 and <= Longest ? TimeSpan.FromSeconds(seconds)
            : throw new HubException($"{name} has to be a number of seconds above 0 and up to {Longest}.");
    }

    private static string? ReadToken()
    {
        foreach (string name in (string[])["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])
        {
            if (Environment.GetEnvironmentVariable(name) is { } given && given.Trim().Length > 0)
            {
                return Checked(given, name);
            }
        }

        string path = ModelPlaces.Variable("HF_TOKEN_PATH") ?? Path.Combine(ModelPlaces.HubHome(), "token");
        return !File.Exists(path) ? null
            : new FileInfo(path).Length > LongestToken ? throw new HubException($"{path} has more than the {LongestToken} bytes that a token may have. Is it the right file?")
            : File.ReadAllText(path).Trim() is { Length: > 0 } stored ? Checked(stored, path) : null;
    }

    /// <summary>A token goes into a header: a line end in it would begin another.</summary>
    private static string Checked(string token, string where) => token.Trim() is { Length: <= LongestToken } plain && plain.All(c => c is > ' ' and < '\x7F')
        ? plain
        : throw new HubException($"What {where} holds is no token: expected up to {LongestToken} letters, digits and marks without spaces. (It is not shown here.)");
}
