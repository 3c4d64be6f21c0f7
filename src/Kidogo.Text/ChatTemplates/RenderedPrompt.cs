// What rendering gives: the text, and who wrote which part of it.
using Kidogo.Text.Tokenizers;

namespace Kidogo.Text.ChatTemplates;

/// <summary>A rendered conversation.</summary>
public sealed class RenderedPrompt
{
    internal RenderedPrompt(string text, IReadOnlyList<TextSpan> spans, IReadOnlyList<MessageRange> messages)
    {
        Text = text;
        Spans = spans;
        Messages = messages;
    }

    /// <summary>The whole prompt.</summary>
    public string Text { get; }

    /// <summary>The prompt in pieces of one origin, none empty, neighbours of different origin; joined they are <see cref="Text"/>.</summary>
    public IReadOnlyList<TextSpan> Spans { get; }

    /// <summary>Which stretches of <see cref="Text"/> come from which message, in order: what training counts as the assistant's words.</summary>
    /// <remarks>What the template writes between two texts of one message (between reasoning and answer, around a tool's arguments) is counted to the message, what it writes around them is not.</remarks>
    public IReadOnlyList<MessageRange> Messages { get; }
}

/// <summary>A stretch of a rendered conversation that comes from one message.</summary>
/// <param name="Message">The message's index.</param>
/// <param name="Start">Its first UTF-16 unit.</param>
/// <param name="End">The unit after its last.</param>
public readonly record struct MessageRange(int Message, int Start, int End);

/// <summary>The texts that open and close a model's reasoning in its output.</summary>
/// <param name="Open">Such as <c>&lt;think&gt;</c>.</param>
/// <param name="Close">Such as <c>&lt;/think&gt;</c>.</param>
public sealed record ReasoningTags(string Open, string Close)
{
    /// <summary>Those of them that are tokens of a vocabulary, and end no answer.</summary>
    public IEnumerable<int> Ids(Tokenizer tokenizer) => ((string[])[Open, Close]).Select(tokenizer.FindPiece).OfType<int>().Where(id => !tokenizer.IsEndOfGeneration(id));
}
