// kidogo quantize: a smaller file of a model.
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Compression.Quantization;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Files;
using Kidogo.Tensors.Formats;

namespace Kidogo.Cli.Verbs;

internal static class QuantizeVerb
{
    private sealed record Options(string Model, string Output, string Format, bool Pure, string[] Tensors, int? Threads, bool Json);

    public static Command Create(Session session)
    {
        Argument<string> model = Opt.Model();
        Argument<string> output = new("OUT") { Description = "The GGUF file that is written" };
        Option<string?> format = Opt.Text("--format", "NAME", $"A mix of formats, as llama.cpp deals it out, or a format: {string.Join(", ", FormatMix.Names)}");
        Option<bool> pure = Opt.Flag("--pure", "The mix's main format for all matrices");
        Option<string[]> tensors = Opt.Texts("--tensor", "PATTERN=FORMAT", "The format of tensors whose name holds a pattern (* stands for anything); may be given several times");
        Option<int?> threads = Opt.Threads();
        Option<bool> json = Opt.Json();
        Command command = new("quantize", "Make a model smaller by rounding its weights") { model, output, format, pure, tensors, threads, json };
        command.SetAction(parsed => Run(session, new Options(
            parsed.GetRequiredValue(model), parsed.GetRequiredValue(output), parsed.GetValue(format) ?? "Q4_K_M", parsed.GetValue(pure), parsed.GetValue(tensors) ?? [], parsed.GetValue(threads), parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        if (!options.Output.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase))
        {
            throw new UsageException($"quantize writes GGUF files: OUT is {ModelFormatException.Quote(options.Output)}; give it a name that ends in .gguf.");
        }

        FormatMix mix = FormatMix.ForName(options.Format, options.Pure) ?? throw new UsageException(Unknown("--format", options.Format, FormatMix.Names));
        QuantizeOptions quantize = new() { Mix = mix, Tensors = [.. options.Tensors.Select(TensorFormat)] };
        using ModelHeader header = ModelHeader.Open(ModelChoice.Locate(options.Model));
        Stopwatch clock = Stopwatch.StartNew();
        QuantizeReport report;
        using (ProgressBar bar = new(session, "quantizing", "bytes"))
        {
            report = ModelOutput.Guarded(session, options.Output, write => Quantizer.Run(header, options.Output, quantize, write), bar, options.Threads);
        }

        double seconds = clock.Elapsed.TotalSeconds;
        foreach (string remark in report.Remarks)
        {
            session.Warn(remark);
        }

        if (options.Json)
        {
            JsonOutput.Write(session, json =>
            {
                json.WriteNumber("bytes", report.Bytes);
                json.WriteNumber("bits_per_weight", report.BitsPerWeight);
                json.WriteStartArray("tensors");
                foreach (TensorOutcome tensor in report.Tensors)
                {
                    json.WriteStartObject();
                    json.WriteString("name", tensor.Name);
                    json.WriteString("format", tensor.Format);
                    json.WriteFinite("relative_error", tensor.RelativeError);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
                json.WriteNumber("seconds", seconds);
            });
            return ExitCode.Done;
        }

        foreach (IGrouping<string, TensorOutcome> group in report.Tensors.GroupBy(tensor => tensor.Format).OrderByDescending(group => group.Sum(tensor => tensor.Bytes)))
        {
            session.Tell(string.Create(CultureInfo.InvariantCulture,
                $"  {group.Key,-8} {group.Count(),4} tensors  {Show.Bytes(group.Sum(tensor => tensor.Bytes)),10}  relative error {group.Max(tensor => tensor.RelativeError):P2} at most"));
        }

        session.Tell(string.Create(CultureInfo.InvariantCulture, $"{options.Output}: {Show.Bytes(report.Bytes)}, {report.BitsPerWeight:F2} bits per weight, {Show.Duration(clock.Elapsed)}"));
        return ExitCode.Done;
    }

    private static (string Pattern, WeightFormat Format) TensorFormat(string text)
    {
        int at = text.LastIndexOf('=');
        if (at <= 0)
        {
            throw new UsageException($"--tensor is {ModelFormatException.Quote(text)}; it has to be PATTERN=FORMAT, such as ffn_down=Q6_K.");
        }

        string[] names = [.. WeightFormats.All.Where(format => format.CanEncode).Select(format => format.Name)];
        string name = text[(at + 1)..];
        return (text[..at], WeightFormats.ForName(name) is { CanEncode: true } format ? format : throw new UsageException(Unknown("--tensor", name, names)));
    }

    private static string Unknown(string option, string name, IEnumerable<string> names) =>
        $"{option} is {ModelFormatException.Quote(name)}, which is no format that can be written{(NearestName.Likely(name, names) is { } nearest ? $"; the nearest is {nearest}" : "")}. Known: {string.Join(", ", names)}.";
}
