// kidogo detokenize: ids to text, byte for byte.
using System.CommandLine;
using Kidogo.Cli.Shell;
using Kidogo.Models;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Cli.Verbs;

internal static class DetokenizeVerb
{
    private sealed record Options(string Model, bool Special);

    public static Command Create(Session session)
    {
        Argument<string> model = Opt.Model();
        Option<bool> special = Opt.Flag("--special", "Spell control tokens out instead of leaving them away");
        Command command = new("detokenize", "Turn token ids on standard input into text, byte for byte") { model, special };
        command.SetAction(parsed => Run(session, new Options(parsed.GetRequiredValue(model), parsed.GetValue(special))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        using ModelText text = ModelChoice.OpenText(options.Model);
        int[] ids = TokenIds.Parse(StandardInput.ReadBytes(session), "standard input", text.Tokenizer.VocabularySize);
        session.OutputBytes.Write(text.Tokenizer.DecodeBytes(ids, skipSpecial: !options.Special));
        return ExitCode.Done;
    }
}
