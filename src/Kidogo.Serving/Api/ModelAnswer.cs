// What all requests for a model's words share: how they are run, how answers stream, and how they end. Knows no shape.
using System.Text.Json;
using Kidogo.Inference.Scheduling;
using Kidogo.Inference.Telemetry;

namespace Kidogo.Serving.Api;

/// <summary>A request for a model's words, read and checked.</summary>
/// <param name="Asked">Who answers.</param>
/// <param name="Requests">The sequences to generate.</param>
/// <param name="Streams">Whether the answer comes in pieces.</param>
internal abstract record AnswerRequest(AskedModel Asked, IReadOnlyList<GenerationRequest> Requests, bool Streams)
{
    /// <summary>Who answers.</summary>
    public ServedModel Model => Asked.Model;

    /// <summary>What OpenTelemetry calls it.</summary>
    public abstract string Operation { get; }

    /// <summary>The answer, when its sequences have been given to the scheduler.</summary>
    public abstract ModelAnswer Begin(GenerationGroup group);
}

/// <summary>One answer while it is made.</summary>
/// <param name="group">What is generated for it.</param>
/// <param name="id">What it is called.</param>
internal abstract class ModelAnswer(GenerationGroup group, string id)
{
    /// <summary>What is generated.</summary>
    protected GenerationGroup Group => group;

    /// <summary>What it is called.</summary>
    protected string Id => id;

    /// <summary>When it was asked for, in seconds since 1970.</summary>
    protected long Created { get; } = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    /// <summary>Why the choices ended so far, in the words of their shape.</summary>
    protected abstract IEnumerable<string?> Finishes { get; }

    /// <summary>Reads a request and answers it, whole or as a stream. Whatever ends this ends the model's work on it.</summary>
    /// <param name="call">The request.</param>
    /// <param name="read">Reads its fields; that of the model is read already.</param>
    /// <param name="route">Answers where the model is one of the router's names; null where such requests are not routed.</param>
    public static async Task RunAsync(ApiCall call, Func<ApiCall, AskedModel, RequestFields, AnswerRequest> read, Func<ApiCall, string, RequestFields, Task>? route = null)
    {
        AnswerRequest request;
        using (JsonDocument body = await call.ReadJsonAsync().ConfigureAwait(false))
        {
            RequestFields fields = new(body.RootElement);
            string? name = fields.Text("model");
            if (route is not null && call.IsRouted(name))
            {
                await route(call, name!, fields).ConfigureAwait(false);
                return;
            }

            request = read(call, await call.DecoderAsync(name).ConfigureAwait(false), fields);
        }

        await RunAsync(call, request).ConfigureAwait(false);
    }

    /// <summary>Answers a request that is read already.</summary>
    public static async Task RunAsync(ApiCall call, AnswerRequest request)
    {
        using ModelOperation operation = call.Telemetry.Begin(request.Operation, request.Asked.Name, isRequest: true);
        operation.Asked(request.Requests, request.Streams);
        try
        {
            await AnswerAsync(call, request, operation).ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            operation.Failed(ApiCall.KindOf(failure));
            throw;
        }
    }

    /// <summary>Takes a step of an answer that is not streamed.</summary>
    protected abstract void Take(GenerationStep step);

    /// <summary>Takes a step of a stream and adds its events.</summary>
    protected abstract void Take(GenerationStep step, EventStream stream);

    /// <summary>Writes an answer that is not streamed.</summary>
    protected abstract void WriteWhole(Utf8JsonWriter json);

    /// <summary>Adds what a stream begins with, before there is a step.</summary>
    protected virtual void Begin(EventStream stream)
    {
    }

    /// <summary>Adds what a stream ends with.</summary>
    protected abstract void End(EventStream stream);

    /// <summary>Says in a stream that has begun what went wrong. It ends without its mark.</summary>
    protected virtual void Fail(EventStream stream, ApiException failure) => stream.Add(failure.Write);

    private static async Task AnswerAsync(ApiCall call, AnswerRequest request, ModelOperation operation)
    {
        using GenerationGroup group = call.Submit(request.Model, request.Requests);
        ModelAnswer answer = request.Begin(group);
        try
        {
            await (request.Streams ? answer.StreamAsync(call, operation) : answer.WholeAsync(call, operation)).ConfigureAwait(false);
        }
        finally
        {
            int generated = group.Choices.Sum(choice => choice.GeneratedTokens);
            call.Client.Charge(generated);
            call.Summary = $"{request.Asked.Name} prompt={request.Requests[0].Prompt.Length} cached={group.Choices[0].CachedTokens} generated={generated}";
            operation.Answered(answer.Id, group, answer.Finishes);
        }
    }

    private async Task WholeAsync(ApiCall call, ModelOperation operation)
    {
        while (await group.Steps.WaitToReadAsync(call.Gone).ConfigureAwait(false))
        {
            operation.Stepped();
            while (group.Steps.TryRead(out GenerationStep? step))
            {
                Take(step);
            }
        }

        await call.WriteAsync(WriteWhole).ConfigureAwait(false);
    }

    private async Task StreamAsync(ApiCall call, ModelOperation operation)
    {
        EventStream stream = new(call.Http, call.Options.Heartbeat, call.Options.ReaderPatience);
        try
        {
            Begin(stream);
            while (await stream.WaitAsync(group.Steps).ConfigureAwait(false))
            {
                operation.Stepped();
                while (group.Steps.TryRead(out GenerationStep? step))
                {
                    call.Gone.ThrowIfCancellationRequested();
                    Take(step, stream);
                }
            }
        }
        catch (Exception failure) when (stream.HasBegun && failure is not OperationCanceledException && ApiCall.Translate(failure) is { } told)
        {
            // The status is sent already.
            operation.Failed(ApiCall.KindOf(failure));
            Fail(stream, told);
            await stream.FlushAsync().ConfigureAwait(false);
            return;
        }

        End(stream);
        await stream.FlushAsync().ConfigureAwait(false);
    }
}
