// What a template's text tells about its model: how reasoning is switched and marked.
namespace Kidogo.Text.ChatTemplates;

/// <summary>Looks for known words in a template.</summary>
internal static class TemplateFeatures
{
    // How far before a word its tag may begin, so that looking takes time in proportion to the template.
    private const int LongestTag = 2000;

    // Pairs that public models use, the commonest first.
    private static readonly ReasoningTags[] s_tags =
    [
        new("<think>", "</think>"),
        new("<thinking>", "</thinking>"),
        new("<thought>", "</thought>"),
        new("<reasoning>", "</reasoning>"),
        new("<|START_THINKING|>", "<|END_THINKING|>"),
        new("[THINK]", "[/THINK]"),
        new("<seed:think>", "</seed:think>"),
        new("<|channel|>analysis<|message|>", "<|end|>"),
    ];

    /// <summary>The variable that switches reasoning: a word of its own inside a tag.</summary>
    public static string? FindThinkingVariable(string source) =>
        HasWord(source, "enable_thinking") ? "enable_thinking" : HasWord(source, "thinking") ? "thinking" : null;

    /// <summary>The first known pair of tags whose both ends the template writes; for a template that only strips them, the closing one is enough.</summary>
    public static ReasoningTags? FindReasoningTags(string source)
    {
        foreach (ReasoningTags tags in s_tags)
        {
            if (source.Contains(tags.Open, StringComparison.Ordinal) ||
                (tags.Close.StartsWith("</", StringComparison.Ordinal) && source.Contains(tags.Close, StringComparison.Ordinal)))
            {
                return tags;
            }
        }

        return null;
    }

    // As a variable: not part of a longer word, not an attribute (message.thinking), and read by a statement (if thinking, thinking is defined).
    private static bool HasWord(string source, string word)
    {
        for (int at = source.IndexOf(word, StringComparison.Ordinal); at >= 0; at = source.IndexOf(word, at + 1, StringComparison.Ordinal))
        {
            char before = at == 0 ? ' ' : source[at - 1];
            int end = at + word.Length;
            char after = end < source.Length ? source[end] : ' ';
            bool alone = !char.IsLetterOrDigit(before) && before is not ('_' or '.' or '\'' or '"' or '<' or '/' or '|') &&
                !char.IsLetterOrDigit(after) && after is not ('_' or '\'' or '"' or '>');
            ReadOnlySpan<char> ahead = source.AsSpan(Math.Max(0, at - LongestTag), Math.Min(at, LongestTag));
            int open = ahead.LastIndexOf("{%");
            int close = ahead.LastIndexOf("%}");
            if (alone && open > close)
            {
                return true;
            }
        }

        return false;
    }
}
