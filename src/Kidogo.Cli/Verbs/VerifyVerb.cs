// kidogo verify: whether what a model says of itself is so.
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Kidogo.Cli.Shell;
using Kidogo.Compression.Passports;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;

namespace Kidogo.Cli.Verbs;

internal static class VerifyVerb
{
    private sealed record Options(string Model, VerifyOptions Verify, bool Json);

    public static Command Create(Session session)
    {
        Argument<string> model = Opt.Model();
        Option<string[]> parent = Opt.Texts("--parent", "MODEL", "A model that it was made of; may be given several times. What lies beside the model under the right name is found without");
        Option<string[]> text = Opt.Texts("--text", "FILE", "A text or other file that was used; may be given several times. What lies beside the model under the right name is found without");
        Option<bool> hashes = Opt.Flag("--hashes", "Check hashes alone, without measuring again");
        Option<int?> threads = Opt.Threads();
        Option<bool> json = Opt.Json();
        Command command = new("verify", "Check a model's passport: its hashes, its parents, what was measured") { model, parent, text, hashes, threads, json };
        command.SetAction(parsed => Run(session, new Options(
            parsed.GetRequiredValue(model),
            new VerifyOptions
            {
                Parents = [.. (parsed.GetValue(parent) ?? []).Select(ModelChoice.Locate)],
                Texts = parsed.GetValue(text) ?? [],
                Measures = !parsed.GetValue(hashes),
                Threads = parsed.GetValue(threads) ?? MachineInfo.CountPhysicalCores(),
            },
            parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        using ModelHeader header = ModelHeader.Open(ModelChoice.Locate(options.Model));
        IReadOnlyList<VerifiedClaim> claims;
        using (StageBar bar = new(session))
        {
            claims = PassportVerifier.Run(header, options.Verify with { Progress = bar.Report }, session.Interrupted)
                ?? throw new FailureException($"{options.Model} has no passport: nothing is claimed that could be verified. Models that kidogo quantize, convert, trim-vocabulary and train write have one.");
        }

        int wrong = claims.Count(claim => claim.Holds == false), open = claims.Count(claim => claim.Holds is null);
        if (options.Json)
        {
            JsonOutput.Write(session, json => WriteJson(json, claims));
        }
        else
        {
            session.Output.Write(Show.Table(["", "claim", "claimed", "found", ""], claims.Select(claim =>
                (string[])[claim.Holds switch { true => "holds", false => "WRONG", null => "?" }, Session.OneLine(claim.Name), Shown(claim.Claimed), claim.Holds == true && claim.Measured is string ? "the same" : Shown(claim.Measured), Session.OneLine(claim.Note)])));
            session.Tell($"\n{claims.Count - wrong - open} claims hold, {wrong} do not, {open} were not checked.");
        }

        return wrong == 0 ? ExitCode.Done : ExitCode.Failed;
    }

    private static string Shown(object? value) => value switch
    {
        double number => number.ToString("0.000000", CultureInfo.InvariantCulture),
        string hash => hash[..Math.Min(12, hash.Length)],
        _ => "",
    };

    private static void WriteJson(Utf8JsonWriter json, IReadOnlyList<VerifiedClaim> claims)
    {
        json.WriteStartArray("claims");
        foreach (VerifiedClaim claim in claims)
        {
            json.WriteStartObject();
            json.WriteString("name", claim.Name);
            WriteValue(json, "claimed", claim.Claimed);
            WriteValue(json, "measured", claim.Measured);
            if (claim.Holds is { } holds)
            {
                json.WriteBoolean("holds", holds);
            }
            else
            {
                json.WriteNull("holds");
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteValue(Utf8JsonWriter json, string name, object? value)
    {
        if (value is double number)
        {
            json.WriteFinite(name, number);
        }
        else
        {
            json.WriteString(name, value as string);
        }
    }
}
