// The judged models as a table for the terminal, narrower where there is less room. Knows numbers only.
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Compression.Reports;

namespace Kidogo.Cli.Demo;

internal static class DemoTable
{
    /// <summary>A table of at most so many columns: what does not fit is left to the report.</summary>
    public static string Of(IReadOnlyList<JudgedModel> models, int columns)
    {
        (string Heading, Func<JudgedModel, string> Cell, bool IsUsed)[] all =
        [
            ("model", model => model.Name, true),
            (">kB", model => (model.Bytes / 1e3).ToString("0", CultureInfo.InvariantCulture), true),
            (">right", model => Percent(model.QuestionAccuracy), models.Any(model => model.Questions > 0)),
            (">guess", model => Percent(model.BaselineAccuracy), models.Any(model => model.Questions > 0)),
            (">perplexity", model => Number(model.Perplexity, "0.000"), models.Any(model => double.IsFinite(model.Perplexity))),
            (">bits/byte", model => Number(model.BitsPerByte, "0.0000"), models.Any(model => double.IsFinite(model.BitsPerByte))),
            (">divergence", model => Number(model.KlDivergence, "0.0000"), models.Any(model => double.IsFinite(model.KlDivergence))),
            (">decode/s", model => Number(model.DecodeTokensPerSecond, "0"), models.Any(model => double.IsFinite(model.DecodeTokensPerSecond))),
            (">prefill/s", model => Number(model.PrefillTokensPerSecond, "0"), models.Any(model => double.IsFinite(model.PrefillTokensPerSecond))),
            (">bits/weight", model => Number(model.BitsPerWeight, "0.00"), true),
            (">unknown said", model => Percent(model.UnknownRecall), models.Any(model => double.IsFinite(model.UnknownRecall))),
            (">memory kB", model => (model.MemoryBytes / 1e3).ToString("0", CultureInfo.InvariantCulture), true),
        ];
        (string Heading, Func<JudgedModel, string> Cell, bool IsUsed)[] used = [.. all.Where(column => column.IsUsed)];
        string table = "";
        for (int count = 1; count <= used.Length; count++)
        {
            string wider = Show.Table([.. used.Take(count).Select(column => column.Heading)], models.Select(model => used.Take(count).Select(column => column.Cell(model)).ToArray()));
            if (count > 2 && wider.Split('\n').Max(line => line.Length) > columns)
            {
                break;
            }

            table = wider;
        }

        return table;
    }

    private static string Percent(double share) => double.IsFinite(share) ? string.Create(CultureInfo.InvariantCulture, $"{100 * share:0.0} %") : "-";

    private static string Number(double value, string format) => double.IsFinite(value) ? value.ToString(format, CultureInfo.InvariantCulture) : "-";
}
