// A tokenizer and chat templates as GGUF metadata, and back to the files of a folder. Knows the keys; how text becomes tokens is the Text room's.
using System.Security.Cryptography;
using System.Text;
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Models.Export;

/// <summary>Writes <c>tokenizer.*</c>, and the files that say the same.</summary>
internal static class GgufVocabulary
{
    private const string Prefix = "tokenizer.ggml.";
    private const string TemplateKey = "tokenizer.chat_template";

    /// <summary>Sets the keys of a folder's tokenizer and templates.</summary>
    /// <param name="metadata">What is written.</param>
    /// <param name="folder">The folder.</param>
    /// <param name="rows">Rows of the embedding, as many as tokens other programs want.</param>
    /// <returns>What could not be said; null for nothing.</returns>
    public static string? Set(GgufMetadata metadata, HuggingFaceFolder folder, int rows)
    {
        SetTemplates(metadata, folder.ChatTemplates);
        if (folder.FindFile("tokenizer.json") is not { } path)
        {
            metadata.Set(Prefix + "model", "none"); // so that llama.cpp opens a file without a vocabulary
            return "The folder has no tokenizer.json, so the file has no vocabulary: it runs on token ids only.";
        }

        const int MaxBytes = 256 * 1024 * 1024;
        byte[] json = SmallFile.Read(path, MaxBytes);
        byte[] config = folder.FindFile("tokenizer_config.json") is { } configPath ? SmallFile.Read(configPath, MaxBytes) : [];
        try
        {
            TokenizerDefinition definition = TokenizerExchange.Describe(json, config, out string? warning);
            Set(metadata, definition, rows);
            return warning;
        }
        catch (TokenizerFormatException failure)
        {
            throw new ModelFormatException(path, -1, failure.Message, failure);
        }
    }

    /// <summary>Sets the keys of a tokenizer.</summary>
    public static void Set(GgufMetadata metadata, TokenizerDefinition definition, int rows)
    {
        int count = definition.Pieces.Count, padded = Math.Max(rows, count);
        bool isBytePair = definition.Model == TokenizerModelKind.ByteLevelBytePair;
        metadata.Set(Prefix + "model", definition.Model switch
        {
            TokenizerModelKind.ByteLevelBytePair => "gpt2",
            TokenizerModelKind.SentencePiece => "llama",
            TokenizerModelKind.Unigram => "t5",
            _ => throw new NotSupportedException($"A tokenizer of the kind {definition.Model} has no counterpart in GGUF files of decoders."),
        });
        metadata.Set(Prefix + "pre", definition.PreTokenizer ?? "default");
        metadata.SetStrings(Prefix + "tokens", padded, id => id < count ? definition.Pieces[id].ToArray() : Encoding.UTF8.GetBytes($"[PAD{id}]"));
        int[] kinds = [.. Enumerable.Range(0, padded).Select(id => id >= count ? (int)TokenKind.Unused : definition.Kinds?[id] ?? (int)TokenKind.Normal)];
        if (definition.Scores is { } scores)
        {
            float[] all = new float[padded];
            Array.Fill(all, -1000);
            scores.AsSpan(0, count).CopyTo(all);
            metadata.Set(Prefix + "scores", all.AsSpan());
        }

        metadata.Set(Prefix + "token_type", kinds.AsSpan());
        if (definition.Merges is { } merges && isBytePair)
        {
            metadata.SetStrings(Prefix + "merges", merges.Count / 2, i => (byte[])[.. merges[2 * i], (byte)' ', .. merges[(2 * i) + 1]]);
        }

        (string Key, int? Id)[] ids =
        [
            ("bos_token_id", definition.BosId), ("eos_token_id", definition.EosId), ("eot_token_id", definition.EotId), ("unknown_token_id", definition.UnkId),
            ("padding_token_id", definition.PadId), ("seperator_token_id", definition.SepId), ("mask_token_id", definition.MaskId),
        ];
        foreach ((string key, int? id) in ids)
        {
            if (id is { } number)
            {
                metadata.Set(Prefix + key, (uint)number);
            }
        }

        metadata.Set(Prefix + "add_bos_token", definition.AddBos ?? false);
        metadata.Set(Prefix + "add_eos_token", definition.AddEos ?? false);
        if (!isBytePair)
        {
            metadata.Set(Prefix + "add_space_prefix", definition.AddSpacePrefix ?? true);
        }
    }

