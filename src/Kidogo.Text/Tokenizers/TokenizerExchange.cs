// Between tokenizer.json and the neutral description that other model files keep. Knows both forms, and says where one cannot be the other.
using System.Text;
using System.Text.Json;

namespace Kidogo.Text.Tokenizers;

/// <summary>Describes a tokenizer.json in neutral terms, and writes one.</summary>
public static class TokenizerExchange
{
    /// <summary>Texts that two tokenizers must agree on to count as the same.</summary>
    private static readonly string[] s_probes =
    [
        "Hello, world!", "  two  spaces   three", "The 2026 price is 1,234,567.89 $", "don't we'll I'M", "tabs\tand\nlines\n\n\nhere \n x", "Habari ya asubuhi, ndugu zangu?", "Où est l'été à Dakar ?",
        "Καλημέρα κόσμε", "今日は良い天気ですね。", "x = foo(bar[3]) != \"a_b\"; // ok", "😀👍🏽 emoji", "ALLCAPS MixedCase snake_case", " leading", "trailing ", "...!!!???", "a1b22c333d4444",
    ];

    /// <summary>What a tokenizer.json says, in the terms of GGUF files.</summary>
    /// <param name="tokenizerJson">The file.</param>
    /// <param name="configJson">tokenizer_config.json; empty where there is none.</param>
    /// <param name="warning">In which way texts may be tokenised otherwise; null where all probes agree.</param>
    /// <exception cref="TokenizerFormatException">A file is malformed.</exception>
    /// <exception cref="NotSupportedException">The kind of tokenizer has no counterpart.</exception>
    public static TokenizerDefinition Describe(ReadOnlyMemory<byte> tokenizerJson, ReadOnlyMemory<byte> configJson, out string? warning)
    {
        Tokenizer original = Tokenizer.FromJson(tokenizerJson, configJson);
        JsonVocabulary file = JsonVocabulary.Read(tokenizerJson.Span);
        JsonElement config = TokenizerJson.ReadConfig(configJson);
        Vocabulary vocabulary = TokenizerJson.NumberPieces(file, TokenizerJson.ReadEntries(file, config), out double[] scores);
        string type = TokenizerJson.ModelType(file);
        TokenizerDefinition definition = type switch
        {
            "BPE" when TokenizerJson.Flag(file, "byte_fallback") => SentencePiece(file, vocabulary),
            "BPE" => BytePair(file, vocabulary),
            "Unigram" => new TokenizerDefinition { Model = TokenizerModelKind.Unigram, Pieces = Named(vocabulary), Scores = Array.ConvertAll(scores, score => (float)score), AddSpacePrefix = true },
            _ => throw new NotSupportedException($"A tokenizer of the kind {type} has no counterpart in GGUF files of decoders."),
        };
        int[] kinds = KindsOf(vocabulary, definition.Model, original.UnkId);
        definition = definition with
        {
            Kinds = kinds,
            BosId = original.BosId,
            EosId = original.EosId,
            EotId = original.EotId,
            UnkId = original.UnkId,
            PadId = original.PadId,
            SepId = original.SepId,
            MaskId = original.MaskId,
            AddBos = original.AddsBos,
            AddEos = original.AddsEos,
        };
        warning = Difference(original, Tokenizer.Create(definition)) is { } text
            ? $"The tokenizer cannot be said in full in a GGUF file: \"{text.ReplaceLineEndings("\\n")}\" becomes other tokens there."
            : null;
        return definition;
    }

