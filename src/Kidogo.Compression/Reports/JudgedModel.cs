// A model and what was measured of it, as numbers; to JSON and back. Measures nothing.
using System.Text.Json;
using Kidogo.Data.Village;
using Kidogo.Evaluation.Tasks;

namespace Kidogo.Compression.Reports;

/// <summary>Questions of one kind, as a model answered them.</summary>
/// <param name="Kind">The kind's name.</param>
/// <param name="Questions">How many.</param>
/// <param name="Accuracy">Share that is right.</param>
/// <param name="Baseline">Share that the best guess without reading gets right.</param>
public sealed record JudgedKind(string Kind, int Questions, double Accuracy, double Baseline);

/// <summary>A question, the right answer, and what the model says.</summary>
/// <param name="Prompt">The story and the question, or any text.</param>
/// <param name="Expected">The right answer; empty where there is none.</param>
/// <param name="Answer">What the model says.</param>
public sealed record JudgedSample(string Prompt, string Expected, string Answer);

/// <summary>A tensor that was stored smaller.</summary>
/// <param name="Name">The canonical name.</param>
/// <param name="Format">How it is stored.</param>
/// <param name="RelativeError">‖W − Q‖ / ‖W‖.</param>
public sealed record JudgedTensor(string Name, string Format, double RelativeError)
{
    /// <summary>Writes it as an object.</summary>
    internal void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("name", Name);
        json.WriteString("format", Format);
        JudgedModel.Number(json, "relative_error", RelativeError);
        json.WriteEndObject();
    }

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    internal static JudgedTensor Read(JsonElement json) => new(JudgedModel.Text(json, "name"), JudgedModel.Text(json, "format"), JudgedModel.Number(json, "relative_error"));
}

/// <summary>A model and what was measured of it. NaN is what was not measured.</summary>
public sealed record JudgedModel
{
    /// <summary>What it is called.</summary>
    public required string Name { get; init; }

    /// <summary>How it was made, in a few words.</summary>
    public string Made { get; init; } = "";

    /// <summary>The language that it was asked in, or the text that it was judged on.</summary>
    public string JudgedOn { get; init; } = "";

    /// <summary>Weights.</summary>
    public long Parameters { get; init; }

    /// <summary>Bytes of its files.</summary>
    public long Bytes { get; init; }

    /// <summary>Bits that a weight takes on average.</summary>
    public double BitsPerWeight { get; init; }

    /// <summary>Bytes of its weights as they lie in memory.</summary>
    public long MemoryBytes { get; init; }

    /// <summary>Perplexity: of right answers where questions were asked, else of the text.</summary>
    public double Perplexity { get; init; } = double.NaN;

    /// <summary>Bits a byte of the text, comparable between vocabularies.</summary>
    public double BitsPerByte { get; init; } = double.NaN;

    /// <summary>Mean KL(first model ‖ this one), in nats.</summary>
    public double KlDivergence { get; init; } = double.NaN;

    /// <summary>Share of places where both have the same likeliest token.</summary>
    public double Top1Agreement { get; init; } = double.NaN;

    /// <summary>Questions that were asked.</summary>
    public int Questions { get; init; }

    /// <summary>Share whose likeliest answer is right.</summary>
    public double QuestionAccuracy { get; init; } = double.NaN;

    /// <summary>Share that is right word for word.</summary>
    public double ExactAccuracy { get; init; } = double.NaN;

    /// <summary>Share that the best guess without reading gets right.</summary>
    public double BaselineAccuracy { get; init; } = double.NaN;

    /// <summary>Of questions that a story does not answer, share where it says so.</summary>
    public double UnknownRecall { get; init; } = double.NaN;

    /// <summary>Of its "nobody knows", share that is right.</summary>
    public double UnknownPrecision { get; init; } = double.NaN;

    /// <summary>Brier score of the probability of "nobody knows".</summary>
    public double UnknownBrier { get; init; } = double.NaN;

    /// <summary>Expected calibration error.</summary>
    public double CalibrationError { get; init; } = double.NaN;

    /// <summary>Prompt tokens a second.</summary>
    public double PrefillTokensPerSecond { get; init; } = double.NaN;

    /// <summary>Tokens a second that it writes.</summary>
    public double DecodeTokensPerSecond { get; init; } = double.NaN;

    /// <summary>By kind of question.</summary>
    public IReadOnlyList<JudgedKind> Kinds { get; init; } = [];

    /// <summary>How often it is right by how sure it is.</summary>
    public IReadOnlyList<CalibrationBin> Calibration { get; init; } = [];

    /// <summary>What it says.</summary>
    public IReadOnlyList<JudgedSample> Samples { get; init; } = [];

    /// <summary>Tensors, where it was made by rounding.</summary>
    public IReadOnlyList<JudgedTensor> Tensors { get; init; } = [];

    /// <summary>The names of <c>--json</c> with their values, in the order of the file.</summary>
    internal IReadOnlyList<(string Name, double Value)> Numbers =>
    [
        ("parameters", Parameters), ("bytes", Bytes), ("bits_per_weight", BitsPerWeight), ("memory_bytes", MemoryBytes), ("perplexity", Perplexity), ("bits_per_byte", BitsPerByte), ("kl_divergence", KlDivergence),
        ("top1_agreement", Top1Agreement), ("questions", Questions), ("question_accuracy", QuestionAccuracy), ("exact_accuracy", ExactAccuracy), ("baseline_accuracy", BaselineAccuracy),
        ("unknown_recall", UnknownRecall), ("unknown_precision", UnknownPrecision), ("unknown_brier", UnknownBrier), ("calibration_error", CalibrationError),
        ("prefill_tokens_per_second", PrefillTokensPerSecond), ("decode_tokens_per_second", DecodeTokensPerSecond),
    ];

