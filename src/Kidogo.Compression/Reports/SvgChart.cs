// Charts as SVG that stands in a page: axes with units, shapes and dashes instead of colours, colours by the page's style. Knows no models.
using System.Globalization;
using System.Net;
using System.Text;

namespace Kidogo.Compression.Reports;

/// <summary>A point with a letter.</summary>
/// <param name="Letter">What it is called in the chart.</param>
/// <param name="X">To the right.</param>
/// <param name="Y">Upwards.</param>
/// <param name="IsMarked">Whether it is one of the best.</param>
internal sealed record ChartPoint(string Letter, double X, double Y, bool IsMarked);

/// <summary>A line.</summary>
/// <param name="Name">What it is called in the chart.</param>
/// <param name="Points">Its points, by x.</param>
internal sealed record ChartLine(string Name, IReadOnlyList<(double X, double Y)> Points);

/// <summary>An axis.</summary>
/// <param name="Title">What it shows, with the unit.</param>
/// <param name="IsLogarithmic">Whether equal factors have equal distances.</param>
/// <param name="IsShare">Whether it goes from 0 to 1 and is labelled in percent.</param>
internal sealed record ChartAxis(string Title, bool IsLogarithmic = false, bool IsShare = false);

/// <summary>Draws charts 360 units wide, so that letters are readable on a telephone.</summary>
internal static class SvgChart
{
    private const double Width = 360, Height = 240, Left = 46, Right = 12, Top = 12, Bottom = 38;
    private const int Ticks = 4;
    private static readonly string[] s_dashes = ["", "6 3", "2 3", "8 3 2 3"];

    /// <summary>Points with letters; marked ones are filled squares, the others rings.</summary>
    /// <param name="title">What a screen reader says.</param>
    /// <param name="x">The axis below.</param>
    /// <param name="y">The axis at the left.</param>
    /// <param name="points">The points; those that are no numbers are left out.</param>
    /// <param name="floor">A level that is drawn as a line with its name; null for none.</param>
    public static string Scatter(string title, ChartAxis x, ChartAxis y, IReadOnlyList<ChartPoint> points, (string Name, double Y)? floor = null)
    {
        ChartPoint[] shown = [.. points.Where(point => double.IsFinite(point.X) && double.IsFinite(point.Y))];
        if (shown.Length == 0)
        {
            return "";
        }

        Plot plot = new(title, x, y, shown.Select(point => point.X), shown.Select(point => point.Y).Concat(floor is { } level ? [level.Y] : []));
        if (floor is { } line && double.IsFinite(line.Y))
        {
            plot.Add($"<line class=\"floor\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{plot.Y(line.Y):0.#}\" y2=\"{plot.Y(line.Y):0.#}\"/>");
            plot.Add($"<text x=\"{Left + 4}\" y=\"{plot.Y(line.Y) - 3:0.#}\">{Encoded(line.Name)}</text>");
        }

        List<(double X, double Y)> labels = [];
        foreach (ChartPoint point in shown)
        {
            (double px, double py) = (plot.X(point.X), plot.Y(point.Y));
            plot.Add(point.IsMarked ? (FormattableString)$"<rect class=\"best\" x=\"{px - 4:0.#}\" y=\"{py - 4:0.#}\" width=\"8\" height=\"8\"/>" : $"<circle class=\"point\" cx=\"{px:0.#}\" cy=\"{py:0.#}\" r=\"3.5\"/>");
            (double lx, double ly) = Free(px, py, labels, shown.Select(other => (plot.X(other.X), plot.Y(other.Y))));
            labels.Add((lx, ly));
            plot.Add($"<line class=\"leader\" x1=\"{px:0.#}\" y1=\"{py:0.#}\" x2=\"{lx:0.#}\" y2=\"{ly:0.#}\"/>");
            plot.Add($"<text class=\"letter\" x=\"{lx:0.#}\" y=\"{ly + 3.5:0.#}\" text-anchor=\"middle\">{Encoded(point.Letter)}</text>");
        }

        return plot.Finish();
    }

