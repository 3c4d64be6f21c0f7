// The report as one page of HTML: nothing from a network, no script, readable in the dark, on paper, without colour and on a telephone. Knows the report's numbers only.
using System.Globalization;
using System.Text;

namespace Kidogo.Compression.Reports;

internal static class HtmlReport
{
    private const string Style = """
        :root{color-scheme:light dark;--paper:#fff;--ink:#1c1c1c;--soft:#5b5b5b;--line:#d4d4d4;--band:#f4f4f2;--a:#0b5cad;--b:#a23b00;--c:#3c6e1f;--d:#6b3fa0}
        @media (prefers-color-scheme:dark){:root{--paper:#161616;--ink:#eaeaea;--soft:#a8a8a8;--line:#3d3d3d;--band:#202020;--a:#7fb8f0;--b:#f0a27f;--c:#a3d284;--d:#c3a5ee}}
        *{box-sizing:border-box}
        body{margin:0 auto;padding:1rem;max-width:84rem;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
        h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.2rem;margin-top:2.2rem}
        p.note,figcaption,dt,td.made{color:var(--soft)}p{max-width:62rem}
        figure{margin:1rem 0;max-width:40rem}figcaption{font-size:.9rem}
        .pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,25rem),1fr));gap:0 1.5rem}
        table{border-collapse:collapse;width:100%;font-size:.85rem;overflow-wrap:break-word}
        th,td{padding:.3rem .45rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top;font-variant-numeric:tabular-nums}
        th:first-child,td:first-child,td.made,th.made{text-align:left}td[data-title]:not(.made){white-space:nowrap}
        thead th{font-weight:600;vertical-align:bottom}
        .mark{font-weight:700}
        ol.way{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:.4rem .3rem;align-items:stretch}
        ol.way>li{border:1px solid var(--ink);border-radius:.3rem;padding:.35rem .6rem;background:var(--band);max-width:100%}
        ol.way>li+li::before{content:"→ ";color:var(--soft)}
        ol.way>li.branch{border-style:dashed}ol.way>li.branch::before{content:"↳ "}
        ol.way small{display:block;color:var(--soft)}
        svg.chart{display:block;width:100%;height:auto;font:10px system-ui,sans-serif}
        svg text{fill:var(--ink)}svg .letter{font-weight:700}
        svg .grid{stroke:var(--line);stroke-width:.7}svg .floor{stroke:var(--soft);stroke-dasharray:3 3}svg .leader{stroke:var(--soft);stroke-width:.5}
        svg .point{fill:var(--paper);stroke:var(--ink);stroke-width:1.4}svg .best{fill:var(--ink);stroke:var(--ink)}svg .bar{fill:var(--a)}
        svg .line0{stroke:var(--a);stroke-width:1.6}svg .line1{stroke:var(--b);stroke-width:1.6}svg .line2{stroke:var(--c);stroke-width:1.6}svg .line3{stroke:var(--d);stroke-width:1.6}
        blockquote{margin:1rem 0 .3rem;padding:.1rem .8rem;border-left:3px solid var(--line)}
        ul.said{margin:.2rem 0 1rem;padding-left:1.3rem}
        pre{background:var(--band);padding:.7rem;white-space:pre-wrap;border:1px solid var(--line)}
        dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dd{margin:0}
        @media screen and (max-width:86rem){
        table,tbody,tr,td,th{display:block;text-align:left}thead{display:none}
        tr{border:1px solid var(--line);margin:.6rem 0;padding:.3rem .5rem}
        td{border:0;padding:.1rem 0;display:flex;justify-content:space-between;gap:1rem}td::before{content:attr(data-title);color:var(--soft)}
        td:first-child{font-weight:700}td:first-child::before{content:none}
        dl{grid-template-columns:1fr}}
        @media print{:root{--paper:#fff;--ink:#000;--soft:#444;--line:#bbb;--band:#fff}body{max-width:none;padding:0;font-size:10pt}figure,tr,li{break-inside:avoid}table{font-size:7.5pt}}
        """;

    public static string Of(JudgedReport report)
    {
        StringBuilder page = Begin(report.Title, report.Introduction);
        Way(page, report);
        Line(page, $"<h2>The models</h2>");
        Table(page, report, report.Models);
        if (report.Smallest is { } smallest)
        {
            string fastest = report.Fastest is { } quick ? $" The fastest of those is <b>{E(quick.Name)}</b>." : "";
            Line(page, $"<p>■ marks the best: the smallest that loses no more than {ReportColumns.Percent(report.AcceptedLoss)} is <b>{E(smallest.Name)}</b>.{fastest}</p>");
        }

        Charts(page, report);
        Kinds(page, report);
        if (report.Others.Count > 0)
        {
            Line(page, $"<h2>Judged on {E(report.Others[0].JudgedOn)}</h2>");
            Table(page, report, report.Others);
        }

        Tensors(page, report);
        Samples(page, report);
        return End(page, report.Facts, report.Commands);
    }

