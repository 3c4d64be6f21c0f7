// The server: from a connection to an endpoint, and how it ends. Knows no shapes and no models' insides.
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using Kidogo.Inference.Telemetry;
using Kidogo.Serving.Access;
using Kidogo.Serving.Api;
using Kidogo.Serving.Pages;
using Kidogo.Serving.Routing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Kidogo.Serving;

/// <summary>Serves models over HTTP: OpenAI's completions, chat completions, responses and embeddings, llama.cpp's infill and its questions about tokens, templates and places.</summary>
/// <remarks>Reads nothing but what it is given: no settings file and no environment variable changes where it listens or what it logs.</remarks>
public sealed class KidogoServer : IAsyncDisposable
{
    private static readonly TimeSpan s_headersTime = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan s_keepAlive = TimeSpan.FromSeconds(130);

    private readonly ModelShelf _shelf;
    private readonly ModelTelemetry _telemetry = new();
    private readonly DateTimeOffset _started = DateTimeOffset.UtcNow;
    private readonly ServerOptions _options;
    private readonly Gatekeeper _gatekeeper;
    private readonly WebApplication _app;
    private readonly Dictionary<(string Method, string Path), Func<ApiCall, Task>> _routes;
    private readonly ServedRoutes? _served;
    private volatile bool _isStopping;

    /// <summary>Sets a server up.</summary>
    /// <param name="models">What is served, one or more with names of their own. They stay the caller's, and have to outlive the server.</param>
    /// <param name="options">Where and for whom.</param>
    /// <exception cref="ServerSetupException">Strangers could use it, or the options contradict each other.</exception>
    /// <exception cref="KeyFileException">The file of keys is malformed.</exception>
    public KidogoServer(IReadOnlyList<Served> models, ServerOptions options)
        : this(ModelShelf.Of(models), options)
    {
    }

    /// <summary>Sets a server up whose models are loaded when they are asked for.</summary>
    /// <param name="shelf">What is served. It stays the caller's, and has to outlive the server.</param>
    /// <param name="options">Where and for whom.</param>
    /// <inheritdoc cref="KidogoServer(IReadOnlyList{Served}, ServerOptions)"/>
    public KidogoServer(ModelShelf shelf, ServerOptions options)
    {
        _shelf = shelf;
        _options = options;
        _gatekeeper = new Gatekeeper(options, TimeProvider.System);
        _routes = Routes();
        if (options.Feedback is not null)
        {
            _routes[("POST", FeedbackEndpoint.Path)] = FeedbackEndpoint.AddAsync;
        }

        _served = options.Routing is null ? null : new ServedRoutes(shelf, options);
        _app = Build(options);
        _app.Run(AnswerAsync);
    }

    /// <summary>What answers call the program that made them: results are the same for the same one.</summary>
    public static string Fingerprint { get; } =
        $"kidogo-{typeof(KidogoServer).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "unknown"}";

    /// <summary>Whether requests need a key.</summary>
    public bool RequiresKey => _gatekeeper.RequiresKey;

    /// <summary>The names that the router adds: auto, local, and the upstreams'; none without a policy.</summary>
    public IReadOnlyList<string> RouteNames => _served?.Names ?? [];

    /// <summary>Where it listens, such as <c>http://127.0.0.1:8080</c>; known once it has started.</summary>
    public string Address { get; private set; } = "";

    /// <summary>Begins to listen.</summary>
    /// <exception cref="IOException">The address or the port is taken, or may not be used.</exception>
    public async Task StartAsync(CancellationToken cancellation = default)
    {
        await _app.StartAsync(cancellation).ConfigureAwait(false);
        Address = _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
    }

    /// <summary>Stops listening and refuses new requests; running answers may end within <see cref="ServerOptions.DrainTime"/>, then they are cut.</summary>
    public async Task StopAsync()
    {
        _isStopping = true;
        using CancellationTokenSource patience = new(_options.DrainTime);
        await _app.StopAsync(patience.Token).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync().ConfigureAwait(false);
        _telemetry.Dispose();
        _served?.Dispose();
    }

