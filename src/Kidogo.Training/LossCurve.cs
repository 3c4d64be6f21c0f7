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

    /// <summary>A curve as a picture that browsers show: the loss of every step, and of held-out text where it was measured.</summary>
    /// <param name="records">The steps, in order.</param>
    public static string Svg(IReadOnlyList<StepRecord> records)
    {
        const double Width = 800, Height = 400, Left = 60, Top = 20, Right = 20, Bottom = 40;
        const int MostPoints = 2000;
        IEnumerable<double> judged = records.Where(record => record.Evaluation is not null).Select(record => record.Evaluation!.Loss);
        double[] losses = [.. records.Select(record => record.Loss).Concat(judged).Where(double.IsFinite)];
        double low = losses.Length == 0 ? 0 : losses.Min();
        double high = losses.Length == 0 ? 1 : Math.Max(losses.Max(), low + 1e-6);
        double last = records.Count == 0 ? 1 : Math.Max(2, records[^1].Step);
        string At(double step, double loss) => string.Create(CultureInfo.InvariantCulture,
            $"{Left + ((step - 1) / (last - 1) * (Width - Left - Right)):0.#},{Top + ((high - loss) / (high - low) * (Height - Top - Bottom)):0.#}");
        int stride = Math.Max(1, records.Count / MostPoints);
        string training = string.Join(' ',
            records.Where((record, i) => i % stride == 0 && double.IsFinite(record.Loss)).Select(record => At(record.Step, record.Loss)));
        string heldOut = string.Join(' ', records.Where(record => record.Evaluation is not null).Select(record => At(record.Step, record.Evaluation!.Loss)));
        StringBuilder svg = new();
        svg.Append(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Width} {Height}\" font-family=\"sans-serif\" "
            + $"font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
        for (int i = 0; i <= 4; i++)
        {
            double value = low + ((high - low) * i / 4);
            double y = Top + ((high - value) / (high - low) * (Height - Top - Bottom));
            svg.Append(CultureInfo.InvariantCulture, $"<line x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{y:0.#}\" y2=\"{y:0.#}\" stroke=\"#ddd\"/><text "
                + $"x=\"{Left - 6}\" y=\"{y + 4:0.#}\" text-anchor=\"end\">{Number(value)}</text>\n");
        }

        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left}\" y=\"{Height - 12}\">step 1</text><text x=\"{Width - Right}\" y=\"{Height - 12}\" "
            + $"text-anchor=\"end\">{last:0}</text>\n");
        svg.Append(CultureInfo.InvariantCulture, $"<polyline points=\"{training}\" fill=\"none\" stroke=\"#3b6ea5\"/>\n<polyline points=\"{heldOut}\" "
            + $"fill=\"none\" stroke=\"#c0504d\" stroke-width=\"2\"/>\n");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Width - Right}\" y=\"{Top + 12}\" text-anchor=\"end\"><tspan fill=\"#3b6ea5\">training "
            + $"loss</tspan> <tspan fill=\"#c0504d\">held-out loss</tspan> (nats a token)</text>\n</svg>\n");
        return svg.ToString();
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
