// kidogo trim-vocabulary: a model without the tokens that texts do not need.
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Kidogo.Cli.Shell;
using Kidogo.Compression.Vocabulary;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;

namespace Kidogo.Cli.Verbs;

internal static class TrimVocabularyVerb
{
    private sealed record Options(string Model, string Output, VocabularyTrimRequest Request, int? Threads, bool Json);

    public static Command Create(Session session)
    {
        Argument<string> model = Opt.Model();
        Argument<string> output = Opt.Out();
        Option<string[]> text = Opt.Texts("--text", "FILE", "A text that the model has to be good at: a file or a folder of .txt and .jsonl; may be given several times");
        Option<int?> keep = Opt.Int("--keep", "How many tokens stay at most; the rarest go first (default: all that the texts use)", 1);
        Option<double?> growth = Opt.Number("--growth", "By how much, as a share of their tokens, the texts may become longer: 0.01 is one in a hundred (default 0)", 0, 10);
        Option<int?> measure = Opt.Int("--measure-bytes", "Of each text, how many bytes bits per byte are measured on before and after; 0 for none (default 65536)", 0);
        Option<int?> threads = Opt.Threads();
        Option<bool> json = Opt.Json();
        keep.Aliases.Add("--vocabulary");
        text.Required = true;
        Command command = new("trim-vocabulary", "Drop the tokens that texts do not need") { model, output, text, keep, growth, measure, threads, json };
        command.SetAction(parsed => Run(session, new Options(
            parsed.GetRequiredValue(model), parsed.GetRequiredValue(output),
            new VocabularyTrimRequest { Texts = parsed.GetRequiredValue(text), MaxTokens = parsed.GetValue(keep), Growth = parsed.GetValue(growth) ?? 0, MeasuredBytes = parsed.GetValue(measure) ?? 65536 },
            parsed.GetValue(threads), parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        using ModelHeader header = ModelHeader.Open(ModelChoice.Locate(options.Model));
        Overwriting.Refuse(options.Output, header, [.. options.Request.Texts]);
        VocabularyTrimReport report;
        using (StageBar stages = new(session))
        using (ProgressBar bar = new(session, "writing", "bytes"))
        {
            VocabularyTrimRequest request = options.Request with { Threads = options.Threads ?? MachineInfo.CountPhysicalCores(), Progress = stages.Report };
            report = ModelOutput.Guarded(session, options.Output, write => VocabularyTrim.Run(header, options.Output, request, write, session.Interrupted), bar, options.Threads);
        }

        foreach (string warning in report.Warnings)
        {
            session.Warn(warning);
        }

        if (options.Json)
        {
            JsonOutput.Write(session, json => WriteJson(json, report));
            return ExitCode.Done;
        }

        static string Bits(double value) => double.IsFinite(value) ? value.ToString("0.0000", CultureInfo.InvariantCulture) : "";
        session.Output.Write(Show.Table(["text", ">tokens before", ">after", ">bits a byte before", ">after"], report.Texts.Select(text =>
            (string[])[Session.OneLine(text.Name), Show.Count(text.TokensBefore), Show.Count(text.TokensAfter), Bits(text.BitsPerByteBefore), Bits(text.BitsPerByteAfter)])));
        session.Tell($"\n{options.Output}: {report.VocabularyAfter} of {report.VocabularyBefore} tokens, {Show.Bytes(report.Bytes)}");
        return ExitCode.Done;
    }

    private static void WriteJson(Utf8JsonWriter json, VocabularyTrimReport report)
    {
        json.WriteNumber("vocabulary_before", report.VocabularyBefore);
        json.WriteNumber("vocabulary_after", report.VocabularyAfter);
        json.WriteNumber("bytes", report.Bytes);
        json.WriteStartArray("texts");
        foreach (TrimmedTextCost text in report.Texts)
        {
            json.WriteStartObject();
            json.WriteString("name", text.Name);
            json.WriteNumber("tokens_before", text.TokensBefore);
            json.WriteNumber("tokens_after", text.TokensAfter);
            json.WriteFinite("bits_per_byte_before", text.BitsPerByteBefore);
            json.WriteFinite("bits_per_byte_after", text.BitsPerByteAfter);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
