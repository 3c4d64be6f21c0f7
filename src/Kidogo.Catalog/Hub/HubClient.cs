// Requests to a hub: redirects by rule, the token to the hub alone, time-outs, and never more of an answer than is expected. Knows no cache.
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using Kidogo.Models.Files;

namespace Kidogo.Catalog.Hub;

/// <summary>An answer, with what the hub said on the way to it.</summary>
/// <param name="Message">The answer; its content is not read yet.</param>
/// <param name="LinkedEtag">The name of the content, where the hub gave one before it sent on.</param>
/// <param name="LinkedBytes">Its length, likewise.</param>
internal sealed record HubAnswer(HttpResponseMessage Message, string? LinkedEtag, long? LinkedBytes) : IDisposable
{
    public void Dispose() => Message.Dispose();
}

/// <summary>Speaks to one hub.</summary>
/// <param name="settings">Which, and how.</param>
/// <param name="handler">Makes what sends; null for sockets. Not called when offline.</param>
/// <param name="clock">The clock.</param>
internal sealed class HubClient(HubSettings settings, Func<HttpMessageHandler>? handler = null, TimeProvider? clock = null) : IDisposable
{
    private const int MostRedirects = 5;
    private const int MostAnswerBytes = 32 * 1024 * 1024;
    private const int FewAttempts = 3; // for a first word; a download has more patience
    private readonly TimeProvider _clock = clock ?? TimeProvider.System;
    private HttpMessageInvoker? _invoker;

    /// <summary>The clock.</summary>
    public TimeProvider Clock => _clock;

    /// <summary>What a repository holds.</summary>
    /// <param name="repository"><c>org/name</c>.</param>
    /// <param name="revision">A branch, tag or commit.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="HubException">It is not there, not for us, or the hub cannot be reached.</exception>
    public async Task<HubListing> ListAsync(string repository, string revision, CancellationToken cancellation)
    {
        Uri address = At($"/api/models/{repository}/revision/{Uri.EscapeDataString(revision)}?blobs=true");
        byte[] json = await RetriedAsync(repository, async token =>
        {
            using HubAnswer answer = await SendAsync(HttpMethod.Get, address, settings.EtagTimeout, null, token).ConfigureAwait(false);
            Demand(answer.Message, $"{repository} at {revision}");
            return await ReadAsync(answer.Message, token).ConfigureAwait(false);
        }, cancellation).ConfigureAwait(false);
        return HubListing.Parse(repository, json);
    }

    /// <summary>The length and the name of a file's content, where the listing did not give them.</summary>
    public Task<HubFile> HeadAsync(HubListing listing, HubFile file, CancellationToken cancellation) => RetriedAsync(file.Path, async token =>
    {
        using HubAnswer answer = await SendAsync(HttpMethod.Head, AddressOf(listing, file.Path), settings.EtagTimeout, null, token).ConfigureAwait(false);
        Demand(answer.Message, $"{file.Path} of {listing.Repository}");
        string? etag = answer.LinkedEtag ?? Name(answer.Message.Headers.ETag?.Tag);
        long? bytes = answer.LinkedBytes ?? answer.Message.Content.Headers.ContentLength;
        return (file.Bytes is { } one && bytes is { } other && one != other) || (file.Etag is { } listed && etag is not null && ContentHash.IsKnown(etag) && listed != etag)
            ? throw new HubException($"The hub contradicts itself about {file.Path} of {listing.Repository}: it lists {file.Bytes} bytes ({file.Etag ?? "no hash"}) and announces {bytes} ({etag ?? "no hash"}). Nothing is taken.")
            : file with { Bytes = file.Bytes ?? bytes, Etag = file.Etag ?? (ContentHash.IsKnown(etag) ? etag : null) };
    }, cancellation);

    /// <summary>Begins to fetch a file.</summary>
    /// <param name="listing">Its repository and commit.</param>
    /// <param name="path">The file.</param>
    /// <param name="from">The first byte that is wanted.</param>
    /// <param name="unchanged">The rest is wanted only if this still names what is sent; null where that is not known.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="LineException">It may go well next time.</exception>
    /// <exception cref="HubException">It will not.</exception>
    public Task<HubAnswer> OpenAsync(HubListing listing, string path, long from, EntityTagHeaderValue? unchanged, CancellationToken cancellation) =>
        SendAsync(HttpMethod.Get, AddressOf(listing, path), settings.DownloadTimeout, request =>
        {
            if (from > 0)
            {
                request.Headers.Range = new RangeHeaderValue(from, null);
                request.Headers.IfRange = unchanged is null ? null : new RangeConditionHeaderValue(unchanged);
            }
        }, cancellation);

