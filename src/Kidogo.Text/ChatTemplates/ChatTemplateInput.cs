// What a chat template is rendered with. Holds neutral JSON values; knows no model and no wire format.
using System.Text.Json;

namespace Kidogo.Text.ChatTemplates;

/// <summary>A conversation and the variables that a chat template sees.</summary>
public sealed record ChatTemplateInput
{
    /// <summary>
    /// The messages, each a JSON object with <c>role</c>, mostly <c>content</c>, and whatever else the template reads (<c>tool_calls</c>, <c>name</c>, …).
    /// </summary>
    /// <remarks>All text in them is a user's, save the role names system, user, assistant, tool and developer.</remarks>
    public IReadOnlyList<JsonElement> Messages { get; init; } = [];

    /// <summary>The tools as a JSON array of function descriptions. Null: the variable <c>tools</c> is not defined. JSON null: it is <c>none</c>.</summary>
    public JsonElement? Tools { get; init; }

    /// <summary>The text of the token that begins a sequence, as the variable <c>bos_token</c>. Null: not defined.</summary>
    public string? BosToken { get; init; }

    /// <summary>The text of the token that ends a sequence, as the variable <c>eos_token</c>. Null: not defined.</summary>
    public string? EosToken { get; init; }

    /// <summary>Further special tokens by variable name (<c>unk_token</c>, <c>pad_token</c>, …). They come from the model and may be control tokens.</summary>
    public IReadOnlyDictionary<string, string> SpecialTokens { get; init; } = new Dictionary<string, string>();

    /// <summary>Whether the prompt ends with the opening of the assistant's turn, as <c>add_generation_prompt</c>.</summary>
    public bool AddGenerationPrompt { get; init; }

    /// <summary>
    /// Further variables, such as <c>enable_thinking</c> or <c>documents</c>. Text in them is a user's. They replace those above but <c>messages</c> and <c>tools</c>.
    /// </summary>
    public IReadOnlyDictionary<string, JsonElement> Variables { get; init; } = new Dictionary<string, JsonElement>();

    /// <summary>What <c>strftime_now</c> formats. Null: the limits' clock, local time.</summary>
    public DateTimeOffset? Now { get; init; }

    /// <summary>An input of plain messages, to which the rest can be added with <c>with</c>.</summary>
    public static ChatTemplateInput FromMessages(IEnumerable<ChatMessage> messages, bool addGenerationPrompt = true) =>
        new() { Messages = [.. messages.Select(message => message.ToJson())], AddGenerationPrompt = addGenerationPrompt };
}
