// What kidogo quantize --report asks for: where to, and on which text. Knows no arithmetic.
using Kidogo.Cli.Shell;
using Kidogo.Compression.Quantization;
using Kidogo.Compression.Reports;
using Kidogo.Compression.Search;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Tensors.Formats;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Cli.Verbs;

/// <summary>What was quantised.</summary>
/// <param name="Header">The model.</param>
/// <param name="Model">Its path.</param>
/// <param name="Output">The file that was written.</param>
/// <param name="Method">How, in a few words.</param>
/// <param name="Quantized">What became of each tensor.</param>
/// <param name="Measures">The model in memory, for sensitivities; null without a text.</param>
/// <param name="Threads">Threads; null for the physical cores.</param>
internal sealed record ReportRun(ModelHeader Header, string Model, string Output, string Method, QuantizeReport Quantized, MethodRun Measures, int? Threads);

/// <summary>A report that is wanted.</summary>
/// <param name="Path">The file or folder.</param>
/// <param name="Text">The text to judge on; null for what calibrating left.</param>
/// <param name="Ids">The same as ids.</param>
internal sealed record ReportRequest(string Path, string? Text, string? Ids)
{
    private const int FewestTokens = 1024;
    private const int MostTokens = 4096;

    /// <summary>What the options ask for; null for no report.</summary>
    public static ReportRequest? Of(string? path, string? text, string? ids) => path is not null
        ? new ReportRequest(path, text, ids)
        : text is null && ids is null ? null : throw new UsageException("--report-text and --report-ids are for --report PATH: name where to write it.");

    /// <summary>Refuses what does not go together, before hours of work.</summary>
    public void Check(QuantizeText calibration)
    {
        if (Text is not null && Ids is not null)
        {
            throw new UsageException("--report-text and --report-ids exclude each other; name one.");
        }

        if (Text is null && Ids is null && calibration.File is null)
        {
            throw new UsageException("--report judges on a text: name it with --report-text FILE, or its token ids with --report-ids FILE.");
        }

        (string markdown, _) = QuantizeReportFile.PathsOf(Path);
        OutFolder.CheckWritable(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(markdown)) ?? ".");
    }

    /// <summary>Measures and writes.</summary>
    public void Write(Session session, ReportRun run)
    {
        GgufContent content = GgufContent.Of(run.Header);
        ModelCosts costs = run.Measures.Costs ?? run.Measures.Measure(SizeTarget.Searched(content, new Dictionary<string, WeightFormat>()));
        (ReadOnlyMemory<int> ids, string text) = Judged(run);
        ids = ids.Length > MostTokens ? ids[..MostTokens] : ids;
        using ModelText words = ModelText.Of(run.Header);
        Tokenizer? tokenizer = words.HasTokenizer ? words.Tokenizer : null;
        ModelComparison comparison;
        using (ProgressBar bar = new(session, "comparing", "tokens"))
        {
            ComparisonOptions options = new()
            {
                Threads = run.Threads ?? MachineInfo.CountPhysicalCores(),
                MostTokens = MostTokens,
                BytesOf = tokenizer is null ? null : id => id < tokenizer.VocabularySize ? tokenizer.PieceBytes(id).Length : 0,
                Progress = bar.Report,
            };
            comparison = ModelComparison.Measure(run.Model, run.Output, ids.Span, options, session.Interrupted);
        }

        QuantizeStory story = new()
        {
            Model = run.Model,
            Output = run.Output,
            Method = run.Method,
            Quantized = run.Quantized,
            Costs = costs,
            Comparison = comparison,
            Text = text,
            TextOf = tokenizer is null ? null : tokens => tokenizer.Decode([.. tokens.Where(id => id < tokenizer.VocabularySize)]),
            Ids = ids,
            Machine = $"{MachineInfo.Read().Processor}, {run.Threads ?? MachineInfo.CountPhysicalCores()} threads",
        };
        AtomicFile.Guarded(Path, () => QuantizeReportFile.Write(Path, story));
        (string markdown, string json) = QuantizeReportFile.PathsOf(Path);
        session.Tell($"report: {markdown} and {json}");
    }

    private (ReadOnlyMemory<int> Ids, string Text) Judged(ReportRun run)
    {
        if (Text is not null || Ids is not null)
        {
            return (EvalVerb.ReadIds(Ids, Text, run.Header), System.IO.Path.GetFileName(Text ?? Ids!));
        }

        return run.Measures.Unused.Length >= FewestTokens
            ? (run.Measures.Unused, $"the part of {run.Measures.TextName} that was not calibrated on")
            : (run.Measures.Ids, $"{run.Measures.TextName}, which was calibrated on too: that flatters");
    }
}
