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
/// <param name="Model">Who answers.</param>
/// <param name="Requests">The sequences.</param>
/// <param name="Tools">What may be called; null for nothing.</param>
/// <param name="Streams">Whether the answer comes in pieces.</param>
/// <param name="ReportsUsage">Whether a stream ends with its usage.</param>
internal sealed record ChatRequest(ServedModel Model, IReadOnlyList<GenerationRequest> Requests, ToolChoice? Tools, bool Streams, bool ReportsUsage)
    : AnswerRequest(Model, Requests, Streams, ReportsUsage)
{
    private const int MostAlternatives = 20;

    /// <inheritdoc/>
    public override ModelAnswer Begin(GenerationGroup group) => new ChatAnswer(this, group);

    /// <summary>Reads a request.</summary>
    public static ChatRequest Read(ApiCall call, JsonElement body)
    {
        RequestFields fields = new(body);
        ServedModel model = call.Model(fields.Text("model"));
        (bool streams, bool reportsUsage) = SamplingFields.Streaming(fields);
        SamplerOptions sampling = SamplingFields.Read(fields, model.DefaultSampling, model.Config.VocabSize);
        int choices = fields.Int("n", 1, SamplingFields.MostChoices) ?? 1;
        GenerationRequest request = new()
        {
            Prompt = [],
            Owner = call.OwnerOf(fields),
            Generation = new GenerationOptions { MaxTokens = MaxTokens(fields), StopStrings = SamplingFields.Stops(fields), Sampling = sampling },
            Alternatives = Alternatives(fields),
            UsesCache = fields.Flag("cache_prompt") ?? true,
        };
        RefuseWhatIsNotThere(fields);
        TokenGrammar? form = AnswerFormat.Read(fields, model, isChat: true);
        (ToolChoice? tools, ChatPrompt prompt) = ReadPrompt(fields, model);
        fields.RejectUnknown();
        if (form is not null && (tools is not null || prompt.StartsInReasoning))
        {
            throw ApiException.Field("response_format", $"An answer of a given form does not go with {(tools is null ? "reasoning: say `reasoning_effort: none`" : "`tools`")}.", "invalid_value");
        }

        request = request with
        {
            Prompt = [.. prompt.Ids, .. tools?.ForcedIds(model.Tokenizer) ?? []],
            Reasoning = prompt.Reasoning,
            StartsInReasoning = prompt.StartsInReasoning,
            SpelledOut = tools?.SpelledOut(model.Tokenizer) ?? [],
        };
        return new ChatRequest(model, Choices(request, choices, form), tools, streams, reportsUsage);
    }

    /// <summary>The conversation, rendered and not tokenised: for whoever only wants to see it.</summary>
    public static RenderedPrompt Render(RequestFields fields, ServedModel model)
    {
        ToolChoice? tools = ToolFields.Read(fields, model);
        ChatPromptOptions options = new() { Tools = tools?.Tools, Thinks = Thinks(fields, model) };
        IReadOnlyList<JsonElement> messages = Messages(fields, model);
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

    private static (ToolChoice? Tools, ChatPrompt Prompt) ReadPrompt(RequestFields fields, ServedModel model)
    {
        IReadOnlyList<JsonElement> messages = Messages(fields, model);
        ToolChoice? tools = ToolFields.Read(fields, model);
        ChatPromptOptions options = new() { Tools = tools?.Tools, Thinks = Thinks(fields, model) };
        return (tools, Rendered(() => model.Chat!.Build(messages, options)));
    }

    private static IReadOnlyList<JsonElement> Messages(RequestFields fields, ServedModel model)
    {
        if (model.Chat is null)
        {
            throw new ApiException(400, ApiException.InvalidRequest, $"`{model.Id}` has no chat template: use /v1/completions, or start the server with --chat-template NAME.", "model", "no_chat_template");
        }

        return ChatMessages.Read(fields, model.Chat.Template.Source.Contains("developer", StringComparison.Ordinal));
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

    private static int? MaxTokens(RequestFields fields)
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
    private static bool? Thinks(RequestFields fields, ServedModel model)
    {
        ChatTemplate template = model.Chat!.Template;
        bool? thinks = fields.Text("reasoning_effort") switch
        {
            null => null,
            "none" => false,
            "minimal" or "low" or "medium" or "high" or "xhigh" => true,
            _ => throw ApiException.Field("reasoning_effort", "`reasoning_effort` has to be none, minimal, low, medium, high or xhigh.", "invalid_value"),
        };
        if (thinks is not null && !template.SupportsThinkingSwitch && (thinks == true || template.ReasoningTags is not null))
        {
            throw ApiException.Field("reasoning_effort", $"`reasoning_effort` is not supported by `{model.Id}`: its chat template has no switch for reasoning.", "unsupported_parameter");
        }

        if (fields.Object("chat_template_kwargs") is { } variables)
        {
            bool? named = template.ThinkingVariable is { } name ? variables.Flag(name) : null;
            variables.RejectUnknown();
            thinks = named ?? thinks;
        }

        return thinks;
    }

    /// <summary>The rest of OpenAI's fields: what is neutral passes, what would change the answer is refused.</summary>
    private static void RefuseWhatIsNotThere(RequestFields fields)
    {
        static bool Is(JsonElement value, params ReadOnlySpan<string> words)
        {
            foreach (string word in words)
            {
                if (value.ValueKind == JsonValueKind.String && value.ValueEquals(word))
                {
                    return true;
                }
            }

            return false;
        }

        fields.Refuse("audio", "the models here neither hear nor speak.");
        fields.Refuse("modalities", "the models here write text only.", value => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 1 && Is(value[0], "text"));
        fields.Refuse("prediction", "predicted outputs are not used here.");
        fields.Refuse("web_search_options", "this server asks no other.");
        fields.Refuse("store", "nothing is stored here.", value => value.ValueKind == JsonValueKind.False);
        fields.Refuse("metadata", "nothing is stored here, so there is nothing to attach it to.", value => value.ValueKind == JsonValueKind.Object && !value.EnumerateObject().Any());
        fields.Refuse("service_tier", "all requests are served alike.", value => Is(value, "auto", "default"));
        fields.Refuse("verbosity", "the models here know no such switch.", value => Is(value, "medium"));
        fields.Refuse("prompt_cache_retention", "prompts are cached in memory only.", value => Is(value, "in_memory", "in-memory"));
        fields.Refuse("moderation", "nothing is moderated here.");
    }
}
