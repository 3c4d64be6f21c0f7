// What is told to OpenTelemetry of the calls to one model: a span each, and numbers. Knows no contents, and never tells any.
using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Kidogo.Inference.Telemetry;

/// <summary>The span source and the instruments of one model, named by OpenTelemetry's conventions for generative AI (gen_ai.*, as of 1.37, status: development).</summary>
/// <remarks>Costs next to nothing while nobody listens.</remarks>
public sealed class ModelTelemetry : IDisposable
{
    /// <summary>The name of the <see cref="ActivitySource"/> and the <see cref="Meter"/> to listen to.</summary>
    public const string SourceName = "Kidogo.Inference";

    /// <summary>The value of <c>gen_ai.provider.name</c>.</summary>
    public const string ProviderName = "kidogo";

    private static readonly double[] s_seconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
    private static readonly double[] s_firstTokenSeconds = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 15, 30, 60];
    private static readonly double[] s_tokenSeconds = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];
    private static readonly long[] s_tokens = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864];

    private readonly ActivitySource _source = new(SourceName);
    private readonly Meter? _ownMeter;

    /// <summary>The source and the instruments of a model.</summary>
    /// <param name="modelId">What the model is called.</param>
    /// <param name="meters">Makes the meter; null to make it here.</param>
    public ModelTelemetry(string modelId, IMeterFactory? meters = null)
    {
        ModelId = modelId;
        Meter meter = meters?.Create(new MeterOptions(SourceName)) ?? (_ownMeter = new Meter(SourceName));
        Tokens = meter.CreateHistogram("gen_ai.client.token.usage", "{token}", "Tokens that went in and came out.", advice: new InstrumentAdvice<long> { HistogramBucketBoundaries = s_tokens });
        Duration = Seconds("gen_ai.client.operation.duration", "How long calls took.", s_seconds);
        FirstChunk = Seconds("gen_ai.client.operation.time_to_first_chunk", "From a streaming call to its first chunk.", s_seconds);
        NextChunk = Seconds("gen_ai.client.operation.time_per_output_chunk", "From one chunk of a stream to the next.", s_seconds);
        RequestDuration = Seconds("gen_ai.server.request.duration", "How long the model was at requests, waiting for a place included.", s_seconds);
        FirstToken = Seconds("gen_ai.server.time_to_first_token", "From getting a place to the first token.", s_firstTokenSeconds);
        NextToken = Seconds("gen_ai.server.time_per_output_token", "Time for each token after the first.", s_tokenSeconds);

        Histogram<double> Seconds(string name, string description, double[] bounds) =>
            meter.CreateHistogram(name, "s", description, advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = bounds });
    }

    internal string ModelId { get; }

    internal Histogram<long> Tokens { get; }

    internal Histogram<double> Duration { get; }

    internal Histogram<double> FirstChunk { get; }

    internal Histogram<double> NextChunk { get; }

    internal Histogram<double> RequestDuration { get; }

    internal Histogram<double> FirstToken { get; }

    internal Histogram<double> NextToken { get; }

    /// <summary>Notes that a call begins.</summary>
    /// <param name="operation">What it does: <c>chat</c> or <c>embeddings</c>.</param>
    internal ModelOperation Begin(string operation) => new(this, operation, _source.StartActivity($"{operation} {ModelId}", ActivityKind.Internal));

    /// <inheritdoc/>
    public void Dispose()
    {
        _source.Dispose();
        _ownMeter?.Dispose();
    }
}

/// <summary>One call. Disposing it ends its span and records its numbers.</summary>
/// <param name="telemetry">Whose it is.</param>
/// <param name="name">What it does.</param>
/// <param name="span">Its span; null where nobody listens.</param>
internal sealed class ModelOperation(ModelTelemetry telemetry, string name, Activity? span) : IDisposable
{
    private readonly long _begun = Stopwatch.GetTimestamp();
    private long _lastChunk;
    private string? _error;

    /// <summary>The span, to describe the call on; null where nobody listens.</summary>
    public Activity? Span { get; } = span?
        .SetTag("gen_ai.operation.name", name)
        .SetTag("gen_ai.provider.name", ModelTelemetry.ProviderName)
        .SetTag("gen_ai.request.model", telemetry.ModelId);

    /// <summary>Notes a chunk of a stream.</summary>
    public void Chunk()
    {
        long now = Stopwatch.GetTimestamp();
        if (_lastChunk == 0)
        {
            double seconds = Stopwatch.GetElapsedTime(_begun, now).TotalSeconds;
            telemetry.FirstChunk.Record(seconds, Tags());
            Span?.SetTag("gen_ai.response.time_to_first_chunk", seconds);
        }
        else
        {
            telemetry.NextChunk.Record(Stopwatch.GetElapsedTime(_lastChunk, now).TotalSeconds, Tags());
        }

        _lastChunk = now;
    }

    /// <summary>Notes the tokens of the call.</summary>
    /// <param name="input">Tokens that went in.</param>
    /// <param name="output">Tokens that came out; null where none can.</param>
    public void Used(long input, long? output)
    {
        telemetry.Tokens.Record(input, With("gen_ai.token.type", "input"));
        Span?.SetTag("gen_ai.usage.input_tokens", input);
        if (output is { } made)
        {
            telemetry.Tokens.Record(made, With("gen_ai.token.type", "output"));
            Span?.SetTag("gen_ai.usage.output_tokens", made);
        }
    }

    /// <summary>Notes what the model itself took.</summary>
    public void Served(TimeSpan firstToken, TimeSpan rest, int tokens)
    {
        if (firstToken > TimeSpan.Zero)
        {
            telemetry.FirstToken.Record(firstToken.TotalSeconds, Tags());
        }

        if (tokens > 1)
        {
            telemetry.NextToken.Record(rest.TotalSeconds / (tokens - 1), Tags());
        }
    }

    /// <summary>Notes that the call failed, or was cancelled. The failure's message may quote what was said, so it is not told.</summary>
    public void Failed(Exception failure)
    {
        _error = failure.GetType().FullName;
        Span?.SetTag("error.type", _error).SetStatus(ActivityStatusCode.Error);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        double seconds = Stopwatch.GetElapsedTime(_begun).TotalSeconds;
        TagList tags = _error is null ? Tags() : With("error.type", _error);
        telemetry.Duration.Record(seconds, tags);
        if (name == "chat")
        {
            telemetry.RequestDuration.Record(seconds, tags);
        }

        Span?.Dispose();
    }

    private TagList Tags() => new()
    {
        { "gen_ai.operation.name", name },
        { "gen_ai.provider.name", ModelTelemetry.ProviderName },
        { "gen_ai.request.model", telemetry.ModelId },
        { "gen_ai.response.model", telemetry.ModelId },
    };

    private TagList With(string tag, string value)
    {
        TagList tags = Tags();
        tags.Add(tag, value);
        return tags;
    }
}
