// Prompts of a text with a hole in it, as models that fill holes were taught them. Knows no requests.
using Kidogo.Text.Tokenizers;

namespace Kidogo.Serving.Api;

/// <summary>Writes such prompts (Bavarian et al., arXiv 2207.14255, prefix before suffix).</summary>
internal static class HolePrompt
{
    /// <summary>The prompt of one hole: what comes before everything, the text before the hole, the text after it, and then what fills it.</summary>
    /// <param name="hole">The vocabulary's tokens.</param>
    /// <param name="tokenizer">The vocabulary.</param>
    /// <param name="before">Ids before the hole; a start token in front of them stays in front of all.</param>
    /// <param name="after">Ids after it.</param>
    public static int[] Of(FillInMiddleTokens hole, Tokenizer tokenizer, ReadOnlySpan<int> before, ReadOnlySpan<int> after)
    {
        int[] start = tokenizer.BosId is { } bos && before.Length > 0 && before[0] == bos ? [bos] : [];
        return [.. start, hole.Prefix, .. before[start.Length..], hole.Suffix, .. after, hole.Middle];
    }

    /// <summary>Other files before a hole, each after its name, as models of whole repositories were taught (Hui et al., arXiv 2409.12186, section 3.2); separated by a line where the vocabulary has no tokens for that.</summary>
    /// <param name="hole">The vocabulary's tokens.</param>
    /// <param name="tokenizer">The vocabulary.</param>
    /// <param name="files">Names and texts.</param>
    public static int[] Files(FillInMiddleTokens hole, Tokenizer tokenizer, IReadOnlyList<(string Name, string Text)> files)
    {
        const string AnyRepository = "repository\n", AnyFile = "file\n", Separator = "\n\n--- snippet ---\n\n";
        if (files.Count == 0)
        {
            return [];
        }

        List<int> ids = [];
        if (hole.Repository is { } repository && hole.File is not null)
        {
            ids.AddRange([repository, .. tokenizer.Encode(AnyRepository)]);
        }

        foreach ((string name, string text) in files)
        {
            ids.AddRange(hole.File is { } file ? [file, .. tokenizer.Encode($"{name}\n{text}")] : tokenizer.Encode(Separator + text));
        }

        ids.AddRange(hole.File is { } own ? [own, .. tokenizer.Encode(AnyFile)] : tokenizer.Encode(Separator));
        return [.. ids];
    }
}
