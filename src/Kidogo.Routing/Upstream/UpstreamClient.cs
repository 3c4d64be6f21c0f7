// A connection to one upstream: opened with patience that ends, tried again, left alone when it fails. Knows no policy and no privacy.
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.Extensions.AI;
using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;
using Polly.Timeout;

namespace Kidogo.Routing.Upstream;

/// <summary>Asks one model elsewhere. Follows no redirect, keeps no cookie, unpacks nothing, reads no more bytes than it may, and says nothing of keys.</summary>
/// <remarks>No connection is opened before the first request. Tries end with the first token: from then on a failure is told, and nothing is asked twice.</remarks>
public sealed class UpstreamClient : IChatClient
{
    private const int MaxKeyBytes = 4096;

    private static readonly ResiliencePropertyKey<long> s_began = new("kidogo.began");
    private static readonly TimeSpan s_leastTime = TimeSpan.FromMilliseconds(1); // nothing or less would mean for ever

    private readonly UpstreamOptions _options;
    private readonly HttpClient _http;
    private readonly SemaphoreSlim _places;
    private readonly CircuitBreakerStateProvider _breaker = new();
    private readonly ResiliencePipeline<UpstreamStream> _pipeline;
    private readonly ChatClientMetadata _metadata;
    private readonly TimeProvider _clock;
    private long _aloneUntil;

    /// <summary>A client that is not connected yet.</summary>
    /// <param name="options">Where it is.</param>
    /// <param name="clock">Counts the time of tries; null for the system's.</param>
    /// <exception cref="RoutingException">The address would send contents and keys where others read them.</exception>
    public UpstreamClient(UpstreamOptions options, TimeProvider? clock = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Endpoint.Scheme != Uri.UriSchemeHttps && !options.Endpoint.IsLoopback && !options.AllowsHttp)
        {
            throw new RoutingException($"{options.Name}: {options.Endpoint.Scheme}://{options.Endpoint.Host} is not encrypted, so everyone on the way reads the requests and the key. Use https, or allow_http: true within a network that you trust.");
        }

