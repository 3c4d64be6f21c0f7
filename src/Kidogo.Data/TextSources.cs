// The plain texts of files and folders, for those who count or judge them. Knows no tokens.
using Kidogo.Data.Readers;

namespace Kidogo.Data;

/// <summary>A file whose texts are read.</summary>
/// <param name="Name">Its path as it was given, and for a folder the file in it.</param>
/// <param name="Bytes">Bytes as stored.</param>
/// <param name="Read">Reads its texts, one after the other, without bytes that are no UTF-8; a text is good until the next is asked for.</param>
public sealed record TextFile(string Name, long Bytes, Func<CancellationToken, IEnumerable<ReadOnlyMemory<byte>>> Read);

/// <summary>Finds texts: <c>.txt</c> and <c>.jsonl</c>, either with <c>.gz</c> after it, folders of them, and single files with any other ending, which are read as text.</summary>
public static class TextSources
{
    /// <summary>The files of all paths, in order.</summary>
    /// <param name="paths">Files and folders.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="DataFormatException">A folder has no files that are read. So do the readers where a file is damaged.</exception>
    /// <exception cref="FileNotFoundException">Nothing lies there.</exception>
    public static IReadOnlyList<TextFile> Find(IEnumerable<string> paths, CancellationToken cancellation = default)
    {
        List<TextFile> files = [];
        foreach (string path in paths)
        {
            DataSource source = new() { Path = path, Documents = DocumentBorder.File };
            List<SourceTextFile> found = File.Exists(path) && !SourceFiles.IsRead(path)
                ? [new SourceTextFile(source, SourceKind.Text, new SourceFile(path, Path.GetFileName(path), new FileInfo(path).Length, IsJsonLines: false, IsPacked: false))]
                : SourceTextFile.FindAll([source], cancellation);
            files.AddRange(found.Select(file => new TextFile(file.Name, file.File.Length, ends => file.Read(strict: false, (_, _) => { }, ends))));
        }

        return files;
    }

    /// <summary>SHA-256 (lower-case hex) over the names, lengths and contents of a source's files, as <see cref="PreparedSource.Sha256"/> has it.</summary>
    /// <param name="path">A file or folder that training reads.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="DataFormatException">It is none.</exception>
    public static string Hash(string path, CancellationToken cancellation = default)
    {
        IReadOnlyList<SourceFile> files = SourceFiles.Find(path);
        return Convert.ToHexStringLower(SourceFiles.Combine(files, [.. files.Select(file => SourceFiles.Hash(file, cancellation))]));
    }
}
