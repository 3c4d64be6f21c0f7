// kidogo quantize: a smaller file of a model.
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Compression.Calibration;
using Kidogo.Compression.Passports;
using Kidogo.Compression.Quantization;
using Kidogo.Compression.Search;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Files;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Formats.Plain;

namespace Kidogo.Cli.Verbs;

internal static class QuantizeVerb
{
    private const string DefaultFormat = "Q4_K_M";

    private sealed record Options(
        string Model, string Output, string? Format, bool Pure, string[] Tensors, string Method, string? Calibration, SizeTarget? Size, QuantizeText Text, ReportRequest? Report, int? Threads, bool Json)
    {
        /// <summary>Texts that are measured for the passport.</summary>
        public string[] Measure { get; init; } = [];
    }

    private static readonly string[] s_blockNames = [.. WeightFormats.All.Where(format => format.CanEncode).Select(format => format.Name)];
    private static readonly string[] s_plainNames = [.. PlainFormats.All.Select(format => format.Name)];

    public static Command Create(Session session)
    {
        Argument<string> model = Opt.Model();
        Argument<string> output = new("OUT") { Description = "The GGUF file that is written, or the folder for formats that are no GGUF blocks" };
        Option<string?> format = Opt.Text("--format", "NAME", $"A mix of formats, as llama.cpp deals it out, or a format: {string.Join(", ", FormatMix.Names)}. In a folder of safetensors: {string.Join(", ", PlainFormats.All)}");
        Option<bool> pure = Opt.Flag("--pure", "The mix's main format for all matrices");
        Option<string[]> tensors = Opt.Texts("--tensor", "PATTERN=FORMAT", "The format of tensors whose name holds a pattern (* stands for anything); may be given several times");
        Option<double?> bits = Opt.Number("--bits-per-weight", "In place of --format: choose a format for each tensor by its sensitivity, measured on a text, so that weights take so many bits on average", 0.1, 32);
        Option<long?> bytes = Opt.Bytes("--bytes", "The same, so that the whole file has so many bytes");
        Option<string?> method = Opt.Choice("--method", "How codes are chosen: rtn rounds to nearest; gptq makes errors good, awq scales columns that matter, both on a text (default rtn)", "rtn", "gptq", "awq");
        Option<double?> smooth = Opt.Number("--smooth", "With rtn: move this share of outliers from activations into weights (SmoothQuant), judged on a text", 0, 1);
        Option<string?> calibration = Opt.Text("--calibration", "FILE", "An importance matrix, of kidogo calibrate or of llama.cpp: errors of columns that matter count more");
        Option<string?> text = Opt.Text("--text", "FILE", "For gptq, awq, --smooth, a size to hit and --report: the text to calibrate on");
        Option<string?> ids = Opt.Text("--ids", "FILE", "The text as token ids");
        Option<int?> tokens = Opt.Int("--tokens", "How many tokens of the text to calibrate on at most (default 65536)", 1);
        Option<int?> context = Opt.Int("--context", "Tokens of a calibrating sequence (default 512)", 1);
        Option<string?> work = Opt.Text("--work", "FOLDER", "Where finished blocks are kept until the file is written, to go on from after an interruption, and sensitivities also after that, for other sizes (default OUT.work)");
        Option<string?> report = Opt.Text("--report", "PATH", "Measure before and after, and write a page (Markdown) and an object (JSON): NAME.md or NAME.json, or a folder");
        Option<string?> reportText = Opt.Text("--report-text", "FILE", "For --report: the text to judge on (default: what calibrating left of --text)");
        Option<string?> reportIds = Opt.Text("--report-ids", "FILE", "The same as token ids");
        Option<string[]> measure = Provenance.Measure();
        Option<int?> threads = Opt.Threads();
        Option<bool> json = Opt.Json();
        Command command = new("quantize", "Make a model smaller by rounding its weights")
        {
            model, output, format, pure, tensors, bits, bytes, method, smooth, calibration, text, ids, tokens, context, work, report, reportText, reportIds, measure, threads, json,
        };
        command.SetAction(parsed => Run(session, new Options(
            parsed.GetRequiredValue(model), parsed.GetRequiredValue(output), parsed.GetValue(format), parsed.GetValue(pure), parsed.GetValue(tensors) ?? [], parsed.GetValue(method) ?? "rtn", parsed.GetValue(calibration),
            parsed.GetValue(bits) is null && parsed.GetValue(bytes) is null ? null : new SizeTarget(parsed.GetValue(bytes), parsed.GetValue(bits)),
            new QuantizeText(parsed.GetValue(text), parsed.GetValue(ids), parsed.GetValue(tokens) ?? 65536, parsed.GetValue(context) ?? 512, parsed.GetValue(work), (float?)parsed.GetValue(smooth)),
            ReportRequest.Of(parsed.GetValue(report), parsed.GetValue(reportText), parsed.GetValue(reportIds)), parsed.GetValue(threads), parsed.GetValue(json))
        {
            Measure = parsed.GetValue(measure) ?? [],
        }));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        if (options.Format is not null && PlainFormats.ForName(options.Format.ToLowerInvariant()) is { } plain)
        {
            return RunPlain(session, options, plain);
        }

        Check(options);
        FormatMix mix = options.Size is not null ? SizeTarget.Mix
            : FormatMix.ForName(options.Format ?? DefaultFormat, options.Pure) ?? throw new UsageException($"--format is {FormatMix.Unknown(options.Format!, [.. FormatMix.Names, .. s_plainNames])}");
        (string Pattern, WeightFormat Format)[] tensors =
            [.. options.Tensors.Select(each => TensorFormat(each, s_blockNames, name => WeightFormats.ForName(name) is { CanEncode: true } found ? found : null))];
        string model = ModelChoice.Locate(options.Model);
        using ModelHeader header = ModelHeader.Open(model);
        Overwriting.Refuse(options.Output, header, options.Calibration, options.Text.Text, options.Text.Ids);
        ImportanceMatrix? importance = options.Calibration is null ? null : QuantizeText.ReadImportance(options.Calibration, header);
        QuantizeOptions quantize = new() { Mix = mix, Tensors = tensors, Importance = importance is null ? null : importance.Find };
        if (options.Size is { } size)
        {
            GgufContent content = GgufContent.Of(header);
            size.Check(content, quantize.PinnedFormats(content));
        }

        QuantizeText text = options.Text.File is null && options.Report is { } wanted ? options.Text with { Text = wanted.Text, Ids = wanted.Ids } : options.Text;
        using MethodRun? method = text.File is null ? null : new MethodRun(session, model, options.Output, options.Method, text, options.Threads);
        Func<ModelWriteOptions, ModelWriteOptions> passport = Provenance.Begin(session, header, Recipe(options), options.Threads);
        Stopwatch clock = Stopwatch.StartNew();
        quantize = options.Size is null ? quantize : Sized(options.Size, header, quantize, method!, options);
        quantize = method is null || (options.Method == "rtn" && options.Text.Smooth is null) ? quantize : quantize with { Method = method.Run };
        QuantizeReport report;
        using (ProgressBar bar = new(session, "quantizing", "bytes"))
        {
            report = ModelOutput.Guarded(session, options.Output, write => Quantizer.Run(header, options.Output, quantize, write), bar, options.Threads, passport);
        }

        options.Report?.Write(session, new ReportRun(header, model, options.Output, Words(options), report, method!, options.Threads));
        method?.Done();
        return Tell(session, options, report, clock.Elapsed);
    }

