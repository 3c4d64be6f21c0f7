// kidogo tokenize: text to ids.
using System.CommandLine;
using Kidogo.Cli.Shell;
using Kidogo.Models;

namespace Kidogo.Cli.Verbs;

internal static class TokenizeVerb
{
    private sealed record Options(string Model, bool Special, bool Bos, bool Json);

    public static Command Create(Session session)
    {
        Argument<string> model = Opt.Model();
        Option<bool> special = Opt.Flag("--special", "Let control tokens that are spelled out in the text count as such");
        Option<bool> bos = Opt.Flag("--bos", "Add what the model wants at the start of a text");
        Option<bool> json = Opt.Json();
        Command command = new("tokenize", "Turn text on standard input into token ids") { model, special, bos, json };
        command.SetAction(parsed => Run(session, new Options(parsed.GetRequiredValue(model), parsed.GetValue(special), parsed.GetValue(bos), parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        using ModelText text = ModelChoice.OpenText(options.Model);
        foreach (string warning in text.Tokenizer.Warnings)
        {
            session.Warn(warning);
        }

        byte[] bytes = StandardInput.ReadBytes(session);
        StandardInput.WarnOfInvalid(session, bytes);
        int[] ids = text.Tokenizer.Encode(bytes, options.Bos, options.Special);
        if (options.Json)
        {
            JsonOutput.Write(session, json =>
            {
                json.WriteNumbers("ids", ids);
                json.WriteStartArray("pieces");
                foreach (int id in ids)
                {
                    json.WriteStringValue(text.Tokenizer.TokenText(id));
                }

                json.WriteEndArray();
            });
            return ExitCode.Done;
        }

        for (int i = 0; i < ids.Length; i++)
        {
            session.Output.Write(i == 0 ? "" : " ");
            session.Output.Write(ids[i]);
        }

        session.Output.WriteLine();
        return ExitCode.Done;
    }
}
