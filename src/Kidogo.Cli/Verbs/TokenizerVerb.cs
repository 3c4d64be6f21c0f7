// kidogo tokenizer: the group of verbs that make tokenizers.
using System.CommandLine;
using Kidogo.Cli.Shell;

namespace Kidogo.Cli.Verbs;

internal static class TokenizerVerb
{
    public static Command Create(Session session) => new("tokenizer", "Make a tokenizer: train") { TokenizerTrainVerb.Create(session) };
}
