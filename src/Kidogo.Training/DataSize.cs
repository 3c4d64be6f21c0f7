// How much text there is, and of what kind, from the files' names and first lines alone. Reads no texts.
using System.IO.Compression;
using Kidogo.Data;

namespace Kidogo.Training;

/// <summary>Looks at data before they are read.</summary>
internal static class DataSize
{
    private const int PackedTimes = 3; // text becomes a third, or so, by gzip

    /// <summary>Bytes of text, roughly.</summary>
    public static long TextBytes(IReadOnlyList<DataSource> sources) => sources.SelectMany(Files).Sum(file => new FileInfo(file).Length * (file.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? PackedTimes : 1));

    /// <summary>Whether a source seems to hold conversations: its first file of lines begins with one.</summary>
    public static bool HoldsConversations(DataSource source)
    {
        if (source.Kind != SourceKind.Detect)
        {
            return source.Kind == SourceKind.Conversations;
        }

        string? file = Files(source).FirstOrDefault(path => path.Contains(".jsonl", StringComparison.OrdinalIgnoreCase));
        if (file is null)
        {
            return false;
        }

        const int Looked = 1 << 16;
        using FileStream stored = File.OpenRead(file);
        using Stream stream = file.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? new GZipStream(stored, CompressionMode.Decompress) : stored;
        byte[] bytes = new byte[Looked];
        int read;
        try
        {
            read = stream.ReadAtLeast(bytes, Looked, throwOnEndOfStream: false);
        }
        catch (InvalidDataException)
        {
            return false; // the reader of data says what is wrong with it
        }

        string line = System.Text.Encoding.UTF8.GetString(bytes, 0, read).TrimStart().Split('\n')[0];
        return (line.Contains("\"messages\"", StringComparison.Ordinal) || line.Contains("\"conversations\"", StringComparison.Ordinal)) && !line.Contains($"\"{source.Field}\":", StringComparison.Ordinal);
    }

    private static IEnumerable<string> Files(DataSource source)
    {
        if (File.Exists(source.Path))
        {
            return [source.Path];
        }

        string[] endings = [".txt", ".jsonl", ".txt.gz", ".jsonl.gz"];
        EnumerationOptions options = new() { RecurseSubdirectories = true, IgnoreInaccessible = true, AttributesToSkip = FileAttributes.ReparsePoint };
        return Directory.Exists(source.Path)
            ? Directory.EnumerateFiles(source.Path, "*", options).Where(file => endings.Any(ending => file.EndsWith(ending, StringComparison.OrdinalIgnoreCase))).Order(StringComparer.Ordinal)
            : [];
    }
}
