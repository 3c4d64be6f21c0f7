// From ChatOptions to what is asked of the scheduler: every option is honoured here, or refused by name. Knows no answers.
using System.Collections.ObjectModel;
using System.Globalization;
using System.Text.Json;
using Kidogo.Inference.Constraints;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Scheduling;
using Kidogo.Inference.Tools;
using Kidogo.Models;
using Kidogo.Text.ChatTemplates;
using Microsoft.Extensions.AI;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;

namespace Kidogo.Inference.Chat;

/// <summary>What one call of a chat client asks.</summary>
/// <param name="Request">The sequence to generate.</param>
/// <param name="Tools">What may be called; null for nothing.</param>
/// <param name="ShowsReasoning">Whether the reasoning is part of what is given back.</param>
internal sealed record ChatCall(GenerationRequest Request, ToolChoice? Tools, bool ShowsReasoning);

/// <summary>Reads the options of calls.</summary>
/// <param name="model">Who answers.</param>
/// <param name="modelId">What it is called.</param>
/// <param name="client">The client that is called.</param>
internal sealed class OptionsReader(HostedModel model, string modelId, IChatClient client)
{
    private const double LargestTemperature = 2, LargestPenalty = 2;

    private static readonly string[] s_strict = ["strict", "strictJsonSchema"]; // as Microsoft's adapter for OpenAI has called it
    private static readonly string[] s_properties = ["min_p", "typical_p", "repetition_penalty", "grammar", "regex", "logprobs", "cache_owner", .. s_strict];

    /// <summary>Reads a call.</summary>
    /// <exception cref="ArgumentException">An option, or a message, is outside its range; the message names it.</exception>
    /// <exception cref="NotSupportedException">An option asks for what is not there; the message names it.</exception>
    /// <exception cref="InvalidOperationException">The model has no chat template, or its template refuses the conversation.</exception>
    public ChatCall Read(IEnumerable<ChatMessage> messages, ChatOptions options)
    {
        if (model.Chat is not { } chat)
        {
            throw new InvalidOperationException($"The model {modelId} has no chat template, so it cannot chat. {nameof(KidogoOptions)}.{nameof(KidogoOptions.ChatTemplate)} gives it one.");
        }

        RefuseWhatIsNotThere(options);
        SamplerOptions sampling = Sampling(options);
        (string Option, AnswerForm Form)? form = Form(options);
        ToolChoice? tools = ToolsOf(options);
        if (form is not null && tools is not null)
        {
            throw Unsupported(nameof(options.ResponseFormat), $"does not go with {nameof(options.Tools)}: an answer of a given form is no call. Set {nameof(options.ToolMode)} to none for the last turn");
        }

        IReadOnlyList<JsonElement> conversation = ConversationReader.Read(messages, options.Instructions, chat.Template.KnowsDeveloper);
        string? description = (options.ResponseFormat as ChatResponseFormatJson)?.SchemaDescription;
        ChatPrompt prompt = Build(chat, conversation, new ChatPromptOptions { Tools = tools?.Tools, Thinks = Thinks(options, chat.Template), Format = description });
        tools = tools?.After(prompt.ReasoningClose);
        TokenGrammar? grammar = form is { } asked ? Grammar(asked.Option, asked.Form.After(prompt.ReasoningClose)) : Grammar(nameof(options.Tools), tools?.Form(prompt.ReasoningClose));
        GenerationRequest request = new()
        {
            Prompt = [.. prompt.Ids, .. tools?.ForcedIds(model.Tokenizer) ?? []],
            Owner = TextProperty(options, "cache_owner") ?? "",
            Alternatives = Flag(options, "logprobs") ? 0 : null,
            Generation = new GenerationOptions { MaxTokens = MaxTokens(options), StopStrings = Stops(options), Sampling = sampling },
            Reasoning = prompt.Reasoning,
            StartsInReasoning = prompt.StartsInReasoning,
            SpelledOut = tools?.SpelledOut(model.Tokenizer) ?? [],
            Mask = grammar is null ? null : new TokenConstraint(grammar),
        };
        return new ChatCall(request, tools, options.Reasoning?.Output is not ReasoningOutput.None);
    }

