// A chat completion as it is asked for: every field is honoured here, or refused by name. Knows no answers.
using System.Text.Json;
using Kidogo.Inference;
using Kidogo.Inference.Constraints;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Scheduling;
using Kidogo.Inference.Tools;
using Kidogo.Serving.Tools;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Serving.Api;

/// <summary>What is to be done for a chat completion: a sequence for each choice.</summary>
/// <param name="Asked">Who answers.</param>
/// <param name="Requests">The sequences.</param>
/// <param name="Tools">What may be called; null for nothing.</param>
/// <param name="Streams">Whether the answer comes in pieces.</param>
/// <param name="ReportsUsage">Whether a stream ends with its usage.</param>
internal sealed record ChatRequest(AskedModel Asked, IReadOnlyList<GenerationRequest> Requests, ToolChoice? Tools, bool Streams, bool ReportsUsage)
    : AnswerRequest(Asked, Requests, Streams)
{
    private const int MostAlternatives = 20;

    /// <inheritdoc/>
    public override string Operation => "chat";

    /// <inheritdoc/>
    public override ModelAnswer Begin(GenerationGroup group) => new ChatAnswer(this, group);

    /// <summary>Reads a request.</summary>
    public static ChatRequest Read(ApiCall call, AskedModel asked, RequestFields fields)
    {
        ServedModel model = asked.Model;
        (bool streams, bool reportsUsage) = SamplingFields.Streaming(fields);
        SamplerOptions sampling = SamplingFields.Read(fields, model.DefaultSampling, model.Config.VocabSize);
        int choices = fields.Int("n", 1, SamplingFields.MostChoices) ?? 1;
        GenerationRequest request = new()
        {
            Prompt = [],
            Owner = call.OwnerOf(fields),
            Adapter = asked.Adapter,
            Generation = new GenerationOptions { MaxTokens = MaxTokens(fields), StopStrings = SamplingFields.Stops(fields), Sampling = sampling },
            Alternatives = Alternatives(fields),
            UsesCache = fields.Flag("cache_prompt") ?? true,
        };
        RefuseWhatIsNotThere(fields);
        AskedForm? form = AnswerFormat.Read(fields, isChat: true);
        ChatRequest chat = Of(asked, fields, request, form, streams, choices, reportsUsage);
        fields.RejectUnknown();
        return chat;
    }

    /// <summary>Reads the conversation and the tools, and joins them to a request.</summary>
    /// <param name="asked">Who answers.</param>
    /// <param name="fields">The request.</param>
    /// <param name="request">What is read of it already.</param>
    /// <param name="form">What the answer is held to; null for nothing.</param>
    /// <param name="streams">Whether the answer comes in pieces.</param>
    /// <param name="choices">How many answers.</param>
    /// <param name="reportsUsage">Whether a stream ends with its usage.</param>
    /// <param name="isResponse">Whether the fields are those of the Responses API.</param>
    public static ChatRequest Of(
        AskedModel asked, RequestFields fields, GenerationRequest request, AskedForm? form, bool streams, int choices = 1, bool reportsUsage = false, bool isResponse = false)
    {
        ServedModel model = asked.Model;
        (ToolChoice? tools, ChatPrompt prompt) = ReadPrompt(fields, model, isResponse, form?.Description);
        if (form is not null && tools is not null)
        {
            throw ApiException.Field(form.Field, $"`{form.Field}` does not go with `tools`: an answer is of a given form, or calls.", "invalid_value");
        }

        tools = tools?.After(prompt.ReasoningClose);
        form = form is not null ? form with { Form = form.Form.After(prompt.ReasoningClose) }
            : tools?.Form(prompt.ReasoningClose) is { } calls ? new AskedForm("tools", calls) : null; // schemas that each can be enforced may be too much together
        request = request with
        {
            Prompt = [.. prompt.Ids, .. tools?.ForcedIds(model.Tokenizer) ?? []],
            Reasoning = prompt.Reasoning,
            StartsInReasoning = prompt.StartsInReasoning,
            SpelledOut = tools?.SpelledOut(model.Tokenizer) ?? [],
        };
        return new ChatRequest(asked, Choices(request, choices, form?.For(model)), tools, streams, reportsUsage);
    }

    /// <summary>The conversation, rendered and not tokenised: for whoever only wants to see it.</summary>
    public static RenderedPrompt Render(RequestFields fields, ServedModel model)
    {
        ToolChoice? tools = ToolFields.Read(fields, model);
        ChatPromptOptions options = new() { Tools = tools?.Tools, Thinks = Thinks(fields, model, isResponse: false) };
        IReadOnlyList<JsonElement> messages = Messages(fields, model, isResponse: false);
        fields.RejectUnknown();
        return Rendered(() => model.Chat!.Render(messages, options));
    }

    /// <summary>The same request several times; each with a seed of its own, the first with the one that was given.</summary>
    /// <param name="request">The request.</param>
    /// <param name="count">How often.</param>
    /// <param name="form">What each answer is held to, by a mask of its own; null for nothing.</param>
    public static IReadOnlyList<GenerationRequest> Choices(GenerationRequest request, int count, TokenGrammar? form)
    {
        GenerationRequest[] choices = new GenerationRequest[count];
        for (int i = 0; i < count; i++)
        {
            ulong? seed = request.Generation.Sampling.Seed is { } given ? unchecked(given + (ulong)i) : null;
            choices[i] = request with { Generation = request.Generation with { Sampling = request.Generation.Sampling with { Seed = seed } }, Mask = form is null ? null : new TokenConstraint(form) };
        }

        return choices;
    }

    private static (ToolChoice? Tools, ChatPrompt Prompt) ReadPrompt(RequestFields fields, ServedModel model, bool isResponse, string? format)
    {
        IReadOnlyList<JsonElement> messages = Messages(fields, model, isResponse);
        ToolChoice? tools = ToolFields.Read(fields, model, isFlat: isResponse);
        ChatPromptOptions options = new() { Tools = tools?.Tools, Thinks = Thinks(fields, model, isResponse), Format = format };
        model.CheckLength(messages.Sum(message => (long)message.GetProperty("content").GetString()!.Length) + (tools?.Tools.GetRawText().Length ?? 0) + (format?.Length ?? 0));
        return (tools, Rendered(() => model.Chat!.Build(messages, options)));
    }

    private static IReadOnlyList<JsonElement> Messages(RequestFields fields, ServedModel model, bool isResponse)
    {
        if (model.Chat is null)
        {
            throw new ApiException(400, ApiException.InvalidRequest, $"`{model.Id}` has no chat template: use /v1/completions, or start the server with --chat-template NAME.", "model", "no_chat_template");
        }

        bool knowsDeveloper = model.Chat.Template.KnowsDeveloper;
        return isResponse ? ResponseInput.Read(fields, knowsDeveloper) : ChatMessages.Read(fields, knowsDeveloper);
    }

    private static T Rendered<T>(Func<T> render)
    {
        try
        {
            return render();
        }
        catch (ChatTemplateException failure)
        {
            string message = failure.RefusedByTemplate ? $"The model's chat template refuses the conversation: {failure.Problem}" : $"The model's chat template cannot render the conversation: {failure.Message}";
            throw ApiException.Field("messages", message, "chat_template_error");
        }
    }

    internal static int? MaxTokens(RequestFields fields)
    {
        int? former = fields.Int("max_tokens", 1, int.MaxValue);
        int? given = fields.Int("max_completion_tokens", 1, int.MaxValue);
        return former is null || given is null || former == given
            ? given ?? former
            : throw ApiException.Field("max_tokens", $"`max_tokens` is {former} and `max_completion_tokens` {given}; give one of them.", "invalid_value");
    }

    private static int? Alternatives(RequestFields fields)
    {
        bool wanted = fields.Flag("logprobs") ?? false;
        int? top = fields.Int("top_logprobs", 0, MostAlternatives);
        return top is null || wanted ? (wanted ? top ?? 0 : null) : throw ApiException.Field("top_logprobs", "`top_logprobs` goes only with `logprobs: true`.", "invalid_value");
    }

    /// <summary>Whether the model is to reason, by OpenAI's field or by the template's own variable.</summary>
    private static bool? Thinks(RequestFields fields, ServedModel model, bool isResponse)
    {
        ChatTemplate template = model.Chat!.Template;
        (string? effort, string field) = isResponse ? ResponseEffort(fields) : (fields.Text("reasoning_effort"), "reasoning_effort");
        bool? thinks = effort switch
        {
            null => null,
            "none" => false,
            "minimal" or "low" or "medium" or "high" or "xhigh" or "max" => true,
            _ => throw ApiException.Field(field, $"`{field}` has to be none, minimal, low, medium, high, xhigh or max.", "invalid_value"),
        };
        if (thinks is not null && !template.SupportsThinkingSwitch && (thinks == true || template.ReasoningTags is not null))
        {
            throw ApiException.Field(field, $"`{field}` is not supported by `{model.Id}`: its chat template has no switch for reasoning.", "unsupported_parameter");
        }

        if (fields.Object("chat_template_kwargs") is { } variables)
        {
            bool? named = template.ThinkingVariable is { } name ? variables.Flag(name) : null;
            variables.RejectUnknown();
            thinks = named ?? thinks;
        }

        return thinks;
    }

    private static (string? Effort, string Field) ResponseEffort(RequestFields fields)
    {
        if (fields.Object("reasoning") is not { } reasoning)
        {
            return (null, "reasoning.effort");
        }

        string? effort = reasoning.Text("effort");
        reasoning.Refuse("summary", "reasoning comes whole, as the content of its item.");
        reasoning.Refuse("generate_summary", "reasoning comes whole, as the content of its item.");
        reasoning.Refuse("context", "what reasoning is seen again is decided by the model's template.", value => RequestFields.Is(value, "auto"));
        reasoning.Refuse("mode", "models here have no such modes.", value => RequestFields.Is(value, "standard", "auto"));
        reasoning.RejectUnknown();
        return (effort, "reasoning.effort");
    }

    /// <summary>The rest of OpenAI's fields: what is neutral passes, what would change the answer is refused.</summary>
    internal static void RefuseWhatIsNotThere(RequestFields fields)
    {
        fields.Refuse("audio", "the models here neither hear nor speak.");
        fields.Refuse("modalities", "the models here write text only.", value => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 1 && RequestFields.Is(value[0], "text"));
        fields.Refuse("prediction", "predicted outputs are not used here.");
        fields.Refuse("web_search_options", "this server asks no other.");
        fields.Refuse("store", "nothing is stored here.", value => value.ValueKind == JsonValueKind.False);
        fields.Refuse("metadata", "nothing is stored here, so there is nothing to attach it to.", value => value.ValueKind == JsonValueKind.Object && !value.EnumerateObject().Any());
        fields.Refuse("verbosity", "the models here know no such switch.", value => RequestFields.Is(value, "medium"));
        RefuseWhatNobodyHas(fields);
    }

    /// <summary>What neither chat completions nor responses can do here.</summary>
    internal static void RefuseWhatNobodyHas(RequestFields fields)
    {
        fields.Refuse("service_tier", "all requests are served alike.", value => RequestFields.Is(value, "auto", "default"));
        fields.Refuse("prompt_cache_retention", "prompts are cached in memory only.", value => RequestFields.Is(value, "in_memory", "in-memory"));
        fields.Refuse("moderation", "nothing is moderated here.");
        if (fields.Object("prompt_cache_options") is { } cache)
        {
            cache.Refuse("mode", "every prompt is cached from its start, wherever it ends.", value => RequestFields.Is(value, "implicit"));
            cache.Refuse("ttl", "prompts are cached as long as there is room.");
            cache.RejectUnknown();
        }
    }
}
