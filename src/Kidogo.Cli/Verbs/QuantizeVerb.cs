// kidogo quantize: a smaller file of a model.
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Compression.Calibration;
using Kidogo.Compression.Quantization;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Files;
using Kidogo.Tensors.Formats;

namespace Kidogo.Cli.Verbs;

internal static class QuantizeVerb
{
    private sealed record Options(string Model, string Output, string Format, bool Pure, string[] Tensors, string Method, string? Calibration, QuantizeText Text, int? Threads, bool Json);

    public static Command Create(Session session)
    {
        Argument<string> model = Opt.Model();
        Argument<string> output = new("OUT") { Description = "The GGUF file that is written" };
        Option<string?> format = Opt.Text("--format", "NAME", $"A mix of formats, as llama.cpp deals it out, or a format: {string.Join(", ", FormatMix.Names)}");
        Option<bool> pure = Opt.Flag("--pure", "The mix's main format for all matrices");
        Option<string[]> tensors = Opt.Texts("--tensor", "PATTERN=FORMAT", "The format of tensors whose name holds a pattern (* stands for anything); may be given several times");
        Option<string?> method = Opt.Choice("--method", "How codes are chosen: rtn rounds to nearest; gptq makes errors good, awq scales columns that matter, both on a text (default rtn)", "rtn", "gptq", "awq");
        Option<double?> smooth = Opt.Number("--smooth", "With rtn: move this share of outliers from activations into weights (SmoothQuant), judged on a text", 0, 1);
        Option<string?> calibration = Opt.Text("--calibration", "FILE", "An importance matrix, of kidogo calibrate or of llama.cpp: errors of columns that matter count more");
        Option<string?> text = Opt.Text("--text", "FILE", "For gptq, awq and --smooth: the text to calibrate on");
        Option<string?> ids = Opt.Text("--ids", "FILE", "For gptq, awq and --smooth: the text as token ids");
        Option<int?> tokens = Opt.Int("--tokens", "For gptq, awq and --smooth: how many tokens of the text to take at most (default 65536)", 1);
        Option<int?> context = Opt.Int("--context", "For gptq, awq and --smooth: tokens of a sequence (default 512)", 1);
        Option<string?> work = Opt.Text("--work", "FOLDER", "For gptq: where finished blocks are kept until the file is written, to go on from after an interruption (default OUT.work)");
        Option<int?> threads = Opt.Threads();
        Option<bool> json = Opt.Json();
        Command command = new("quantize", "Make a model smaller by rounding its weights") { model, output, format, pure, tensors, method, smooth, calibration, text, ids, tokens, context, work, threads, json };
        command.SetAction(parsed => Run(session, new Options(
            parsed.GetRequiredValue(model), parsed.GetRequiredValue(output), parsed.GetValue(format) ?? "Q4_K_M", parsed.GetValue(pure), parsed.GetValue(tensors) ?? [], parsed.GetValue(method) ?? "rtn", parsed.GetValue(calibration),
            new QuantizeText(parsed.GetValue(text), parsed.GetValue(ids), parsed.GetValue(tokens) ?? 65536, parsed.GetValue(context) ?? 512, parsed.GetValue(work), (float?)parsed.GetValue(smooth)), parsed.GetValue(threads), parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        if (!options.Output.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase))
        {
            throw new UsageException($"quantize writes GGUF files: OUT is {ModelFormatException.Quote(options.Output)}; give it a name that ends in .gguf.");
        }

        FormatMix mix = FormatMix.ForName(options.Format, options.Pure) ?? throw new UsageException(Unknown("--format", options.Format, FormatMix.Names));
        options.Text.Check(options.Method);
        string model = ModelChoice.Locate(options.Model);
        using ModelHeader header = ModelHeader.Open(model);
        Overwriting.Refuse(options.Output, header, options.Calibration, options.Text.Text, options.Text.Ids);
        ImportanceMatrix? importance = options.Calibration is null ? null : QuantizeText.ReadImportance(options.Calibration, header);
        QuantizeOptions quantize = new() { Mix = mix, Tensors = [.. options.Tensors.Select(TensorFormat)], Importance = importance is null ? null : importance.Find };
        using MethodRun? method = options.Method == "rtn" && options.Text.Smooth is null ? null : new MethodRun(session, model, options.Output, options.Method, options.Text, options.Threads);
        quantize = method is null ? quantize : quantize with { Method = method.Run };
        Stopwatch clock = Stopwatch.StartNew();
        QuantizeReport report;
        using (ProgressBar bar = new(session, "quantizing", "bytes"))
        {
            report = ModelOutput.Guarded(session, options.Output, write => Quantizer.Run(header, options.Output, quantize, write), bar, options.Threads);
        }

        method?.Done();
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
