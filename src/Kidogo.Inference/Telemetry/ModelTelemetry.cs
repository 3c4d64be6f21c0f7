// What is told to OpenTelemetry of the calls to models: the span source and the instruments. Knows no contents.
using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Kidogo.Inference.Telemetry;

/// <summary>The span source and the instruments of a client or a server, named by OpenTelemetry's conventions for generative AI (gen_ai.*, as of 1.37, status: development).</summary>
/// <remarks>Costs next to nothing while nobody listens.</remarks>
public sealed class ModelTelemetry : IDisposable
{
    /// <summary>The name of the <see cref="ActivitySource"/> and the <see cref="Meter"/> to listen to, of programs and of servers.</summary>
    public const string SourceName = "Kidogo.Inference";

    /// <summary>The value of <c>gen_ai.provider.name</c>.</summary>
    public const string ProviderName = "kidogo";

    // The conventions' buckets.
    private static readonly double[] s_seconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
    private static readonly double[] s_firstTokenSeconds = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 15, 30, 60];
    private static readonly double[] s_tokenSeconds = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];
    private static readonly long[] s_tokens = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864];

    private readonly ActivitySource _source = new(SourceName);
    private readonly Meter? _ownMeter;

    /// <summary>A source and instruments.</summary>
    /// <param name="meters">Makes the meter; null to make it here.</param>
    public ModelTelemetry(IMeterFactory? meters = null)
    {
        Meter meter = meters?.Create(new MeterOptions(SourceName)) ?? (_ownMeter = new Meter(SourceName));
        Tokens = meter.CreateHistogram("gen_ai.client.token.usage", "{token}", "Tokens that went in and came out.", advice: new InstrumentAdvice<long> { HistogramBucketBoundaries = s_tokens });
        Duration = Seconds("gen_ai.client.operation.duration", "How long calls took.", s_seconds);
        FirstChunk = Seconds("gen_ai.client.operation.time_to_first_chunk", "From a streaming call to its first chunk.", s_seconds);
        NextChunk = Seconds("gen_ai.client.operation.time_per_output_chunk", "From one chunk of a stream to the next.", s_seconds);
        RequestDuration = Seconds("gen_ai.server.request.duration", "From a request to the last of its answer, waiting for a place included.", s_seconds);
        FirstToken = Seconds("gen_ai.server.time_to_first_token", "From a request to the first token of its answer, waiting for a place included.", s_firstTokenSeconds);
        NextToken = Seconds("gen_ai.server.time_per_output_token", "Time for each token after the first.", s_tokenSeconds);

        Histogram<double> Seconds(string name, string description, double[] bounds) =>
            meter.CreateHistogram(name, "s", description, advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = bounds });
    }

    internal Histogram<long> Tokens { get; }

    internal Histogram<double> Duration { get; }

    internal Histogram<double> FirstChunk { get; }

    internal Histogram<double> NextChunk { get; }

    internal Histogram<double> RequestDuration { get; }

    internal Histogram<double> FirstToken { get; }

    internal Histogram<double> NextToken { get; }

    /// <summary>Notes that a call begins.</summary>
    /// <param name="operation">What it does: <c>chat</c>, <c>text_completion</c> or <c>embeddings</c>.</param>
    /// <param name="model">What the model is called.</param>
    /// <param name="isRequest">Whether it is a request to a server: then the numbers of a client are the client's own matter.</param>
    public ModelOperation Begin(string operation, string model, bool isRequest = false) =>
        new(this, operation, model, isRequest, _source.StartActivity($"{operation} {model}", isRequest ? ActivityKind.Server : ActivityKind.Internal));

    /// <inheritdoc/>
    public void Dispose()
    {
        _source.Dispose();
        _ownMeter?.Dispose();
    }
}
