// The files beside a model's weights, on the way through a GGUF file and back. Knows their names, not what they mean.
using System.IO.Compression;
using System.Text;
using Kidogo.Models.Files;

namespace Kidogo.Models.Export;

/// <summary>What a folder knows and a GGUF file has no keys for is kept in keys of Kidogo's own, and given back.</summary>
internal static class KeptFiles
{
    /// <summary>A file as text.</summary>
    public const string TextPrefix = "kidogo.file.";

    /// <summary>A file compressed with gzip, in bytes.</summary>
    public const string PackedPrefix = "kidogo.file.gz.";

    /// <summary>The pairs of a weight file's <c>__metadata__</c>, as one key each.</summary>
    public const string WeightsPrefix = "kidogo.safetensors.";

    /// <summary>Names of tensors with the format that they had in the folder, where GGUF files have another: <c>blk.0.attn_norm.weight=BF16</c>.</summary>
    public const string FormatsKey = "kidogo.formats";

    /// <summary>What a norm lost when 1 was added to it or taken off, so that it can be given back to the bit.</summary>
    public const string LostPrefix = "kidogo.lost.";

    /// <summary>The hash of a tokenizer.json that Kidogo wrote from a GGUF file: as long as it is the same, the file's own keys are right.</summary>
    public const string TokenizerHashKey = "kidogo.tokenizer.sha256";

    private const int LongestText = 256 * 1024;
    private const int LongestFile = 256 * 1024 * 1024;

    private static readonly string[] s_names =
    [
        "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja",
        "chat_template.json", "preprocessor_config.json", "processor_config.json", "README.md", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE",
    ];

    /// <summary>The files of a folder that are passed on; config.json is not among them.</summary>
    public static Dictionary<string, ReadOnlyMemory<byte>> Of(HuggingFaceFolder folder)
    {
        Dictionary<string, ReadOnlyMemory<byte>> files = new(StringComparer.Ordinal);
        foreach (string name in s_names)
        {
            if (folder.FindFile(name) is { } path)
            {
                files.Add(name, SmallFile.Read(path, LongestFile));
            }
        }

        foreach ((string name, string template) in folder.ChatTemplates.Where(pair => pair.Key != HuggingFaceFolder.DefaultTemplate && IsPlainName(pair.Key)))
        {
            files.TryAdd($"additional_chat_templates/{name}.jinja", Encoding.UTF8.GetBytes(template));
        }

        return files;
    }

    /// <summary>Puts a file into metadata.</summary>
    public static void Put(GgufMetadata metadata, string name, ReadOnlyMemory<byte> file)
    {
        if (file.Length <= LongestText && System.Text.Unicode.Utf8.IsValid(file.Span))
        {
            metadata.Set(TextPrefix + name, Encoding.UTF8.GetString(file.Span));
            return;
        }

        using MemoryStream packed = new();
        using (GZipStream gzip = new(packed, CompressionLevel.Optimal, leaveOpen: true))
        {
            gzip.Write(file.Span);
        }

        metadata.SetBytes(PackedPrefix + name, packed.ToArray());
    }

    /// <summary>The files in the metadata of a GGUF file.</summary>
    /// <exception cref="ModelFormatException">One is not what was put there.</exception>
    public static Dictionary<string, ReadOnlyMemory<byte>> Of(Metadata metadata)
    {
        Dictionary<string, ReadOnlyMemory<byte>> files = new(StringComparer.Ordinal);
        foreach (string key in metadata.Keys.Where(IsKey))
        {
            bool isPacked = key.StartsWith(PackedPrefix, StringComparison.Ordinal);
            string name = key[(isPacked ? PackedPrefix : TextPrefix).Length..];
            bool isKnown = name == "config.json" || s_names.Contains(name)
                || (name.StartsWith("additional_chat_templates/", StringComparison.Ordinal) && name.EndsWith(".jinja", StringComparison.Ordinal) && IsPlainName(Path.GetFileNameWithoutExtension(name)) && name.Count(c => c == '/') == 1);
            if (isKnown) // a stranger's file names no paths here
            {
                files[name] = isPacked ? Unpacked(metadata, key) : Encoding.UTF8.GetBytes(metadata.GetString(key));
            }
        }

        return files;
    }

    /// <summary>Whether a key holds a file.</summary>
    public static bool IsKey(string key) => key.StartsWith(TextPrefix, StringComparison.Ordinal);

    private static bool IsPlainName(string name) => name.Length is > 0 and <= 64 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-');

    private static byte[] Unpacked(Metadata metadata, string key)
    {
        if (metadata.ElementKindOf(key) != MetadataKind.UInt8)
        {
            throw metadata.Refuse(key, "is no array of bytes.");
        }

        using MemoryStream packed = new(metadata.ReadValue(key).Payload.ToArray());
        using GZipStream gzip = new(packed, CompressionMode.Decompress);
        using MemoryStream file = new();
        byte[] buffer = new byte[1 << 16];
        try
        {
            for (int read = gzip.Read(buffer); read > 0; read = gzip.Read(buffer))
            {
                file.Write(buffer, 0, read);
                if (file.Length > LongestFile)
                {
                    throw metadata.Refuse(key, $"unpacks to more than {LongestFile} bytes.");
                }
            }
        }
        catch (InvalidDataException failure)
        {
            throw new ModelFormatException(metadata.File, -1, $"The metadata {ModelFormatException.Quote(key)} is no gzip data.", failure);
        }

        return file.ToArray();
    }
}
