// sweep.json: what a sweep is and what was measured and planned once, so that it goes on the same. Knows no losses: they are in the runs' logs.
using System.Text.Json;
using Kidogo.Models.Files;

namespace Kidogo.Training.Sweeps;

/// <summary>What is kept of a run.</summary>
internal sealed record SweepRunState
{
    /// <summary>What it costs; null before it was measured.</summary>
    public SweepCost? Cost { get; init; }

    /// <summary>Steps of the whole way; null before they were planned.</summary>
    public long? Steps { get; init; }

    /// <summary>Why it is out; null where it is not, or only for being worse than others.</summary>
    public string? Failure { get; init; }
}

/// <summary>What is kept of a sweep.</summary>
/// <param name="Key"><see cref="SweepGrid.Key"/></param>
/// <param name="Runs">In the order of the grid.</param>
internal sealed record SweepState(string Key, IReadOnlyList<SweepRunState> Runs)
{
    public const string FileName = "sweep.json";
    private const int Format = 1;
    private const int MaxBytes = 16 << 20;

    /// <summary>With one run changed.</summary>
    public SweepState With(int run, Func<SweepRunState, SweepRunState> change) => this with { Runs = [.. Runs.Select((each, i) => i == run ? change(each) : each)] };

    /// <summary>Writes the file of a folder, beside and renamed.</summary>
    public void Write(string folder)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteNumber("format", Format);
            json.WriteString("sweep", Key);
            json.WriteStartArray("runs");
            foreach (SweepRunState run in Runs)
            {
                json.WriteStartObject();
                if (run.Cost is { } cost)
                {
                    json.WriteNumber("seconds_per_step", cost.SecondsPerStep);
                    json.WriteNumber("tokens_per_step", cost.TokensPerStep);
                    json.WriteNumber("seconds_per_rung", cost.SecondsPerRung);
                }

                if (run.Steps is { } steps)
                {
                    json.WriteNumber("steps", steps);
                }

                if (run.Failure is not null)
                {
                    json.WriteString("failure", run.Failure);
                }

                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        NewFile.Write(Path.Combine(folder, FileName), bytes.ToArray());
    }

    /// <summary>Reads the file of a folder; null where there is none.</summary>
    /// <exception cref="TrainingFailedException">It is not what was written.</exception>
    public static SweepState? Read(string folder)
    {
        FileInfo file = new(Path.Combine(folder, FileName));
        if (!file.Exists)
        {
            return null;
        }

        try
        {
            if (file.Length > MaxBytes)
            {
                throw new FormatException($"it has {file.Length} bytes");
            }

            using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(file.FullName));
            JsonElement root = json.RootElement;
            return root.GetProperty("format").GetInt32() == Format
                ? new SweepState(root.GetProperty("sweep").GetString() ?? "", [.. root.GetProperty("runs").EnumerateArray().Select(ReadRun)])
                : throw new FormatException($"it is of format {root.GetProperty("format").GetInt32()}, not {Format}");
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new TrainingFailedException($"{file.FullName} is damaged: {failure.Message.TrimEnd('.')}. Give another --out; the runs beside it can be gone on with one by one: kidogo train --resume {Path.Combine(folder, "run-01")}", failure);
        }
    }

    private static SweepRunState ReadRun(JsonElement run)
    {
        SweepCost? cost = run.TryGetProperty("seconds_per_step", out JsonElement seconds)
            ? new SweepCost(seconds.GetDouble(), run.GetProperty("tokens_per_step").GetInt64(), run.GetProperty("seconds_per_rung").GetDouble()) : null;
        long? steps = run.TryGetProperty("steps", out JsonElement planned) ? planned.GetInt64() : null;
        return cost is { TokensPerStep: < 1 } or { SecondsPerStep: < 0 } || steps < 1 ? throw new FormatException("a run has no steps or no tokens")
            : new SweepRunState { Cost = cost, Steps = steps, Failure = run.TryGetProperty("failure", out JsonElement failed) ? failed.GetString() : null };
    }
}
