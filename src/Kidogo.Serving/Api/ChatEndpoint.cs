// POST /v1/chat/completions: answers, whole or as a stream, in OpenAI's shapes. Knows no sampling.
using System.Text.Json;
using Kidogo.Inference.Output;
using Kidogo.Serving.Scheduling;

namespace Kidogo.Serving.Api;

/// <summary>Answers chat completions.</summary>
internal static class ChatEndpoint
{
    /// <summary>Answers one.</summary>
    public static async Task AnswerAsync(ApiCall call)
    {
        ChatRequest request;
        using (JsonDocument body = await call.ReadJsonAsync().ConfigureAwait(false))
        {
            request = ChatRequest.Read(call, body.RootElement);
        }

        using GenerationGroup group = call.Submit(request.Model, request.Requests);
        ChatAnswer answer = new(request, group);
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
}

/// <summary>One answer while it is made.</summary>
internal sealed class ChatAnswer(ChatRequest request, GenerationGroup group)
{
    private readonly ChatChoice[] _choices = [.. request.Requests.Select((_, index) => new ChatChoice(request, index))];
    private readonly string _id = Identifier.New("chatcmpl-");
    private readonly long _created = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    /// <summary>Answers with one object.</summary>
    public async Task WholeAsync(ApiCall call)
    {
        WholeMessage[] messages = [.. _choices.Select(_ => new WholeMessage())];
        while (await group.Steps.WaitToReadAsync(call.Gone).ConfigureAwait(false))
        {
            while (group.Steps.TryRead(out GenerationStep? step))
            {
                foreach (ChatDelta delta in Take(step))
                {
                    messages[step.Choice].Add(delta);
                }
            }
        }

        await call.WriteAsync(json =>
        {
            Begin(json, "chat.completion");
            json.WriteStartArray("choices");
            for (int i = 0; i < _choices.Length; i++)
            {
                WriteMessage(json, i, messages[i]);
            }

            json.WriteEndArray();
            json.WriteUsage(group);
            json.WriteTimings(group);
            json.WriteEndObject();
        }).ConfigureAwait(false);
    }

    /// <summary>Answers with a stream: for each choice the role, the pieces, the reason of its end; then the usage, if asked for.</summary>
    public async Task StreamAsync(ApiCall call)
    {
        EventStream stream = new(call.Http, call.Options.Heartbeat);
        bool[] begun = new bool[_choices.Length];
        int open = _choices.Length;
        try
        {
            while (await stream.WaitAsync(group.Steps).ConfigureAwait(false))
            {
                while (group.Steps.TryRead(out GenerationStep? step))
                {
                    int index = step.Choice;
                    if (_choices[index].Finish is not null)
                    {
                        continue;
                    }

                    if (!begun[index])
                    {
                        begun[index] = true;
                        stream.Add(json => WriteChunk(json, index, delta => WriteRole(delta), null, null));
                    }

                    foreach (ChatDelta delta in Take(step))
                    {
                        stream.Add(json => WriteChunk(json, index, message => WriteDelta(message, delta), delta.Likelihoods, null));
                    }

                    if (_choices[index].Finish is { } reason)
                    {
                        bool isLast = --open == 0;
                        stream.Add(json => WriteChunk(json, index, _ => { }, null, reason, isLast && !request.ReportsUsage));
                    }
                }
            }
        }
        catch (Exception failure) when (stream.HasBegun && failure is not OperationCanceledException && ApiCall.Translate(failure) is { } told)
        {
            // The status is sent already: the stream says what happened and ends without [DONE].
            stream.Add(told.Write);
            await call.Http.Response.BodyWriter.FlushAsync(call.Gone).ConfigureAwait(false);
            return;
        }

        if (request.ReportsUsage)
        {
            stream.Add(WriteUsageChunk);
        }

        await stream.EndAsync().ConfigureAwait(false);
    }

    /// <summary>What a step adds; a choice of which enough has come is ended, and the model with it where all are.</summary>
    private IEnumerable<ChatDelta> Take(GenerationStep step)
    {
        ChatChoice choice = _choices[step.Choice];
        if (choice.Finish is not null)
        {
            return [];
        }

        IEnumerable<ChatDelta> deltas = choice.Take(step);
        if (choice.IsEnough)
        {
            choice.End(FinishReason.Stop);
            if (_choices.All(other => other.Finish is not null))
            {
                group.Cancel();
            }
        }

        return deltas;
    }

