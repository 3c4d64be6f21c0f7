// Makes a tokenizer of what a GGUF file says about its vocabulary. Knows the keys; how text becomes tokens is the Text room's.
using System.Runtime.CompilerServices;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Models.Files;

/// <summary>Reads <c>tokenizer.ggml.*</c>.</summary>
public static class GgufTokenizer
{
    private const string Prefix = "tokenizer.ggml.";

    /// <summary>Whether the file has a vocabulary.</summary>
    public static bool IsIn(Metadata metadata)
    {
        ArgumentNullException.ThrowIfNull(metadata);
        return metadata.Contains(Prefix + "tokens");
    }

    /// <summary>The tokenizer of a file. Everything is copied: it lives on after the file is closed.</summary>
    /// <exception cref="ModelFormatException">The vocabulary is absent, of a kind that is not known, or contradicts itself.</exception>
    public static Tokenizer Read(Metadata metadata)
    {
        ArgumentNullException.ThrowIfNull(metadata);
        try
        {
            return Tokenizer.Create(Describe(metadata));
        }
        catch (TokenizerFormatException e)
        {
            throw new ModelFormatException(metadata.File, -1, e.Message, e);
        }
    }

    /// <summary>What the file says, in the Text room's terms.</summary>
    /// <exception cref="ModelFormatException">The vocabulary is absent, of a kind that is not known, or has values of wrong types.</exception>
    public static TokenizerDefinition Describe(Metadata metadata)
    {
        ArgumentNullException.ThrowIfNull(metadata);
        string model = metadata.GetString(Prefix + "model");
        TokenizerModelKind kind = model switch
        {
            "gpt2" or "whitespace" => TokenizerModelKind.ByteLevelBytePair,
            "gemma4" => TokenizerModelKind.PlainBytePair,
            "llama" => TokenizerModelKind.SentencePiece,
            "t5" => TokenizerModelKind.Unigram,
            "bert" => TokenizerModelKind.WordPiece,
            _ => throw new ModelFormatException(metadata.File, -1,
                $"The tokenizer is of the kind {ModelFormatException.Quote(model)}; known are gpt2, gemma4, llama, t5, bert and whitespace. Convert the model with one of these, or give the text as ids."),
        };
        if (!metadata.TryGetStrings(Prefix + "tokens", out Utf8Strings tokens))
        {
            throw new ModelFormatException(metadata.File, -1, $"There is no {Prefix}tokens; expected the pieces of the vocabulary.");
        }

        string? pre = metadata.TryGetString(Prefix + "pre", out string name) ? name : null;
        string arch = metadata.GetString("general.architecture", ""), title = metadata.GetString("general.name", "").ToLowerInvariant();
        PieceList pieces = ReadPieces(tokens);
        return new TokenizerDefinition
        {
            Model = kind,
            Pieces = pieces,
            Scores = ReadScores(metadata),
            Kinds = metadata.TryGetInts(Prefix + "token_type", out int[] kinds) ? kinds : null,
            Merges = metadata.TryGetStrings(Prefix + "merges", out Utf8Strings merges) ? ReadMerges(merges) : null,
            PreTokenizer = model == "whitespace" ? "whitespace" : pre,
            BosId = Id(metadata, "bos_token_id"),
            EosId = Id(metadata, "eos_token_id"),
            EotId = Id(metadata, "eot_token_id"),
            EomId = Id(metadata, "eom_token_id"),
            UnkId = Id(metadata, "unknown_token_id"),
            SepId = Id(metadata, "seperator_token_id") ?? Id(metadata, "separator_token_id"), // the first spelling is GGUF's own
            PadId = Id(metadata, "padding_token_id"),
            MaskId = Id(metadata, "mask_token_id"),
            ClsId = Id(metadata, "cls_token_id"),
            Hole = new NamedHoleTokens( // the second spellings are those of old files
                Id(metadata, "fim_pre_token_id") ?? Id(metadata, "prefix_token_id"),
                Id(metadata, "fim_suf_token_id") ?? Id(metadata, "suffix_token_id"),
                Id(metadata, "fim_mid_token_id") ?? Id(metadata, "middle_token_id"),
                Id(metadata, "fim_pad_token_id"),
                Id(metadata, "fim_rep_token_id"),
                Id(metadata, "fim_sep_token_id")),
            AddBos = Flag(metadata, "add_bos_token"),
            AddEos = Flag(metadata, "add_eos_token"),
            AddSep = Flag(metadata, "add_sep_token"),
            AddSpacePrefix = Flag(metadata, "add_space_prefix"),
            RemoveExtraWhitespaces = Flag(metadata, "remove_extra_whitespaces"),
            Lowercase = Flag(metadata, "normalizer.lowercase"),
            StripAccents = Flag(metadata, "normalizer.strip_accents"),
            PrecompiledCharsMap = metadata.TryGetInts(Prefix + "precompiled_charsmap", out int[] map) ? Array.ConvertAll(map, static value => unchecked((byte)value)) : null,
            AddedTokensStripRight = title.Contains("phi-3", StringComparison.Ordinal) || title.Contains("phi3", StringComparison.Ordinal),
            TokensStrippingLeft = StrippingLeft(pieces, pre ?? "", arch, title),
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // runs once, over a hundred thousand strings
    private static PieceList ReadPieces(Utf8Strings tokens)
    {
        PieceList pieces = new(tokens.Count, tokens.Count * 8);
        for (int i = 0; i < tokens.Count; i++)
        {
            pieces.Add(tokens[i]);
        }

        return pieces;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static PieceList ReadMerges(Utf8Strings merges)
    {
        PieceList halves = new(merges.Count * 2, merges.Count * 8);
        for (int i = 0; i < merges.Count; i++)
        {
            halves.AddMerge(merges[i]);
        }

        return halves;
    }

    private static float[]? ReadScores(Metadata metadata) => metadata.ElementKindOf(Prefix + "scores") switch
    {
        null => null,
        MetadataKind.Float32 or MetadataKind.Float64 => metadata.TryGetFloats(Prefix + "scores", out float[] scores) ? scores : null,
        _ => metadata.TryGetInts(Prefix + "scores", out int[] whole) ? Array.ConvertAll(whole, static value => (float)value) : null,
    };

    // The mask of these models swallows the space before it, which GGUF files have no place to say.
    private static int[] StrippingLeft(PieceList pieces, string pre, string arch, string title)
    {
        ReadOnlySpan<byte> mask = pre.Contains("jina-v2-", StringComparison.Ordinal) || arch is "nomic-bert-moe" or "jina-bert-v3" ? "<mask>"u8
            : title.Contains("modern-bert", StringComparison.Ordinal) ? "[MASK]"u8 : default;
        for (int id = 0; id < pieces.Count && !mask.IsEmpty; id++)
        {
            if (pieces[id].SequenceEqual(mask))
            {
                return [id];
            }
        }

        return [];
    }

    // -1 and its unsigned spelling stand for none.
    private static int? Id(Metadata metadata, string key) =>
        metadata.TryGetInt(Prefix + key, out long id) && id is >= 0 and < int.MaxValue ? (int)id : null;

    private static bool? Flag(Metadata metadata, string key) => metadata.TryGetBool(Prefix + key, out bool value) ? value : null;
}
