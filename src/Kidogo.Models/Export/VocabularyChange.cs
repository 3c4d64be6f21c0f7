// A model with fewer tokens: its tensors, metadata and files with new numbers. Knows where a model names tokens; which of them stay is decided elsewhere.
using System.Security.Cryptography;
using System.Text.Json;
using Kidogo.Models.Files;
using Kidogo.Text.Tokenizers;
using Kidogo.Text.Tokenizers.Trimming;

namespace Kidogo.Models.Export;

/// <summary>Applies a selection of tokens to all that a model's files say.</summary>
/// <remarks>Rows of the embedding and the head are copied as they are stored, so what a kept token means, and its logit, are the same to the bit.</remarks>
public sealed class VocabularyChange(VocabularySelection tokens)
{
    private const string Prefix = "tokenizer.ggml.";

    private readonly int[] _kept = tokens.Kept.ToArray();

    /// <summary>The ids that a model's files name for a purpose: what begins and ends a text, what is never said.</summary>
    public static IReadOnlyCollection<int> Named(ModelHeader header)
    {
        HashSet<int> named = [.. header.Generation.EndTokens];
        if (header.Gguf is { } gguf)
        {
            foreach (string key in gguf.Metadata.Keys.Where(IsTokenKey))
            {
                named.UnionWith(Ids(gguf.Metadata, key));
            }
        }

        Dictionary<string, ReadOnlyMemory<byte>> files = header.Folder is { } folder ? KeptFiles.Of(folder) : KeptFiles.Of(header.Gguf!.Metadata);
        if (header.Folder?.FindFile("config.json") is { } path)
        {
            files["config.json"] = SmallFile.Read(path, 1 << 20);
        }

        foreach (string name in (string[])["config.json", "generation_config.json"])
        {
            if (files.TryGetValue(name, out ReadOnlyMemory<byte> file))
            {
                named.UnionWith(Guarded(header.Path, name, () => TokenIdFields.Named(file)));
            }
        }

        return named;
    }

    /// <summary>The configuration.</summary>
    public DecoderConfig Apply(DecoderConfig config) => config with { VocabSize = tokens.Count };

    /// <summary>A tensor: those with a row for each token lose rows.</summary>
    public ModelTensor Apply(ModelTensor tensor) => HasRowPerToken(tensor.Name) ? tensor.Picked(_kept) : tensor;

    /// <summary>Whether the rows of a tensor are tokens.</summary>
    public static bool HasRowPerToken(string name) => name is "token_embd.weight" or "output.weight" or "output.bias";

    /// <summary>A model's metadata, in place.</summary>
    /// <param name="metadata">As they would be written for the whole vocabulary.</param>
    public void Apply(GgufMetadata metadata)
    {
        using GgufFile said = GgufFile.InMemory(metadata);
        Metadata before = said.Metadata;
        foreach (string key in before.Keys)
        {
            if (key.EndsWith(".vocab_size", StringComparison.Ordinal))
            {
                metadata.Set(key, (uint)tokens.Count);
            }
            else if (IsTokenKey(key))
            {
                SetIds(metadata, key, before);
            }
        }

        metadata.Remove("tokenizer.huggingface.json");
        if (GgufTokenizer.IsIn(before))
        {
            SetTokenizer(metadata, before);
        }

        Dictionary<string, ReadOnlyMemory<byte>> files = KeptFiles.Of(before);
        foreach (string key in before.Keys.Where(KeptFiles.IsKey))
        {
            metadata.Remove(key);
        }

        Apply(files, before.File);
        foreach ((string name, ReadOnlyMemory<byte> file) in files)
        {
            KeptFiles.Put(metadata, name, file);
        }
    }

    /// <summary>The files of a folder, in place.</summary>
    /// <param name="files">By name.</param>
    /// <param name="place">For messages.</param>
    /// <exception cref="ModelFormatException">One is malformed.</exception>
    public void Apply(Dictionary<string, ReadOnlyMemory<byte>> files, string place)
    {
        // What these say, tokenizer.json says too.
        foreach (string old in (string[])["vocab.json", "merges.txt", "tokenizer.model"])
        {
            files.Remove(old);
        }

        foreach ((string name, Func<ReadOnlyMemory<byte>, byte[]> change) in ((string, Func<ReadOnlyMemory<byte>, byte[]>)[])
            [
                ("tokenizer.json", file => TokenizerTrim.Apply(file, tokens)),
                ("tokenizer_config.json", file => TokenIdFields.ApplyToTokenizerConfig(file, tokens)),
                ("added_tokens.json", file => TokenIdFields.ApplyToMap(file, tokens)),
                ("generation_config.json", file => TokenIdFields.Apply(file, tokens)),
                ("config.json", file => TokenIdFields.Apply(file, tokens)),
            ])
        {
            if (files.TryGetValue(name, out ReadOnlyMemory<byte> file))
            {
                files[name] = Guarded(place, name, () => change(file));
            }
        }
    }

