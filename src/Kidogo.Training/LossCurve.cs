// The loss over the steps, as a picture for the terminal and as SVG. Knows no run.
using System.Globalization;
using System.Text;

namespace Kidogo.Training;

/// <summary>Draws loss curves.</summary>
public static class LossCurve
{
    private const string Marks = " ⡀⡄⡆⡇";
    private const int LabelColumns = 10; // before a curve in text
    private const int MostColumns = 64, FewestColumns = 10;
    private const double Width = 800; // of a picture

    /// <summary>The width of a curve whose lines, with the numbers before them, fill no more than so many columns.</summary>
    public static int ColumnsOfCurve(int columns) => Math.Clamp(columns - LabelColumns, FewestColumns, MostColumns);

    /// <summary>A curve in text: the means of as many stretches as there are columns.</summary>
    /// <param name="records">The steps, in order.</param>
    /// <param name="width">Columns, 10 or more.</param>
    /// <param name="height">Lines, 2 or more.</param>
    public static string Text(IReadOnlyList<StepRecord> records, int width = MostColumns, int height = 10)
    {
        double[] means = Means(records, Math.Min(width, Math.Max(1, records.Count)));
        if (means.Length == 0)
        {
            return "";
        }

        (double low, double high) = (means.Min(), means.Max());
        double span = Math.Max(high - low, 1e-9);
        StringBuilder text = new();
        for (int line = height - 1; line >= 0; line--)
        {
            string label = line == height - 1 ? Number(high) : line == 0 ? Number(low) : "";
            text.Append(CultureInfo.InvariantCulture, $"{label,8} │");
            foreach (double mean in means)
            {
                double filled = ((mean - low) / span * (height - 1) * 4) + 1 - (line * 4);
                text.Append(Marks[(int)Math.Clamp(Math.Round(filled), 0, 4)]);
            }

            text.Append('\n');
        }

        text.Append(CultureInfo.InvariantCulture, $"         └{new string('─', means.Length)}\n");
        string first = records[0].Step.ToString(CultureInfo.InvariantCulture);
        string last = records[^1].Step.ToString(CultureInfo.InvariantCulture);
        text.Append("          ").Append(first).Append(new string(' ', Math.Max(1, means.Length - first.Length - last.Length))).Append(last).Append(" steps\n");
        return text.ToString();
    }

    /// <summary>A curve as a picture that browsers show: the loss of every step, and of held-out text where it was measured; below it each term of the loss, where it has several.</summary>
    /// <param name="records">The steps, in order.</param>
    public static string Svg(IReadOnlyList<StepRecord> records)
    {
        const double WholeHeight = 400, TermHeight = 180;
        string[] terms = [.. records.SelectMany(record => record.Terms.Select(term => term.Name)).Distinct()];
        StringBuilder svg = new();
        svg.Append(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Width} {WholeHeight + (terms.Length * TermHeight)}\" font-family=\"sans-serif\" "
            + $"font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
        long last = records.Count == 0 ? 1 : Math.Max(2, records[^1].Step);
        Panel(svg, 0, WholeHeight, last, "nats a token", new Line("training loss", "#3b6ea5", 1, [.. records.Select(record => (record.Step, record.Loss))]),
            new Line("held-out loss", "#c0504d", 2, [.. records.Where(record => record.Evaluation is not null).Select(record => (record.Step, record.Evaluation!.Loss))]));
        for (int i = 0; i < terms.Length; i++)
        {
            Panel(svg, WholeHeight + (i * TermHeight), TermHeight, last, "before its weight",
                new Line($"{terms[i]} term", "#3b6ea5", 1, [.. records.SelectMany(record => record.Terms.Where(term => term.Name == terms[i]).Select(term => (record.Step, term.Value)))]));
        }

        return svg.Append("</svg>\n").ToString();
    }

    private sealed record Line(string Name, string Color, int Width, (long Step, double Value)[] Points);

    /// <summary>Lines over the steps, on one scale from their least to their most.</summary>
    private static void Panel(StringBuilder svg, double top, double height, long last, string unit, params Line[] lines)
    {
        const double Left = 60, Right = 20, Above = 20, Below = 40;
        const int MostPoints = 2000;
        double[] values = [.. lines.SelectMany(line => line.Points).Select(point => point.Value).Where(double.IsFinite)];
        double low = values.Length == 0 ? 0 : values.Min();
        double high = values.Length == 0 ? 1 : Math.Max(values.Max(), low + 1e-6);
        double Y(double value) => top + Above + ((high - value) / (high - low) * (height - Above - Below));
        for (int i = 0; i <= 4; i++)
        {
            double value = low + ((high - low) * i / 4), y = Y(value);
            svg.Append(CultureInfo.InvariantCulture, $"<line x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{y:0.#}\" y2=\"{y:0.#}\" stroke=\"#ddd\"/><text "
                + $"x=\"{Left - 6}\" y=\"{y + 4:0.#}\" text-anchor=\"end\">{Number(value)}</text>\n");
        }

        double foot = top + height - 12;
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left}\" y=\"{foot:0.#}\">step 1</text><text x=\"{Width - Right}\" y=\"{foot:0.#}\" text-anchor=\"end\">{last}</text>\n");
        foreach (Line line in lines)
        {
            int stride = Math.Max(1, line.Points.Length / MostPoints);
            string points = string.Join(' ', line.Points.Where((point, i) => i % stride == 0 && double.IsFinite(point.Value)).Select(point => string.Create(CultureInfo.InvariantCulture,
                $"{Left + ((point.Step - 1) / Math.Max(1.0, last - 1) * (Width - Left - Right)):0.#},{Y(point.Value):0.#}")));
            svg.Append(CultureInfo.InvariantCulture, $"<polyline points=\"{points}\" fill=\"none\" stroke=\"{line.Color}\" stroke-width=\"{line.Width}\"/>\n");
        }

        string names = string.Join(' ', lines.Select(line => $"<tspan fill=\"{line.Color}\">{line.Name}</tspan>"));
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Width - Right}\" y=\"{top + Above + 12:0.#}\" text-anchor=\"end\">{names} ({unit})</text>\n");
    }

    private static double[] Means(IReadOnlyList<StepRecord> records, int columns)
    {
        List<double> means = [];
        for (int column = 0; column < columns && records.Count > 0; column++)
        {
            int first = (int)((long)records.Count * column / columns);
            int end = Math.Max(first + 1, (int)((long)records.Count * (column + 1) / columns));
            double[] losses = [.. records.Skip(first).Take(end - first).Select(record => record.Loss).Where(double.IsFinite)];
            if (losses.Length > 0)
            {
                means.Add(losses.Average());
            }
        }

        return [.. means];
    }

    private static string Number(double value) => value.ToString("0.000", CultureInfo.InvariantCulture);
}