    private static ChatPrompt Build(ChatPrompter chat, IReadOnlyList<JsonElement> conversation, ChatPromptOptions how)
    {
        try
        {
            return chat.Build(conversation, how);
        }
        catch (ChatTemplateException failure)
        {
            throw new InvalidOperationException(
                failure.RefusedByTemplate ? $"The model's chat template refuses the conversation: {failure.Problem}" : $"The model's chat template cannot render the conversation: {failure.Message}", failure);
        }
    }

    private void RefuseWhatIsNotThere(ChatOptions options)
    {
        if (options.ConversationId is not null)
        {
            throw Unsupported(nameof(options.ConversationId), "is not supported: no conversation is kept here, give all its messages");
        }

        if (options.ModelId is { } asked && asked != modelId)
        {
            throw new ArgumentException($"{nameof(ChatOptions)}.{nameof(options.ModelId)} is \"{asked}\"; this client answers with {modelId} alone.");
        }

#pragma warning disable MEAI001 // experimental in the package, and refused here
        if (options.AllowBackgroundResponses == true)
        {
            throw Unsupported(nameof(options.AllowBackgroundResponses), "is not supported: an answer is made while it is waited for");
        }

        if (options.ContinuationToken is not null)
        {
            throw Unsupported(nameof(options.ContinuationToken), "is not supported: no answer is made in the background");
        }
#pragma warning restore MEAI001

        foreach (string name in options.AdditionalProperties?.Keys ?? Enumerable.Empty<string>())
        {
            if (!s_properties.Contains(name, StringComparer.OrdinalIgnoreCase)) // as the dictionary compares them
            {
                string nearest = NearestName.Likely(name, s_properties) is { } other ? $" Did you mean \"{other}\"?" : "";
                throw Unsupported(nameof(options.AdditionalProperties), $"has \"{name}\", which is unknown.{nearest} Known: {string.Join(", ", s_properties)}");
            }
        }
    }

    private SamplerOptions Sampling(ChatOptions options)
    {
        SamplerOptions defaults = options.RawRepresentationFactory?.Invoke(client) switch
        {
            null => model.DefaultSampling,
            SamplerOptions given => given,
            var other => throw Unsupported(nameof(options.RawRepresentationFactory), $"gave a {other.GetType().Name}; it has to give {nameof(SamplerOptions)}, or null"),
        };
        if (options.TopK < 0)
        {
            throw new ArgumentException($"{nameof(ChatOptions)}.{nameof(options.TopK)} is {options.TopK}; it has to be 0 or more.");
        }

        SamplerOptions sampling = defaults with
        {
            Temperature = Number(options.Temperature, nameof(options.Temperature), 0, LargestTemperature) ?? defaults.Temperature,
            TopP = Number(options.TopP, nameof(options.TopP), 0, 1) ?? defaults.TopP,
            TopK = options.TopK ?? defaults.TopK,
            MinP = Property(options, "min_p", 0, 1) ?? defaults.MinP,
            TypicalP = Property(options, "typical_p", 0, 1) ?? defaults.TypicalP,
            Seed = options.Seed is { } seed ? unchecked((ulong)seed) : defaults.Seed,
        };
        return sampling.WithAnswerPenalties(
            Number(options.FrequencyPenalty, nameof(options.FrequencyPenalty), -LargestPenalty, LargestPenalty),
            Number(options.PresencePenalty, nameof(options.PresencePenalty), -LargestPenalty, LargestPenalty),
            Property(options, "repetition_penalty", 0.01, 100));
    }

    private static int? MaxTokens(ChatOptions options) => options.MaxOutputTokens is not (<= 0) ? options.MaxOutputTokens
        : throw new ArgumentException($"{nameof(ChatOptions)}.{nameof(options.MaxOutputTokens)} is {options.MaxOutputTokens}; it has to be 1 or more.");

    private static string[] Stops(ChatOptions options)
    {
        string[] stops = [.. options.StopSequences ?? []];
        try
        {
            StopStringMatcher.Validate(stops);
            return stops;
        }
        catch (ArgumentException failure)
        {
            throw new ArgumentException($"{nameof(ChatOptions)}.{nameof(options.StopSequences)}: {failure.Message}", failure);
        }
    }

