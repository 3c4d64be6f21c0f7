// How much text there is, and of what kind, before it is read: from the files' names, lengths and first lines. Knows no tokens.
using Kidogo.Data.Readers;

namespace Kidogo.Data;

/// <summary>Looks at sources before they are prepared.</summary>
public static class DataSize
{
    private const int PackedTimes = 3; // text becomes a third, or so, by gzip

    /// <summary>Bytes of text of all sources together, roughly.</summary>
    /// <exception cref="DataFormatException">A source has no file that is read.</exception>
    /// <exception cref="FileNotFoundException">A source is not there.</exception>
    public static long TextBytes(IReadOnlyList<DataSource> sources) =>
        sources.Sum(source => source.Kind == SourceKind.Random ? 0
            : SourceFiles.Find(source.Path).Sum(file => file.Length * (file.IsPacked ? PackedTimes : 1)));

    /// <summary>Whether a source holds conversations, as it will be prepared.</summary>
    /// <exception cref="DataFormatException">A source has no file that is read, or a first line is not JSON.</exception>
    /// <exception cref="FileNotFoundException">A source is not there.</exception>
    public static bool HoldsConversations(DataSource source) => source.Kind == SourceKind.Detect
        ? SourcePreparer.Detect(source, SourceFiles.Find(source.Path), CancellationToken.None) == SourceKind.Conversations
        : source.Kind == SourceKind.Conversations;
}
