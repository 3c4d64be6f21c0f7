// A piece of a prompt and whether control tokens may be read in it. Knows nothing of templates or vocabularies.
namespace Kidogo.Text;

/// <summary>A piece of text of one origin.</summary>
/// <param name="Text">The characters.</param>
/// <param name="AllowSpecial">
/// True where the text comes from a template or the program, so that control tokens in it are meant. False where a user, a tool or a document wrote it: there
/// the spelling of a control token is only text.
/// </param>
/// <remarks>
/// A prompt is a list of spans whose texts, joined, are the prompt. A border between spans is not a border between tokens: a tokenizer looks for control
/// tokens inside the spans that allow them and treats everything else as one text, so that the ids are those of the joined text when no user text
/// spells a control token.
/// </remarks>
public readonly record struct TextSpan(string Text, bool AllowSpecial);
