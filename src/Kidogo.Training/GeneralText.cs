// What a run does to a text that it is not about: bits per byte before and after. Changes no weight.
using System.Runtime.InteropServices;
using System.Text.Json;
using Kidogo.Evaluation;
using Kidogo.Models;
using Kidogo.Models.Files;
using Kidogo.Tensors.Ops;

namespace Kidogo.Training;

/// <summary>What a text that the run is not about costs.</summary>
/// <param name="Before">Bits per byte before the first step.</param>
/// <param name="After">Bits per byte after the last.</param>
public sealed record GeneralTextCost(double Before, double After);

/// <summary>Measures what general ability is lost.</summary>
internal static class GeneralText
{
    public const string FileName = "measured.json";

    private const int MostBytes = 1 << 20; // of the text: enough for four digits

    /// <summary>Measures before the first step, and keeps it in the run's folder.</summary>
    public static void MeasureBefore(TrainingRun run)
    {
        if (run.Recipe.Output.Measure is not null && run.State.Step == 0)
        {
            Write(run, Measure(run), null);
        }
    }

    /// <summary>Measures after the last step; null where that was not asked for.</summary>
    /// <exception cref="TrainingFailedException">What was measured before is gone.</exception>
    public static GeneralTextCost? MeasureAfter(TrainingRun run)
    {
        if (run.Recipe.Output.Measure is null)
        {
            return null;
        }

        string path = Path.Combine(run.Output, FileName);
        double before;
        try
        {
            using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(path));
            before = json.RootElement.GetProperty("before").GetDouble();
        }
        catch (Exception failure) when (failure is IOException or JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new TrainingFailedException($"{path}, which says what the text cost before the run, cannot be read: {failure.Message} Begin again with another --out, or without measure.", failure);
        }

        double after = Measure(run);
        Write(run, before, after);
        return new GeneralTextCost(before, after);
    }

    /// <summary>Bits per byte over windows of the run's context, every token scored but the first of each; what is left at the end is dropped.</summary>
    private static double Measure(TrainingRun run)
    {
        string path = run.Recipe.Output.Measure!;
        int[] ids = run.Tokenizer.Encode(TextBits.Beginning(File.ReadAllBytes(path), MostBytes).Span);
        int length = Math.Min(run.Recipe.Batch.Context!.Value, ids.Length);
        if (length < 2)
        {
            throw new TrainingFailedException($"{path}, the text to measure, has {ids.Length} tokens; two are the least. Give a longer one.");
        }

        using SequenceBatch sequences = new();
        List<int> targets = [];
        double nats = 0;
        long bytes = 0;
        int rows = run.Batches[0].Rows;
        for (int first = 0; first + length <= ids.Length; first += rows * length)
        {
            sequences.Clear();
            targets.Clear();
            for (int start = first; start + length <= Math.Min(ids.Length, first + (rows * length)); start += length)
            {
                sequences.Add(null, ids.AsSpan(start, length - 1), LogitRows.All);
                targets.AddRange(ids.AsSpan(start + 1, length - 1));
            }

            CrossEntropyResult result = run.Context.Judge(() => run.Model.Loss(run.Context, sequences, CollectionsMarshal.AsSpan(targets)));
            nats += result.CrossEntropy * result.Targets;
            bytes += targets.Sum(id => (long)run.Tokenizer.PieceBytes(id).Length);
        }

        return nats / Math.Log(2) / Math.Max(1, bytes);
    }

    private static void Write(TrainingRun run, double before, double? after)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("text", Path.GetFileName(run.Recipe.Output.Measure));
            json.WriteString("unit", "bits per byte");
            json.WriteNumber("before", before);
            if (after is { } value)
            {
                json.WriteNumber("after", value);
            }

            json.WriteEndObject();
        }

        NewFile.Write(Path.Combine(run.Output, FileName), bytes.ToArray());
    }
}
