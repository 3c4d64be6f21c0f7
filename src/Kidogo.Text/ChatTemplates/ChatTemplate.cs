// A parsed chat template: the public face of the interpreter. Knows text and JSON; refuses to know tokens and models.
using System.Text;
using Kidogo.Text.ChatTemplates.Jinja;

namespace Kidogo.Text.ChatTemplates;

/// <summary>A chat template in the part of Jinja that models' templates use, set up as Hugging Face Transformers does.</summary>
/// <remarks>Immutable; any number of threads may render it at once. The interpreter has no reflection, reads no files and cannot run for ever.</remarks>
public sealed class ChatTemplate
{
    private readonly Statement[] _body;

    private ChatTemplate(string source, Statement[] body)
    {
        Source = source;
        _body = body;
        ThinkingVariable = TemplateFeatures.FindThinkingVariable(source);
        ReasoningTags = TemplateFeatures.FindReasoningTags(source);
    }

    /// <summary>The names of the built-in templates.</summary>
    public static IReadOnlyList<string> BuiltInNames => BuiltInChatTemplates.Names;

    /// <summary>The template's text.</summary>
    public string Source { get; }

    /// <summary>The variable that switches reasoning on and off (<c>enable_thinking</c> or <c>thinking</c>), or null where the template has none.</summary>
    public string? ThinkingVariable { get; }

    /// <summary>Whether the template lets the caller switch reasoning on and off.</summary>
    public bool SupportsThinkingSwitch => ThinkingVariable is not null;

    /// <summary>Whether the template knows the role <c>developer</c>; else what a developer says is the system's.</summary>
    public bool KnowsDeveloper => Source.Contains("developer", StringComparison.Ordinal);

    /// <summary>The tags around the model's reasoning, where the template names them; else null.</summary>
    public ReasoningTags? ReasoningTags { get; }

    /// <summary>Parses a template.</summary>
    /// <exception cref="ChatTemplateException">The text is not a template that this interpreter reads; the message has the line and what was expected.</exception>
    public static ChatTemplate Parse(string source)
    {
        ArgumentNullException.ThrowIfNull(source);
        long bytes = source.Length > ChatTemplateLimits.MaxTemplateBytes ? source.Length : Encoding.UTF8.GetByteCount(source);
        return bytes <= ChatTemplateLimits.MaxTemplateBytes
            ? new(source, StatementParser.Parse(source))
            : throw new ChatTemplateException($"the chat template has {bytes} bytes, more than the {ChatTemplateLimits.MaxTemplateBytes} allowed");
    }

    /// <summary>The built-in template of that name, or null; <see cref="BuiltInNames"/> lists them.</summary>
    public static ChatTemplate? BuiltIn(string name) => BuiltInChatTemplates.Find(name) is string source ? Parse(source) : null;

    /// <summary>Renders a conversation.</summary>
    /// <exception cref="ChatTemplateException">The template failed, refused the conversation or went past a limit.</exception>
    public RenderedPrompt Render(ChatTemplateInput input, ChatTemplateLimits? limits = null)
    {
        ArgumentNullException.ThrowIfNull(input);
        limits ??= ChatTemplateLimits.Default;
        RenderState state = new(limits, TemplateInput.CountCharacters(input), input.Now ?? limits.Clock.GetLocalNow());
        try
        {
            Scope scope = Globals.NewScope(state).Inner();
            TemplateInput.Define(scope, input);
            MarkedText.Builder output = new(state);
            Statement.ExecuteAll(_body, scope, output);
            MarkedText text = output.Build();
            int bytes = Encoding.UTF8.GetByteCount(text.Text);
            return bytes <= limits.MaxOutputBytes
                ? new RenderedPrompt(text.Text, text.ToSpans(), [.. text.RangesByAuthor().Select(range => new MessageRange(range.Author - 1, range.Start, range.End))])
                : throw new ChatTemplateException($"the rendered prompt has {bytes} bytes, more than the {limits.MaxOutputBytes} allowed");
        }
        catch (ChatTemplateException error) when (error.Line == 0 && state.Line > 0)
        {
            throw new ChatTemplateException(error.Problem, state.Line, state.Column, error.RefusedByTemplate, error.InnerException);
        }
    }
}
