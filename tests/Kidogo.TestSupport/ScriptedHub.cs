// A hub of models on loopback that does what a test says: cuts, lies, stalls, sends on. Speaks just enough HTTP/1.1; knows nothing of who asks.
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Kidogo.TestSupport;

/// <summary>What was asked.</summary>
internal sealed record HubRequest(string Method, string Path, IReadOnlyDictionary<string, string> Headers)
{
    /// <summary>The first byte that is wanted.</summary>
    public long From => Headers.TryGetValue("range", out string? range) ? long.Parse(range.AsSpan(6, range.IndexOf('-', StringComparison.Ordinal) - 6), CultureInfo.InvariantCulture) : 0;
}

/// <summary>What is answered.</summary>
internal sealed record HubReply(int Status, byte[] Body)
{
    public List<string> Headers { get; init; } = [];

    /// <summary>Bytes of the body after which the line is cut; null for all of them.</summary>
    public long? CutAfter { get; init; }

    /// <summary>Whether nothing more comes after that, and the line stays open.</summary>
    public bool Stalls { get; init; }

    /// <summary>What the answer says of its length; null for the truth.</summary>
    public long? ClaimedLength { get; init; }

    /// <summary>How often the body is sent again and again.</summary>
    public int Times { get; init; } = 1;
}

/// <summary>The hub.</summary>
internal sealed class ScriptedHub : IDisposable
{
    public const string Commit = "0123456789abcdef0123456789abcdef01234567";
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private long _sent;
    private int _connections;

    public ScriptedHub()
    {
        _listener.Start();
        _ = AcceptAsync();
    }

    public Uri Endpoint => new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}");

    /// <summary>The files of every repository.</summary>
    public Dictionary<string, byte[]> Files { get; } = [];

    /// <summary>Every connection to a file's content ends after so many bytes.</summary>
    public long? CutEvery { get; set; }

    /// <summary>What the line takes; null for all.</summary>
    public double? BytesPerSecond { get; set; }

    /// <summary>Answers in place of the usual; null for the usual.</summary>
    public Func<HubRequest, HubReply?>? Script { get; set; }

    /// <summary>Changes the usual list of files.</summary>
    public Func<string, string>? ChangeListing { get; set; }

    public ConcurrentQueue<HubRequest> Requests { get; } = [];

    /// <summary>Bytes of content that were sent.</summary>
    public long SentBytes => Interlocked.Read(ref _sent);

    public int Connections => _connections;

    public static string Sha256(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));