    /// <summary>A tokenizer.json of a neutral description.</summary>
    /// <exception cref="NotSupportedException">The kind of tokenizer, or its pre-tokenizer, is none that can be written.</exception>
    public static byte[] ToJson(TokenizerDefinition definition)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true, NewLine = "\n", Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            TokenizerJsonWriting.Write(json, definition);
        }

        return bytes.ToArray();
    }

    /// <summary>The first probe that two tokenizers disagree on; null where they agree on all.</summary>
    public static string? Difference(Tokenizer a, Tokenizer b) => s_probes.FirstOrDefault(text => !a.Encode(text, addSpecial: true).SequenceEqual(b.Encode(text, addSpecial: true)));

    private static TokenizerDefinition BytePair(JsonVocabulary file, Vocabulary vocabulary) => new()
    {
        Model = TokenizerModelKind.ByteLevelBytePair,
        Pieces = Named(vocabulary),
        Merges = file.Merges ?? new PieceList(),
        PreTokenizer = PreTokenizerNames.Of(TokenizerJson.Element(file.Rest, "pre_tokenizer"), TokenizerJson.Flag(file, "ignore_merges")) ?? "default",
    };

    /// <summary>Merges in order are what SentencePiece keeps as scores: the earlier a piece can be made, the higher.</summary>
    private static TokenizerDefinition SentencePiece(JsonVocabulary file, Vocabulary vocabulary)
    {
        PieceList merges = file.Merges ?? new PieceList();
        float[] scores = new float[vocabulary.Count];
        Array.Fill(scores, float.NaN);
        byte[] joined = new byte[256];
        for (int i = 0; i + 1 < merges.Count; i += 2)
        {
            int length = merges[i].Length + merges[i + 1].Length;
            joined = length > joined.Length ? new byte[length * 2] : joined;
            merges[i].CopyTo(joined);
            merges[i + 1].CopyTo(joined.AsSpan(merges[i].Length));
            int id = vocabulary.Find(joined.AsSpan(0, length));
            if (id >= 0 && float.IsNaN(scores[id]))
            {
                scores[id] = -(i / 2);
            }
        }

        for (int id = 0; id < scores.Length; id++)
        {
            bool isMade = !float.IsNaN(scores[id]);
            bool isText = vocabulary.Kinds[id] == TokenKind.Normal && Vocabulary.ByteOf(vocabulary[id]) < 0;
            scores[id] = isMade ? scores[id] : isText ? -(merges.Count / 2) - id : 0;
        }

        return new TokenizerDefinition
        {
            Model = TokenizerModelKind.SentencePiece,
            Pieces = Named(vocabulary),
            Scores = scores,
            PreTokenizer = "default",
            AddSpacePrefix = TokenizerJson.Element(file.Rest, "normalizer") is { } normalizer && Prepends(normalizer)
                || TokenizerJson.Element(file.Rest, "pre_tokenizer") is { } words && words.Text("type") == "Metaspace" && words.Text("prepend_scheme") is null or "always" or "first",
        };
    }

    private static bool Prepends(JsonElement json) => json.Text("type") switch
    {
        "Prepend" => true,
        "Sequence" => json.Items("normalizers").Any(Prepends),
        _ => false,
    };

    /// <summary>The pieces, with names for numbers that have none: other programs want each to be another.</summary>
    private static PieceList Named(Vocabulary vocabulary)
    {
        PieceList pieces = new(vocabulary.Count, vocabulary.Count * 8);
        for (int id = 0; id < vocabulary.Count; id++)
        {
            pieces.Add(vocabulary[id].IsEmpty ? Encoding.UTF8.GetBytes($"[PAD{id}]") : vocabulary[id]);
        }

        return pieces;
    }

    private static int[] KindsOf(Vocabulary vocabulary, TokenizerModelKind model, int? unknown)
    {
        int[] kinds = new int[vocabulary.Count];
        for (int id = 0; id < kinds.Length; id++)
        {
            bool isByte = model is TokenizerModelKind.SentencePiece or TokenizerModelKind.Unigram && vocabulary.Kinds[id] == TokenKind.Normal && Vocabulary.ByteOf(vocabulary[id]) >= 0;
            kinds[id] = (int)(isByte ? TokenKind.Byte : id == unknown && model != TokenizerModelKind.ByteLevelBytePair ? TokenKind.Unknown : vocabulary.Kinds[id]);
        }

        return kinds;
    }
}
