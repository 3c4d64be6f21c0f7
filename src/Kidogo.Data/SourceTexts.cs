// The plain texts of sources, one after the other. Knows files and conversations, no tokens.
using System.Text;
using System.Text.Json;
using Kidogo.Data.Conversations;
using Kidogo.Data.Readers;

namespace Kidogo.Data;

/// <summary>One file of a source, for reading its texts alone.</summary>
/// <param name="Source">The source it belongs to.</param>
/// <param name="Kind">What that holds; never <see cref="SourceKind.Detect"/>.</param>
/// <param name="File">The file.</param>
internal sealed record SourceTextFile(DataSource Source, SourceKind Kind, SourceFile File)
{
    /// <summary>The path as it was given, and for a folder the file in it.</summary>
    public string Name => System.IO.File.Exists(Source.Path) ? Source.Path : Path.Combine(Source.Path, File.Name);

    /// <summary>All files of all sources, in order.</summary>
    /// <exception cref="DataFormatException">A source has no files that are read, or is random.</exception>
    public static List<SourceTextFile> FindAll(IReadOnlyList<DataSource> sources, CancellationToken cancellation)
    {
        List<SourceTextFile> found = [];
        foreach (DataSource source in sources)
        {
            if (source.Kind == SourceKind.Random)
            {
                throw new DataFormatException(source.Path, 0, "random ids have no texts that a tokenizer could be trained on; name a tokenizer, or files");
            }

            IReadOnlyList<SourceFile> files = SourceFiles.Find(source.Path);
            SourceKind kind = source.Kind == SourceKind.Detect ? SourcePreparer.Detect(source, files, cancellation) : source.Kind;
            found.AddRange(files.Select(file => new SourceTextFile(source, kind, file)));
        }

        return found;
    }

    /// <summary>The texts of the file: documents (long ones in parts), or the contents of each message of its conversations.</summary>
    /// <param name="strict">Whether bytes that are no UTF-8 are an error.</param>
    /// <param name="report">Told after each stretch the stored bytes that are done, and the bytes that were replaced in it.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="DataFormatException">The file is damaged, a line malformed, or the field missing.</exception>
    public IEnumerable<ReadOnlyMemory<byte>> Read(bool strict, Action<long, long> report, CancellationToken cancellation)
    {
        using ChunkReader chunks = new([File], null, Source.Documents);
        while (chunks.Next(cancellation) is { } chunk)
        {
            long invalid = 0;
            foreach (TextPart part in chunk.Parts)
            {
                ReadOnlyMemory<byte> bytes = TextRepair.Mend(chunk.Memory(part), out int replaced);
                int replacedInField = 0;
                IEnumerable<ReadOnlyMemory<byte>> texts = Kind == SourceKind.Conversations ? Contents(bytes, part.Line)
                    : [File.IsJsonLines ? JsonLine.Text(bytes, Source.Field, File.Path, part.Line, out replacedInField) : bytes];
                if (strict && replaced + replacedInField > 0)
                {
                    throw new DataFormatException(File.Path, part.Line,
                        $"the document that begins here has {replaced + replacedInField} bytes that are not UTF-8; mend the file, or leave out --strict, and "
                            + "they are replaced with U+FFFD and counted");
                }

                invalid += replaced + replacedInField;
                foreach (ReadOnlyMemory<byte> text in texts)
                {
                    yield return text;
                }
            }

            report(chunk.BytesRead, invalid);
        }
    }

    private List<ReadOnlyMemory<byte>> Contents(ReadOnlyMemory<byte> line, long number)
    {
        try
        {
            using JsonDocument json = JsonDocument.Parse(line, JsonLine.DocumentOptions);
            List<ReadOnlyMemory<byte>> texts = [];
            foreach (JsonElement message in Conversation.Read(json.RootElement, File.Path, number).Messages)
            {
                if (message.TryGetProperty("content", out JsonElement content))
                {
                    AddTexts(content, texts);
                }
            }

            return texts;
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException)
        {
            throw JsonLine.Malformed(File.Path, number, failure);
        }
    }

    // A content is a text, or a list of parts of which some are texts.
    private static void AddTexts(JsonElement content, List<ReadOnlyMemory<byte>> texts)
    {
        if (content.ValueKind == JsonValueKind.String)
        {
            texts.Add(Encoding.UTF8.GetBytes(content.GetString()!));
        }
        else if (content.ValueKind == JsonValueKind.Array)
        {
            foreach (JsonElement part in content.EnumerateArray())
            {
                if (part.ValueKind == JsonValueKind.Object && part.TryGetProperty("text", out JsonElement text) && text.ValueKind == JsonValueKind.String)
                {
                    texts.Add(Encoding.UTF8.GetBytes(text.GetString()!));
                }
            }
        }
    }
}