    /// <summary>Throws where an answer is not what was asked for.</summary>
    /// <param name="message">The answer.</param>
    /// <param name="what">What was asked for, for messages.</param>
    public void Demand(HttpResponseMessage message, string what)
    {
        if (message.IsSuccessStatusCode)
        {
            return;
        }

        int status = (int)message.StatusCode;
        string said = message.Headers.TryGetValues("X-Error-Message", out IEnumerable<string>? words) ? $" It says {ModelFormatException.Quote(string.Join(' ', words), 200)}." : "";
        if (status is 408 or 425 or 429 or >= 500)
        {
            throw LineException.Of($"{settings.Endpoint.Host} answered {status} for {what}.{said}", message.Headers.RetryAfter, _clock);
        }

        string who = settings.Token is null ? "set HF_TOKEN to a token of yours" : RedirectRule.MaySeeToken(settings.Endpoint, settings.Endpoint) ? "see whether your token (HF_TOKEN) may read it" : "HF_ENDPOINT is plain http, so the token was kept back: use https";
        throw new HubException(status switch
        {
            401 or 403 => $"{settings.Endpoint.Host} refuses {what} ({status}).{said} If its licence has to be accepted, do so on its page; then {who}.",
            404 => $"{settings.Endpoint.Host} knows no {what} (404).{said} See the spelling; if it is private, {who}.",
            _ => $"{settings.Endpoint.Host} answered {status} for {what}.{said} Is HF_ENDPOINT the address of a hub?",
        });
    }

    /// <summary>What a stream's reading throws, as one of ours: the line's failures are worth another attempt, an interruption is not.</summary>
    public static Exception Translate(Exception failure, TimeSpan timeout, CancellationToken cancellation) => failure switch
    {
        OperationCanceledException when cancellation.IsCancellationRequested => failure,
        OperationCanceledException => new LineException(string.Create(CultureInfo.InvariantCulture, $"nothing came for {timeout.TotalSeconds:0.#} seconds."), failure),
        HttpRequestException { InnerException: HubException refused } => refused,
        HttpRequestException or IOException or SocketException => new LineException($"{(failure.InnerException ?? failure).Message.TrimEnd('.')}.", failure),
        _ => failure,
    };

    /// <inheritdoc/>
    public void Dispose() => _invoker?.Dispose();

    private static string? Name(string? tag)
    {
        string plain = tag is null ? "" : (tag.StartsWith("W/", StringComparison.Ordinal) ? tag[2..] : tag).Trim('"');
        return plain.Length == 0 ? null : plain;
    }

    private Uri At(string path) => new($"{settings.Endpoint.AbsoluteUri.TrimEnd('/')}{path}");

    private Uri AddressOf(HubListing listing, string path) => At($"/{listing.Repository}/resolve/{listing.Commit}/{string.Join('/', path.Split('/').Select(Uri.EscapeDataString))}");

    private async Task<T> RetriedAsync<T>(string what, Func<CancellationToken, Task<T>> attempt, CancellationToken cancellation)
    {
        Patience patience = new(settings, Math.Min(FewAttempts, settings.Attempts), _clock);
        while (true)
        {
            try
            {
                return await attempt(cancellation).ConfigureAwait(false);
            }
            catch (LineException failure)
            {
                await patience.PauseAsync(failure, $"{settings.Endpoint.Host} could not be asked about {what}", cancellation).ConfigureAwait(false);
            }
        }
    }