#pragma warning disable CA5350 // git's names are SHA-1
    public static string GitHash(byte[] content) => Convert.ToHexStringLower(SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {content.Length}\0"), .. content]));
#pragma warning restore CA5350

    public static bool IsLarge(string path) => path.EndsWith(".gguf", StringComparison.Ordinal) || path.EndsWith(".safetensors", StringComparison.Ordinal) || path.EndsWith(".bin", StringComparison.Ordinal);

    /// <summary>Content without a pattern that a mistake could hide in.</summary>
    public static byte[] Content(int bytes, int seed)
    {
        byte[] content = new byte[bytes];
        new Random(seed).NextBytes(content);
        return content;
    }

    public string Listing(bool hasHashes = true)
    {
        IEnumerable<string> files = Files.Select(file => !hasHashes ? $$"""{"rfilename":"{{file.Key}}"}"""
            : IsLarge(file.Key) ? $$$"""{"rfilename":"{{{file.Key}}}","size":{{{file.Value.Length}}},"blobId":"{{{GitHash(Encoding.ASCII.GetBytes(Sha256(file.Value)))}}}","lfs":{"sha256":"{{{Sha256(file.Value)}}}","size":{{{file.Value.Length}}},"pointerSize":134}}"""
            : $$"""{"rfilename":"{{file.Key}}","size":{{file.Value.Length}},"blobId":"{{GitHash(file.Value)}}"}""");
        return $$"""{"id":"org/name","sha":"{{Commit}}","siblings":[{{string.Join(',', files)}}]}""";
    }

    /// <summary>The usual answer.</summary>
    public HubReply Usual(HubRequest request)
    {
        if (request.Path.StartsWith("/api/models/", StringComparison.Ordinal))
        {
            string listing = Listing();
            return new HubReply(200, Encoding.UTF8.GetBytes(ChangeListing?.Invoke(listing) ?? listing));
        }

        int at = request.Path.IndexOf("/resolve/", StringComparison.Ordinal);
        string path = at < 0 ? "" : Uri.UnescapeDataString(request.Path[(at + "/resolve/".Length)..]);
        path = path.Contains('/', StringComparison.Ordinal) ? path[(path.IndexOf('/', StringComparison.Ordinal) + 1)..] : path;
        return Files.TryGetValue(path, out byte[]? content) ? Content(request, path, content) : new HubReply(404, "no such file"u8.ToArray());
    }

    public HubReply Content(HubRequest request, string path, byte[] content)
    {
        string etag = IsLarge(path) ? Sha256(content) : GitHash(content);
        List<string> headers = [$"ETag: \"{etag}\"", $"X-Repo-Commit: {Commit}", "Accept-Ranges: bytes"];
        if (IsLarge(path))
        {
            headers.AddRange([$"X-Linked-Etag: \"{etag}\"", $"X-Linked-Size: {content.Length}"]);
        }

        if (request.From > 0)
        {
            headers.Add($"Content-Range: bytes {request.From}-{content.Length - 1}/{content.Length}");
        }

        return new HubReply(request.From > 0 ? 206 : 200, content[(int)request.From..]) { Headers = headers, CutAfter = CutEvery };
    }

    public void Dispose()
    {
        _end.Cancel();
        _listener.Dispose();
        _end.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket socket = await _listener.AcceptSocketAsync(_end.Token).ConfigureAwait(false);
                Interlocked.Increment(ref _connections);
                _ = ServeAsync(socket);
            }
        }
        catch (Exception failure) when (failure is OperationCanceledException or ObjectDisposedException or SocketException)
        {
            // The test is over.
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        try
        {
            using NetworkStream stream = new(socket, ownsSocket: true);
            if (await ReadAsync(stream).ConfigureAwait(false) is not { } request)
            {
                return;
            }

            Requests.Enqueue(request);
            HubReply reply = Script?.Invoke(request) ?? Usual(request);
            string head = $"HTTP/1.1 {reply.Status} X\r\nContent-Length: {reply.ClaimedLength ?? (long)reply.Body.Length * reply.Times}\r\nConnection: close\r\n{string.Concat(reply.Headers.Select(header => $"{header}\r\n"))}\r\n";
            await stream.WriteAsync(Encoding.ASCII.GetBytes(head), _end.Token).ConfigureAwait(false);
            if (request.Method == "HEAD")
            {
                return;
            }

            await SendAsync(stream, request, reply).ConfigureAwait(false);
            if (reply.Stalls)
            {
                await Task.Delay(Timeout.Infinite, _end.Token).ConfigureAwait(false);
            }

            socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception failure) when (failure is OperationCanceledException or IOException or SocketException or ObjectDisposedException)
        {
            // Whoever asked has gone, or the test is over.
        }
    }

    private async Task SendAsync(NetworkStream stream, HubRequest request, HubReply reply)
    {
        const int PieceBytes = 16 * 1024;
        bool isContent = request.Path.Contains("/resolve/", StringComparison.Ordinal);
        Stopwatch clock = Stopwatch.StartNew();
        long total = Math.Min(reply.CutAfter ?? long.MaxValue, (long)reply.Body.Length * reply.Times);
        for (long at = 0; at < total;)
        {
            int start = (int)(at % reply.Body.Length);
            int count = (int)Math.Min(Math.Min(PieceBytes, reply.Body.Length - start), total - at);
            await stream.WriteAsync(reply.Body.AsMemory(start, count), _end.Token).ConfigureAwait(false);
            at += count;
            if (isContent)
            {
                Interlocked.Add(ref _sent, count);
            }

            if (BytesPerSecond is { } rate && (at / rate) - clock.Elapsed.TotalSeconds is > 0.001 and var wait)
            {
                await Task.Delay(TimeSpan.FromSeconds(wait), _end.Token).ConfigureAwait(false);
            }
        }
    }

    private static async Task<HubRequest?> ReadAsync(NetworkStream stream)
    {
        List<byte> head = [];
        byte[] one = new byte[1];
        while (head.Count < 1 << 16 && !(head.Count >= 4 && head[^1] == '\n' && head[^3] == '\n'))
        {
            if (await stream.ReadAsync(one).ConfigureAwait(false) == 0)
            {
                return null;
            }

            head.Add(one[0]);
        }

        string[] lines = Encoding.ASCII.GetString([.. head]).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        string[] first = lines[0].Split(' ');
        return new HubRequest(first[0], first[1], lines.Skip(1).Select(line => line.Split(": ", 2)).ToDictionary(pair => pair[0].ToLowerInvariant(), pair => pair[1]));
    }
}