    /// <summary>Lines that differ by their dashes, with their names in a corner.</summary>
    public static string Lines(string title, ChartAxis x, ChartAxis y, IReadOnlyList<ChartLine> lines, bool hasDiagonal = false)
    {
        const int MostPoints = 300;
        ChartLine[] shown = [.. lines.Select(line => line with { Points = [.. line.Points.Where(point => double.IsFinite(point.X) && double.IsFinite(point.Y))] }).Where(line => line.Points.Count > 0)];
        if (shown.Length == 0)
        {
            return "";
        }

        Plot plot = new(title, x, y, shown.SelectMany(line => line.Points).Select(point => point.X), shown.SelectMany(line => line.Points).Select(point => point.Y));
        if (hasDiagonal)
        {
            plot.Add($"<line class=\"floor\" x1=\"{plot.X(0):0.#}\" y1=\"{plot.Y(0):0.#}\" x2=\"{plot.X(1):0.#}\" y2=\"{plot.Y(1):0.#}\"/>");
        }

        for (int i = 0; i < shown.Length; i++)
        {
            int stride = Math.Max(1, shown[i].Points.Count / MostPoints);
            string path = string.Join(' ', shown[i].Points.Where((_, at) => at % stride == 0).Select(point => string.Create(CultureInfo.InvariantCulture, $"{plot.X(point.X):0.#},{plot.Y(point.Y):0.#}")));
            string dash = s_dashes[i % s_dashes.Length];
            plot.Add($"<polyline class=\"line{i % 4}\" fill=\"none\" stroke-dasharray=\"{dash}\" points=\"{path}\"/>");
            double top = Top + 10 + (13 * i);
            plot.Add($"<line class=\"line{i % 4}\" stroke-dasharray=\"{dash}\" x1=\"{Width - 130}\" x2=\"{Width - 104}\" y1=\"{top - 3}\" y2=\"{top - 3}\"/><text x=\"{Width - 100}\" y=\"{top}\">{Encoded(shown[i].Name)}</text>");
        }

        return plot.Finish();
    }

    /// <summary>Bars below each other with their values.</summary>
    public static string Bars(string title, IReadOnlyList<(string Name, double Value)> bars, Func<double, string> show)
    {
        const double Line = 15, Names = 150, Values = 52;
        (string Name, double Value)[] shown = [.. bars.Where(bar => double.IsFinite(bar.Value))];
        if (shown.Length == 0)
        {
            return "";
        }

        double height = (shown.Length * Line) + 6, most = Math.Max(shown.Max(bar => bar.Value), 1e-12);
        StringBuilder svg = new();
        Append(svg, $"<svg class=\"chart\" viewBox=\"0 0 {Width} {height}\" role=\"img\" aria-label=\"{Encoded(title)}\">");
        for (int i = 0; i < shown.Length; i++)
        {
            double top = 3 + (i * Line), length = Math.Max(0.5, (Width - Names - Values) * Math.Max(0, shown[i].Value) / most);
            string name = shown[i].Name.Length > 26 ? $"{shown[i].Name[..25]}…" : shown[i].Name;
            Append(svg, $"<text x=\"{Names - 4}\" y=\"{top + 10}\" text-anchor=\"end\">{Encoded(name)}</text><rect class=\"bar\" x=\"{Names}\" y=\"{top + 2}\" width=\"{length:0.#}\" height=\"{Line - 5}\"/>");
            Append(svg, $"<text x=\"{Names + length + 4:0.#}\" y=\"{top + 10}\">{Encoded(show(shown[i].Value))}</text>");
        }

        return svg.Append("</svg>").ToString();
    }

    internal static string Encoded(string text) => WebUtility.HtmlEncode(text);

    private static void Append(StringBuilder svg, FormattableString part) => svg.Append(part.ToString(CultureInfo.InvariantCulture)).Append('\n');

