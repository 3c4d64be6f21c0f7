// POST /v1/chat/completions: the choices of an answer in OpenAI's shapes, whole and as chunks. Knows no sampling.
using System.Text.Json;
using Kidogo.Inference.Output;
using Kidogo.Inference.Scheduling;
using Kidogo.Inference.Tools;

namespace Kidogo.Serving.Api;

/// <summary>The answer to a chat completion. A stream has for each choice the role, the pieces, and the reason of its end.</summary>
internal sealed class ChatAnswer(ChatRequest request, GenerationGroup group)
    : ChoicesAnswer(request, group, Identifier.New("chatcmpl-"), ("chat.completion", "chat.completion.chunk"), request.ReportsUsage)
{
    private readonly ChatRequest _request = request;
    private readonly ChatChoice[] _choices = [.. request.Requests.Select(each => new ChatChoice(request.Tools, each.Alternatives is not null))];
    private readonly WholeMessage[] _messages = [.. request.Requests.Select(_ => new WholeMessage())];
    private readonly bool[] _begun = new bool[request.Requests.Count];

    /// <inheritdoc/>
    protected override IEnumerable<string?> Finishes => _choices.Select(choice => choice.Finish);

    /// <inheritdoc/>
    protected override void Take(GenerationStep step)
    {
        foreach (ChatDelta delta in Deltas(step))
        {
            _messages[step.Choice].Add(delta);
        }
    }

    /// <inheritdoc/>
    protected override void Take(GenerationStep step, EventStream stream)
    {
        int index = step.Choice;
        if (_choices[index].Finish is not null)
        {
            return;
        }

        if (!_begun[index])
        {
            _begun[index] = true;
            AddChunk(stream, json => WriteDelta(json, index, WriteRole, null, null));
        }

        foreach (ChatDelta delta in Deltas(step))
        {
            AddChunk(stream, json => WriteDelta(json, index, message => WriteContent(message, delta), delta.Likelihoods, null));
        }

        if (_choices[index].Finish is { } reason)
        {
            AddChunk(stream, json => WriteDelta(json, index, _ => { }, null, reason), isLast: _choices.All(choice => choice.Finish is not null));
        }
    }

    /// <inheritdoc/>
    protected override void WriteChoices(Utf8JsonWriter json)
    {
        for (int i = 0; i < _choices.Length; i++)
        {
            WriteMessage(json, i, _messages[i]);
        }
    }

    /// <summary>What a step adds; a choice of which enough has come is ended, and the model with it where all are.</summary>
    private IEnumerable<ChatDelta> Deltas(GenerationStep step)
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
                Group.Cancel();
            }
        }

        return deltas;
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
        WriteLikelihoods(json, _request.Requests[index].Alternatives is null ? null : message.Likelihoods);
        json.WriteString("finish_reason", _choices[index].Finish ?? "stop");
        json.WriteEndObject();
    }

    private void WriteDelta(Utf8JsonWriter json, int index, Action<Utf8JsonWriter> delta, IReadOnlyList<TokenLikelihood>? likelihoods, string? finish)
    {
        json.WriteStartObject();
        json.WriteNumber("index", index);
        json.WriteStartObject("delta");
        delta(json);
        json.WriteEndObject();
        WriteLikelihoods(json, likelihoods);
        json.WriteStringOrNull("finish_reason", finish);
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
            json.WriteLikelihood(token, _request.Model.Tokenizer);
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

    private static void WriteContent(Utf8JsonWriter json, ChatDelta delta)
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
