// Hashes of what models are made of, independent of where in a file it lies. Knows files, not what is claimed of them.
using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Kidogo.Models.Files;

namespace Kidogo.Models.Passports;

/// <summary>SHA-256 of tensors, metadata and files.</summary>
public static class ModelHash
{
    /// <summary>The name that a GGUF file's metadata have among <see cref="Passport.Files"/>.</summary>
    public const string MetadataName = "metadata";

    /// <summary>Files that change what a folder means where they are added to it.</summary>
    private static readonly string[] s_meaningful =
    [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "chat_template.json", "model.safetensors.index.json",
        Export.HuggingFaceFolderWriter.KeptMetadataName,
    ];

    /// <summary>Files of a folder that are hashed: not the weights, whose tensors are, nor the passport.</summary>
    private static bool IsHashed(string name) => name != Passport.FileName && !name.EndsWith(".safetensors", StringComparison.Ordinal);

    /// <summary>The tensors of a model's files, each with the hash of its bytes.</summary>
    /// <param name="header">The model; its files are read by position.</param>
    /// <param name="threads">Threads that hash.</param>
    /// <param name="cancellation">Looked at between tensors.</param>
    /// <exception cref="IOException">A file became shorter meanwhile.</exception>
    public static IReadOnlyList<PassportTensor> Tensors(ModelHeader header, int threads = 1, CancellationToken cancellation = default)
    {
        IReadOnlyList<StoredTensor> stored = header.Gguf?.Tensors ?? header.Folder!.Tensors;
        PassportTensor[] tensors = new PassportTensor[stored.Count];
        Parallel.For(0, tensors.Length, new ParallelOptions { MaxDegreeOfParallelism = Math.Max(1, threads), CancellationToken = cancellation }, i =>
            tensors[i] = new PassportTensor(stored[i].Name, stored[i].TypeName, stored[i].Shape, Hash(stored[i])));
        return tensors;
    }

    /// <summary>One hash of all tensors, whatever their order: of a line <c>name, format, sizes, hash</c> for each, by name.</summary>
    public static string Of(IEnumerable<PassportTensor> tensors)
    {
        StringBuilder lines = new();
        foreach (PassportTensor tensor in tensors.OrderBy(tensor => tensor.Name, StringComparer.Ordinal))
        {
            lines.Append(tensor.Name).Append('\0').Append(tensor.Format).Append('\0').AppendJoin(',', tensor.Shape).Append('\0').Append(tensor.Sha256).Append('\n');
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(lines.ToString())));
    }

    /// <summary>What a model is made of besides tensors: the metadata of a GGUF file, or the files of a folder that a model is read from.</summary>
    /// <param name="header">The model.</param>
    /// <param name="names">The files of a folder that are looked for, besides those that change what it means.</param>
    public static IReadOnlyList<PassportSource> Files(ModelHeader header, IEnumerable<string> names)
    {
        if (header.Gguf is { } gguf)
        {
            Metadata metadata = gguf.Metadata;
            return [Metadata(metadata.Keys, metadata.ReadValue)];
        }

        List<PassportSource> files = [];
        foreach (string name in names.Where(name => IsHashed(name) && IsPlain(name)).Union(s_meaningful))
        {
            if (header.Folder!.FindFile(name) is { } path)
            {
                files.Add(File(name, path));
            }
        }

        return files;
    }

    /// <summary>A file.</summary>
    /// <param name="name">What it is called.</param>
    /// <param name="path">Where it lies.</param>
    /// <param name="role">What it is for.</param>
    public static PassportSource File(string name, string path, string role = "file")
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 20);
        return new PassportSource(role, name, Convert.ToHexStringLower(SHA256.HashData(stream)), stream.Length);
    }

    /// <summary>Whether a name that a passport gives may be looked for: no way out of the folder.</summary>
    public static bool IsPlain(string name) =>
        name.Length is > 0 and <= 256 && !Path.IsPathRooted(name) && !name.Contains('\\', StringComparison.Ordinal) && !name.Contains(':', StringComparison.Ordinal) && !name.Contains('\0', StringComparison.Ordinal)
        && name.Split('/').All(part => part is not ("" or "." or ".."));

    internal static IReadOnlyList<PassportSource> FilesWritten(string folder) =>
        [.. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Select(path => (Name: Path.GetRelativePath(folder, path).Replace(Path.DirectorySeparatorChar, '/'), Path: path))
            .Where(file => IsHashed(file.Name)).OrderBy(file => file.Name, StringComparer.Ordinal).Select(file => File(file.Name, file.Path))];

    internal static PassportSource Metadata(GgufMetadata metadata) => Metadata(metadata.Keys, key => metadata[key]);

    private static PassportSource Metadata(IEnumerable<string> keys, Func<string, GgufMetadata.Value> valueOf)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> head = stackalloc byte[2 * sizeof(long)];
        long bytes = 0;
        foreach (string key in keys.Where(key => key is not (Passport.MetadataKey or GgufHeader.AlignmentKey)).Order(StringComparer.Ordinal))
        {
            GgufMetadata.Value value = valueOf(key);
            hash.AppendData(Encoding.UTF8.GetBytes(key));
            BinaryPrimitives.WriteInt64LittleEndian(head, ((long)value.Kind << 8) | (long)value.Element);
            BinaryPrimitives.WriteInt64LittleEndian(head[sizeof(long)..], value.Kind is MetadataKind.String or MetadataKind.Array ? value.Count : 1);
            hash.AppendData(head);
            hash.AppendData(value.Payload.Span);
            bytes += value.Payload.Length;
        }

        return new PassportSource("file", MetadataName, Convert.ToHexStringLower(hash.GetHashAndReset()), bytes);
    }

    private static string Hash(StoredTensor tensor)
    {
        const int PassBytes = 4 << 20;
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[(int)Math.Min(PassBytes, tensor.Data.Length)];
        for (long at = 0; at < tensor.Data.Length; at += buffer.Length)
        {
            Span<byte> part = buffer.AsSpan(0, (int)Math.Min(buffer.Length, tensor.Data.Length - at));
            tensor.Data.File.CopyTo(tensor.Data.Offset + at, part);
            hash.AppendData(part);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
