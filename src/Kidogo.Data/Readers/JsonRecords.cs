// Lines of .jsonl as objects, for data that are more than texts. Knows no fields.
using System.Text.Json;

namespace Kidogo.Data.Readers;

/// <summary>A line of .jsonl.</summary>
/// <param name="Json">An object.</param>
/// <param name="File">Where it is from.</param>
/// <param name="Line">Its line, from 1.</param>
public sealed record JsonRecord(JsonElement Json, string File, long Line)
{
    /// <summary>The refusal of this line.</summary>
    /// <param name="problem">What is wrong, and what was expected.</param>
    public DataFormatException Refuse(string problem) => new(File, Line, problem);
}

/// <summary>Reads files of one JSON object a line.</summary>
public static class JsonRecords
{
    private const int MostBytesOfLine = 16 << 20;

    /// <summary>All lines that are not blank, of all files of a path in the order of their names.</summary>
    /// <param name="path">A .jsonl or .jsonl.gz file, or a folder of them.</param>
    /// <exception cref="DataFormatException">A file is of another kind, or a line is no JSON object.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static IEnumerable<JsonRecord> Read(string path)
    {
        foreach (SourceFile file in SourceFiles.Find(path))
        {
            if (!file.IsJsonLines)
            {
                throw new DataFormatException(file.Path, 0, "expected .jsonl, one JSON object a line");
            }

            using LineReader lines = new(file);
            while (Next(lines, file) is { } bytes)
            {
                if (bytes.Length > 0)
                {
                    yield return new JsonRecord(Parse(bytes, file.Path, lines.Line), file.Path, lines.Line);
                }
            }
        }
    }

    private static byte[]? Next(LineReader lines, SourceFile file)
    {
        if (!lines.Next(MostBytesOfLine, out ReadOnlySpan<byte> bytes, out bool endsLine))
        {
            return null;
        }

        return endsLine ? bytes.Trim(" \t\r\n"u8).ToArray() : throw new DataFormatException(file.Path, lines.Line, $"the line has more than {MostBytesOfLine} bytes");
    }

    private static JsonElement Parse(byte[] line, string file, long number)
    {
        try
        {
            using JsonDocument json = JsonDocument.Parse(TextRepair.MendEscapes(line, out _), JsonLine.DocumentOptions);
            return json.RootElement.ValueKind == JsonValueKind.Object ? json.RootElement.Clone() : throw new DataFormatException(file, number, "the line is a JSON value but not an object");
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException)
        {
            throw JsonLine.Malformed(file, number, failure);
        }
    }
}