    /// <summary>What the answer is held to, and which option says so; null for nothing.</summary>
    private static (string Option, AnswerForm Form)? Form(ChatOptions options)
    {
        List<(string Option, AnswerForm Form)> forms = [];
        switch (options.ResponseFormat)
        {
            case null or ChatResponseFormatText:
                break;
            case ChatResponseFormatJson json:
                forms.Add((nameof(options.ResponseFormat), json.Schema is { } schema ? AnswerForm.Schema(schema) : AnswerForm.AnyObject));
                break;
            default:
                throw Unsupported(nameof(options.ResponseFormat), $"is a {options.ResponseFormat.GetType().Name}, which is unknown here");
        }

        if (TextProperty(options, "grammar") is { } grammar)
        {
            forms.Add(("grammar", AnswerForm.Gbnf(grammar)));
        }

        if (TextProperty(options, "regex") is { } pattern)
        {
            forms.Add(("regex", AnswerForm.Pattern(pattern)));
        }

        return forms.Count == 0 ? null
            : forms.Count == 1 ? forms[0]
            : throw new ArgumentException($"{nameof(ChatOptions)}: {forms[0].Option} and {forms[1].Option} exclude each other; give one of them.");
    }

    private TokenGrammar? Grammar(string option, AnswerForm? form)
    {
        try
        {
            return form is null ? null : model.Grammars.Of(form);
        }
        catch (GrammarException failure)
        {
            throw new ArgumentException($"{nameof(ChatOptions)}.{option} cannot be used. {failure.Message}", failure);
        }
    }

    private ToolChoice? ToolsOf(ChatOptions options)
    {
        bool isStrict = Strict(options.AdditionalProperties) ?? false;
        List<ToolDescription> tools = [];
        foreach (AITool tool in options.Tools ?? [])
        {
            if (tool is not AIFunctionDeclaration function)
            {
                throw Unsupported(nameof(options.Tools), $"has a {tool?.GetType().Name ?? "null"}: functions alone can be called here");
            }

            if (!ToolDescription.IsName(function.Name) || tools.Exists(other => other.Name == function.Name))
            {
                throw new ArgumentException(
                    $"{nameof(ChatOptions)}.{nameof(options.Tools)} has \"{function.Name}\"; a name has 1 to {ToolDescription.LongestName} letters, digits, dashes and underscores, and is not used twice.");
            }

            JsonElement? schema = function.JsonSchema.ValueKind == JsonValueKind.Object ? function.JsonSchema : null;
            tools.Add(new ToolDescription(function.Name, function.Description, schema, Strict(function.AdditionalProperties) ?? isStrict));
        }

        if (tools.Count > ToolDescription.Most)
        {
            throw new ArgumentException($"{nameof(ChatOptions)}.{nameof(options.Tools)} has {tools.Count} tools; at most {ToolDescription.Most} are allowed.");
        }

        RequiredChatToolMode? required = options.ToolMode as RequiredChatToolMode;
        if (options.ToolMode is not (null or AutoChatToolMode or NoneChatToolMode or RequiredChatToolMode))
        {
            throw Unsupported(nameof(options.ToolMode), $"is a {options.ToolMode.GetType().Name}, which is unknown here");
        }

        if (required is not null && tools.Count == 0)
        {
            throw new ArgumentException($"{nameof(ChatOptions)}.{nameof(options.ToolMode)} asks for a call, but there are no {nameof(options.Tools)}.");
        }

        if (required?.RequiredFunctionName is { } named && !tools.Exists(tool => tool.Name == named))
        {
            throw new ArgumentException($"{nameof(ChatOptions)}.{nameof(options.ToolMode)} names \"{named}\", which is not among the {nameof(options.Tools)}.");
        }

        if (tools.Count == 0 || options.ToolMode is NoneChatToolMode)
        {
            return null;
        }

        ToolCallFormat format = model.ToolFormat ?? throw Unsupported(nameof(options.Tools), $"is not supported by {modelId}: its chat template has no place for them");
        foreach (ToolDescription strict in tools.Where(tool => tool.IsStrict))
        {
            CheckStrict(strict, format);
        }

        return new ToolChoice(format, tools, required is not null, required?.RequiredFunctionName, options.AllowMultipleToolCalls ?? true);
    }