    /// <summary>With what a model knows of stories.</summary>
    /// <param name="report">What it answered.</param>
    /// <param name="samples">Answers to keep.</param>
    internal JudgedModel With(VillageReport report, int samples) => this with
    {
        Perplexity = report.AnswerPerplexity,
        Questions = report.Questions,
        QuestionAccuracy = report.Accuracy,
        ExactAccuracy = report.Exact,
        BaselineAccuracy = report.Baseline,
        UnknownRecall = report.Honesty.Recall,
        UnknownPrecision = report.Honesty.Precision,
        UnknownBrier = report.Honesty.Brier,
        CalibrationError = report.CalibrationError,
        Kinds = [.. report.Kinds.Select(kind => new JudgedKind(VillageFiles.KindName(kind.Kind), kind.Questions, kind.Accuracy, kind.Baseline))],
        Calibration = report.Calibration,
        // One question of each of the first stories, so that samples differ.
        Samples = [.. report.Answers.GroupBy(answer => answer.Story).Take(samples).Select((story, i) => story.ElementAt(i % story.Count()))
            .Select(answer => new JudgedSample($"{answer.Story} {answer.Question.Text}", answer.Question.Answer, answer.Greedy))],
    };

    /// <summary>Writes the members of an object.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteString("name", Name);
        json.WriteString("made", Made);
        json.WriteString("judged_on", JudgedOn);
        foreach ((string name, double value) in Numbers)
        {
            Number(json, name, value);
        }

        json.WriteStartArray("kinds");
        foreach (JudgedKind kind in Kinds)
        {
            json.WriteStartObject();
            json.WriteString("kind", kind.Kind);
            json.WriteNumber("questions", kind.Questions);
            Number(json, "accuracy", kind.Accuracy);
            Number(json, "baseline", kind.Baseline);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("calibration");
        foreach (CalibrationBin bin in Calibration)
        {
            json.WriteStartObject();
            json.WriteNumber("count", bin.Count);
            Number(json, "confidence", bin.Confidence);
            Number(json, "accuracy", bin.Accuracy);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("samples");
        foreach (JudgedSample sample in Samples)
        {
            json.WriteStartObject();
            json.WriteString("prompt", sample.Prompt);
            json.WriteString("expected", sample.Expected);
            json.WriteString("answer", sample.Answer);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("tensors");
        foreach (JudgedTensor tensor in Tensors)
        {
            tensor.Write(json);
        }

        json.WriteEndArray();
    }

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <exception cref="JsonException">A member is absent or of another kind.</exception>
    internal static JudgedModel Read(JsonElement json)
    {
        try
        {
            return new JudgedModel
            {
                Name = Text(json, "name"),
                Made = Text(json, "made"),
                JudgedOn = Text(json, "judged_on"),
                Parameters = (long)Number(json, "parameters"),
                Bytes = (long)Number(json, "bytes"),
                BitsPerWeight = Number(json, "bits_per_weight"),
                MemoryBytes = (long)Number(json, "memory_bytes"),
                Perplexity = Number(json, "perplexity"),
                BitsPerByte = Number(json, "bits_per_byte"),
                KlDivergence = Number(json, "kl_divergence"),
                Top1Agreement = Number(json, "top1_agreement"),
                Questions = (int)Number(json, "questions"),
                QuestionAccuracy = Number(json, "question_accuracy"),
                ExactAccuracy = Number(json, "exact_accuracy"),
                BaselineAccuracy = Number(json, "baseline_accuracy"),
                UnknownRecall = Number(json, "unknown_recall"),
                UnknownPrecision = Number(json, "unknown_precision"),
                UnknownBrier = Number(json, "unknown_brier"),
                CalibrationError = Number(json, "calibration_error"),
                PrefillTokensPerSecond = Number(json, "prefill_tokens_per_second"),
                DecodeTokensPerSecond = Number(json, "decode_tokens_per_second"),
                Kinds = [.. json.GetProperty("kinds").EnumerateArray().Select(kind => new JudgedKind(Text(kind, "kind"), kind.GetProperty("questions").GetInt32(), Number(kind, "accuracy"), Number(kind, "baseline")))],
                Calibration = [.. json.GetProperty("calibration").EnumerateArray().Select(bin => new CalibrationBin(bin.GetProperty("count").GetInt32(), Number(bin, "confidence"), Number(bin, "accuracy")))],
                Samples = [.. json.GetProperty("samples").EnumerateArray().Select(sample => new JudgedSample(Text(sample, "prompt"), Text(sample, "expected"), Text(sample, "answer")))],
                Tensors = [.. json.GetProperty("tensors").EnumerateArray().Select(JudgedTensor.Read)],
            };
        }
        catch (Exception failure) when (failure is KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new JsonException($"a model's numbers are not as they were written: {failure.Message}", failure);
        }
    }

    internal static void Number(Utf8JsonWriter json, string name, double value)
    {
        if (double.IsFinite(value))
        {
            json.WriteNumber(name, value);
        }
        else
        {
            json.WriteNull(name); // JSON has no NaN
        }
    }

    internal static double Number(JsonElement json, string name) => json.GetProperty(name) is { ValueKind: JsonValueKind.Number } value ? value.GetDouble() : double.NaN;

    internal static string Text(JsonElement json, string name) => json.GetProperty(name).GetString() ?? "";
}
