// POST /v1/responses: items and events in OpenAI's shapes and order. Knows no sampling.
using System.Text;
using System.Text.Json;
using Kidogo.Inference.Output;
using Kidogo.Inference.Scheduling;
using Kidogo.Inference.Tools;

namespace Kidogo.Serving.Api;

/// <summary>A response: reasoning, a message, calls, each an item that is opened, filled and closed.</summary>
internal sealed class ResponseAnswer(ResponseRequest request, GenerationGroup group)
    : ModelAnswer(group, Identifier.New("resp_"))
{
    private const string InProgress = "in_progress", Completed = "completed", Incomplete = "incomplete", Failed = "failed";

    private readonly ChatChoice _choice = new(request.Chat.Tools, request.Requests[0].Alternatives is not null);
    private readonly List<Item> _items = [];
    private Item? _open;
    private int _sequence;

    private enum ItemKind
    {
        Reasoning,
        Message,
        Call,
    }

    /// <inheritdoc/>
    protected override IEnumerable<string?> Finishes => [_choice.Finish];

    private string Status => _choice.Finish == "length" ? Incomplete : Completed;

    /// <inheritdoc/>
    protected override void Take(GenerationStep step) => Follow(step, null);

    /// <inheritdoc/>
    protected override void Take(GenerationStep step, EventStream stream) => Follow(step, stream);

    /// <inheritdoc/>
    protected override void WriteWhole(Utf8JsonWriter json)
    {
        Close(null);
        Write(json, Status, null);
    }

    /// <inheritdoc/>
    protected override void Begin(EventStream stream)
    {
        Emit(stream, "response.created", json => WriteResponse(json, InProgress, null));
        Emit(stream, "response.in_progress", json => WriteResponse(json, InProgress, null));
    }

    /// <inheritdoc/>
    protected override void End(EventStream stream)
    {
        Close(stream);
        Emit(stream, $"response.{Status}", json => WriteResponse(json, Status, null));
    }

    /// <inheritdoc/>
    protected override void Fail(EventStream stream, ApiException failure) => Emit(stream, "response.failed", json => WriteResponse(json, Failed, failure));

    private void Follow(GenerationStep step, EventStream? stream)
    {
        if (_choice.Finish is not null)
        {
            return;
        }

        foreach (ChatDelta delta in _choice.Take(step))
        {
            if (delta.Reasoning is { } reasoning)
            {
                Add(stream, Opened(stream, ItemKind.Reasoning), "response.reasoning_text.delta", reasoning, null);
            }

            if (delta.Content is { } content)
            {
                Add(stream, Opened(stream, ItemKind.Message), "response.output_text.delta", content, delta.Likelihoods);
            }

            if (delta.Call is { } call)
            {
                Item item = call.Name is null ? _open! : Open(stream, new Item(ItemKind.Call, Identifier.New("fc_"), call.Id!, call.Name));
                Add(stream, item, "response.function_call_arguments.delta", call.Arguments, null);
            }
        }

        if (_choice.IsEnough)
        {
            _choice.End(FinishReason.Stop);
            Group.Cancel();
        }
    }

    private Item Opened(EventStream? stream, ItemKind kind) =>
        _open is { } open && open.Kind == kind ? open : Open(stream, new Item(kind, Identifier.New(kind == ItemKind.Message ? "msg_" : "rs_"), "", ""));

    private Item Open(EventStream? stream, Item item)
    {
        Close(stream);
        _items.Add(item);
        _open = item;
        Emit(stream, "response.output_item.added", json =>
        {
            json.WriteNumber("output_index", _items.Count - 1);
            json.WritePropertyName("item");
            WriteItem(json, item, InProgress);
        });
        if (item.Kind != ItemKind.Call)
        {
            EmitPart(stream, "response.content_part.added", item);
        }

        return item;
    }

    private void Add(EventStream? stream, Item item, string name, string text, IReadOnlyList<TokenLikelihood>? likelihoods)
    {
        if (text.Length == 0)
        {
            return;
        }

        item.Text.Append(text);
        item.Likelihoods.AddRange(likelihoods ?? []);
        Emit(stream, name, json =>
        {
            WritePlace(json, item);
            json.WriteString("delta", text);
            if (item.Kind == ItemKind.Message)
            {
                WriteLikelihoods(json, likelihoods ?? []);
            }
        });
    }

    /// <summary>Says that the item which is being filled is whole.</summary>
    private void Close(EventStream? stream)
    {
        if (_open is not { } item)
        {
            return;
        }

        _open = null;
        item.IsWhole = _choice.Finish != "length";
        string text = item.Text.ToString();
        (string name, string field) = item.Kind switch
        {
            ItemKind.Reasoning => ("response.reasoning_text.done", "text"),
            ItemKind.Message => ("response.output_text.done", "text"),
            _ => ("response.function_call_arguments.done", "arguments"),
        };
        Emit(stream, name, json =>
        {
            WritePlace(json, item);
            json.WriteString(field, text);
            if (item.Kind == ItemKind.Message)
            {
                WriteLikelihoods(json, item.Likelihoods);
            }
            else if (item.Kind == ItemKind.Call)
            {
                json.WriteString("name", item.Name);
            }
        });
        if (item.Kind != ItemKind.Call)
        {
            EmitPart(stream, "response.content_part.done", item);
        }

        Emit(stream, "response.output_item.done", json =>
        {
            json.WriteNumber("output_index", _items.IndexOf(item));
            json.WritePropertyName("item");
            WriteItem(json, item, item.Status);
        });
    }

    private void Emit(EventStream? stream, string type, Action<Utf8JsonWriter> write) => stream?.Add(
        json =>
        {
            json.WriteStartObject();
            json.WriteString("type", type);
            json.WriteNumber("sequence_number", _sequence++);
            write(json);
            json.WriteEndObject();
        }, type);

    private void EmitPart(EventStream? stream, string type, Item item) => Emit(stream, type, json =>
    {
        WritePlace(json, item);
        json.WritePropertyName("part");
        WritePart(json, item);
    });

    private void WritePlace(Utf8JsonWriter json, Item item)
    {
        json.WriteString("item_id", item.Id);
        json.WriteNumber("output_index", _items.IndexOf(item));
        if (item.Kind != ItemKind.Call)
        {
            json.WriteNumber("content_index", 0);
        }
    }

    private void WriteItem(Utf8JsonWriter json, Item item, string status)
    {
        json.WriteStartObject();
        json.WriteString("id", item.Id);
        json.WriteString("type", item.Kind switch { ItemKind.Reasoning => "reasoning", ItemKind.Message => "message", _ => "function_call" });
        json.WriteString("status", status);
        if (item.Kind == ItemKind.Call)
        {
            json.WriteString("call_id", item.CallId);
            json.WriteString("name", item.Name);
            json.WriteString("arguments", item.Text.ToString());
            json.WriteEndObject();
            return;
        }

        if (item.Kind == ItemKind.Message)
        {
            json.WriteString("role", "assistant");
        }
        else
        {
            json.WriteStartArray("summary");
            json.WriteEndArray();
        }

        json.WriteStartArray("content");
        if (status != InProgress)
        {
            WritePart(json, item);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void WritePart(Utf8JsonWriter json, Item item)
    {
        json.WriteStartObject();
        json.WriteString("type", item.Kind == ItemKind.Message ? "output_text" : "reasoning_text");
        json.WriteString("text", item.Text.ToString());
        if (item.Kind == ItemKind.Message)
        {
            json.WriteStartArray("annotations");
            json.WriteEndArray();
            WriteLikelihoods(json, item.Likelihoods);
        }

        json.WriteEndObject();
    }

    private void WriteLikelihoods(Utf8JsonWriter json, IReadOnlyList<TokenLikelihood> likelihoods)
    {
        json.WriteStartArray("logprobs");
        foreach (TokenLikelihood token in likelihoods)
        {
            json.WriteLikelihood(token, request.Model.Tokenizer);
        }

        json.WriteEndArray();
    }

    private void WriteResponse(Utf8JsonWriter json, string status, ApiException? failure)
    {
        json.WritePropertyName("response");
        Write(json, status, failure);
    }

    private void Write(Utf8JsonWriter json, string status, ApiException? failure)
    {
        json.WriteStartObject();
        json.WriteString("id", Id);
        json.WriteString("object", "response");
        json.WriteNumber("created_at", Created);
        json.WriteString("status", status);
        json.WriteBoolean("background", false);
        if (status == Completed)
        {
            json.WriteNumber("completed_at", DateTimeOffset.UtcNow.ToUnixTimeSeconds());
        }

        WriteError(json, failure);
        if (status == Incomplete)
        {
            json.WriteStartObject("incomplete_details");
            json.WriteString("reason", "max_output_tokens");
            json.WriteEndObject();
        }
        else
        {
            json.WriteNull("incomplete_details");
        }

        json.WriteString("model", request.Asked.Name);
        json.WriteStartArray("output");
        foreach (Item item in status == InProgress ? [] : _items)
        {
            WriteItem(json, item, item == _open ? Incomplete : item.Status);
        }

        json.WriteEndArray();
        foreach ((string name, JsonElement value) in request.Echo)
        {
            json.WritePropertyName(name);
            value.WriteTo(json);
        }

        if (status == InProgress)
        {
            json.WriteNull("usage");
        }
        else
        {
            WriteUsage(json);
            json.WriteTimings(Group);
        }

        json.WriteEndObject();
    }

    private static void WriteError(Utf8JsonWriter json, ApiException? failure)
    {
        if (failure is null)
        {
            json.WriteNull("error");
            return;
        }

        json.WriteStartObject("error");
        json.WriteString("code", failure.Code ?? "server_error");
        json.WriteString("message", failure.Message);
        json.WriteEndObject();
    }

    private void WriteUsage(Utf8JsonWriter json)
    {
        GeneratedChoice choice = Group.Choices[0];
        int input = choice.Request.Prompt.Length, output = choice.GeneratedTokens;
        json.WriteStartObject("usage");
        json.WriteNumber("input_tokens", input);
        json.WriteStartObject("input_tokens_details");
        json.WriteNumber("cached_tokens", choice.CachedTokens);
        json.WriteNumber("cache_write_tokens", 0);
        json.WriteEndObject();
        json.WriteNumber("output_tokens", output);
        json.WriteStartObject("output_tokens_details");
        json.WriteNumber("reasoning_tokens", choice.ReasoningTokens);
        json.WriteEndObject();
        json.WriteNumber("total_tokens", input + output);
        json.WriteEndObject();
    }

    /// <summary>An item of the output.</summary>
    private sealed class Item(ItemKind kind, string id, string callId, string name)
    {
        public ItemKind Kind => kind;

        public string Id => id;

        public string CallId => callId;

        public string Name => name;

        public StringBuilder Text { get; } = new();

        public List<TokenLikelihood> Likelihoods { get; } = [];

        public bool IsWhole { get; set; } = true;

        public string Status => IsWhole ? Completed : Incomplete;
    }
}
