// kidogo key: the keys of the server, made, listed and revoked.
using System.CommandLine;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Serving.Access;

namespace Kidogo.Cli.Verbs;

internal static class KeyVerb
{
    public static Command Create(Session session) => new("key", "Keys of the server: create, list, revoke") { CreateKey(session), List(session), Revoke(session) };

    private static Command CreateKey(Session session)
    {
        Argument<string> name = new("NAME") { Description = "Whose key it is: letters, digits, dots, dashes and underscores" };
        Option<int?> requests = Opt.Int("--requests-per-minute", "Requests a minute (default: no limit)", 1);
        Option<int?> tokens = Opt.Int("--tokens-per-minute", "Tokens of prompts and answers a minute (default: no limit)", 1);
        Option<string?> file = File();
        Option<bool> json = Opt.Json();
        Command command = new("create", "Make a key; it is shown once and stored as a hash") { name, requests, tokens, file, json };
        command.SetAction(parsed => Guarded(() =>
        {
            string key = KeyFile.Create(parsed.GetValue(file) ?? KeyFile.DefaultPath, parsed.GetValue(name)!, parsed.GetValue(requests), parsed.GetValue(tokens));
            if (parsed.GetValue(json))
            {
                JsonOutput.Write(session, writer =>
                {
                    writer.WriteString("name", parsed.GetValue(name));
                    writer.WriteString("key", key);
                });
            }
            else
            {
                session.Output.WriteLine(key);
                session.Tell("This key is not shown again: keep it where only its owner reads it. A server that runs takes it at once if it was started with keys.");
            }
        }));
        return command;
    }

    private static Command List(Session session)
    {
        Option<string?> file = File();
        Option<bool> json = Opt.Json();
        Command command = new("list", "The keys that there are") { file, json };
        command.SetAction(parsed => Guarded(() =>
        {
            foreach (ApiKey key in KeyFile.Read(parsed.GetValue(file) ?? KeyFile.DefaultPath))
            {
                if (parsed.GetValue(json))
                {
                    JsonOutput.Write(session, writer =>
                    {
                        writer.WriteString("name", key.Name);
                        writer.WriteString("created", key.Created);
                        WriteLimit(writer, "requests_per_minute", key.RequestsPerMinute);
                        WriteLimit(writer, "tokens_per_minute", key.TokensPerMinute);
                    });
                }
                else
                {
                    session.Output.WriteLine(
                        $"{key.Name,-24}  {key.Created.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture)}  {Limit(key.RequestsPerMinute, "requests")}, {Limit(key.TokensPerMinute, "tokens")}");
                }
            }
        }));
        return command;
    }

    private static Command Revoke(Session session)
    {
        Argument<string> name = new("NAME") { Description = "Whose key it is" };
        Option<string?> file = File();
        Command command = new("revoke", "Take a key back; servers that run notice within a second") { name, file };
        command.SetAction(parsed => Guarded(() =>
        {
            KeyFile.Revoke(parsed.GetValue(file) ?? KeyFile.DefaultPath, parsed.GetValue(name)!);
            session.Tell($"The key of {parsed.GetValue(name)} is revoked.");
        }));
        return command;
    }

    private static Option<string?> File() => Opt.Text("--keys", "FILE", "The file of keys (default: kidogo/keys.json in the user's folder of settings)");

    private static string Limit(int? limit, string what) => limit is { } number ? $"{number} {what}/min" : $"any {what}";

    private static void WriteLimit(System.Text.Json.Utf8JsonWriter json, string name, int? limit)
    {
        if (limit is { } number)
        {
            json.WriteNumber(name, number);
        }
        else
        {
            json.WriteNull(name);
        }
    }

    private static int Guarded(Action action)
    {
        try
        {
            action();
            return ExitCode.Done;
        }
        catch (KeyFileException failure)
        {
            throw new FailureException(failure.Message);
        }
    }
}
