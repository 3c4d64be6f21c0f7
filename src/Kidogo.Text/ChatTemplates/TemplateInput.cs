// Turns what a caller gives into a template's variables, and decides which of it is a user's. Knows the trusted role names.
using System.Text.Json;
using Kidogo.Text.ChatTemplates.Jinja;

namespace Kidogo.Text.ChatTemplates;

/// <summary>The variables of a rendering.</summary>
internal static class TemplateInput
{
    /// <summary>Characters in the messages, tools and variables, for the allocation budget.</summary>
    public static long CountCharacters(ChatTemplateInput input)
    {
        long count = input.Tools is JsonElement tools ? Count(tools) : 0;
        foreach (JsonElement message in input.Messages)
        {
            count += Count(message);
        }

        foreach (KeyValuePair<string, JsonElement> variable in input.Variables)
        {
            count += Count(variable.Value);
        }

        return count;
    }

    /// <summary>Sets the variables.</summary>
    public static void Define(Scope scope, ChatTemplateInput input)
    {
        foreach (KeyValuePair<string, string> token in input.SpecialTokens)
        {
            scope.Set(token.Key, Value.Of(token.Value));
        }

        if (input.BosToken is not null)
        {
            scope.Set("bos_token", Value.Of(input.BosToken));
        }

        if (input.EosToken is not null)
        {
            scope.Set("eos_token", Value.Of(input.EosToken));
        }

        scope.Set("add_generation_prompt", Value.Of(input.AddGenerationPrompt));
        foreach (KeyValuePair<string, JsonElement> variable in input.Variables)
        {
            scope.Set(variable.Key, JsonText.FromUser(variable.Value));
        }

        scope.Set("messages", Value.List([.. input.Messages.Select((message, index) => Message(message, author: index + 1))]));
        if (input.Tools is JsonElement tools)
        {
            scope.Set("tools", JsonText.FromUser(tools));
        }
    }

    // A role name that every template knows is not a user's words: templates write it between control tokens, and it may be part of one.
    private static Value Message(JsonElement element, int author)
    {
        Value message = JsonText.FromUser(element, author: author);
        if (message.Kind == ValueKind.Mapping && message.AsMapping.TryGet("role", out Value role) && role.IsText &&
            role.AsText.Text is "system" or "user" or "assistant" or "tool" or "developer")
        {
            message.AsMapping.Set(Value.Of("role"), Value.Of(role.AsText.Text));
        }

        return message;
    }

    private static long Count(JsonElement element) => element.ValueKind == JsonValueKind.Undefined ? 0 : element.GetRawText().Length;
}