    /// <summary>The files of a tokenizer that lies in a GGUF file.</summary>
    /// <param name="header">The model.</param>
    /// <param name="files">What is written; those that are there already stay.</param>
    /// <param name="kept">Gets the hash of a tokenizer.json that was written here.</param>
    /// <returns>What could not be said; null for nothing.</returns>
    public static string? AddFiles(ModelHeader header, Dictionary<string, ReadOnlyMemory<byte>> files, GgufMetadata kept)
    {
        ModelText text = ModelText.Of(header.Gguf!);
        if (!files.Keys.Any(name => name is "chat_template.jinja" or "chat_template.json"))
        {
            foreach ((string name, string template) in text.ChatTemplates)
            {
                files.TryAdd(name == HuggingFaceFolder.DefaultTemplate ? "chat_template.jinja" : $"additional_chat_templates/{name}.jinja", Encoding.UTF8.GetBytes(template));
            }
        }

        if (!text.HasTokenizer)
        {
            return files.ContainsKey("tokenizer.json") ? null : "The file has no vocabulary, so the folder has no tokenizer.json: it runs on token ids only.";
        }

        string? warning = null;
        Tokenizer tokenizer = text.Tokenizer;
        if (!files.ContainsKey("tokenizer.json"))
        {
            try
            {
                byte[] json = TokenizerExchange.ToJson(GgufTokenizer.Describe(header.Gguf!.Metadata));
                byte[] config = Config(tokenizer);
                string? difference = TokenizerExchange.Difference(tokenizer, Tokenizer.FromJson(json, config));
                warning = difference is null ? null : $"The tokenizer cannot be said in full in tokenizer.json: \"{difference.ReplaceLineEndings("\\n")}\" becomes other tokens there.";
                files.Add("tokenizer.json", json);
                files.TryAdd("tokenizer_config.json", config);
                kept.Set(KeptFiles.TokenizerHashKey, Convert.ToHexStringLower(SHA256.HashData(json)));
            }
            catch (NotSupportedException failure)
            {
                warning = $"{failure.Message} The folder has no tokenizer.json; its vocabulary is in {HuggingFaceFolderWriter.KeptMetadataName}.";
            }
        }

        if (!files.ContainsKey("generation_config.json"))
        {
            files.Add("generation_config.json", Generation(tokenizer));
        }

        return warning;
    }

    private static void SetTemplates(GgufMetadata metadata, IReadOnlyDictionary<string, string> templates)
    {
        string[] more = [.. templates.Keys.Where(name => name != HuggingFaceFolder.DefaultTemplate).Order(StringComparer.Ordinal)];
        if (templates.TryGetValue(HuggingFaceFolder.DefaultTemplate, out string? usual))
        {
            metadata.Set(TemplateKey, usual);
        }

        if (more.Length > 0)
        {
            metadata.Set("tokenizer.chat_templates", more);
            Array.ForEach(more, name => metadata.Set($"{TemplateKey}.{name}", templates[name]));
        }
    }

    private static byte[] Config(Tokenizer tokenizer)
    {
        HuggingFaceConfig fields = new();
        fields.Set("tokenizer_class", "PreTrainedTokenizerFast");
        fields.Set("clean_up_tokenization_spaces", false);
        fields.Set("add_bos_token", tokenizer.AddsBos);
        fields.Set("add_eos_token", tokenizer.AddsEos);
        foreach ((string name, int? id) in ((string, int?)[])[("bos_token", tokenizer.BosId), ("eos_token", tokenizer.EosId), ("unk_token", tokenizer.UnkId), ("pad_token", tokenizer.PadId)])
        {
            if (id is { } number)
            {
                fields.Set(name, tokenizer.Piece(number));
            }
        }

        return fields.ToBytes();
    }

    private static byte[] Generation(Tokenizer tokenizer)
    {
        HuggingFaceConfig fields = new();
        fields.SetOrNull("bos_token_id", tokenizer.BosId);
        fields.SetOrNull("pad_token_id", tokenizer.PadId);
        fields.Set("eos_token_id", tokenizer.EndOfGenerationIds);
        return fields.ToBytes();
    }
}
