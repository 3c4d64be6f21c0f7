// What rendering gives: the text, and who wrote which part of it.
namespace Kidogo.Text.ChatTemplates;

/// <summary>A rendered conversation.</summary>
public sealed class RenderedPrompt
{
    internal RenderedPrompt(string text, IReadOnlyList<TextSpan> spans)
    {
        Text = text;
        Spans = spans;
    }

    /// <summary>The whole prompt.</summary>
    public string Text { get; }

    /// <summary>The prompt in pieces of one origin, none empty, neighbours of different origin; joined they are <see cref="Text"/>.</summary>
    public IReadOnlyList<TextSpan> Spans { get; }
}

/// <summary>The texts that open and close a model's reasoning in its output.</summary>
/// <param name="Open">Such as <c>&lt;think&gt;</c>.</param>
/// <param name="Close">Such as <c>&lt;/think&gt;</c>.</param>
public sealed record ReasoningTags(string Open, string Close);