    private void Begin(Utf8JsonWriter json, string kind)
    {
        json.WriteStartObject();
        json.WriteString("id", _id);
        json.WriteString("object", kind);
        json.WriteNumber("created", _created);
        json.WriteString("model", request.Model.Id);
        json.WriteString("system_fingerprint", KidogoServer.Fingerprint);
    }

    private void WriteMessage(Utf8JsonWriter json, int index, WholeMessage message)
    {
        json.WriteStartObject();
        json.WriteNumber("index", index);
        json.WriteStartObject("message");
        json.WriteString("role", "assistant");
        json.WriteStringOrNull("content", message.Calls.Count > 0 && message.Content.Length == 0 ? null : message.Content.ToString());
        json.WriteNull("refusal");
        if (message.Reasoning.Length > 0)
        {
            json.WriteString("reasoning_content", message.Reasoning.ToString());
        }

        if (message.Calls.Count > 0)
        {
            json.WriteStartArray("tool_calls");
            foreach ((string id, string name, System.Text.StringBuilder arguments) in message.Calls)
            {
                WriteCall(json, id, name, arguments.ToString(), null);
            }

            json.WriteEndArray();
        }

        json.WriteEndObject();
        WriteLikelihoods(json, request.Requests[index].Alternatives is null ? null : message.Likelihoods);
        json.WriteString("finish_reason", _choices[index].Finish ?? "stop");
        json.WriteEndObject();
    }

    private void WriteChunk(Utf8JsonWriter json, int index, Action<Utf8JsonWriter> delta, IReadOnlyList<TokenLikelihood>? likelihoods, string? finish, bool withTimings = false)
    {
        Begin(json, "chat.completion.chunk");
        json.WriteStartArray("choices");
        json.WriteStartObject();
        json.WriteNumber("index", index);
        json.WriteStartObject("delta");
        delta(json);
        json.WriteEndObject();
        WriteLikelihoods(json, likelihoods);
        json.WriteStringOrNull("finish_reason", finish);
        json.WriteEndObject();
        json.WriteEndArray();
        if (request.ReportsUsage)
        {
            json.WriteNull("usage");
        }

        if (withTimings)
        {
            json.WriteTimings(group);
        }

        json.WriteEndObject();
    }

    private void WriteUsageChunk(Utf8JsonWriter json)
    {
        Begin(json, "chat.completion.chunk");
        json.WriteStartArray("choices");
        json.WriteEndArray();
        json.WriteUsage(group);
        json.WriteTimings(group);
        json.WriteEndObject();
    }

    private void WriteLikelihoods(Utf8JsonWriter json, IReadOnlyList<TokenLikelihood>? likelihoods)
    {
        if (likelihoods is null)
        {
            json.WriteNull("logprobs");
            return;
        }

        json.WriteStartObject("logprobs");
        json.WriteStartArray("content");
        foreach (TokenLikelihood token in likelihoods)
        {
            json.WriteLikelihood(token, request.Model.Tokenizer);
        }

        json.WriteEndArray();
        json.WriteNull("refusal");
        json.WriteEndObject();
    }

    private static void WriteRole(Utf8JsonWriter json)
    {
        json.WriteString("role", "assistant");
        json.WriteString("content", "");
        json.WriteNull("refusal");
    }

    private static void WriteDelta(Utf8JsonWriter json, ChatDelta delta)
    {
        if (delta.Reasoning is { } reasoning)
        {
            json.WriteString("reasoning_content", reasoning);
        }

        if (delta.Content is { } content)
        {
            json.WriteString("content", content);
        }

        if (delta.Call is { } call)
        {
            json.WriteStartArray("tool_calls");
            WriteCall(json, call.Id, call.Name, call.Arguments, call.Index);
            json.WriteEndArray();
        }
    }

    private static void WriteCall(Utf8JsonWriter json, string? id, string? name, string arguments, int? index)
    {
        json.WriteStartObject();
        if (index is { } which)
        {
            json.WriteNumber("index", which);
        }

        if (id is not null)
        {
            json.WriteString("id", id);
            json.WriteString("type", "function");
        }

        json.WriteStartObject("function");
        if (name is not null)
        {
            json.WriteString("name", name);
        }

        json.WriteString("arguments", arguments);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