    /// <summary>A page up to its first paragraphs.</summary>
    internal static StringBuilder Begin(string title, IReadOnlyList<string> introduction)
    {
        StringBuilder page = new();
        Line(page, $"<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{E(title)}</title>");
        page.Append("<style>\n").Append(Style).Append("\n</style>\n</head>\n<body>\n");
        Line(page, $"<h1>{E(title)}</h1>");
        foreach (string paragraph in introduction)
        {
            Line(page, $"<p>{E(paragraph)}</p>");
        }

        return page;
    }

    private static void Way(StringBuilder page, JudgedReport report)
    {
        if (report.Path.Count == 0)
        {
            return;
        }

        Line(page, $"<h2>The way</h2>\n<ol class=\"way\">");
        foreach (ReportStation station in report.Path)
        {
            Line(page, $"<li{(station.Depth > 0 ? " class=\"branch\"" : "")}>{E(station.Name)}<small>{E(station.Detail)}</small></li>");
        }

        Line(page, $"</ol>");
    }

    /// <summary>A table; on a narrow page a card for each model. Every cell has the number of the JSON in <c>data-value</c>.</summary>
    private static void Table(StringBuilder page, JudgedReport report, IReadOnlyList<JudgedModel> models)
    {
        IReadOnlyList<(string Title, Func<JudgedModel, double> Value, Func<double, string> Show)> columns = ReportColumns.Of(models);
        Line(page, $"<table>\n<thead><tr><th>model</th>{string.Concat(columns.Select(column => $"<th>{E(column.Title)}</th>"))}<th class=\"made\">made</th></tr></thead>\n<tbody>");
        foreach (JudgedModel model in models)
        {
            bool isMarked = model == report.Smallest || model == report.Fastest;
            string letter = report.Models.Contains(model) ? $"{report.LetterOf(model)} " : "";
            page.Append(CultureInfo.InvariantCulture, $"<tr><td class=\"{(isMarked ? "mark" : "plain")}\">{letter}{E(model.Name)}{(isMarked ? " ■" : "")}</td>");
            foreach ((string title, Func<JudgedModel, double> value, Func<double, string> show) in columns)
            {
                double number = value(model);
                string data = double.IsFinite(number) ? $" data-value=\"{number.ToString("R", CultureInfo.InvariantCulture)}\"" : "";
                page.Append(CultureInfo.InvariantCulture, $"<td data-title=\"{E(title)}\"{data}>{E(show(number))}</td>");
            }

            Line(page, $"<td class=\"made\" data-title=\"made\">{E(model.Made)}</td></tr>");
        }

        Line(page, $"</tbody>\n</table>");
    }

    private static void Charts(StringBuilder page, JudgedReport report)
    {
        IReadOnlyList<JudgedModel> models = report.Models;
        bool hasQuestions = report.HasQuestions;
        ChartAxis size = new("size of the file, kB (logarithmic)", IsLogarithmic: true);
        ChartAxis quality = hasQuestions ? new ChartAxis("questions right", IsShare: true) : new ChartAxis("bits a byte of the text (less is better)");
        double Quality(JudgedModel model) => hasQuestions ? model.QuestionAccuracy : model.BitsPerByte;
        List<string> figures =
        [
            Figure(SvgChart.Scatter("quality against size", size, quality, [.. models.Select(model => new ChartPoint(report.LetterOf(model), model.Bytes / 1e3, Quality(model), model == report.Smallest))],
                hasQuestions ? ("best guess without reading", models[0].BaselineAccuracy) : null), "Quality against size. Letters are those of the table; the filled square is the smallest that loses no more than is accepted."),
            Figure(SvgChart.Scatter("speed against size", size, new ChartAxis("tokens written a second"), [.. models.Select(model => new ChartPoint(report.LetterOf(model), model.Bytes / 1e3, model.DecodeTokensPerSecond, model == report.Fastest))]),
                "Speed against size, of one run on this machine. The filled square is the fastest of those that are accepted."),
            Figure(SvgChart.Lines("loss", new ChartAxis("step"), new ChartAxis("loss, nats a token"), [.. report.Curves.Select(curve => new ChartLine(curve.Name, curve.Points))]), "The loss while training."),
            Figure(SvgChart.Bars("divergence", [.. models.Select(model => ($"{report.LetterOf(model)} {model.Name}", model.KlDivergence))], value => value.ToString("0.0000", CultureInfo.InvariantCulture)),
                $"Mean divergence from {models[0].Name}, in nats a token."),
            Figure(SvgChart.Lines("calibration", new ChartAxis("how sure it is", IsShare: true), new ChartAxis("how often it is right", IsShare: true),
                [.. models.Where(model => model == models[0] || model == report.Smallest).Select(model => new ChartLine(model.Name, [.. model.Calibration.Select(bin => (bin.Confidence, bin.Accuracy))]))], hasDiagonal: true),
                "How often an answer is right by how sure the model is. On the dotted line it knows what it knows."),
        ];
        Line(page, $"<div class=\"pair\">\n{string.Join('\n', figures.Where(figure => figure.Length > 0))}\n</div>");
    }

    internal static string Figure(string svg, string caption) => svg.Length == 0 ? "" : $"<figure>{svg}<figcaption>{E(caption)}</figcaption></figure>";

    private static void Kinds(StringBuilder page, JudgedReport report)
    {
        if (!report.HasQuestions)
        {
            return;
        }

        string[] kinds = [.. report.Models.SelectMany(model => model.Kinds).Select(kind => kind.Kind).Distinct()];
        Line(page, $"<h2>Questions right, by kind</h2>\n<table>\n<thead><tr><th>model</th>{string.Concat(kinds.Select(kind => $"<th>{E(kind.Replace('_', ' '))}</th>"))}</tr></thead>\n<tbody>");
        void Row(string name, Func<string, double> share)
        {
            page.Append(CultureInfo.InvariantCulture, $"<tr><td>{E(name)}</td>");
            foreach (string kind in kinds)
            {
                double value = share(kind);
                string data = double.IsFinite(value) ? $" data-value=\"{value.ToString("R", CultureInfo.InvariantCulture)}\"" : "";
                page.Append(CultureInfo.InvariantCulture, $"<td data-title=\"{E(kind.Replace('_', ' '))}\"{data}>{ReportColumns.Percent(value)}</td>");
            }

            Line(page, $"</tr>");
        }

        foreach (JudgedModel model in report.Models)
        {
            Row($"{report.LetterOf(model)} {model.Name}", kind => model.Kinds.FirstOrDefault(each => each.Kind == kind)?.Accuracy ?? double.NaN);
        }

        Row("best guess without reading", kind => report.Models[0].Kinds.FirstOrDefault(each => each.Kind == kind)?.Baseline ?? double.NaN);
        Line(page, $"</tbody>\n</table>");
    }

    private static void Tensors(StringBuilder page, JudgedReport report)
    {
        JudgedModel[] rounded = [.. report.Models.Where(model => model.Tensors.Count > 0)];
        if (rounded.Length == 0)
        {
            return;
        }

        Line(page, $"<h2>What rounding changed, by tensor</h2>");
        JudgedModel shown = report.Smallest is { Tensors.Count: > 0 } smallest ? smallest : rounded[^1];
        Line(page, $"{Figure(SvgChart.Bars("relative error by tensor", [.. shown.Tensors.Select(tensor => (tensor.Name.Replace(".weight", "", StringComparison.Ordinal), tensor.RelativeError))], ReportColumns.Percent), $"Relative error of each tensor of {shown.Name} ({shown.Tensors[0].Format}). Those of the other models are in the JSON.")}");
    }

    private static void Samples(StringBuilder page, JudgedReport report)
    {
        if (report.Models[0].Samples.Count == 0)
        {
            return;
        }

        Line(page, $"<h2>What they say</h2>");
        foreach (JudgedSample asked in report.Models[0].Samples)
        {
            Line(page, $"<blockquote><p>{E(asked.Prompt)}</p></blockquote>\n<ul class=\"said\">");
            foreach (JudgedModel model in report.Models)
            {
                if (model.Samples.FirstOrDefault(sample => sample.Prompt == asked.Prompt) is { } said)
                {
                    string verdict = asked.Expected.Length == 0 ? "" : said.Answer == asked.Expected ? " ✓" : $" ✗ (right: {asked.Expected})";
                    Line(page, $"<li><b>{E(model.Name)}</b>: {E(said.Answer)}{E(verdict)}</li>");
                }
            }

            Line(page, $"</ul>");
        }
    }

    /// <summary>What the page was made with, and its end.</summary>
    internal static string End(StringBuilder page, IReadOnlyList<(string Name, string Value)> facts, IReadOnlyList<string> commands)
    {
        if (facts.Count > 0)
        {
            Line(page, $"<h2>Made with</h2>\n<dl>{string.Concat(facts.Select(fact => $"<dt>{E(fact.Name)}</dt><dd>{E(fact.Value)}</dd>"))}</dl>");
        }

        if (commands.Count > 0)
        {
            Line(page, $"<pre>{E(string.Join('\n', commands))}</pre>");
        }

        return page.Append("</body>\n</html>\n").ToString();
    }

    internal static string E(string text) => SvgChart.Encoded(text);

    internal static void Line(StringBuilder page, FormattableString line) => page.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
