// A parsed chat template: the public face of the interpreter. Knows text and JSON; refuses to know tokens and models.
namespace Kidogo.Text.ChatTemplates;

/// <summary>A chat template in the part of Jinja that models' templates use, set up as Hugging Face Transformers does.</summary>
/// <remarks>Immutable; any number of threads may render it at once. The interpreter has no reflection, reads no files and cannot run for ever.</remarks>
public sealed class ChatTemplate
{
    private ChatTemplate(string source)
    {
        Source = source;
    }

    /// <summary>The template's text.</summary>
    public string Source { get; }

    /// <summary>Parses a template.</summary>
    /// <exception cref="ChatTemplateException">The text is not a template that this interpreter reads; the message has the line and what was expected.</exception>
    public static ChatTemplate Parse(string source) => new(source);

    /// <summary>The built-in template of that name, or null; <see cref="BuiltInNames"/> lists them.</summary>
    public static ChatTemplate? BuiltIn(string name) => null;

    /// <summary>The names of the built-in templates.</summary>
    public static IReadOnlyList<string> BuiltInNames => [];

    /// <summary>The variable that switches reasoning on and off (<c>enable_thinking</c> or <c>thinking</c>), or null where the template has none.</summary>
    public string? ThinkingVariable =>
        Source.Contains("enable_thinking", StringComparison.Ordinal) ? "enable_thinking" : Source.Contains("thinking", StringComparison.Ordinal) ? "thinking" : null;

    /// <summary>Whether the template lets the caller switch reasoning on and off.</summary>
    public bool SupportsThinkingSwitch => ThinkingVariable is not null;

    /// <summary>The tags around the model's reasoning, where the template names them; else null.</summary>
    public ReasoningTags? ReasoningTags => Source.Contains("<think>", StringComparison.Ordinal) ? new ReasoningTags("<think>", "</think>") : null;

    /// <summary>Renders a conversation.</summary>
    /// <exception cref="ChatTemplateException">The template failed, refused the conversation or went past a limit.</exception>
    public RenderedPrompt Render(ChatTemplateInput input, ChatTemplateLimits? limits = null) => throw new ChatTemplateException($"rendering is not built yet: {Source.Length} characters");
}
