// What a sweep has found, as a page, as Markdown and as JSON. Knows the sweep's numbers, not how they came about.
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Kidogo.Models.Files;
using Kidogo.Training.Sweeps;

namespace Kidogo.Compression.Reports;

/// <summary>A report of a sweep.</summary>
/// <param name="Result">What was found.</param>
/// <param name="Facts">The machine, versions.</param>
/// <param name="Commands">Commands that make it again.</param>
public sealed record SweepReport(SweepResult Result, IReadOnlyList<(string Name, string Value)> Facts, IReadOnlyList<string> Commands)
{
    /// <summary>Writes report.html, report.md and report.json, each whole or not at all.</summary>
    /// <param name="folder">Where to; it exists.</param>
    public void Write(string folder)
    {
        NewFile.Write(Path.Combine(folder, "report.json"), Json());
        NewFile.Write(Path.Combine(folder, "report.md"), Encoding.UTF8.GetBytes(Markdown()));
        NewFile.Write(Path.Combine(folder, "report.html"), Encoding.UTF8.GetBytes(Html()));
    }

    /// <summary>The members of a result.</summary>
    public static void Write(Utf8JsonWriter json, SweepResult result)
    {
        json.WriteString("best", result.Best?.Run.Name);
        json.WriteBoolean("complete", result.IsComplete);
        json.WriteString("unit", result.Unit);
        json.WriteStartArray("runs");
        foreach (SweepOutcome run in result.Runs)
        {
            json.WriteStartObject();
            json.WriteString("name", run.Run.Name);
            json.WriteString("folder", run.Folder);
            json.WriteStartObject("values");
            foreach ((string field, string value) in run.Run.Values)
            {
                json.WriteString(field, value);
            }

            json.WriteEndObject();
            json.WriteNumber("steps", run.Steps);
            json.WriteStartArray("scores");
            foreach (SweepScore score in run.Scores)
            {
                json.WriteStartObject();
                json.WriteNumber("step", score.Step);
                json.WriteNumber("tokens", score.Tokens);
                json.WriteNumber("eval_loss", score.Loss);
                if (double.IsFinite(score.BitsPerByte))
                {
                    json.WriteNumber("eval_bits_per_byte", score.BitsPerByte);
                }

                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteString("failure", run.Failure);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private string Title => $"A sweep of {Result.Runs.Count} runs over {string.Join(" and ", Result.Fields)}";

    private IReadOnlyList<string> Introduction =>
    [
        Result.Best is { } best ? $"{(Result.IsComplete ? "The best" : "The best so far")} is {best.Run.Name} ({best.Run.Label}): {Number(Result.Value(best.Scores[^1]))} {Result.Unit} on held-out texts after {best.Scores[^1].Step} steps"
            + $"{(Result.IsComplete ? "" : ". The time was up before it had gone the whole way; the same command goes on")}." : "No run was judged yet.",
        "All runs go a part of the way, the better half twice as far, until one is left. Those that were left behind are kept where they paused.",
    ];

    private byte[] Json()
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("title", Title);
            Write(json, Result);
            JudgedReport.WriteOrigin(json, Facts, Commands);
            json.WriteEndObject();
        }

        return bytes.ToArray();
    }

    private string Markdown()
    {
        StringBuilder page = new();
        MarkdownReport.Line(page, $"# {MarkdownReport.Escaped(Title)}\n");
        foreach (string paragraph in Introduction)
        {
            MarkdownReport.Line(page, $"{MarkdownReport.Escaped(paragraph)}\n");
        }

        MarkdownReport.Line(page, $"| run | {string.Join(" | ", Result.Fields.Select(MarkdownReport.Escaped))} | {string.Join(" | ", Rungs.Select(rung => $"{rung} of the way"))} | |\n|---|{string.Concat(Result.Fields.Select(_ => "---|"))}{string.Concat(Rungs.Select(_ => "---:|"))}---|");
        foreach (SweepOutcome run in Result.Runs)
        {
            IEnumerable<string> scores = Rungs.Select((_, rung) => run.Scores.Count > rung ? Number(Result.Value(run.Scores[rung])) : "");
            MarkdownReport.Line(page, $"| {run.Run.Name} | {string.Join(" | ", run.Run.Values.Select(value => MarkdownReport.Escaped(value.Value)))} | {string.Join(" | ", scores)} | {MarkdownReport.Escaped(Remark(run))} |");
        }

        MarkdownReport.Line(page, $"\nIn {Result.Unit} on held-out texts; less is better.");
        return MarkdownReport.End(page, Facts, Commands);
    }

    private string Html()
    {
        const int MostLines = 4; // that dashes tell apart
        StringBuilder page = HtmlReport.Begin(Title, Introduction);
        SweepOutcome[] judged = [.. Result.Runs.Where(run => run.Scores.Count > 0)];
        ChartLine[] lines = [.. judged.Take(MostLines).Select(run => new ChartLine(run.Run.Name, [.. run.Scores.Select(score => (score.Tokens / 1e3, Result.Value(score)))]))];
        string[] figures =
        [
            HtmlReport.Figure(SvgChart.Lines("held-out loss by tokens read", new ChartAxis("tokens read, thousands"), new ChartAxis(Result.Unit), lines), $"The loss on held-out texts at the end of each rung: the best {lines.Length}."),
            HtmlReport.Figure(SvgChart.Bars("first judgement", [.. judged.OrderBy(run => Result.Value(run.Scores[0])).Select(run => ($"{run.Run.Name} {run.Run.Label}", Result.Value(run.Scores[0])))], Number), $"All runs at the end of the first rung, in {Result.Unit}: less is better."),
        ];
        HtmlReport.Line(page, $"<div class=\"pair\">\n{string.Join('\n', figures.Where(figure => figure.Length > 0))}\n</div>");
        HtmlReport.Line(page, $"<h2>The runs</h2>\n<table>\n<thead><tr><th>run</th>{string.Concat(Result.Fields.Select(field => $"<th>{HtmlReport.E(field)}</th>"))}{string.Concat(Rungs.Select(rung => $"<th>{rung} of the way</th>"))}<th class=\"made\"></th></tr></thead>\n<tbody>");
        foreach (SweepOutcome run in Result.Runs)
        {
            bool isBest = run == Result.Best;
            HtmlReport.Line(page, $"<tr><td class=\"{(isBest ? "mark" : "plain")}\">{run.Run.Name}{(isBest ? " ■" : "")}</td>{string.Concat(run.Run.Values.Select(value => $"<td data-title=\"{HtmlReport.E(value.Key)}\">{HtmlReport.E(value.Value)}</td>"))}{string.Concat(Rungs.Select((title, rung) => Cell(run, title, rung)))}<td class=\"made\">{HtmlReport.E(Remark(run))}</td></tr>");
        }

        HtmlReport.Line(page, $"</tbody>\n</table>\n<p class=\"note\">In {Result.Unit} on held-out texts; less is better. ■ marks the best.</p>");
        return HtmlReport.End(page, Facts, Commands);
    }

    private string Cell(SweepOutcome run, string title, int rung)
    {
        if (run.Scores.Count <= rung)
        {
            return $"<td data-title=\"{title} of the way\"></td>";
        }

        double value = Result.Value(run.Scores[rung]);
        return $"<td data-title=\"{title} of the way\" data-value=\"{value.ToString("R", CultureInfo.InvariantCulture)}\">{Number(value)}</td>";
    }

    /// <summary>How far each rung goes: 1/4, 1/2, all.</summary>
    private IEnumerable<string> Rungs => Enumerable.Range(0, Result.Rungs).Select(rung => rung + 1 == Result.Rungs ? "all" : string.Create(CultureInfo.InvariantCulture, $"1/{1L << (Result.Rungs - 1 - rung)}"));

    private string Remark(SweepOutcome run) => run.Failure is not null ? $"failed: {run.Failure}" : run == Result.Best ? "best" : run.Scores.Count == 0 ? "not judged yet" : $"paused at step {run.Scores[^1].Step} of {run.Steps}";

    private static string Number(double value) => value.ToString("0.0000", CultureInfo.InvariantCulture);
}