    private static void CheckStrict(ToolDescription tool, ToolCallFormat format)
    {
        if (tool.Parameters is { } schema && CallGrammar.WhyNot(format.Spelling, schema) is { } problem)
        {
            throw new ArgumentException($"{nameof(ChatOptions)}.{nameof(ChatOptions.Tools)} has \"{tool.Name}\", which is strict, and its schema cannot be enforced. {problem}");
        }
    }

    /// <summary>Whether arguments always obey their schema; null where nothing is said.</summary>
    private static bool? Strict(IReadOnlyDictionary<string, object?>? properties)
    {
        foreach ((string name, object? value) in properties ?? ReadOnlyDictionary<string, object?>.Empty)
        {
            if (s_strict.Contains(name, StringComparer.OrdinalIgnoreCase) && value is not null)
            {
                return value switch
                {
                    bool flag => flag,
                    JsonElement { ValueKind: JsonValueKind.True or JsonValueKind.False } element => element.GetBoolean(),
                    _ => throw new ArgumentException($"{nameof(ChatOptions)}: {name} is a {value.GetType().Name}; it has to be true or false."),
                };
            }
        }

        return null;
    }

    /// <summary>Whether the model reasons first; null for its template's own way.</summary>
    private bool? Thinks(ChatOptions options, ChatTemplate template)
    {
        if (options.Reasoning?.Output is ReasoningOutput.Summary)
        {
            throw Unsupported($"{nameof(options.Reasoning)}.{nameof(options.Reasoning.Output)}", "is a summary, which nobody makes here: take all of it, or none");
        }

        bool? thinks = options.Reasoning?.Effort is { } effort ? effort != ReasoningEffort.None : null;
        bool isNeutral = thinks is null || (thinks == false && template.ReasoningTags is null);
        return isNeutral || template.SupportsThinkingSwitch ? thinks
            : throw Unsupported($"{nameof(options.Reasoning)}.{nameof(options.Reasoning.Effort)}", $"is not supported by {modelId}: its chat template has no switch for reasoning");
    }

    /// <summary>A number as it was written: 0.8 is not 0.800000011920929, so that the answer is that of the command line.</summary>
    private static double? Number(float? value, string name, double min, double max) => value is not { } given ? null
        : given >= min && given <= max ? double.Parse(given.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture)
        : throw OutOfRange(name, given, min, max);

    private static double? Property(ChatOptions options, string name, double min, double max)
    {
        if (options.AdditionalProperties?.TryGetValue(name, out object? value) != true || value is null)
        {
            return null;
        }

        double? number = value switch
        {
            float single => Number(single, name, float.MinValue, float.MaxValue),
            double real => real,
            int whole => whole,
            long whole => whole,
            decimal exact => (double)exact,
            JsonElement { ValueKind: JsonValueKind.Number } element => element.GetDouble(),
            _ => null,
        };
        return number is { } given && given >= min && given <= max ? given : throw OutOfRange(name, value, min, max);
    }

    private static string? TextProperty(ChatOptions options, string name) => options.AdditionalProperties?.TryGetValue(name, out object? value) != true ? null : value switch
    {
        null => null,
        string text => text,
        JsonElement { ValueKind: JsonValueKind.String } element => element.GetString(),
        _ => throw new ArgumentException($"{nameof(ChatOptions)}.{nameof(options.AdditionalProperties)} has a {name} that is a {value.GetType().Name}; it has to be a text."),
    };

    private static bool Flag(ChatOptions options, string name) => options.AdditionalProperties?.TryGetValue(name, out object? value) == true && value switch
    {
        null => false,
        bool flag => flag,
        JsonElement { ValueKind: JsonValueKind.True or JsonValueKind.False } element => element.GetBoolean(),
        _ => throw new ArgumentException($"{nameof(ChatOptions)}.{nameof(options.AdditionalProperties)} has a {name} that is a {value.GetType().Name}; it has to be true or false."),
    };

    private static ArgumentException OutOfRange(string name, object value, double min, double max) =>
        new(string.Create(CultureInfo.InvariantCulture, $"{nameof(ChatOptions)}.{name} is {value}; it has to be a number from {min} to {max}."));

    private static NotSupportedException Unsupported(string name, string because) => new($"{nameof(ChatOptions)}.{name} {because}.");
}
