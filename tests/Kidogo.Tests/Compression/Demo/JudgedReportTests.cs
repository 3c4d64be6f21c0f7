// The report: one page that needs nothing, the same numbers in all forms, and names of strangers that stay text.
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Kidogo.Compression.Reports;
using Kidogo.Evaluation.Tasks;
using Kidogo.Tests.Models.Files;

namespace Kidogo.Tests.Compression.Demo;

public sealed class JudgedReportTests
{
    private static JudgedModel Model(string name, long bytes, double accuracy, double speed) => new()
    {
        Name = name,
        Made = "somehow",
        JudgedOn = "English",
        Parameters = 1000,
        Bytes = bytes,
        BitsPerWeight = bytes / 125.0,
        MemoryBytes = bytes + 17,
        Perplexity = 1.25,
        KlDivergence = name == "base" ? double.NaN : 0.0123456789,
        Questions = 40,
        QuestionAccuracy = accuracy,
        ExactAccuracy = accuracy / 2,
        BaselineAccuracy = 0.2,
        DecodeTokensPerSecond = speed,
        PrefillTokensPerSecond = speed * 3,
        Kinds = [new JudgedKind("who", 20, accuracy, 0.2), new JudgedKind("where", 20, accuracy, 0.2)],
        Calibration = [new CalibrationBin(10, 0.35, 0.3), new CalibrationBin(30, 0.95, 0.9)],
        Samples = [new JudgedSample("Amina was at the well. Where is Amina?", "At the well.", accuracy > 0.5 ? "At the well." : "<b>At the | school.</b>")],
        Tensors = name == "base" ? [] : [new JudgedTensor("blk.0.attn_q.weight", "Q4_0", 0.0712)],
    };

    private static JudgedReport Report(params JudgedModel[] models) => new()
    {
        Title = "A <report>",
        Models = models,
        Curves = [new ReportCurve("model", [(1, 4.0), (2, 2.5), (3, 1.5)]), new ReportCurve("student", [(1, 4.5), (3, 2)])],
        Path = [new ReportStation("texts", "10", 0), new ReportStation("q4", "small", 1)],
        Facts = [("seed", "0")],
        Commands = ["kidogo demo"],
    };

    private static JudgedReport Usual() => Report(Model("base", 4000, 0.9, 100), Model("q8", 1000, 0.9, 200), Model("q4", 500, 0.89, 150), Model("<script>q2", 250, 0.4, 300));

    [Fact]
    public void Best_IsTheSmallestAndTheFastestOfThoseThatLoseLittle()
    {
        JudgedReport report = Usual();
        Assert.Equal("q4", report.Smallest!.Name);
        Assert.Equal("q8", report.Fastest!.Name);
        Assert.Equal("<script>q2", (report with { AcceptedLoss = 0.5 }).Smallest!.Name);
        Assert.Equal("base", (report with { Models = [report.Models[0], report.Models[3]] }).Smallest!.Name);
    }

