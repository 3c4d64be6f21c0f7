// log.jsonl: one line a step, appended as it happens, cut back where a run goes on. Knows no loop.
using System.Text.Json;
using Kidogo.Models.Files;

namespace Kidogo.Training;

/// <summary>The log of a run.</summary>
public sealed class TrainingLog : IDisposable
{
    /// <summary>Its name in the folder of a run.</summary>
    public const string FileName = "log.jsonl";

    private const string TermEnding = "_loss", EvaluationName = "eval_loss", AccuracyName = "eval_accuracy";

    private readonly FileStream _stream;

    private TrainingLog(FileStream stream) => _stream = stream;

    /// <summary>Opens the log of a folder; lines of steps after <paramref name="step"/>, and a last line that was cut short, are taken out.</summary>
    public static TrainingLog Open(string folder, long step)
    {
        string path = Path.Combine(folder, FileName);
        if (File.Exists(path))
        {
            using NewFile kept = NewFile.Create(path);
            foreach (string line in File.ReadLines(path))
            {
                if (StepOf(line) is { } at && at <= step)
                {
                    kept.Stream.Write(System.Text.Encoding.UTF8.GetBytes(line + "\n"));
                }
            }

            kept.Commit();
        }

        return new TrainingLog(new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read, 1));
    }

    /// <summary>All records of a log.</summary>
    public static IReadOnlyList<StepRecord> Read(string folder)
    {
        string path = Path.Combine(folder, FileName);
        List<StepRecord> records = [];
        foreach (string line in File.Exists(path) ? File.ReadLines(path) : [])
        {
            if (StepOf(line) is null)
            {
                continue;
            }

            using JsonDocument json = JsonDocument.Parse(line);
            double Number(string name) => json.RootElement.TryGetProperty(name, out JsonElement value) && value.TryGetDouble(out double number) ? number
                : double.NaN;
            double evalLoss = Number(EvaluationName);
            records.Add(new StepRecord((long)Number("step"), Number("loss"), Number("learning_rate"), Number("gradient_norm"), (long)Number("tokens"),
                Number("tokens_per_second"),
                double.IsNaN(evalLoss) ? null : new EvaluationRecord(evalLoss, Number("eval_bits_per_byte"), 0) { Sources = Sources(json.RootElement), Accuracy = double.IsNaN(Number(AccuracyName)) ? null : Number(AccuracyName) })
            {
                TrainableParameters = json.RootElement.TryGetProperty("trainable_parameters", out JsonElement trainable)
                    && trainable.TryGetInt64(out long count) ? count : null,
                Terms = Terms(json.RootElement),
            });
        }

        return records;
    }

    /// <summary>Writes a record as JSON: the names are a promise.</summary>
    public static void Write(Utf8JsonWriter json, StepRecord record)
    {
        json.WriteStartObject();
        json.WriteNumber("step", record.Step);
        json.WriteNumber("loss", record.Loss);
        json.WriteNumber("learning_rate", record.LearningRate);
        json.WriteNumber("gradient_norm", record.GradientNorm);
        json.WriteNumber("tokens", record.Tokens);
        json.WriteNumber("tokens_per_second", Math.Round(record.TokensPerSecond, 1));
        if (record.TrainableParameters is { } trainable)
        {
            json.WriteNumber("trainable_parameters", trainable);
        }

        foreach (LossTerm term in record.Terms)
        {
            json.WriteNumber(term.Name + TermEnding, term.Value);
        }

        if (record.Evaluation is { } evaluation)
        {
            json.WriteNumber(EvaluationName, evaluation.Loss);
            if (double.IsFinite(evaluation.BitsPerByte))
            {
                json.WriteNumber("eval_bits_per_byte", evaluation.BitsPerByte);
            }

            if (evaluation.Accuracy is { } accuracy)
            {
                json.WriteNumber(AccuracyName, accuracy);
            }

            WriteSources(json, evaluation.Sources);
        }

        json.WriteEndObject();
    }

    private static void WriteSources(Utf8JsonWriter json, IReadOnlyList<SourceEvaluation> sources)
    {
        if (sources.Count == 0)
        {
            return;
        }

        json.WriteStartArray("eval_sources");
        foreach (SourceEvaluation source in sources)
        {
            json.WriteStartObject();
            json.WriteString("path", source.Path);
            json.WriteNumber("loss", source.Loss);
            if (double.IsFinite(source.BitsPerByte))
            {
                json.WriteNumber("bits_per_byte", source.BitsPerByte);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>Adds a line, which the system has at once: a process that is killed loses none.</summary>
    public void Append(StepRecord record)
    {
        using MemoryStream line = new();
        using (Utf8JsonWriter json = new(line))
        {
            Write(json, record);
        }

        line.WriteByte((byte)'\n');
        _stream.Write(line.GetBuffer().AsSpan(0, (int)line.Length));
        _stream.Flush();
    }

    /// <summary>Brings all lines to the disk.</summary>
    public void Flush() => _stream.Flush(flushToDisk: true);

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    private static List<LossTerm> Terms(JsonElement line) =>
    [
        .. line.EnumerateObject().Where(field => field.Name.EndsWith(TermEnding, StringComparison.Ordinal) && field.Name != EvaluationName && field.Value.ValueKind == JsonValueKind.Number)
            .Select(field => new LossTerm(field.Name[..^TermEnding.Length], field.Value.GetDouble())),
    ];

    private static List<SourceEvaluation> Sources(JsonElement line)
    {
        List<SourceEvaluation> sources = [];
        foreach (JsonElement source in line.TryGetProperty("eval_sources", out JsonElement all) && all.ValueKind == JsonValueKind.Array ? all.EnumerateArray()
            : default)
        {
            if (source.ValueKind == JsonValueKind.Object && source.TryGetProperty("path", out JsonElement path) && path.ValueKind == JsonValueKind.String)
            {
                double Of(string name) => source.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble()
                    : double.NaN;
                sources.Add(new SourceEvaluation(path.GetString()!, Of("loss"), Of("bits_per_byte"), 0));
            }
        }

        return sources;
    }

    private static long? StepOf(string line)
    {
        try
        {
            using JsonDocument json = JsonDocument.Parse(line);
            return json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty("step", out JsonElement step)
                && step.TryGetInt64(out long value) ? value : null;
        }
        catch (JsonException)
        {
            return null; // cut short when a process was killed
        }
    }
}
