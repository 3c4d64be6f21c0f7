// kidogo convert: between a GGUF file and a Hugging Face folder.
using System.CommandLine;
using System.Diagnostics;
using Kidogo.Cli.Shell;
using Kidogo.Compression.Passports;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Tensors.Formats;

namespace Kidogo.Cli.Verbs;

internal static class ConvertVerb
{
    public static Command Create(Session session)
    {
        Argument<string> model = Opt.Model();
        Argument<string> output = Opt.Out();
        Option<string?> format = Opt.Choice("--format", "How weights are stored (default: as they are; in a folder quantised ones become F32)", "F32", "F16", "BF16");
        Option<string[]> measure = Provenance.Measure();
        Option<int?> threads = Opt.Threads();
        Option<bool> json = Opt.Json();
        Command command = new("convert", "Convert between a GGUF file and a Hugging Face folder, by the form of OUT") { model, output, format, measure, threads, json };
        command.SetAction(parsed => Run(session, parsed.GetRequiredValue(model), parsed.GetRequiredValue(output), parsed.GetValue(format), parsed.GetValue(measure) ?? [], parsed.GetValue(threads), parsed.GetValue(json)));
        return command;
    }

    private static int Run(Session session, string model, string output, string? format, string[] measure, int? threads, bool json)
    {
        using ModelHeader header = ModelHeader.Open(ModelChoice.Locate(model));
        Overwriting.Refuse(output, header);
        Func<ModelWriteOptions, ModelWriteOptions> passport = Provenance.Begin(session, header, new DerivationOptions { Verb = "convert", Options = [("format", format)], Measure = measure }, threads);
        Stopwatch clock = Stopwatch.StartNew();
        ConversionReport report;
        using (ProgressBar bar = new(session, "converting", "bytes"))
        {
            report = ModelOutput.Guarded(session, output, options => ModelConverter.Convert(header, output, format is null ? null : WeightFormats.ForName(format), options), bar, threads, passport);
        }

        foreach (string warning in report.Warnings)
        {
            session.Warn(warning);
        }

        double seconds = clock.Elapsed.TotalSeconds;
        if (json)
        {
            JsonOutput.Write(session, writer =>
            {
                writer.WriteNumber("bytes", report.Bytes);
                writer.WriteNumber("seconds", seconds);
            });
        }
        else
        {
            session.Tell($"{output}: {Show.Bytes(report.Bytes)}");
        }

        return ExitCode.Done;
    }
}
