// POST /v1/chat/completions for auto, and for what is elsewhere: from the router's answer to OpenAI's shapes. Knows no policy.
using System.Text.Json;
using System.Threading.Channels;
using Kidogo.Routing;
using Kidogo.Routing.Upstream;
using Kidogo.Serving.Api;
using Microsoft.Extensions.AI;

namespace Kidogo.Serving.Routing;

/// <summary>One routed answer while it is made.</summary>
internal sealed class RoutedChat
{
    private readonly ApiCall _call;
    private readonly RoutedRequest _request;
    private readonly string _id = Identifier.New("chatcmpl-");
    private readonly long _created = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
    private RouteOutcome? _outcome;
    private UsageDetails? _usage;
    private string? _finish;
    private int _calls;
    private bool _isLate;

    private RoutedChat(ApiCall call, RoutedRequest request)
    {
        _call = call;
        _request = request;
    }

    /// <summary>Reads a request and answers it.</summary>
    /// <param name="call">The request.</param>
    /// <param name="name">What model it asks for.</param>
    /// <param name="fields">Its fields; that of the model is read already.</param>
    public static async Task RunAsync(ApiCall call, string name, RequestFields fields)
    {
        RoutedRequest request = RoutedRequest.Read(call, name, fields);
        call.Client.CheckTokens(request.Messages.Sum(message => message.Text.Length / 4));
        RoutedChat chat = new(call, request);
        try
        {
            await (request.Streams ? chat.StreamAsync() : chat.WholeAsync()).ConfigureAwait(false);
        }
        catch (Exception failure) when (Translate(failure) is { } told)
        {
            throw told;
        }
        finally
        {
            call.Client.Charge(chat._usage?.OutputTokenCount ?? 0);
            call.Summary = $"{name} served_by={chat._outcome?.ServedBy ?? "nobody"} reason={chat._outcome?.Reason ?? "none"} prompt={chat._usage?.InputTokenCount ?? 0} generated={chat._usage?.OutputTokenCount ?? 0}";
        }
    }

    /// <summary>What a failure of the router means to a client; null for those that others know.</summary>
    private static ApiException? Translate(Exception failure) => failure switch
    {
        RoutingException routing => new ApiException(400, ApiException.InvalidRequest, routing.Message, "model", "not_routable"),
        UpstreamException upstream => new ApiException(upstream.Kind is "request" ? 400 : 502, "upstream_error", $"{upstream.Message} This machine's model cannot answer this request in its place.", code: $"upstream_{upstream.Kind.Replace('-', '_')}"),
        NotSupportedException unsupported => new ApiException(400, ApiException.InvalidRequest, unsupported.Message, code: "unsupported_parameter"),
        InvalidOperationException odd when odd.Message.Contains("chat template", StringComparison.Ordinal) => new ApiException(400, ApiException.InvalidRequest, odd.Message, "messages", "chat_template_error"),
        _ => null,
    };

    private async Task WholeAsync()
    {
        ChatResponse response = await _call.Routes!.Client.GetResponseAsync(_request.Messages, _request.Options, _call.Gone).ConfigureAwait(false);
        _outcome = (RouteOutcome)response.AdditionalProperties![RouteOutcome.Key]!;
        _usage = response.Usage;
        AIContent[] contents = [.. response.Messages.SelectMany(message => message.Contents)];
        FunctionCallContent[] calls = [.. contents.OfType<FunctionCallContent>()];
        string text = string.Concat(contents.OfType<TextContent>().Select(content => content.Text));
        string reasoning = string.Concat(contents.OfType<TextReasoningContent>().Select(content => content.Text));
        ServedRoutes.WriteHeaders(_call.Http.Response, _outcome);
        await _call.WriteAsync(json =>
        {
            Begin(json, "chat.completion");
            json.WriteStartObject();
            json.WriteNumber("index", 0);
            json.WriteStartObject("message");
            json.WriteString("role", "assistant");
            json.WriteStringOrNull("content", calls.Length > 0 && text.Length == 0 ? null : text);
            json.WriteNull("refusal");
            if (reasoning.Length > 0)
            {
                json.WriteString("reasoning_content", reasoning);
            }

            if (calls.Length > 0)
            {
                json.WriteStartArray("tool_calls");
                foreach (FunctionCallContent each in calls)
                {
                    WireCalls.Write(json, each);
                }

                json.WriteEndArray();
            }

            json.WriteEndObject();
            json.WriteNull("logprobs");
            json.WriteString("finish_reason", response.FinishReason?.Value ?? "stop");
            json.WriteEndObject();
            json.WriteEndArray();
            WriteUsage(json);
            WriteOutcome(json);
            json.WriteEndObject();
        }).ConfigureAwait(false);
    }