    private async Task<HubAnswer> SendAsync(HttpMethod method, Uri address, TimeSpan timeout, Action<HttpRequestMessage>? change, CancellationToken cancellation)
    {
        if (settings.IsOffline)
        {
            throw new HubException("No connection is opened: --offline or HF_HUB_OFFLINE says so.");
        }

        _invoker ??= new HttpMessageInvoker(handler?.Invoke() ?? MakeHandler());
        (string? etag, long? bytes) = (null, null);
        for (int redirects = 0; ; redirects++)
        {
            HttpResponseMessage message = await SendOnceAsync(method, address, timeout, change, cancellation).ConfigureAwait(false);
            etag ??= Header(message, "X-Linked-Etag") is { } tag && ContentHash.IsKnown(Name(tag)) ? Name(tag) : null;
            bytes ??= long.TryParse(Header(message, "X-Linked-Size"), NumberStyles.None, CultureInfo.InvariantCulture, out long size) ? size : null;
            if ((int)message.StatusCode is not (301 or 302 or 303 or 307 or 308) || message.Headers.Location is not { } location)
            {
                return new HubAnswer(message, etag, bytes);
            }

            Uri next = new(address, location);
            if (method == HttpMethod.Head && etag is not null && bytes is not null)
            {
                message.StatusCode = HttpStatusCode.OK; // the hub has said what was asked; where the content lies is of no matter
                return new HubAnswer(message, etag, bytes);
            }

            message.Dispose();
            if (RedirectRule.Refusal(settings.Endpoint, address, next) is { } reason)
            {
                throw new HubException($"{address.Host} sends on to {ModelFormatException.Quote(next.GetLeftPart(UriPartial.Authority))}, which is not followed: {reason}.");
            }

            if (redirects == MostRedirects)
            {
                throw new HubException($"{settings.Endpoint.Host} sends on more than {MostRedirects} times, perhaps in a circle.");
            }

            address = next;
        }
    }

    private async Task<HttpResponseMessage> SendOnceAsync(HttpMethod method, Uri address, TimeSpan timeout, Action<HttpRequestMessage>? change, CancellationToken cancellation)
    {
        using HttpRequestMessage request = new(method, address);
        request.Headers.UserAgent.Add(new ProductInfoHeaderValue("kidogo", typeof(HubClient).Assembly.GetName().Version?.ToString(2) ?? "0"));
        request.Headers.TryAddWithoutValidation("Accept-Encoding", "identity"); // ranges and hashes are of the file, not of what it is packed in
        if (settings.Token is { } token && RedirectRule.MaySeeToken(settings.Endpoint, address))
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        change?.Invoke(request);
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(timeout);
        try
        {
            return await _invoker!.SendAsync(request, limit.Token).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is OperationCanceledException or HttpRequestException or IOException)
        {
            throw Translate(failure, timeout, cancellation);
        }
    }

    private async Task<byte[]> ReadAsync(HttpResponseMessage message, CancellationToken cancellation)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        try
        {
            limit.CancelAfter(settings.DownloadTimeout);
            await using Stream stream = await message.Content.ReadAsStreamAsync(limit.Token).ConfigureAwait(false);
            using MemoryStream all = new();
            byte[] buffer = new byte[1 << 16];
            while (true)
            {
                limit.CancelAfter(settings.DownloadTimeout);
                int count = await stream.ReadAsync(buffer, limit.Token).ConfigureAwait(false);
                if (count == 0)
                {
                    return all.ToArray();
                }

                if (all.Length + count > MostAnswerBytes)
                {
                    throw new HubException($"{settings.Endpoint.Host} answers with more than the {MostAnswerBytes} bytes that a list of files may have.");
                }

                all.Write(buffer, 0, count);
            }
        }
        catch (Exception failure) when (failure is OperationCanceledException or HttpRequestException or IOException)
        {
            throw Translate(failure, settings.DownloadTimeout, cancellation);
        }
    }

    private static string? Header(HttpResponseMessage message, string name) => message.Headers.TryGetValues(name, out IEnumerable<string>? values) ? values.FirstOrDefault() : null;

    private SocketsHttpHandler MakeHandler() => new()
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        AutomaticDecompression = DecompressionMethods.None,
        ConnectTimeout = settings.EtagTimeout,
        ResponseDrainTimeout = TimeSpan.Zero,
        MaxResponseHeadersLength = 64, // KiB
        ConnectCallback = ConnectAsync,
    };

    /// <summary>Looks at where a name really leads: one of a public host may point to this computer.</summary>
    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        string host = context.DnsEndPoint.Host;
        IPAddress[] addresses = IPAddress.TryParse(host, out IPAddress? number) ? [number] : await Dns.GetHostAddressesAsync(host, cancellation).ConfigureAwait(false);
        bool isSentOn = host.Equals(context.InitialRequestMessage.RequestUri?.IdnHost, StringComparison.OrdinalIgnoreCase) // and not a proxy
            && !host.Equals(settings.Endpoint.IdnHost, StringComparison.OrdinalIgnoreCase);
        if (isSentOn && !RedirectRule.IsInside(settings.Endpoint.Host) && addresses.Any(RedirectRule.IsInside))
        {
            throw new HubException($"{settings.Endpoint.Host} sends on to {host}, a name that leads to this computer or its own network, and is not followed.");
        }

        Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, context.DnsEndPoint.Port, cancellation).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
