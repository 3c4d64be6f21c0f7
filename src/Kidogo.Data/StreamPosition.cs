// Where a stream of batches stands, small enough for every checkpoint. Knows no files.
using System.Text.Json;

namespace Kidogo.Data;

/// <summary>Where one source stands.</summary>
/// <param name="Rows">Rows given so far.</param>
/// <param name="Positions">Positions of them that were not padding.</param>
/// <param name="Scored">Positions of them that had a target.</param>
/// <param name="Open">The piece, counted over all epochs, at which the row begins that is not yet full.</param>
/// <param name="Offset">Of text, positions of that piece that earlier rows had; of conversations, rows of the current block that were given.</param>
/// <param name="Next">The piece, counted over all epochs, that comes next.</param>
public sealed record SourcePosition(long Rows, long Positions, long Scored, long Open, int Offset, long Next)
{
    /// <summary>Before the first row.</summary>
    public static SourcePosition Start { get; } = new(0, 0, 0, 0, 0, 0);
}

/// <summary>Where a <see cref="BatchStream"/> stands. Part of a checkpoint: restored, the stream gives the batches that it would have given.</summary>
/// <param name="Fingerprint">Of the data that the position is in (<see cref="PreparedData.Fingerprint"/>); restoring in other data is refused.</param>
/// <param name="Sources">One for each source, in the order of the options.</param>
public sealed record StreamPosition(string Fingerprint, IReadOnlyList<SourcePosition> Sources)
{
    private const int MaxSources = 65_536;

    /// <summary>Writes the position as one JSON object.</summary>
    public void WriteTo(Utf8JsonWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteStartObject();
        writer.WriteString("fingerprint"u8, Fingerprint);
        writer.WriteStartArray("sources"u8);
        foreach (SourcePosition source in Sources)
        {
            writer.WriteStartObject();
            writer.WriteNumber("rows"u8, source.Rows);
            writer.WriteNumber("positions"u8, source.Positions);
            writer.WriteNumber("scored"u8, source.Scored);
            writer.WriteNumber("open"u8, source.Open);
            writer.WriteNumber("offset"u8, source.Offset);
            writer.WriteNumber("next"u8, source.Next);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>Reads what <see cref="WriteTo"/> wrote.</summary>
    /// <exception cref="DataFormatException">It is not that.</exception>
    public static StreamPosition Read(JsonElement json)
    {
        if (json.ValueKind != JsonValueKind.Object || !json.TryGetProperty("fingerprint"u8, out JsonElement fingerprint)
            || fingerprint.ValueKind != JsonValueKind.String ||
            !json.TryGetProperty("sources"u8, out JsonElement sources) || sources.ValueKind != JsonValueKind.Array || sources.GetArrayLength() > MaxSources)
        {
            throw new DataFormatException("the position in the data is not an object with a text \"fingerprint\" and a list \"sources\"; the checkpoint is "
                + "damaged, take an earlier one");
        }

        List<SourcePosition> positions = [];
        foreach (JsonElement source in sources.EnumerateArray())
        {
            positions.Add(new SourcePosition(
                Number(source, "rows", long.MaxValue), Number(source, "positions", long.MaxValue), Number(source, "scored", long.MaxValue),
                Number(source, "open", long.MaxValue), (int)Number(source, "offset", int.MaxValue), Number(source, "next", long.MaxValue)));
        }

        try
        {
            return new StreamPosition(fingerprint.GetString()!, positions);
        }
        catch (InvalidOperationException failure)
        {
            throw new DataFormatException("the fingerprint of the position in the data is not text; the checkpoint is damaged, take an earlier one", failure);
        }
    }

    private static long Number(JsonElement source, string name, long limit) =>
        source.ValueKind == JsonValueKind.Object && source.TryGetProperty(name, out JsonElement field) && field.ValueKind == JsonValueKind.Number &&
        field.TryGetInt64(out long value) && value >= 0 && value <= limit
            ? value
            : throw new DataFormatException($"the position in the data has no whole number \"{name}\" from 0 to {limit}; the checkpoint is damaged, take an "
                + "earlier one");
}
