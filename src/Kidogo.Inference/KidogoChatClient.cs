// Microsoft.Extensions.AI's chat client over a hosted model. Knows no template and no wire format.
using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using Kidogo.Inference.Chat;
using Kidogo.Inference.Scheduling;
using Kidogo.Inference.Telemetry;
using Kidogo.Inference.Tools;
using Kidogo.Text.Tokenizers;
using Microsoft.Extensions.AI;
using FinishReason = Kidogo.Inference.Output.FinishReason;

namespace Kidogo.Inference;

/// <summary>Chats with a model in this process. Safe for any number of threads: calls share the model, a step at a time, and none changes another's answer.</summary>
/// <remarks>
/// Every option of <see cref="ChatOptions"/> is honoured, or refused with its name: <see cref="NotSupportedException"/> for what is not there, <see cref="ArgumentException"/> for a value
/// outside its range. <c>AdditionalProperties</c> may have <c>min_p</c>, <c>typical_p</c>, <c>repetition_penalty</c>, <c>grammar</c> (GBNF) and <c>regex</c>,
/// <c>logprobs</c> (true: updates have the log-probabilities of their tokens under the same name), <c>cache_owner</c> (whose cached prompts may be used; one owner's say nothing to another), and like
/// those of a tool <c>strict</c>: then the arguments of calls always obey the tool's schema. A <c>RawRepresentationFactory</c>
/// may give <see cref="Sampling.SamplerOptions"/> to begin with in place of the model's own. With temperature 0, or a seed, the same call gives the same answer, whatever else runs.
/// Tools are not called here: what the model asks for comes back as <see cref="FunctionCallContent"/>, and its results are given as <see cref="FunctionResultContent"/>.
/// </remarks>
public sealed class KidogoChatClient : IChatClient
{
    private readonly HostedModel _model;
    private readonly bool _ownsModel;
    private readonly string _modelId;
    private readonly ChatClientMetadata _metadata;
    private readonly ModelTelemetry _telemetry;
    private readonly OptionsReader _options;
    private bool _isDisposed;

    /// <summary>A client of a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="modelId">What it is called in answers, options and metrics.</param>
    /// <param name="ownsModel">Whether the model ends with the client.</param>
    /// <param name="meters">Makes the meter; null to make it here.</param>
    public KidogoChatClient(HostedModel model, string modelId, bool ownsModel = false, IMeterFactory? meters = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentException.ThrowIfNullOrEmpty(modelId);
        _model = model;
        _modelId = modelId;
        _ownsModel = ownsModel;
        _metadata = new ChatClientMetadata(ModelTelemetry.ProviderName, providerUri: null, modelId);
        _telemetry = new ModelTelemetry(meters);
        _options = new OptionsReader(model, modelId, this);
    }

    /// <summary>Loads a model and chats with it. The model ends with the client.</summary>
    /// <param name="model">A .gguf file, a Hugging Face folder, or <c>org/name</c> of the model cache.</param>
    /// <inheritdoc cref="HostedModel.Load"/>
    public static KidogoChatClient Load(string model) => Load(new KidogoOptions { Model = model });

    /// <summary>Loads a model and chats with it. The model ends with the client.</summary>
    /// <param name="options">Which model, and how.</param>
    /// <param name="meters">Makes the meter; null to make it here.</param>
    /// <inheritdoc cref="HostedModel.Load"/>
    public static KidogoChatClient Load(KidogoOptions options, IMeterFactory? meters = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        string name = options.Model ?? throw new ArgumentException($"{nameof(KidogoOptions)}.{nameof(options.Model)} is not set: name a .gguf file, a folder, or org/name of the model cache.", nameof(options));
        return new KidogoChatClient(HostedModel.Load(options), options.IdOf(name), ownsModel: true, meters);
    }