    private static WebApplication Build(ServerOptions options)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = options.MaxBodyBytes;
            kestrel.Limits.MaxConcurrentConnections = options.MaxConnections;
            kestrel.Limits.RequestHeadersTimeout = s_headersTime;
            kestrel.Limits.KeepAliveTimeout = s_keepAlive;
            kestrel.Listen(options.Address, options.Port, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                if (options.Certificate is { } certificate)
                {
                    listen.UseHttps(new TlsHandshakeCallbackOptions { HandshakeTimeout = s_headersTime, OnConnection = _ => ValueTask.FromResult(certificate.Current()) });
                }
            });
        });
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.DrainTime + TimeSpan.FromSeconds(1));
        return builder.Build();
    }

    private static Dictionary<(string Method, string Path), Func<ApiCall, Task>> Routes() => new()
    {
        [("POST", "/v1/chat/completions")] = call => ModelAnswer.RunAsync(call, ChatRequest.Read, RoutedChat.RunAsync),
        [("POST", "/v1/completions")] = call => ModelAnswer.RunAsync(call, CompletionRequest.Read),
        [("POST", "/v1/responses")] = call => ModelAnswer.RunAsync(call, ResponseRequest.Read),
        [("POST", "/v1/embeddings")] = EmbeddingsEndpoint.AnswerAsync,
        [("POST", "/v1/classify")] = ClassifyEndpoint.AnswerAsync,
        [("POST", "/infill")] = call => ModelAnswer.RunAsync(call, InfillRequest.Read),
        [("GET", "/v1/models")] = InfoEndpoints.ModelsAsync,
        [("GET", "/models")] = InfoEndpoints.ModelsAsync,
        [("GET", "/health")] = InfoEndpoints.HealthAsync,
        [("GET", "/v1/health")] = InfoEndpoints.HealthAsync,
        [("GET", "/props")] = InfoEndpoints.PropsAsync,
        [("GET", "/slots")] = InfoEndpoints.SlotsAsync,
        [("GET", "/metrics")] = MetricsEndpoint.AnswerAsync,
        [("POST", "/tokenize")] = InfoEndpoints.TokenizeAsync,
        [("POST", "/detokenize")] = InfoEndpoints.DetokenizeAsync,
        [("POST", "/apply-template")] = InfoEndpoints.ApplyTemplateAsync,
    };

    /// <summary>Answers a request, whatever happens: what goes wrong is told in OpenAI's shape.</summary>
    private async Task AnswerAsync(HttpContext http)
    {
        long start = Stopwatch.GetTimestamp();
        string summary = "";
        try
        {
            http.Response.Headers.XContentTypeOptions = "nosniff";
            if (!_gatekeeper.CheckOrigin(http))
            {
                summary = await DispatchAsync(http).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            summary = "gone";
        }
        catch (IOException) when (http.RequestAborted.IsCancellationRequested)
        {
            summary = "gone";
        }
        catch (Exception failure)
        {
            summary = await TellAsync(http, failure).ConfigureAwait(false);
        }

        if (_options.Log is { } log)
        {
            string asked = http.Request.Path.Value ?? "/";
            string path = _routes.Keys.Any(route => route.Path == asked) ? asked : _options.Portal?.LoggedPath(asked) ?? "(other)";
            log(string.Create(CultureInfo.InvariantCulture, $"{http.Request.Method} {path} {http.Response.StatusCode} {Stopwatch.GetElapsedTime(start).TotalMilliseconds:0} ms {summary}"));
        }
    }

    private async Task<string> DispatchAsync(HttpContext http)
    {
        string path = http.Request.Path.Value ?? "/";
        string method = HttpMethods.IsHead(http.Request.Method) ? "GET" : http.Request.Method;
        bool isHealth = path is "/health" or "/v1/health";
        if (_options.Portal is { } portal && !_isStopping
            && await portal.TryAnswerAsync(http, client => new ApiCall(http, _shelf, _options, client, _telemetry) { Started = _started }).ConfigureAwait(false) is { } said)
        {
            return said;
        }

        if (method == "GET" && await Page.TryAnswerAsync(http, path).ConfigureAwait(false))
        {
            return "";
        }

        Client client = isHealth ? new Client("", null, null, TimeProvider.System) : _gatekeeper.Identify(http);
        if (_isStopping)
        {
            throw new ApiException(503, "unavailable_error", "The server is shutting down.", code: "shutting_down") { RetryAfterSeconds = 5 };
        }

        client.CheckRequest();
        using ApiCall call = new(http, _shelf, _options, client, _telemetry) { Started = _started, Routes = _served };
        if (_routes.TryGetValue((method, path), out Func<ApiCall, Task>? answer))
        {
            await answer(call).ConfigureAwait(false);
        }
        else if (method == "GET" && path.StartsWith("/v1/models/", StringComparison.Ordinal))
        {
            await InfoEndpoints.ModelAsync(call, Uri.UnescapeDataString(path["/v1/models/".Length..])).ConfigureAwait(false);
        }
        else if (method == "DELETE" && _options.Feedback is not null && path.StartsWith($"{FeedbackEndpoint.Path}/", StringComparison.Ordinal))
        {
            await FeedbackEndpoint.RemoveAsync(call, Uri.UnescapeDataString(path[(FeedbackEndpoint.Path.Length + 1)..])).ConfigureAwait(false);
        }
        else if (_routes.Keys.Where(route => route.Path == path).Select(route => route.Method).ToArray() is { Length: > 0 } methods)
        {
            http.Response.Headers.Allow = string.Join(", ", methods);
            throw new ApiException(405, ApiException.InvalidRequest, $"{path} answers {string.Join(", ", methods)} only.", code: "method_not_allowed");
        }
        else
        {
            throw new ApiException(404, ApiException.InvalidRequest, $"There is nothing at this path. Try {string.Join(", ", _routes.Keys.Select(route => route.Path).Distinct())}.", code: "not_found");
        }

        return call.Summary;
    }

    private async Task<string> TellAsync(HttpContext http, Exception failure)
    {
        ApiException? told = ApiCall.Translate(failure);
        if (told is null)
        {
            // The message might quote what a client sent; the kind and the place do not.
            _options.Warn?.Invoke($"A request failed inside the server: {failure.GetType().Name} {failure.StackTrace?.Split('\n')[0].Trim()}");
            told = new ApiException(500, "server_error", "Something went wrong inside the server. Its log says what.", code: "internal_error");
        }

        if (http.Response.HasStarted)
        {
            http.Abort();
            return "cut";
        }

        try
        {
            await ApiCall.WriteErrorAsync(http, told).ConfigureAwait(false);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException)
        {
            return "gone";
        }

        return "";
    }

    /// <summary>The program decides when to stop, not the host.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