        _options = options;
        _clock = clock ?? TimeProvider.System;
        _places = new SemaphoreSlim(options.MaxConcurrent);
        _metadata = new ChatClientMetadata("openai", options.Endpoint, options.Model ?? options.Name);
        _http = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = options.Endpoint.Scheme == Uri.UriSchemeHttps,
            ConnectTimeout = options.ConnectTime,
            AutomaticDecompression = DecompressionMethods.None,
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            MaxResponseHeadersLength = 64,
            ActivityHeadersPropagator = null,
        }) { Timeout = Timeout.InfiniteTimeSpan };
        ResiliencePipelineBuilder<UpstreamStream> builder = new() { TimeProvider = _clock };
        if (options.Retries > 0)
        {
            builder.AddRetry(new RetryStrategyOptions<UpstreamStream>
            {
                MaxRetryAttempts = options.Retries,
                Delay = TimeSpan.FromMilliseconds(100),
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                ShouldHandle = args => ValueTask.FromResult(args.Outcome.Exception is UpstreamException { IsTransient: true }),
            });
        }

        _pipeline = builder.AddCircuitBreaker(new CircuitBreakerStrategyOptions<UpstreamStream>
        {
            FailureRatio = 0.5,
            MinimumThroughput = options.BreakerFailures,
            SamplingDuration = TimeSpan.FromSeconds(30),
            BreakDuration = options.BreakerTime,
            StateProvider = _breaker,
            OnOpened = _ =>
            {
                Volatile.Write(ref _aloneUntil, _clock.GetTimestamp() + (long)(options.BreakerTime.TotalSeconds * _clock.TimestampFrequency));
                return ValueTask.CompletedTask;
            },
            ShouldHandle = args => ValueTask.FromResult(args.Outcome.Exception is UpstreamException { Kind: not "request" } or TimeoutRejectedException),
        }).AddTimeout(new TimeoutStrategyOptions { TimeoutGenerator = args => ValueTask.FromResult(TimeLeft(args.Context)) }).Build();
    }

    /// <summary>How it is reached.</summary>
    public UpstreamOptions Options => _options;

    /// <summary>Whether it is left alone after failures.</summary>
    public bool IsLeftAlone => _breaker.CircuitState == CircuitState.Open && _clock.GetTimestamp() < Volatile.Read(ref _aloneUntil); // the breaker itself looks at the time only when it is asked

    /// <inheritdoc/>
    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        await GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    /// <exception cref="UpstreamException">It failed; where updates have come, in the middle.</exception>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        if (!await _places.WaitAsync(TimeSpan.Zero, cancellationToken).ConfigureAwait(false))
        {
            throw new UpstreamException("busy", $"{_options.Name} is asked {_options.MaxConcurrent} things at once already.", isTransient: false);
        }

        try
        {
            ReadOnlyMemory<byte> body = OpenAiRequest.Write(_options.Model ?? _options.Name, messages, options ?? new ChatOptions());
            using UpstreamStream stream = await OpenAsync(body, cancellationToken).ConfigureAwait(false);
            while (await stream.NextAsync(_options.SilenceTime, cancellationToken).ConfigureAwait(false) is { } updates)
            {
                foreach (ChatResponseUpdate update in updates)
                {
                    yield return update;
                }
            }
        }
        finally
        {
            _places.Release();
        }
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null : serviceType == typeof(ChatClientMetadata) ? _metadata : serviceType.IsInstanceOfType(this) ? this : null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _http.Dispose();
        _places.Dispose();
    }

    /// <summary>Sends a request until a first token is there.</summary>
    private async Task<UpstreamStream> OpenAsync(ReadOnlyMemory<byte> body, CancellationToken cancellation)
    {
        ResilienceContext context = ResilienceContextPool.Shared.Get(cancellation);
        context.Properties.Set(s_began, _clock.GetTimestamp());
        try
        {
            return await _pipeline.ExecuteAsync(async each => await TryAsync(body, each.CancellationToken).ConfigureAwait(false), context).ConfigureAwait(false);
        }
        catch (TimeoutRejectedException failure)
        {
            throw new UpstreamException("timeout", $"{_options.Name} gave no token within {_options.FirstTokenTime.TotalSeconds:0.##} s.", isTransient: false, failure);
        }
        catch (BrokenCircuitException failure)
        {
            throw new UpstreamException("open", $"{_options.Name} has failed lately and is left alone for {_options.BreakerTime.TotalSeconds:0.##} s.", isTransient: false, failure);
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }

    /// <summary>What is left of the time that all tries have together.</summary>
    private TimeSpan TimeLeft(ResilienceContext context)
    {
        TimeSpan left = _options.FirstTokenTime - _clock.GetElapsedTime(context.Properties.GetValue(s_began, 0));
        return left > s_leastTime ? left : s_leastTime;
    }

    private async Task<UpstreamStream> TryAsync(ReadOnlyMemory<byte> body, CancellationToken cancellation)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, $"{_options.Endpoint.AbsoluteUri.TrimEnd('/')}/chat/completions") { Content = new ReadOnlyMemoryContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.Accept.ParseAdd("text/event-stream");
        if (Key() is { } key)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }

        UpstreamStream? stream = null;
        HttpResponseMessage? response = null;
        try
        {
            response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation).ConfigureAwait(false);
            if (Failure(response) is { } failure)
            {
                throw failure;
            }

            stream = new UpstreamStream(_options, response, await response.Content.ReadAsStreamAsync(cancellation).ConfigureAwait(false));
            await stream.ReadFirstAsync(cancellation).ConfigureAwait(false);
            return stream;
        }
        catch (Exception failure)
        {
            stream?.Dispose();
            response?.Dispose();
            throw failure switch
            {
                OperationCanceledException when !cancellation.IsCancellationRequested => // the handler's own limit: neither the caller's nor that of the first token
                    new UpstreamException("timeout", $"{_options.Name} took no connection within {_options.ConnectTime.TotalSeconds:0.##} s.", isTransient: false, failure),
                UpstreamException or OperationCanceledException => failure,
                HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } => new UpstreamException("refused", $"{_options.Name} has no certificate that this machine trusts.", isTransient: false, failure),
                HttpRequestException => new UpstreamException("refused", $"{_options.Name} cannot be reached.", isTransient: true, failure),
                IOException => new UpstreamException("cut", $"{_options.Name} cut the connection.", isTransient: true, failure),
                _ => new UpstreamException("malformed", $"{_options.Name} answered what cannot be read.", isTransient: false, failure),
            };
        }
    }

    private UpstreamException? Failure(HttpResponseMessage response)
    {
        int status = (int)response.StatusCode;
        return status switch
        {
            >= 200 and < 300 => null,
            >= 300 and < 400 => new UpstreamException("redirect", $"{_options.Name} answered {status} and pointed elsewhere. Redirects are not followed, for requests and keys go to the host of the policy alone. Name the right url.", isTransient: false),
            401 or 403 => new UpstreamException("denied", $"{_options.Name} answered {status}: it does not take the key.", isTransient: false),
            408 or 429 or >= 500 => new UpstreamException("status", $"{_options.Name} answered {status}.", isTransient: !(response.Headers.RetryAfter is { } later && (later.Delta ?? TimeSpan.FromDays(1)) > TimeSpan.FromSeconds(1))),
            _ => new UpstreamException("request", $"{_options.Name} answered {status}: it does not take the request.", isTransient: false),
        };
    }

    /// <summary>The key, read anew each time so that it can be changed; null for none.</summary>
    private string? Key()
    {
        string? key = null;
        if (_options.KeyFile is { } path)
        {
            try
            {
                using FileStream file = File.OpenRead(path);
                byte[] bytes = new byte[MaxKeyBytes];
                key = Encoding.UTF8.GetString(bytes, 0, file.ReadAtLeast(bytes, MaxKeyBytes, throwOnEndOfStream: false)).Split('\n')[0].Trim();
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                throw new UpstreamException("denied", $"The file with the key of {_options.Name} cannot be read.", isTransient: false); // not the inner message: it is shown
            }
        }
        else if (_options.KeyVariable is { } variable)
        {
            key = Environment.GetEnvironmentVariable(variable)?.Trim();
        }
        else
        {
            return null;
        }

        return !string.IsNullOrEmpty(key) && key.All(c => c is > ' ' and < '\u007F') ? key
            : throw new UpstreamException("denied", $"{_options.Name} has no usable key in {(_options.KeyFile is null ? $"the environment variable {_options.KeyVariable}" : "its file")}.", isTransient: false);
    }
}