    private async Task StreamAsync()
    {
        EventStream stream = new(_call.Http, _call.Options.Heartbeat, _call.Options.ReaderPatience);
        using CancellationTokenSource gone = CancellationTokenSource.CreateLinkedTokenSource(_call.Gone);
        Channel<ChatResponseUpdate> updates = Channel.CreateBounded<ChatResponseUpdate>(64);
        Task pump = PumpAsync(updates.Writer, gone.Token);
        try
        {
            while (await stream.WaitAsync(updates.Reader, TellLater).ConfigureAwait(false))
            {
                while (updates.Reader.TryRead(out ChatResponseUpdate? update))
                {
                    Take(update, stream);
                }
            }

            AddChunk(stream, _ => { }, _finish ?? "stop", tellsRoute: !_request.ReportsUsage);
            if (_request.ReportsUsage)
            {
                stream.Add(json =>
                {
                    Begin(json, "chat.completion.chunk");
                    json.WriteEndArray();
                    WriteUsage(json);
                    WriteOutcome(json);
                    json.WriteEndObject();
                });
            }

            stream.AddDone();
            await stream.FlushAsync().ConfigureAwait(false);
        }
        catch (Exception failure) when (stream.HasBegun && failure is not OperationCanceledException && (Cut(failure) ?? ApiCall.Translate(failure)) is { } told)
        {
            // The status is sent, and perhaps words: they end with an honest error, and without their mark.
            stream.Add(told.Write);
            await stream.FlushAsync().ConfigureAwait(false);
        }
        finally
        {
            await gone.CancelAsync().ConfigureAwait(false);
            await pump.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>A comment has to go out before anybody knows who answers: the headers go with it, so the first chunk tells.</summary>
    private void TellLater()
    {
        _isLate = true;
        _call.Http.Response.Headers[ServedRoutes.ReasonHeader] = ServedRoutes.Undecided;
    }

    private ApiException? Cut(Exception failure) => failure is UpstreamException upstream && _calls + (_outcome is null ? 0 : 1) > 0
        ? new ApiException(502, "upstream_error", $"{upstream.Message} The answer up to here is all there is; ask again.", code: $"upstream_{upstream.Kind.Replace('-', '_')}")
        : Translate(failure);

    private async Task PumpAsync(ChannelWriter<ChatResponseUpdate> writer, CancellationToken cancellation)
    {
        try
        {
            await foreach (ChatResponseUpdate update in _call.Routes!.Client.GetStreamingResponseAsync(_request.Messages, _request.Options, cancellation).ConfigureAwait(false))
            {
                await writer.WriteAsync(update, cancellation).ConfigureAwait(false);
            }

            writer.Complete();
        }
        catch (Exception failure)
        {
            writer.Complete(failure);
        }
    }

    private void Take(ChatResponseUpdate update, EventStream stream)
    {
        if (update.AdditionalProperties?.TryGetValue(RouteOutcome.Key, out object? value) == true && value is RouteOutcome outcome)
        {
            bool isFirst = _outcome is null;
            _outcome = outcome;
            if (isFirst)
            {
                if (!stream.HasBegun)
                {
                    ServedRoutes.WriteHeaders(_call.Http.Response, outcome);
                }

                AddChunk(stream, json =>
                {
                    json.WriteString("role", "assistant");
                    json.WriteString("content", "");
                    json.WriteNull("refusal");
                }, null, tellsRoute: _isLate);
            }
        }

        foreach (AIContent content in update.Contents)
        {
            switch (content)
            {
                case TextReasoningContent { Text.Length: > 0 } thought:
                    AddChunk(stream, json => json.WriteString("reasoning_content", thought.Text), null);
                    break;
                case TextContent { Text.Length: > 0 } text:
                    AddChunk(stream, json => json.WriteString("content", text.Text), null);
                    break;
                case FunctionCallContent each:
                    int index = _calls++;
                    AddChunk(stream, json =>
                    {
                        json.WriteStartArray("tool_calls");
                        WireCalls.Write(json, each, index);
                        json.WriteEndArray();
                    }, null);
                    break;
                case UsageContent usage:
                    _usage = usage.Details;
                    break;
            }
        }

        _finish = update.FinishReason?.Value ?? _finish;
    }

    private void AddChunk(EventStream stream, Action<Utf8JsonWriter> delta, string? finish, bool tellsRoute = false) => stream.Add(json =>
    {
        Begin(json, "chat.completion.chunk");
        json.WriteStartObject();
        json.WriteNumber("index", 0);
        json.WriteStartObject("delta");
        delta(json);
        json.WriteEndObject();
        json.WriteNull("logprobs");
        json.WriteStringOrNull("finish_reason", finish);
        json.WriteEndObject();
        json.WriteEndArray();
        if (_request.ReportsUsage)
        {
            json.WriteNull("usage");
        }

        if (tellsRoute)
        {
            WriteOutcome(json);
        }

        json.WriteEndObject();
    });

    private void Begin(Utf8JsonWriter json, string kind)
    {
        json.WriteStartObject();
        json.WriteString("id", _id);
        json.WriteString("object", kind);
        json.WriteNumber("created", _created);
        json.WriteString("model", _outcome?.Model ?? _request.Options.ModelId!);
        json.WriteString("system_fingerprint", KidogoServer.Fingerprint);
        json.WriteStartArray("choices");
    }

    private void WriteUsage(Utf8JsonWriter json)
    {
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", _usage?.InputTokenCount ?? 0);
        json.WriteNumber("completion_tokens", _usage?.OutputTokenCount ?? 0);
        json.WriteNumber("total_tokens", (_usage?.InputTokenCount ?? 0) + (_usage?.OutputTokenCount ?? 0));
        json.WriteEndObject();
    }

    private void WriteOutcome(Utf8JsonWriter json)
    {
        if (_outcome is { } outcome)
        {
            json.WritePropertyName(RouteOutcome.Key);
            outcome.Write(json);
        }
    }
}
