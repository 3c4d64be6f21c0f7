// A stretch of text that remembers whether it may speak for the template's author. Knows nothing of tokens.
namespace Kidogo.Text;

/// <summary>A stretch of text and whether control tokens may be recognised in it.</summary>
/// <param name="Text">The characters; may be empty.</param>
/// <param name="AllowSpecial">True for text that the template's author wrote, false for text that came from a user, a tool or a file.</param>
/// <remarks>A list of spans is tokenised as the concatenation of their texts: the borders between spans are invisible to the pre-tokenizer. Only this differs:
/// a control token is recognised if, and only if, every one of its characters lies in a span with <paramref name="AllowSpecial"/>.</remarks>
public readonly record struct TextSpan(string Text, bool AllowSpecial);