    private static int RunPlain(Session session, Options options, PlainFormat format)
    {
        if (options.Output.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase))
        {
            throw new UsageException($"{format} is no format of GGUF files: OUT is {ModelFormatException.Quote(options.Output)}; name a folder.");
        }

        if (options.Method != "rtn" || options.Text.Smooth is not null || options.Calibration is not null || options.Size is not null || options.Report is not null)
        {
            throw new UsageException($"{format} is rounded to nearest: --method, --smooth, --calibration, --bytes, --bits-per-weight and --report are for formats of GGUF files.");
        }

        options.Text.Check(options.Method, null);
        (string Pattern, PlainFormat Format)[] tensors = [.. options.Tensors.Select(text => TensorFormat(text, s_plainNames, name => PlainFormats.ForName(name.ToLowerInvariant())))];
        using ModelHeader header = ModelHeader.Open(ModelChoice.Locate(options.Model));
        Func<ModelWriteOptions, ModelWriteOptions> passport = Provenance.Begin(session, header, Recipe(options), options.Threads);
        Stopwatch clock = Stopwatch.StartNew();
        QuantizeReport report;
        using (ProgressBar bar = new(session, "quantizing", "bytes"))
        {
            report = ModelOutput.Guarded(session, options.Output, write => PlainQuantizer.Run(header, options.Output, format, tensors, write), bar, options.Threads, passport);
        }