    /// <summary>Says of a tokenizer.json that was made from a GGUF file which one it is now, so that the file's own keys are believed on the way back.</summary>
    public static void Rehash(GgufMetadata kept, IReadOnlyDictionary<string, ReadOnlyMemory<byte>> files)
    {
        if (kept.Contains(KeptFiles.TokenizerHashKey) && files.TryGetValue("tokenizer.json", out ReadOnlyMemory<byte> json))
        {
            kept.Set(KeptFiles.TokenizerHashKey, Convert.ToHexStringLower(SHA256.HashData(json.Span)));
        }
    }

    private static bool IsTokenKey(string key) =>
        key.EndsWith("_token_id", StringComparison.Ordinal) || key.EndsWith("_token_ids", StringComparison.Ordinal) || key == Prefix + "suppress_tokens";

    private static int[] Ids(Metadata metadata, string key)
    {
        switch (metadata.KindOf(key))
        {
            case MetadataKind.Array:
                return metadata.TryGetInts(key, out int[] ids) ? ids : [];
            case MetadataKind.String or MetadataKind.Bool or MetadataKind.Float32 or MetadataKind.Float64 or null:
                return [];
            default:
                return metadata.TryGetInt(key, out long id) && id is >= 0 and < int.MaxValue ? [(int)id] : [];
        }
    }

    private static T Guarded<T>(string place, string name, Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception failure) when (failure is JsonException or TokenizerFormatException or InvalidOperationException or FormatException)
        {
            throw new ModelFormatException(place, -1, $"{name} is malformed: {failure.Message}", failure);
        }
    }

    private void SetIds(GgufMetadata metadata, string key, Metadata before)
    {
        int[] ids = Ids(before, key);
        if (before.KindOf(key) == MetadataKind.Array)
        {
            metadata.Set(key, tokens.NewIds(ids).AsSpan());
        }
        else if (ids.Length == 1 && ids[0] < tokens.CountBefore)
        {
            if (tokens.NewId(ids[0]) is >= 0 and int id)
            {
                metadata.Set(key, (uint)id);
            }
            else
            {
                metadata.Remove(key);
            }
        }
    }

    private void SetTokenizer(GgufMetadata metadata, Metadata before)
    {
        TokenizerDefinition whole = GgufTokenizer.Describe(before);
        TokenizerDefinition trimmed = TokenizerTrim.Apply(whole, tokens);
        Tokenizer tokenizer = Tokenizer.Create(whole);
        metadata.SetStrings(Prefix + "tokens", trimmed.Pieces.Count, id => trimmed.Pieces[id].ToArray());
        if (before.Contains(Prefix + "scores"))
        {
            metadata.Set(Prefix + "scores", trimmed.Scores.AsSpan());
        }

        if (before.Contains(Prefix + "token_type"))
        {
            metadata.Set(Prefix + "token_type", trimmed.Kinds.AsSpan());
        }

        if (trimmed.Merges is { } merges && before.Contains(Prefix + "merges"))
        {
            metadata.SetStrings(Prefix + "merges", merges.Count / 2, i => (byte[])[.. merges[2 * i], (byte)' ', .. merges[(2 * i) + 1]]);
        }

        // Where the file leaves a number to a default that is another token now.
        (string Key, int? Default, int? Now)[] roles =
        [
            ("bos_token_id", tokenizer.BosId, trimmed.BosId), ("eos_token_id", tokenizer.EosId, trimmed.EosId), ("unknown_token_id", tokenizer.UnkId, trimmed.UnkId),
            ("seperator_token_id", tokenizer.SepId, trimmed.SepId), ("padding_token_id", tokenizer.PadId, trimmed.PadId), ("mask_token_id", tokenizer.MaskId, trimmed.MaskId),
        ];
        foreach ((string key, int? byDefault, int? now) in roles)
        {
            if (!before.Contains(Prefix + key) && now is { } id && byDefault != now)
            {
                metadata.Set(Prefix + key, (uint)id);
            }
        }
    }
}