    /// <inheritdoc/>
    public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        return RunAsync(messages, options ?? new ChatOptions(), streams: false, cancellationToken).ToChatResponseAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        return RunAsync(messages, options ?? new ChatOptions(), streams: true, cancellationToken);
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(ChatClientMetadata) ? _metadata
            : serviceType == typeof(HostedModel) ? _model
            : serviceType == typeof(Tokenizer) ? _model.Tokenizer
            : serviceType.IsInstanceOfType(this) ? this
            : null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, true))
        {
            return;
        }

        if (_ownsModel)
        {
            _model.Dispose();
        }

        _telemetry.Dispose();
    }

    private async IAsyncEnumerable<ChatResponseUpdate> RunAsync(IEnumerable<ChatMessage> messages, ChatOptions options, bool streams, [EnumeratorCancellation] CancellationToken cancellation)
    {
        using ModelOperation operation = _telemetry.Begin("chat", _modelId);
        operation.Span?.SetTag("gen_ai.output.type", options.ResponseFormat is ChatResponseFormatJson ? "json" : "text");
        ChatCall call;
        GenerationGroup group;
        try
        {
            cancellation.ThrowIfCancellationRequested();
            call = _options.Read(messages, options);
            operation.Asked([call.Request], streams);
            group = _model.Scheduler.Submit(call.Request);
        }
        catch (Exception failure)
        {
            operation.Failed(failure);
            throw;
        }

        using (group)
        {
            AnswerWriter writer = new(call, _modelId);
            try
            {
                bool goesOn = true;
                while (goesOn)
                {
                    try
                    {
                        goesOn = !writer.IsOver && await group.Steps.WaitToReadAsync(cancellation).ConfigureAwait(false);
                    }
                    catch (Exception failure)
                    {
                        operation.Failed(failure);
                        throw;
                    }

                    while (goesOn && group.Steps.TryRead(out GenerationStep? step))
                    {
                        operation.Stepped();
                        foreach (ChatResponseUpdate update in writer.Take(step))
                        {
                            if (streams)
                            {
                                operation.Chunk();
                            }

                            yield return update;
                        }
                    }
                }

                group.Cancel(); // where enough has come before the model's own end
                yield return writer.End(group.Choices[0]);
            }
            finally
            {
                operation.Answered(writer.ResponseId, group, [writer.Finish?.Value]);
            }
        }
    }

    /// <summary>From the steps of one answer to its updates.</summary>
    private sealed class AnswerWriter(ChatCall call, string modelId)
    {
        private const int DeepestArguments = 64;

        private readonly ChatChoice _choice = new(call.Tools, call.Request.Alternatives is not null);
        private readonly StringBuilder _arguments = new();
        private readonly string _messageId = $"msg_{Guid.NewGuid():N}";
        private readonly DateTimeOffset _created = DateTimeOffset.UtcNow;
        private ToolCallDelta? _open; // the call that is being written: it is given out whole
        private bool _calls;

        public string ResponseId { get; } = $"chatcmpl-{Guid.NewGuid():N}";

        public bool IsOver => _choice.Finish is not null;

        /// <summary>Why the answer ended; null while it goes on.</summary>
        public ChatFinishReason? Finish => _choice.Finish switch
        {
            null => null,
            "length" => ChatFinishReason.Length,
            _ => _calls ? ChatFinishReason.ToolCalls : ChatFinishReason.Stop,
        };

        public IEnumerable<ChatResponseUpdate> Take(GenerationStep step)
        {
            if (IsOver)
            {
                yield break;
            }

            foreach (ChatDelta delta in _choice.Take(step))
            {
                if (delta.Call is { Id: not null } begun)
                {
                    foreach (ChatResponseUpdate update in CloseCall())
                    {
                        yield return update;
                    }

                    _open = begun;
                }

                _arguments.Append(delta.Call?.Arguments);
                if (delta.Reasoning is { } reasoning && call.ShowsReasoning)
                {
                    yield return Update(new TextReasoningContent(reasoning));
                }

                if (delta.Content is { } text)
                {
                    ChatResponseUpdate said = Update(new TextContent(text));
                    if (delta.Likelihoods is { Count: > 0 } likelihoods)
                    {
                        said.AdditionalProperties = new() { ["logprobs"] = likelihoods.Select(token => token.LogProbability).ToArray() };
                    }

                    yield return said;
                }
            }

            if (_choice.IsEnough)
            {
                _choice.End(FinishReason.Stop);
            }

            foreach (ChatResponseUpdate update in IsOver ? CloseCall() : [])
            {
                yield return update;
            }
        }

        /// <summary>The last update: why the answer ended, and what it took.</summary>
        public ChatResponseUpdate End(GeneratedChoice choice)
        {
            ChatResponseUpdate last = Update(new UsageContent(new UsageDetails
            {
                InputTokenCount = choice.Request.Prompt.Length,
                OutputTokenCount = choice.GeneratedTokens,
                TotalTokenCount = choice.Request.Prompt.Length + choice.GeneratedTokens,
                CachedInputTokenCount = choice.CachedTokens,
                ReasoningTokenCount = choice.ReasoningTokens,
            }));
            last.FinishReason = Finish ?? ChatFinishReason.Stop;
            return last;
        }

        private IEnumerable<ChatResponseUpdate> CloseCall()
        {
            if (_open is not { Id: { } id, Name: { } name })
            {
                yield break;
            }

            string arguments = _arguments.ToString();
            _arguments.Clear();
            _open = null;
            _calls = true;
            yield return Update(FunctionCallContent.CreateFromParsedArguments(arguments, id, name, ArgumentsOf));
        }

        private static Dictionary<string, object?> ArgumentsOf(string json)
        {
            using JsonDocument document = JsonDocument.Parse(json.Length == 0 ? "{}" : json, new JsonDocumentOptions { MaxDepth = DeepestArguments });
            Dictionary<string, object?> arguments = new(StringComparer.Ordinal);
            foreach (JsonProperty member in document.RootElement.EnumerateObject())
            {
                arguments[member.Name] = member.Value.ValueKind == JsonValueKind.Null ? null : member.Value.Clone();
            }

            return arguments;
        }

        private ChatResponseUpdate Update(AIContent content) => new(ChatRole.Assistant, [content])
        {
            MessageId = _messageId,
            ResponseId = ResponseId,
            ModelId = modelId,
            CreatedAt = _created,
        };
    }
}