        return Tell(session, options, report, clock.Elapsed);
    }

    private static int Tell(Session session, Options options, QuantizeReport report, TimeSpan elapsed)
    {
        foreach (string remark in report.Remarks)
        {
            session.Warn(remark);
        }

        if (options.Json)
        {
            WriteJson(session, report, elapsed.TotalSeconds);
            return ExitCode.Done;
        }

        foreach (IGrouping<string, TensorOutcome> group in report.Tensors.GroupBy(tensor => tensor.Format).OrderByDescending(group => group.Sum(tensor => tensor.Bytes)))
        {
            session.Tell(string.Create(CultureInfo.InvariantCulture,
                $"  {group.Key,-8} {group.Count(),4} tensors  {Show.Bytes(group.Sum(tensor => tensor.Bytes)),10}  relative error {group.Max(tensor => tensor.RelativeError):P2} at most"));
        }

        session.Tell(string.Create(CultureInfo.InvariantCulture, $"{options.Output}: {Show.Bytes(report.Bytes)}, {report.BitsPerWeight:F2} bits per weight, {Show.Duration(elapsed)}"));
        return ExitCode.Done;
    }

    /// <summary>What the passport says: every option that changes the file.</summary>
    private static DerivationOptions Recipe(Options options)
    {
        bool readsText = options.Text.Text is not null || options.Text.Ids is not null;
        return new DerivationOptions
        {
            Verb = "quantize",
            Options =
            [
                ("format", options.Size is null ? options.Format ?? DefaultFormat : null), ("bytes", options.Size?.Bytes), ("bits-per-weight", options.Size?.BitsPerWeight), ("pure", options.Pure ? true : null),
                ("tensor", options.Tensors.Length > 0 ? options.Tensors : null), ("method", options.Method), ("smooth", options.Text.Smooth),
                ("tokens", readsText ? options.Text.Tokens : null), ("context", readsText ? options.Text.Context : null),
            ],
            Data = [.. new (string Role, string? Path)[] { ("calibration", options.Calibration), ("text", options.Text.Text), ("ids", options.Text.Ids) }.Where(data => data.Path is not null).Select(data => (data.Role, data.Path!))],
            Measure = options.Measure,
        };
    }

    private static void Check(Options options)
    {
        if (!options.Output.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase))
        {
            throw new UsageException($"Formats of blocks are written to GGUF files: OUT is {ModelFormatException.Quote(options.Output)}; give it a name that ends in .gguf. Folders hold {string.Join(", ", s_plainNames)}.");
        }

        if (options.Size is { Bytes: not null, BitsPerWeight: not null })
        {
            throw new UsageException("--bytes and --bits-per-weight exclude each other; name one.");
        }

        string? size = options.Size is null ? null : options.Size.Bytes is null ? "--bits-per-weight" : "--bytes";
        if (size is not null && (options.Format is not null || options.Pure))
        {
            throw new UsageException($"{size} chooses the formats itself: leave {(options.Pure ? "--pure" : "--format")} away. --tensor PATTERN=FORMAT still fixes the format of single tensors.");
        }

        options.Report?.Check(options.Text);
        options.Text.Check(options.Method, size ?? (options.Report is null ? null : "--report"));
    }

    /// <summary>Formats by measured sensitivity.</summary>
    private static QuantizeOptions Sized(SizeTarget size, ModelHeader header, QuantizeOptions quantize, MethodRun method, Options options)
    {
        GgufContent content = GgufContent.Of(header);
        Dictionary<string, WeightFormat> pinned = quantize.PinnedFormats(content);
        IReadOnlyDictionary<string, FormatCost> formats = size.Choose(content, pinned, method.Measure(SizeTarget.Searched(content, pinned))).Formats;
        quantize = quantize with { Formats = formats.ToDictionary(each => each.Key, each => each.Value.Format) };
        return options.Method == "gptq" || quantize.Importance is not null ? quantize : quantize with { Importance = method.Importance().Find }; // gptq knows its own
    }

    private static string Words(Options options) => (options.Method, options.Text) switch
    {
        ("rtn", { Smooth: { } share }) => string.Create(CultureInfo.InvariantCulture, $"rounding to nearest after SmoothQuant ({share}) on {Path.GetFileName(options.Text.File)}"),
        ("rtn", _) => $"rounding to nearest{(options.Calibration is not null ? $" with the importance of {Path.GetFileName(options.Calibration)}" : options.Size is null ? "" : $" with importance measured on {Path.GetFileName(options.Text.File)}")}",
        (var method, _) => $"{method.ToUpperInvariant()} on {Path.GetFileName(options.Text.File)}",
    };

    private static void WriteJson(Session session, QuantizeReport report, double seconds) => JsonOutput.Write(session, json =>
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

    private static (string Pattern, TFormat Format) TensorFormat<TFormat>(string text, IEnumerable<string> names, Func<string, TFormat?> find)
        where TFormat : class
    {
        int at = text.LastIndexOf('=');
        if (at <= 0)
        {
            throw new UsageException($"--tensor is {ModelFormatException.Quote(text)}; it has to be PATTERN=FORMAT, such as ffn_down={names.Last()}.");
        }

        string name = text[(at + 1)..];
        return (text[..at], find(name) ?? throw new UsageException($"--tensor is {FormatMix.Unknown(name, names)}"));
    }
}
