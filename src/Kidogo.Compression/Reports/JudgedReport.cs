// What a report of judged models says, and its three forms. Knows numbers, not how they came about.
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Kidogo.Models.Files;

namespace Kidogo.Compression.Reports;

/// <summary>A station of a model's way.</summary>
/// <param name="Name">What is there.</param>
/// <param name="Detail">How large, how long.</param>
/// <param name="Depth">0 for the way itself, 1 for what branches off.</param>
public sealed record ReportStation(string Name, string Detail, int Depth);

/// <summary>A loss over steps.</summary>
/// <param name="Name">Of what.</param>
/// <param name="Points">Steps and losses, in nats a token.</param>
public sealed record ReportCurve(string Name, IReadOnlyList<(double Step, double Loss)> Points);

/// <summary>All that a report says.</summary>
public sealed record JudgedReport
{
    /// <summary>The heading.</summary>
    public required string Title { get; init; }

    /// <summary>What it is about: paragraphs.</summary>
    public IReadOnlyList<string> Introduction { get; init; } = [];

    /// <summary>The model's way; empty for none.</summary>
    public IReadOnlyList<ReportStation> Path { get; init; } = [];

    /// <summary>The models; the first is what the others are compared with.</summary>
    public required IReadOnlyList<JudgedModel> Models { get; init; }

    /// <summary>Models that were judged on something else, for a table of their own.</summary>
    public IReadOnlyList<JudgedModel> Others { get; init; } = [];

    /// <summary>Losses.</summary>
    public IReadOnlyList<ReportCurve> Curves { get; init; } = [];

    /// <summary>The machine, versions, seeds.</summary>
    public IReadOnlyList<(string Name, string Value)> Facts { get; init; } = [];

    /// <summary>Commands that make it again.</summary>
    public IReadOnlyList<string> Commands { get; init; } = [];

    /// <summary>Loss of accuracy (or, without questions, growth of perplexity) that is accepted where the smallest is looked for. Default 0.02.</summary>
    public double AcceptedLoss { get; init; } = 0.02;

    /// <summary>The smallest model that loses no more than <see cref="AcceptedLoss"/>; null where nothing was measured.</summary>
    public JudgedModel? Smallest => Models.Where(IsAccepted).OrderBy(model => model.Bytes).FirstOrDefault();

    /// <summary>The fastest writer among those; null where nothing was timed.</summary>
    public JudgedModel? Fastest => Models.Where(IsAccepted).Where(model => double.IsFinite(model.DecodeTokensPerSecond)).OrderByDescending(model => model.DecodeTokensPerSecond).FirstOrDefault();

    /// <summary>Writes NAME.html, NAME.md and NAME.json, each whole or not at all.</summary>
    /// <param name="folder">Where to; it exists.</param>
    /// <param name="name">What they are called.</param>
    public void Write(string folder, string name = "report")
    {
        NewFile.Write(System.IO.Path.Combine(folder, $"{name}.json"), Json());
        NewFile.Write(System.IO.Path.Combine(folder, $"{name}.md"), Encoding.UTF8.GetBytes(MarkdownReport.Of(this)));
        NewFile.Write(System.IO.Path.Combine(folder, $"{name}.html"), Encoding.UTF8.GetBytes(HtmlReport.Of(this)));
    }

    /// <summary>The object.</summary>
    public byte[] Json()
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("title", Title);
            WriteModels(json, "models", Models);
            WriteModels(json, "others", Others);
            json.WriteString("smallest", Smallest?.Name);
            json.WriteString("fastest", Fastest?.Name);
            json.WriteNumber("accepted_loss", AcceptedLoss);
            json.WriteStartArray("curves");
            foreach (ReportCurve curve in Curves)
            {
                json.WriteStartObject();
                json.WriteString("name", curve.Name);
                json.WriteStartArray("points");
                foreach ((double step, double loss) in curve.Points)
                {
                    json.WriteStartArray();
                    json.WriteNumberValue(step);
                    json.WriteNumberValue(loss);
                    json.WriteEndArray();
                }

                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndArray();
            WriteOrigin(json, Facts, Commands);
            json.WriteEndObject();
        }

