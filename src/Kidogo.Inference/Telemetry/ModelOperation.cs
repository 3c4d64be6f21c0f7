// One call to a model while it lasts, for OpenTelemetry: its span and its numbers. Knows no contents, and never tells any.
using System.Diagnostics;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Scheduling;

namespace Kidogo.Inference.Telemetry;

/// <summary>One call. Disposing it ends its span and records how long it took. For one thread at a time.</summary>
public sealed class ModelOperation : IDisposable
{
    private readonly ModelTelemetry _telemetry;
    private readonly string _name;
    private readonly string _model;
    private readonly bool _isRequest;
    private readonly long _begun = Stopwatch.GetTimestamp();
    private TimeSpan? _firstToken;
    private long _lastChunk;
    private string? _error;

    internal ModelOperation(ModelTelemetry telemetry, string name, string model, bool isRequest, Activity? span)
    {
        _telemetry = telemetry;
        _name = name;
        _model = model;
        _isRequest = isRequest;
        Span = span?
            .SetTag("gen_ai.operation.name", name)
            .SetTag("gen_ai.provider.name", ModelTelemetry.ProviderName)
            .SetTag("gen_ai.request.model", model)
            .SetTag("gen_ai.response.model", model);
    }

    /// <summary>The span, to say more of the call; null where nobody listens.</summary>
    public Activity? Span { get; }

    /// <summary>Notes what is asked for.</summary>
    /// <param name="requests">The sequences, one or more that differ in their seeds alone.</param>
    /// <param name="streams">Whether the answer comes in pieces.</param>
    public void Asked(IReadOnlyList<GenerationRequest> requests, bool streams)
    {
        if (Span is not { IsAllDataRequested: true } span)
        {
            return;
        }

        SamplerOptions sampling = requests[0].Generation.Sampling;
        span.SetTag("gen_ai.request.stream", streams)
            .SetTag("gen_ai.request.max_tokens", requests[0].Generation.MaxTokens)
            .SetTag("gen_ai.request.temperature", sampling.Temperature)
            .SetTag("gen_ai.request.top_p", sampling.TopP)
            .SetTag("gen_ai.request.top_k", sampling.TopK)
            .SetTag("gen_ai.request.seed", unchecked((long?)sampling.Seed))
            .SetTag("gen_ai.request.frequency_penalty", sampling.FrequencyPenalty)
            .SetTag("gen_ai.request.presence_penalty", sampling.PresencePenalty)
            .SetTag("gen_ai.request.choice.count", requests.Count > 1 ? requests.Count : null);
    }

    /// <summary>Notes that a step of the answer has come; the first counts.</summary>
    public void Stepped() => _firstToken ??= Stopwatch.GetElapsedTime(_begun);

    /// <summary>Notes a chunk of a stream, where a program in this process reads it.</summary>
    public void Chunk()
    {
        long now = Stopwatch.GetTimestamp();
        if (_lastChunk == 0)
        {
            double seconds = Stopwatch.GetElapsedTime(_begun, now).TotalSeconds;
            _telemetry.FirstChunk.Record(seconds, Tags());
            Span?.SetTag("gen_ai.response.time_to_first_chunk", seconds);
        }
        else
        {
            _telemetry.NextChunk.Record(Stopwatch.GetElapsedTime(_lastChunk, now).TotalSeconds, Tags());
        }

        _lastChunk = now;
    }

    /// <summary>Notes what an answer took, whole or not.</summary>
    /// <param name="id">What the answer is called.</param>
    /// <param name="group">What was generated for it.</param>
    /// <param name="finishes">Why its choices ended; null for those that did not.</param>
    public void Answered(string id, GenerationGroup group, IEnumerable<string?> finishes)
    {
        GeneratedChoice[] leaders = [.. group.Choices.Where(choice => choice.Leader is null)];
        Used(leaders.Sum(choice => (long)choice.Request.Prompt.Length), group.Choices.Sum(choice => (long)choice.GeneratedTokens));
        if (_firstToken is { } first)
        {
            _telemetry.FirstToken.Record(first.TotalSeconds, Tags());
        }

        if (group.Choices.MaxBy(choice => choice.GeneratedTokens) is { GeneratedTokens: > 1 } longest)
        {
            _telemetry.NextToken.Record(longest.DecodeTime.TotalSeconds / (longest.GeneratedTokens - 1), Tags());
        }

        if (Span is { IsAllDataRequested: true } span)
        {
            span.SetTag("gen_ai.response.id", id)
                .SetTag("gen_ai.response.finish_reasons", finishes.Select(reason => reason ?? "cancelled").ToArray())
                .SetTag("gen_ai.usage.cache_read.input_tokens", leaders.Sum(choice => choice.CachedTokens))
                .SetTag("gen_ai.usage.reasoning.output_tokens", group.Choices.Sum(choice => choice.ReasoningTokens));
        }
    }

    /// <summary>Notes what was read, where nothing is written.</summary>
    /// <param name="tokens">Tokens of the texts.</param>
    public void Read(long tokens) => Used(tokens, null);

    /// <summary>Notes what vectors took.</summary>
    /// <param name="tokens">Tokens of the texts.</param>
    /// <param name="dimensions">Numbers of a vector.</param>
    public void Embedded(long tokens, int dimensions)
    {
        Read(tokens);
        Span?.SetTag("gen_ai.embeddings.dimension.count", dimensions);
    }

    /// <summary>Notes that the call failed, or was cancelled. The failure's message may quote what was said, so it is not told.</summary>
    public void Failed(Exception failure) => Failed(failure.GetType().FullName!);

    /// <summary>Notes that the call failed.</summary>
    /// <param name="kind">A word for it, of a few.</param>
    public void Failed(string kind)
    {
        _error = kind;
        Span?.SetTag("error.type", kind).SetStatus(ActivityStatusCode.Error);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        double seconds = Stopwatch.GetElapsedTime(_begun).TotalSeconds;
        TagList tags = _error is null ? Tags() : With("error.type", _error);
        _telemetry.RequestDuration.Record(seconds, tags);
        if (!_isRequest)
        {
            _telemetry.Duration.Record(seconds, tags);
        }

        Span?.Dispose();
    }

    private void Used(long input, long? output)
    {
        _telemetry.Tokens.Record(input, With("gen_ai.token.type", "input"));
        Span?.SetTag("gen_ai.usage.input_tokens", input);
        if (output is { } generated)
        {
            _telemetry.Tokens.Record(generated, With("gen_ai.token.type", "output"));
            Span?.SetTag("gen_ai.usage.output_tokens", generated);
        }
    }

    private TagList Tags() => new()
    {
        { "gen_ai.operation.name", _name },
        { "gen_ai.provider.name", ModelTelemetry.ProviderName },
        { "gen_ai.request.model", _model },
        { "gen_ai.response.model", _model },
    };

    private TagList With(string tag, string value)
    {
        TagList tags = Tags();
        tags.Add(tag, value);
        return tags;
    }
}