    [Fact]
    public void Html_Page_IsWellFormedAndNeedsNothing()
    {
        string html = HtmlReport.Of(Usual());
        Assert.DoesNotContain("http", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("url(", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("NaN", html, StringComparison.Ordinal);
        Assert.DoesNotContain("<b>At the |", html, StringComparison.Ordinal);
        string body = Regex.Match(html, "<body>.*</body>", RegexOptions.Singleline).Value;
        Assert.Equal(5, XElement.Parse(body).Descendants("svg").Count(svg => svg.Parent!.Parent!.Attribute("class")?.Value == "pair"));
    }

    [Fact]
    public void Html_Numbers_AreThoseOfTheJson()
    {
        JudgedReport report = Usual();
        using JsonDocument json = JsonDocument.Parse(report.Json());
        XElement table = XElement.Parse(Regex.Match(HtmlReport.Of(report), "<body>.*</body>", RegexOptions.Singleline).Value).Descendants("table").First();
        XElement[] rows = [.. table.Element("tbody")!.Elements("tr")];
        (string Title, string Name)[] columns = [("size, kB", "bytes"), ("questions right", "question_accuracy"), ("perplexity", "perplexity"), ("divergence, nats", "kl_divergence"), ("decode, tokens/s", "decode_tokens_per_second")];
        Assert.Equal(json.RootElement.GetProperty("models").GetArrayLength(), rows.Length);
        foreach ((XElement row, JsonElement model) in rows.Zip(json.RootElement.GetProperty("models").EnumerateArray()))
        {
            foreach ((string title, string name) in columns)
            {
                string? shown = row.Elements("td").Single(cell => cell.Attribute("data-title")?.Value == title).Attribute("data-value")?.Value;
                JsonElement expected = model.GetProperty(name);
                double? inJson = expected.ValueKind == JsonValueKind.Null ? null : expected.GetDouble();
                double? inPage = shown is null ? null : double.Parse(shown, CultureInfo.InvariantCulture);
                Assert.Equal(inJson, inPage);
            }
        }

        string markdown = MarkdownReport.Of(report);
        Assert.Contains("| base | 4 | 32.00 | 90.0 % |", markdown, StringComparison.Ordinal);
        Assert.DoesNotContain("<script>", markdown, StringComparison.Ordinal);
    }

    [Fact]
    public void Html_OneModelWithoutNumbers_HasNoChartsAndNoHoles()
    {
        string html = HtmlReport.Of(new JudgedReport { Title = "one", Models = [new JudgedModel { Name = "m", Bytes = 10, BitsPerWeight = 8 }] });
        Assert.DoesNotContain("NaN", html, StringComparison.Ordinal);
        Assert.DoesNotContain("Infinity", html, StringComparison.Ordinal);
        XElement.Parse(Regex.Match(html, "<body>.*</body>", RegexOptions.Singleline).Value);
    }

    [Fact]
    public void Chart_Points_LieInsideItsAxes()
    {
        string svg = SvgChart.Scatter("t", new ChartAxis("x", IsLogarithmic: true), new ChartAxis("y", IsShare: true), [.. Enumerable.Range(0, 26).Select(i => new ChartPoint(((char)('A' + i)).ToString(), 100 + i, 0.9, i == 3))]);
        XElement chart = XElement.Parse(svg);
        foreach (XElement letter in chart.Elements("text").Where(text => text.Attribute("class")?.Value == "letter"))
        {
            Assert.InRange(double.Parse(letter.Attribute("x")!.Value, CultureInfo.InvariantCulture), 40, 360);
            Assert.InRange(double.Parse(letter.Attribute("y")!.Value, CultureInfo.InvariantCulture), 0, 215);
        }

        Assert.Equal(26, chart.Elements("text").Count(text => text.Attribute("class")?.Value == "letter"));
        Assert.Single(chart.Elements("rect"));
        Assert.Equal("", SvgChart.Scatter("t", new ChartAxis("x"), new ChartAxis("y"), [new ChartPoint("A", double.NaN, 1, false)]));
    }

    [Fact]
    public void Model_ToJsonAndBack_IsTheSame()
    {
        JudgedModel model = Model("q4", 500, 0.89, 150);
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes))
        {
            json.WriteStartObject();
            model.Write(json);
            json.WriteEndObject();
        }

        using JsonDocument read = JsonDocument.Parse(bytes.ToArray());
        JudgedModel again = JudgedModel.Read(read.RootElement);
        Assert.Equal(model.Numbers, again.Numbers);
        Assert.Equal(model.Samples, again.Samples);
        Assert.Equal(model.Kinds, again.Kinds);
        Assert.Equal(model.Calibration, again.Calibration);
        Assert.Equal(model.Tensors, again.Tensors);
        using JsonDocument broken = JsonDocument.Parse("""{"name": 3}""");
        Assert.Throws<JsonException>(() => JudgedModel.Read(broken.RootElement));
    }

    [Fact]
    public void Write_MakesThreeFiles()
    {
        using TestFolder folder = new();
        Usual().Write(folder.Path);
        Assert.Equal(["report.html", "report.json", "report.md"], Directory.GetFiles(folder.Path).Select(Path.GetFileName).Order());
        Assert.DoesNotContain((byte)0, File.ReadAllBytes(Path.Combine(folder.Path, "report.html")));
        Assert.StartsWith("<!doctype html>", Encoding.UTF8.GetString(File.ReadAllBytes(Path.Combine(folder.Path, "report.html"))), StringComparison.Ordinal);
    }
}