        return bytes.ToArray();
    }

    /// <summary>The members <c>facts</c> and <c>commands</c>.</summary>
    internal static void WriteOrigin(Utf8JsonWriter json, IReadOnlyList<(string Name, string Value)> facts, IReadOnlyList<string> commands)
    {
        json.WriteStartObject("facts");
        foreach ((string name, string value) in facts)
        {
            json.WriteString(name, value);
        }

        json.WriteEndObject();
        json.WriteStartArray("commands");
        foreach (string command in commands)
        {
            json.WriteStringValue(command);
        }

        json.WriteEndArray();
    }

    /// <summary>What a model is called in charts.</summary>
    internal string LetterOf(JudgedModel model) => ((char)('A' + (Math.Max(0, Models.ToList().IndexOf(model)) % 26))).ToString();

    /// <summary>Whether questions were asked.</summary>
    internal bool HasQuestions => Models.Any(model => model.Questions > 0);

    private static void WriteModels(Utf8JsonWriter json, string name, IReadOnlyList<JudgedModel> models)
    {
        json.WriteStartArray(name);
        foreach (JudgedModel model in models)
        {
            json.WriteStartObject();
            model.Write(json);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private bool IsAccepted(JudgedModel model)
    {
        if (HasQuestions)
        {
            return model.QuestionAccuracy >= Models[0].QuestionAccuracy - AcceptedLoss;
        }

        // Bits a byte can be compared between vocabularies.
        return double.IsFinite(model.BitsPerByte) ? model.BitsPerByte <= Models[0].BitsPerByte * (1 + AcceptedLoss) : model == Models[0];
    }
}

/// <summary>The columns that tables of all forms have: the same numbers, shown the same way.</summary>
internal static class ReportColumns
{
    /// <summary>Columns of which at least one model has a number.</summary>
    public static IReadOnlyList<(string Title, Func<JudgedModel, double> Value, Func<double, string> Show)> Of(IReadOnlyList<JudgedModel> models)
    {
        (string Title, Func<JudgedModel, double> Value, Func<double, string> Show)[] all =
        [
            ("size, kB", model => model.Bytes, value => Text(value / 1e3, "0")),
            ("bits per weight", model => model.BitsPerWeight, value => Text(value, "0.00")),
            ("questions right", model => model.QuestionAccuracy, Percent),
            ("word for word", model => model.ExactAccuracy, Percent),
            ("best guess without reading", model => model.BaselineAccuracy, Percent),
            ("perplexity", model => model.Perplexity, value => Text(value, "0.000")),
            ("bits per byte", model => model.BitsPerByte, value => Text(value, "0.0000")),
            ("divergence, nats", model => model.KlDivergence, value => Text(value, "0.00000")),
            ("says \"nobody knows\" where right", model => model.UnknownRecall, Percent),
            ("right when it says so", model => model.UnknownPrecision, Percent),
            ("Brier score of that", model => model.UnknownBrier, value => Text(value, "0.000")),
            ("calibration error", model => model.CalibrationError, value => Text(value, "0.000")),
            ("weights in memory, kB", model => model.MemoryBytes, value => Text(value / 1e3, "0")),
            ("prefill, tokens/s", model => model.PrefillTokensPerSecond, value => Text(value, "0")),
            ("decode, tokens/s", model => model.DecodeTokensPerSecond, value => Text(value, "0")),
        ];
        return [.. all.Where(column => models.Any(model => double.IsFinite(column.Value(model))))];
    }

    public static string Percent(double share) => double.IsFinite(share) ? Text(100 * share, "0.0") + " %" : "–";

    private static string Text(double value, string format) => double.IsFinite(value) ? value.ToString(format, System.Globalization.CultureInfo.InvariantCulture) : "–";
}