    /// <summary>A place for a letter beside a point, where none is yet.</summary>
    private static (double X, double Y) Free(double x, double y, List<(double X, double Y)> taken, IEnumerable<(double X, double Y)> points)
    {
        const double Apart = 11, FromPoints = 7;
        foreach (double distance in (ReadOnlySpan<double>)[12, 22, 32, 44])
        {
            for (int turn = 0; turn < 12; turn++)
            {
                double angle = (turn * Math.PI / 6) - (Math.PI / 4);
                (double lx, double ly) = (x + (distance * Math.Cos(angle)), y + (distance * Math.Sin(angle)));
                bool isInside = lx > Left + 6 && lx < Width - 8 && ly > Top && ly < Height - Bottom - 6;
                if (isInside && !taken.Exists(other => Math.Abs(other.X - lx) < Apart && Math.Abs(other.Y - ly) < Apart) && points.All(other => Math.Abs(other.X - lx) > FromPoints || Math.Abs(other.Y - ly) > FromPoints))
                {
                    return (lx, ly);
                }
            }
        }

        return (x + 12, y);
    }

    private sealed class Plot
    {
        private readonly StringBuilder _svg = new();
        private readonly (double Low, double High) _x, _y;
        private readonly ChartAxis _across, _up;

        public Plot(string title, ChartAxis x, ChartAxis y, IEnumerable<double> xs, IEnumerable<double> ys)
        {
            (_across, _up) = (x, y);
            (_x, _y) = (Range(x, xs), Range(y, ys));
            Add($"<svg class=\"chart\" viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"{Encoded(title)}\">");
            for (int i = 0; i <= Ticks; i++)
            {
                double share = (double)i / Ticks;
                double py = Height - Bottom - (share * (Height - Top - Bottom)), px = Left + (share * (Width - Left - Right));
                Add($"<line class=\"grid\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{py:0.#}\" y2=\"{py:0.#}\"/><text x=\"{Left - 4}\" y=\"{py + 3.5:0.#}\" text-anchor=\"end\">{Label(y, At(y, _y, share))}</text>");
                Add($"<line class=\"grid\" x1=\"{px:0.#}\" x2=\"{px:0.#}\" y1=\"{Height - Bottom}\" y2=\"{Height - Bottom + 3}\"/><text x=\"{px:0.#}\" y=\"{Height - Bottom + 14}\" text-anchor=\"middle\">{Label(x, At(x, _x, share))}</text>");
            }

            Add($"<text x=\"{(Left + Width - Right) / 2}\" y=\"{Height - 6}\" text-anchor=\"middle\">{Encoded(x.Title)}</text>");
            Add($"<text transform=\"translate(10 {(Top + Height - Bottom) / 2}) rotate(-90)\" text-anchor=\"middle\">{Encoded(y.Title)}</text>");
        }

        public double X(double value) => Left + (Share(_across, _x, value) * (Width - Left - Right));

        public double Y(double value) => Height - Bottom - (Share(_up, _y, value) * (Height - Top - Bottom));

        public void Add(FormattableString part) => Append(_svg, part);

        public string Finish() => _svg.Append("</svg>").ToString();

        private static (double Low, double High) Range(ChartAxis axis, IEnumerable<double> values)
        {
            if (axis.IsShare)
            {
                return (0, 1);
            }

            (double low, double high) = (values.Where(double.IsFinite).Min(), values.Where(double.IsFinite).Max());
            if (axis.IsLogarithmic)
            {
                return (Math.Max(low, 1e-12) / 1.15, Math.Max(high, 1e-12) * 1.15);
            }

            low = low >= 0 && low < 0.5 * high ? 0 : low;
            return (low, high > low ? low + ((high - low) * 1.05) : low + 1);
        }

        private static double At(ChartAxis axis, (double Low, double High) range, double share) =>
            axis.IsLogarithmic ? range.Low * Math.Pow(range.High / range.Low, share) : range.Low + ((range.High - range.Low) * share);

        private static double Share(ChartAxis axis, (double Low, double High) range, double value) =>
            axis.IsLogarithmic ? Math.Log(Math.Max(value, 1e-12) / range.Low) / Math.Log(range.High / range.Low) : (value - range.Low) / (range.High - range.Low);

        private static string Label(ChartAxis axis, double value) => axis.IsShare
            ? string.Create(CultureInfo.InvariantCulture, $"{100 * value:0} %")
            : value.ToString(Math.Abs(value) switch { >= 100 or 0 => "0", >= 10 => "0.#", _ => "0.##" }, CultureInfo.InvariantCulture);
    }
}
