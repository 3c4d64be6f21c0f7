// What both kinds of completion share: how a request is run, how its answer streams, and what stands around its choices. Knows no choice's shape.
using System.Text.Json;
using Kidogo.Inference.Scheduling;

namespace Kidogo.Serving.Api;

/// <summary>A request for a model's words, read and checked.</summary>
/// <param name="Model">Who answers.</param>
/// <param name="Requests">The sequences to generate.</param>
/// <param name="Streams">Whether the answer comes in pieces.</param>
/// <param name="ReportsUsage">Whether a stream ends with its usage.</param>
internal abstract record AnswerRequest(ServedModel Model, IReadOnlyList<GenerationRequest> Requests, bool Streams, bool ReportsUsage)
{
    /// <summary>The answer, when its sequences have been given to the scheduler.</summary>
    public abstract ModelAnswer Begin(GenerationGroup group);
}

/// <summary>One answer while it is made.</summary>
/// <param name="request">What was asked.</param>
/// <param name="group">What is generated for it.</param>
/// <param name="id">What it is called.</param>
/// <param name="kind">The kind of the object, and of a chunk of it.</param>
internal abstract class ModelAnswer(AnswerRequest request, GenerationGroup group, string id, (string Whole, string Chunk) kind)
{
    private readonly long _created = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    /// <summary>What is generated.</summary>
    protected GenerationGroup Group => group;

    /// <summary>Reads a request and answers it, whole or as a stream. Whatever ends this ends the model's work on it.</summary>
    public static async Task RunAsync(ApiCall call, Func<ApiCall, JsonElement, AnswerRequest> read)
    {
        AnswerRequest request;
        using (JsonDocument body = await call.ReadJsonAsync().ConfigureAwait(false))
        {
            request = read(call, body.RootElement);
        }

        using GenerationGroup group = call.Submit(request.Model, request.Requests);
        ModelAnswer answer = request.Begin(group);
        try
        {
            await (request.Streams ? answer.StreamAsync(call) : answer.WholeAsync(call)).ConfigureAwait(false);
        }
        finally
        {
            int generated = group.Choices.Sum(choice => choice.GeneratedTokens);
            call.Client.Charge(generated);
            call.Summary = $"{request.Model.Id} prompt={request.Requests[0].Prompt.Length} cached={group.Choices[0].CachedTokens} generated={generated}";
        }
    }

    /// <summary>Takes a step of an answer that is not streamed.</summary>
    protected abstract void Take(GenerationStep step);

    /// <summary>Takes a step of a stream and adds its chunks.</summary>
    protected abstract void Take(GenerationStep step, EventStream stream);

    /// <summary>Writes the choices of an answer that is not streamed, one object each.</summary>
    protected abstract void WriteChoices(Utf8JsonWriter json);

    /// <summary>Adds a chunk with one choice.</summary>
    /// <param name="stream">Where to.</param>
    /// <param name="writeChoice">Writes the choice, an object.</param>
    /// <param name="isLast">Whether it is the last with a choice: then it has the timings, unless a chunk of usage follows.</param>
    protected void AddChunk(EventStream stream, Action<Utf8JsonWriter> writeChoice, bool isLast = false) => stream.Add(json =>
    {
        Begin(json, kind.Chunk);
        writeChoice(json);
        json.WriteEndArray();
        if (request.ReportsUsage)
        {
            json.WriteNull("usage");
        }
        else if (isLast)
        {
            json.WriteTimings(group);
        }

        json.WriteEndObject();
    });

    private async Task WholeAsync(ApiCall call)
    {
        while (await group.Steps.WaitToReadAsync(call.Gone).ConfigureAwait(false))
        {
            while (group.Steps.TryRead(out GenerationStep? step))
            {
                Take(step);
            }
        }

        await call.WriteAsync(json => WriteAll(json, kind.Whole, WriteChoices)).ConfigureAwait(false);
    }

    private async Task StreamAsync(ApiCall call)
    {
        EventStream stream = new(call.Http, call.Options.Heartbeat);
        try
        {
            while (await stream.WaitAsync(group.Steps).ConfigureAwait(false))
            {
                while (group.Steps.TryRead(out GenerationStep? step))
                {
                    Take(step, stream);
                }
            }
        }
        catch (Exception failure) when (stream.HasBegun && failure is not OperationCanceledException && ApiCall.Translate(failure) is { } told)
        {
            // The status is sent already: the stream says what happened and ends without its mark.
            stream.Add(told.Write);
            await stream.FlushAsync().ConfigureAwait(false);
            return;
        }

        if (request.ReportsUsage)
        {
            stream.Add(json => WriteAll(json, kind.Chunk, _ => { }));
        }

        await stream.EndAsync().ConfigureAwait(false);
    }

    private void WriteAll(Utf8JsonWriter json, string name, Action<Utf8JsonWriter> writeChoices)
    {
        Begin(json, name);
        writeChoices(json);
        json.WriteEndArray();
        json.WriteUsage(group);
        json.WriteTimings(group);
        json.WriteEndObject();
    }

    private void Begin(Utf8JsonWriter json, string name)
    {
        json.WriteStartObject();
        json.WriteString("id", id);
        json.WriteString("object", name);
        json.WriteNumber("created", _created);
        json.WriteString("model", request.Model.Id);
        json.WriteString("system_fingerprint", KidogoServer.Fingerprint);
        json.WriteStartArray("choices");
    }
}
