// training.json of a checkpoint: how far a run was, and all it needs to go on. Knows no weights.
using System.Text.Json;
using Kidogo.Data;
using Kidogo.Training.Recipes;

namespace Kidogo.Training.Checkpoints;

/// <summary>A file of a checkpoint, as it was written.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Bytes">Its length.</param>
/// <param name="Sha256">Its hash, in lower-case hexadecimal.</param>
internal sealed record CheckpointFile(string Name, long Bytes, string Sha256);

/// <summary>How far a run is.</summary>
internal sealed record TrainingState
{
    public const string FileName = "training.json";
    private const int Format = 1;

    /// <summary>Steps that were made.</summary>
    public required long Step { get; init; }

    /// <summary>Tokens that were read.</summary>
    public required long Tokens { get; init; }

    /// <summary>The recipe with all that was chosen.</summary>
    public required Recipe Recipe { get; init; }

    /// <summary>Steps that are planned; null before that is known.</summary>
    public long? PlannedSteps { get; init; }

    /// <summary>Where the data stand; null at the beginning.</summary>
    public StreamPosition? Position { get; init; }

    /// <summary>The files whose content has to be what it was.</summary>
    public IReadOnlyList<CheckpointFile> Files { get; init; } = [];

    public byte[] ToBytes()
    {
        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteNumber("format", Format);
            json.WriteNumber("step", Step);
            json.WriteNumber("tokens", Tokens);
            if (PlannedSteps is { } planned)
            {
                json.WriteNumber("planned_steps", planned);
            }

            // All that is drawn is drawn from the seed at a place (a weight's, a row's, a step's), so the seed and the step are the whole random state.
            json.WriteStartObject("random");
            json.WriteNumber("seed", Recipe.Output.Seed);
            json.WriteNumber("step", Step);
            json.WriteEndObject();
            if (Position is not null)
            {
                json.WritePropertyName("data");
                Position.WriteTo(json);
            }

            json.WritePropertyName("recipe");
            RecipeFields.Write(Recipe).WriteTo(json);
            json.WriteStartObject("files");
            foreach (CheckpointFile file in Files)
            {
                json.WriteStartObject(file.Name);
                json.WriteNumber("bytes", file.Bytes);
                json.WriteString("sha256", file.Sha256);
                json.WriteEndObject();
            }

            json.WriteEndObject();
            json.WriteEndObject();
        }

        return stream.ToArray();
    }

    /// <exception cref="TrainingFailedException">The file is not what was written.</exception>
    public static TrainingState Read(string path)
    {
        const int MaxBytes = 16 << 20;
        try
        {
            FileInfo file = new(path);
            if (file.Length > MaxBytes)
            {
                throw new TrainingFailedException($"{path} has {file.Length} bytes; at most {MaxBytes} are expected. It is not a file of kidogo train.");
            }

            using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(path));
            JsonElement root = json.RootElement;
            if (root.GetProperty("format").GetInt32() != Format)
            {
                throw new TrainingFailedException($"{path} is of format {root.GetProperty("format").GetInt32()}; this kidogo reads format {Format}. Go on "
                    + "with the version that wrote it.");
            }

            RecipeNode recipe = RecipeNode.From(root.GetProperty("recipe"), path);
            return new TrainingState
            {
                Step = root.GetProperty("step").GetInt64(),
                Tokens = root.GetProperty("tokens").GetInt64(),
                PlannedSteps = root.TryGetProperty("planned_steps", out JsonElement planned) ? planned.GetInt64() : null,
                Position = root.TryGetProperty("data", out JsonElement data) ? StreamPosition.Read(data) : null,
                Recipe = RecipeFields.Apply(new Recipe(), recipe as RecipeMap ?? throw new KeyNotFoundException()),
                Files = [.. root.GetProperty("files").EnumerateObject().Select(entry =>
                    new CheckpointFile(entry.Name, entry.Value.GetProperty("bytes").GetInt64(), entry.Value.GetProperty("sha256").GetString() ?? ""))],
            };
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException or KeyNotFoundException or FormatException
            or DataFormatException or RecipeException)
        {
            throw new TrainingFailedException($"{path} is damaged: {failure.Message.TrimEnd('.')}. {CheckpointFolder.TakeAnother}", failure);
        }
    }
}
