// From a conversation to the ids that a model continues. Knows templates and vocabularies, no sampling and no terminal.
using System.Text.Json;
using Kidogo.Inference.Output;
using Kidogo.Inference.Tools;
using Kidogo.Models;
using Kidogo.Text;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Inference;

/// <summary>A conversation as a model sees it.</summary>
/// <param name="Ids">The whole prompt.</param>
/// <param name="Reasoning">What opens and closes reasoning in the answer; null where the model's template knows none.</param>
/// <param name="StartsInReasoning">Whether the prompt has opened the reasoning already.</param>
/// <param name="DroppedMessages">Messages at the start that were left out to make it fit.</param>
public sealed record ChatPrompt(IReadOnlyList<int> Ids, ReasoningTags? Reasoning, bool StartsInReasoning, int DroppedMessages = 0)
{
    /// <summary>What closes reasoning that the prompt has opened; null where it has not.</summary>
    public string? ReasoningClose => StartsInReasoning ? Reasoning!.Close : null;
}

/// <summary>What a caller may add to a conversation.</summary>
public sealed record ChatPromptOptions
{
    /// <summary>The tools, as a JSON array of function descriptions; null for none.</summary>
    public JsonElement? Tools { get; init; }

    /// <summary>Whether the model reasons first; null for the template's own way. Only templates with a switch hear of it (<see cref="ChatTemplate.SupportsThinkingSwitch"/>).</summary>
    public bool? Thinks { get; init; }

    /// <summary>What the answer's form is for, in the caller's words; null for nothing. The model reads it in the first message, of the system or of a user.</summary>
    public string? Format { get; init; }
}

/// <summary>Renders conversations with a chat template and turns them into ids, so that no message can forge a turn.</summary>
/// <param name="text">The model's words.</param>
/// <param name="template">Its template, or another.</param>
public sealed class ChatPrompter(ModelText text, ChatTemplate template)
{
    private readonly Dictionary<string, JsonElement> _variables = [];

    /// <summary>The template.</summary>
    public ChatTemplate Template => template;

    /// <summary>Switches reasoning on or off, where the template has a switch.</summary>
    /// <returns>Whether it has.</returns>
    public bool SwitchThinking(bool on)
    {
        if (template.ThinkingVariable is not { } name)
        {
            return false;
        }

        _variables[name] = JsonOf(on);
        return true;
    }

    /// <summary>The prompt of a conversation, ready for the assistant's turn.</summary>
    /// <exception cref="ChatTemplateException">The template failed or refused the conversation.</exception>
    public ChatPrompt Build(IReadOnlyList<JsonElement> messages) => Build(messages, new ChatPromptOptions());

    /// <summary>The prompt of a conversation with tools, or with reasoning switched for this one only.</summary>
    /// <inheritdoc cref="Build(IReadOnlyList{JsonElement})"/>
    public ChatPrompt Build(IReadOnlyList<JsonElement> messages, ChatPromptOptions options)
    {
        RenderedPrompt rendered = Render(messages, options);
        int[] ids = text.Tokenizer.Encode(rendered.Spans);
        // A template that speaks of the start token puts it where it belongs. To one that does not, the start is added as to any text.
        bool addsStart = text.Tokenizer.AddsBos && !template.Source.Contains("bos_token", StringComparison.Ordinal) && (ids.Length == 0 || ids[0] != text.Tokenizer.BosId);
        ReasoningTags? tags = template.ReasoningTags;
        return new ChatPrompt(addsStart ? [text.Tokenizer.BosId!.Value, .. ids] : ids, tags, tags is not null && ReasoningSplitter.PromptOpensBlock(rendered.Text, tags.Open));
    }

    /// <summary>The text of a conversation, ready for the assistant's turn.</summary>
    /// <inheritdoc cref="Build(IReadOnlyList{JsonElement})"/>
    public RenderedPrompt Render(IReadOnlyList<JsonElement> messages, ChatPromptOptions options)
    {
        const string OtherTools = "xml_tools"; // what some templates call them
        Dictionary<string, JsonElement> variables = new(_variables);
        if (options.Thinks is { } thinks && template.ThinkingVariable is { } name)
        {
            variables[name] = JsonOf(thinks);
        }

        if (options.Tools is { } tools && template.Source.Contains(OtherTools, StringComparison.Ordinal))
        {
            variables[OtherTools] = tools;
        }

        messages = options.Format is { } format ? WithFormat(messages, format) : messages;
        messages = CallIds.AreShort(template) ? CallIds.Shortened(messages) : messages;
        return template.Render(text.Input(messages, addGenerationPrompt: true) with { Variables = variables, Tools = options.Tools });
    }

    /// <summary>As <see cref="Build(IReadOnlyList{JsonElement})"/>, but leaves out the oldest turns, never system messages or the last message, until the prompt has at most <paramref name="limit"/> tokens.</summary>
    /// <remarks>What is still too long is returned as it is: whoever generates refuses it with the numbers.</remarks>
    public ChatPrompt BuildWithin(IReadOnlyList<JsonElement> messages, int limit)
    {
        ChatPrompt prompt = Build(messages);
        List<JsonElement> kept = [.. messages];
        int dropped = 0;
        while (prompt.Ids.Count > limit)
        {
            int first = kept.FindIndex(message => RoleOf(message) is not ("system" or "developer"));
            int next = first < 0 ? -1 : kept.FindIndex(first + 1, message => RoleOf(message) == "user");
            if (next < 0)
            {
                break;
            }

            kept.RemoveRange(first, next - first);
            dropped += next - first;
            prompt = Build(kept) with { DroppedMessages = dropped };
        }

        return prompt;
    }

    private static JsonElement[] WithFormat(IReadOnlyList<JsonElement> messages, string format)
    {
        JsonElement[] told = [.. messages];
        int first = Array.FindIndex(told, message => RoleOf(message) is "system" or "developer" or "user"
            && message.TryGetProperty("content", out JsonElement content) && content.ValueKind == JsonValueKind.String);
        if (first >= 0)
        {
            told[first] = JsonBuilding.Element(json =>
            {
                json.WriteStartObject();
                foreach (JsonProperty property in messages[first].EnumerateObject())
                {
                    if (property.Name == "content")
                    {
                        json.WriteString("content", $"{property.Value.GetString()}\n\nResponse format: {format}");
                    }
                    else
                    {
                        property.WriteTo(json);
                    }
                }

                json.WriteEndObject();
            });
        }

        return told;
    }

    private static string? RoleOf(JsonElement message) =>
        message.ValueKind == JsonValueKind.Object && message.TryGetProperty("role", out JsonElement role) && role.ValueKind == JsonValueKind.String ? role.GetString() : null;

    private static JsonElement JsonOf(bool value)
    {
        Utf8JsonReader reader = new(value ? "true"u8 : "false"u8);
        return JsonElement.ParseValue(ref reader);
    }
}
