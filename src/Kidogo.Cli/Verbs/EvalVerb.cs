// kidogo eval: the group of verbs that judge a model.
using System.CommandLine;
using Kidogo.Cli.Shell;
using Kidogo.Models;

namespace Kidogo.Cli.Verbs;

internal static class EvalVerb
{
    public static Command Create(Session session) => 
        new("eval", "Judge a model: perplexity, divergence, questions about stories") { EvalPerplexityVerb.Create(session), EvalDivergenceVerb.Create(session), EvalVillageVerb.Create(session) };

    /// <summary>The ids of <c>--ids</c>, or of the text of <c>--text</c>: exactly one of them, and nothing added.</summary>
    /// <param name="ids">The file of ids.</param>
    /// <param name="text">The file of text.</param>
    /// <param name="header">The model.</param>
    /// <param name="first">How many of them are used; null for all, which has a limit.</param>
    public static int[] ReadIds(string? ids, string? text, ModelHeader header, int? first = null)
    {
        if (ids is null == text is null)
        {
            throw new UsageException(ids is null ? "Name what to judge on: --text FILE or --ids FILE." : "--text and --ids exclude each other; name one.");
        }

        if (ids is not null)
        {
            return first is { } most ? IdFile.ReadFirst(ids, header.Config.VocabSize, most) : IdFile.ReadAll(ids, header.Config.VocabSize, int.MaxValue, "");
        }

        int[] encoded = ModelText.Of(header).Tokenizer.Encode(InputFile.ReadAll(text!, InputFile.MaxTextBytes));
        return first < encoded.Length ? encoded[..first.Value] : encoded;
    }
}
