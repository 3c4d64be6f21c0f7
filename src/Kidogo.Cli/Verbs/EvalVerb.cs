// kidogo eval: the group of verbs that judge a model.
using System.CommandLine;
using Kidogo.Cli.Shell;
using Kidogo.Models;

namespace Kidogo.Cli.Verbs;

internal static class EvalVerb
{
    public static Command Create(Session session) => new("eval", "Judge a model: perplexity, divergence") { EvalPerplexityVerb.Create(session), EvalDivergenceVerb.Create(session) };

    /// <summary>The ids of <c>--ids</c>, or of the text of <c>--text</c>: exactly one of them, and nothing added.</summary>
    public static int[] ReadIds(string? ids, string? text, ModelHeader header)
    {
        if (ids is null == text is null)
        {
            throw new UsageException(ids is null ? "Name what to judge on: --text FILE or --ids FILE." : "--text and --ids exclude each other; name one.");
        }

        if (ids is not null)
        {
            return IdFile.Read(ids, header.Config.VocabSize);
        }

        return ModelText.Of(header).Tokenizer.Encode(IdFile.ReadFile(text!));
    }
}
