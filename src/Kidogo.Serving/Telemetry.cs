// Numbers and spans for OpenTelemetry, by its conventions for generative AI. Knows no contents: neither what people write nor what models answer.
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Kidogo.Inference.Scheduling;
using Kidogo.Serving.Api;

namespace Kidogo.Serving;

/// <summary>A server's meter and source of activities, both called <c>Kidogo.Serving</c>. Whoever listens decides where they go; without a listener they cost nothing.</summary>
internal sealed class Telemetry : IDisposable
{
    /// <summary>What listeners ask for.</summary>
    public const string SourceName = "Kidogo.Serving";

    private const string Provider = "kidogo";

    // The conventions' buckets; at the end more of those that a processor without accelerator needs.
    private static readonly double[] s_durations = [.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
    private static readonly double[] s_firstTokens = [.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 15, 30, 60];
    private static readonly double[] s_perToken = [.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5];
    private static readonly long[] s_tokens = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864];

    private readonly Meter _meter = new(SourceName);
    private readonly ActivitySource _activities = new(SourceName);
    private readonly Histogram<double> _duration;
    private readonly Histogram<double> _firstToken;
    private readonly Histogram<double> _perToken;
    private readonly Histogram<long> _usage;

    public Telemetry()
    {
        _duration = Seconds("gen_ai.server.request.duration", "Time from a request to the last of its answer.", s_durations);
        _firstToken = Seconds("gen_ai.server.time_to_first_token", "Time from a request to the first token of its answer.", s_firstTokens);
        _perToken = Seconds("gen_ai.server.time_per_output_token", "Time of a token after the first.", s_perToken);
        _usage = _meter.CreateHistogram("gen_ai.client.token.usage", "{token}", "Tokens of prompts and answers.", advice: new InstrumentAdvice<long> { HistogramBucketBoundaries = s_tokens });
    }

    /// <summary>Begins to measure a request for a model's words.</summary>
    public Operation Begin(AnswerRequest request)
    {
        Operation operation = new(this, request.Operation, request.Asked.Name);
        if (operation.Activity is { IsAllDataRequested: true } activity && request.Requests[0] is { } first)
        {
            activity.SetTag("gen_ai.request.max_tokens", first.Generation.MaxTokens);
            activity.SetTag("gen_ai.request.temperature", first.Generation.Sampling.Temperature);
            activity.SetTag("gen_ai.request.top_p", first.Generation.Sampling.TopP);
            activity.SetTag("gen_ai.request.top_k", first.Generation.Sampling.TopK);
            activity.SetTag("gen_ai.request.frequency_penalty", first.Generation.Sampling.FrequencyPenalty);
            activity.SetTag("gen_ai.request.presence_penalty", first.Generation.Sampling.PresencePenalty);
            activity.SetTag("gen_ai.request.stream", request.Streams);
            if (request.Requests.Count > 1)
            {
                activity.SetTag("gen_ai.request.choice.count", request.Requests.Count);
            }
        }

        return operation;
    }

    /// <summary>Begins to measure a request for embeddings.</summary>
    public Operation BeginEmbeddings(string model) => new(this, "embeddings", model);

    /// <inheritdoc/>
    public void Dispose()
    {
        _meter.Dispose();
        _activities.Dispose();
    }

    private Histogram<double> Seconds(string name, string description, double[] buckets) =>
        _meter.CreateHistogram(name, "s", description, advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = buckets });

    /// <summary>One request while it is answered.</summary>
    internal sealed class Operation : IDisposable
    {
        private readonly Telemetry _telemetry;
        private readonly string _name;
        private readonly string _model;
        private readonly long _begun = Stopwatch.GetTimestamp();
        private string? _error;

        public Operation(Telemetry telemetry, string name, string model)
        {
            _telemetry = telemetry;
            _name = name;
            _model = model;
            Activity = telemetry._activities.StartActivity($"{name} {model}", ActivityKind.Server);
            if (Activity is { IsAllDataRequested: true } activity)
            {
                activity.SetTag("gen_ai.operation.name", name);
                activity.SetTag("gen_ai.provider.name", Provider);
                activity.SetTag("gen_ai.request.model", model);
                activity.SetTag("gen_ai.response.model", model);
            }
        }

        /// <summary>The span; null where nobody listens.</summary>
        public Activity? Activity { get; }

        /// <summary>Since it began.</summary>
        public TimeSpan Elapsed => Stopwatch.GetElapsedTime(_begun);

        /// <summary>Notes what went wrong: its kind, never its words.</summary>
        public void Failed(Exception failure)
        {
            _error = failure is OperationCanceledException ? "cancelled" : ApiCall.Translate(failure) is { } told ? told.Code ?? told.Type : failure.GetType().Name;
            Activity?.SetStatus(ActivityStatusCode.Error);
        }

        /// <summary>Notes what an answer took.</summary>
        /// <param name="id">What it is called.</param>
        /// <param name="group">What was generated for it.</param>
        /// <param name="finishes">Why its choices ended.</param>
        /// <param name="firstToken">When the first step came; null where none did.</param>
        public void Ended(string id, GenerationGroup group, IEnumerable<string?> finishes, TimeSpan? firstToken)
        {
            GeneratedChoice[] leaders = [.. group.Choices.Where(choice => choice.Leader is null)];
            int input = leaders.Sum(choice => choice.Request.Prompt.Length), output = group.Choices.Sum(choice => choice.GeneratedTokens);
            Record(input, output);
            if (firstToken is { } first)
            {
                _telemetry._firstToken.Record(first.TotalSeconds, Tags());
                int longest = group.Choices.Max(choice => choice.GeneratedTokens);
                if (longest > 1)
                {
                    _telemetry._perToken.Record((Elapsed - first).TotalSeconds / (longest - 1), Tags());
                }
            }

            if (Activity is { IsAllDataRequested: true } activity)
            {
                activity.SetTag("gen_ai.response.id", id);
                activity.SetTag("gen_ai.response.finish_reasons", finishes.Select(reason => reason ?? "cancelled").ToArray());
                activity.SetTag("gen_ai.usage.cache_read.input_tokens", leaders.Sum(choice => choice.CachedTokens));
                activity.SetTag("gen_ai.usage.reasoning.output_tokens", group.Choices.Sum(choice => choice.ReasoningTokens));
            }
        }

        /// <summary>Notes what embeddings took.</summary>
        public void Embedded(long tokens) => Record(tokens, null);

        /// <inheritdoc/>
        public void Dispose()
        {
            TagList tags = Tags();
            if (_error is not null)
            {
                tags.Add("error.type", _error);
                Activity?.SetTag("error.type", _error);
            }

            _telemetry._duration.Record(Elapsed.TotalSeconds, tags);
            Activity?.Dispose();
        }

        private void Record(long input, long? output)
        {
            Activity?.SetTag("gen_ai.usage.input_tokens", input);
            TagList tags = Tags();
            tags.Add("gen_ai.token.type", "input");
            _telemetry._usage.Record(input, tags);
            if (output is { } generated)
            {
                Activity?.SetTag("gen_ai.usage.output_tokens", generated);
                TagList ofOutput = Tags();
                ofOutput.Add("gen_ai.token.type", "output");
                _telemetry._usage.Record(generated, ofOutput);
            }
        }

        private TagList Tags() => new()
        {
            { "gen_ai.operation.name", _name },
            { "gen_ai.provider.name", Provider },
            { "gen_ai.request.model", _model },
            { "gen_ai.response.model", _model },
        };
    }
}
