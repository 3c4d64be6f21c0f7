// Which files a source consists of, and what their contents hash to. Knows names and bytes, not texts.
using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Kidogo.Data.Readers;

/// <summary>One file of a source.</summary>
/// <param name="Path">Where it lies.</param>
/// <param name="Name">Its path relative to the source, with slashes; the file's name where the source is a file.</param>
/// <param name="Length">Bytes as stored.</param>
/// <param name="IsJsonLines">Whether it is <c>.jsonl</c>; else it is <c>.txt</c>.</param>
/// <param name="IsPacked">Whether it is packed with gzip.</param>
internal sealed record SourceFile(string Path, string Name, long Length, bool IsJsonLines, bool IsPacked);

/// <summary>Finds files in a fixed order.</summary>
internal static class SourceFiles
{
    /// <summary>The endings that are read.</summary>
    public const string Endings = ".txt, .jsonl, .txt.gz and .jsonl.gz";

    private const int MaxFiles = 1_000_000;
    private const int MaxDepth = 64;
    private const int HashBlock = 1 << 20;

    /// <summary>The files of a path, which is a file or a folder.</summary>
    /// <exception cref="DataFormatException">There is no file that is read.</exception>
    /// <exception cref="FileNotFoundException">Nothing lies there.</exception>
    public static IReadOnlyList<SourceFile> Find(string path)
    {
        if (File.Exists(path))
        {
            return [Describe(new FileInfo(path), Path.GetFileName(path)) ?? throw new DataFormatException(path, 0,
                $"training data are read from {Endings}, and this ends otherwise; rename or convert it")];
        }

        if (!Directory.Exists(path))
        {
            throw new FileNotFoundException($"There is no file or folder {path}.", path);
        }

        List<SourceFile> files = [];
        Collect(new DirectoryInfo(path), "", files, path, MaxDepth);
        if (files.Count == 0)
        {
            throw new DataFormatException(path, 0, $"the folder has no file that ends in {Endings}");
        }

        files.Sort((left, right) => string.CompareOrdinal(left.Name, right.Name));
        return files;
    }

    /// <summary>Whether a file has an ending that is read.</summary>
    public static bool IsRead(string path) => Describe(new FileInfo(path), path) is not null;

    /// <summary>SHA-256 of a file.</summary>
    public static byte[] Hash(SourceFile file, CancellationToken cancellation)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using FileStream stream = Open(file);
        byte[] block = new byte[(int)Math.Clamp(file.Length, 1, HashBlock)];
        for (int read; (read = stream.Read(block)) > 0;)
        {
            cancellation.ThrowIfCancellationRequested();
            hash.AppendData(block, 0, read);
        }

        return hash.GetHashAndReset();
    }

    /// <summary>SHA-256 over the names, lengths and hashes of all files.</summary>
    public static byte[] Combine(IReadOnlyList<SourceFile> files, IReadOnlyList<byte[]> hashes)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> number = stackalloc byte[sizeof(long)];
        for (int i = 0; i < files.Count; i++)
        {
            byte[] name = Encoding.UTF8.GetBytes(files[i].Name);
            BinaryPrimitives.WriteInt64LittleEndian(number, name.Length);
            hash.AppendData(number);
            hash.AppendData(name);
            BinaryPrimitives.WriteInt64LittleEndian(number, files[i].Length);
            hash.AppendData(number);
            hash.AppendData(hashes[i]);
        }

        return hash.GetHashAndReset();
    }

    /// <summary>Opens a file to be read from its beginning to its end.</summary>
    public static FileStream Open(SourceFile file) =>
        new(file.Path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);

    private static void Collect(DirectoryInfo folder, string prefix, List<SourceFile> files, string root, int depth)
    {
        if (depth == 0)
        {
            throw new DataFormatException(root, 0, $"the folder is nested more than {MaxDepth} deep, at {prefix}");
        }

        foreach (FileSystemInfo entry in folder.EnumerateFileSystemInfos("*", new EnumerationOptions { AttributesToSkip = 0, IgnoreInaccessible = false }))
        {
            if (entry.Name.StartsWith('.'))
            {
                continue;
            }

            if (entry is DirectoryInfo child)
            {
                if (child.LinkTarget is null) // a link could lead round in a circle
                {
                    Collect(child, $"{prefix}{child.Name}/", files, root, depth - 1);
                }
            }
            else if (Describe((FileInfo)entry, prefix + entry.Name) is { } file)
            {
                files.Add(file);
                if (files.Count > MaxFiles)
                {
                    throw new DataFormatException(root, 0, $"the folder has more than {MaxFiles} files; put texts together, one a line of .jsonl");
                }
            }
        }
    }

    // Null where the ending is not one that is read. Links to files are followed: their length is their target's.
    private static SourceFile? Describe(FileInfo file, string name)
    {
        bool packed = name.EndsWith(".gz", StringComparison.OrdinalIgnoreCase);
        string plain = packed ? name[..^3] : name;
        bool lines = plain.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase);
        if (!lines && !plain.EndsWith(".txt", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        FileInfo target = file.LinkTarget is null ? file : file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file;
        return new SourceFile(file.FullName, name, target.Length, lines, packed);
    }
}
