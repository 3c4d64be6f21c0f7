// The report as Markdown. Knows the report's numbers only.
using System.Globalization;
using System.Text;

namespace Kidogo.Compression.Reports;

internal static class MarkdownReport
{
    public static string Of(JudgedReport report)
    {
        StringBuilder page = new();
        Line(page, $"# {report.Title}\n");
        foreach (string paragraph in report.Introduction)
        {
            Line(page, $"{paragraph}\n");
        }

        if (report.Path.Count > 0)
        {
            Line(page, $"## The way\n");
            foreach (ReportStation station in report.Path)
            {
                Line(page, $"{new string(' ', 2 * station.Depth)}- **{station.Name}**: {station.Detail}");
            }

            page.Append('\n');
        }

        Line(page, $"## The models\n");
        Table(page, report.Models);
        if (report.Smallest is { } smallest)
        {
            Line(page, $"\nSmallest that loses no more than {ReportColumns.Percent(report.AcceptedLoss)}: **{smallest.Name}**.{(report.Fastest is { } fastest ? $" Fastest of those: **{fastest.Name}**." : "")}");
        }

        if (report.Others.Count > 0)
        {
            Line(page, $"\n## Judged on {Escaped(report.Others[0].JudgedOn)}\n");
            Table(page, report.Others);
        }

        if (report.HasQuestions)
        {
            string[] kinds = [.. report.Models.SelectMany(model => model.Kinds).Select(kind => kind.Kind).Distinct()];
            Line(page, $"\n## Questions right, by kind\n");
            Line(page, $"| model | {string.Join(" | ", kinds)} |\n|---|{string.Concat(kinds.Select(_ => "---:|"))}");
            foreach (JudgedModel model in report.Models)
            {
                Line(page, $"| {Escaped(model.Name)} | {string.Join(" | ", kinds.Select(kind => ReportColumns.Percent(model.Kinds.FirstOrDefault(each => each.Kind == kind)?.Accuracy ?? double.NaN)))} |");
            }

            Line(page, $"| best guess without reading | {string.Join(" | ", kinds.Select(kind => ReportColumns.Percent(report.Models[0].Kinds.FirstOrDefault(each => each.Kind == kind)?.Baseline ?? double.NaN)))} |");
        }

        Samples(page, report);
        return End(page, report.Facts, report.Commands);
    }

    /// <summary>What the page was made with, and its end.</summary>
    internal static string End(StringBuilder page, IReadOnlyList<(string Name, string Value)> facts, IReadOnlyList<string> commands)
    {
        if (facts.Count > 0)
        {
            Line(page, $"\n## Made with\n");
            foreach ((string name, string value) in facts)
            {
                Line(page, $"- {name}: {value}");
            }
        }

        if (commands.Count > 0)
        {
            Line(page, $"\n```sh\n{string.Join('\n', commands)}\n```");
        }

        return page.ToString();
    }

    private static void Table(StringBuilder page, IReadOnlyList<JudgedModel> models)
    {
        IReadOnlyList<(string Title, Func<JudgedModel, double> Value, Func<double, string> Show)> columns = ReportColumns.Of(models);
        Line(page, $"| model | {string.Join(" | ", columns.Select(column => column.Title))} | made |\n|---|{string.Concat(columns.Select(_ => "---:|"))}---|");
        foreach (JudgedModel model in models)
        {
            Line(page, $"| {Escaped(model.Name)} | {string.Join(" | ", columns.Select(column => column.Show(column.Value(model))))} | {Escaped(model.Made)} |");
        }
    }

    private static void Samples(StringBuilder page, JudgedReport report)
    {
        foreach (JudgedSample asked in report.Models[0].Samples)
        {
            Line(page, $"\n> {Escaped(asked.Prompt)}\n");
            foreach (JudgedModel model in report.Models)
            {
                if (model.Samples.FirstOrDefault(sample => sample.Prompt == asked.Prompt) is { } sample)
                {
                    Line(page, $"- {Escaped(model.Name)}: {Escaped(sample.Answer)}{(asked.Expected.Length > 0 ? sample.Answer == asked.Expected ? " ✓" : $" ✗ ({Escaped(asked.Expected)})" : "")}");
                }
            }
        }
    }

    internal static string Escaped(string text)
    {
        StringBuilder safe = new();
        foreach (char c in text)
        {
            safe.Append(c is '\n' or '\r' or '\t' ? " " : c is '|' or '*' or '_' or '`' or '[' or ']' or '<' or '>' or '#' or '\\' ? $"\\{c}" : char.IsControl(c) ? "\uFFFD" : c.ToString());
        }

        return safe.ToString();
    }

    internal static void Line(StringBuilder page, FormattableString line) => page.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
