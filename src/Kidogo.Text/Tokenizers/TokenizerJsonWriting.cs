// Writes tokenizer.json of a neutral description. Knows the format; which names stand for which steps is said elsewhere.
using System.Text;
using System.Text.Json;

namespace Kidogo.Text.Tokenizers;

/// <summary>Writes the members of tokenizer.json.</summary>
internal static class TokenizerJsonWriting
{
    public static void Write(Utf8JsonWriter json, TokenizerDefinition definition)
    {
        bool isByteLevel = definition.Model == TokenizerModelKind.ByteLevelBytePair;
        if (!isByteLevel && definition.Model != TokenizerModelKind.SentencePiece)
        {
            throw new NotSupportedException($"A tokenizer of the kind {definition.Model} cannot be written as tokenizer.json yet.");
        }

        int count = definition.Pieces.Count;
        TokenKind[] kinds = [.. Enumerable.Range(0, count).Select(id => definition.Kinds is null ? TokenKind.Normal : (TokenKind)definition.Kinds[id])];
        Vocabulary vocabulary = new(definition.Pieces, kinds);
        json.WriteStartObject();
        json.WriteString("version", "1.0");
        json.WriteNull("truncation");
        json.WriteNull("padding");
        WriteAdded(json, vocabulary);
        WriteNormalizer(json, definition, isByteLevel);
        json.WritePropertyName("pre_tokenizer");
        if (!isByteLevel)
        {
            json.WriteNullValue();
        }
        else if (!PreTokenizerNames.Write(json, definition.PreTokenizer))
        {
            throw new NotSupportedException($"The pre-tokenizer {definition.PreTokenizer} cannot be written as tokenizer.json yet.");
        }

        WriteSurroundings(json, definition, vocabulary, isByteLevel);
        WriteDecoder(json, definition, isByteLevel);
        WriteModel(json, definition, vocabulary, isByteLevel);
        json.WriteEndObject();
    }

    private static string Piece(Vocabulary vocabulary, int id) => Encoding.UTF8.GetString(vocabulary[id]);

    private static void WriteAdded(Utf8JsonWriter json, Vocabulary vocabulary)
    {
        json.WriteStartArray("added_tokens");
        for (int id = 0; id < vocabulary.Count; id++)
        {
            if (vocabulary.Kinds[id] is not (TokenKind.Control or TokenKind.UserDefined or TokenKind.Unknown))
            {
                continue;
            }

            json.WriteStartObject();
            json.WriteNumber("id", id);
            json.WriteString("content", Piece(vocabulary, id));
            json.WriteBoolean("single_word", false);
            json.WriteBoolean("lstrip", false);
            json.WriteBoolean("rstrip", false);
            json.WriteBoolean("normalized", false);
            json.WriteBoolean("special", vocabulary.Kinds[id] != TokenKind.UserDefined);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteNormalizer(Utf8JsonWriter json, TokenizerDefinition definition, bool isByteLevel)
    {
        if (isByteLevel)
        {
            json.WriteNull("normalizer");
            return;
        }

        json.WriteStartObject("normalizer");
        json.WriteString("type", "Sequence");
        json.WriteStartArray("normalizers");
        if (definition.AddSpacePrefix ?? true)
        {
            json.WriteStartObject();
            json.WriteString("type", "Prepend");
            json.WriteString("prepend", "▁");
            json.WriteEndObject();
        }

        WriteReplace(json, " ", "▁");
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteReplace(Utf8JsonWriter json, string what, string by)
    {
        json.WriteStartObject();
        json.WriteString("type", "Replace");
        json.WriteStartObject("pattern");
        json.WriteString("String", what);
        json.WriteEndObject();
        json.WriteString("content", by);
        json.WriteEndObject();
    }

    private static void WriteSurroundings(Utf8JsonWriter json, TokenizerDefinition definition, Vocabulary vocabulary, bool isByteLevel)
    {
        bool addsBos = definition.AddBos ?? (!isByteLevel || KnownPatterns.AddsBos(definition.PreTokenizer));
        int? bos = addsBos ? definition.BosId ?? (isByteLevel ? null : 1) : null;
        int? eos = definition.AddEos == true ? definition.EosId ?? (isByteLevel ? null : 2) : null;
        json.WritePropertyName("post_processor");
        if (bos is null && eos is null)
        {
            if (isByteLevel)
            {
                PreTokenizerNames.WriteByteLevel(json, usesPattern: true);
            }
            else
            {
                json.WriteNullValue();
            }

            return;
        }

        json.WriteStartObject();
        json.WriteString("type", "TemplateProcessing");
        foreach ((string name, string[] sequences) in ((string, string[])[])[("single", ["A"]), ("pair", ["A", "B"])])
        {
            json.WriteStartArray(name);
            for (int i = 0; i < sequences.Length; i++)
            {
                WritePart(json, "SpecialToken", bos is { } first ? Piece(vocabulary, first) : null, i);
                WritePart(json, "Sequence", sequences[i], i);
                WritePart(json, "SpecialToken", eos is { } last ? Piece(vocabulary, last) : null, i);
            }

            json.WriteEndArray();
        }

        json.WriteStartObject("special_tokens");
        foreach (int id in ((int?[])[bos, eos]).OfType<int>().Distinct())
        {
            string piece = Piece(vocabulary, id);
            json.WriteStartObject(piece);
            json.WriteString("id", piece);
            json.WriteStartArray("ids");
            json.WriteNumberValue(id);
            json.WriteEndArray();
            json.WriteStartArray("tokens");
            json.WriteStringValue(piece);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WritePart(Utf8JsonWriter json, string kind, string? id, int type)
    {
        if (id is null)
        {
            return;
        }

        json.WriteStartObject();
        json.WriteStartObject(kind);
        json.WriteString("id", id);
        json.WriteNumber("type_id", type);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteDecoder(Utf8JsonWriter json, TokenizerDefinition definition, bool isByteLevel)
    {
        json.WritePropertyName("decoder");
        if (isByteLevel)
        {
            PreTokenizerNames.WriteByteLevel(json, usesPattern: true);
            return;
        }

        json.WriteStartObject();
        json.WriteString("type", "Sequence");
        json.WriteStartArray("decoders");
        WriteReplace(json, "▁", " ");
        foreach (string type in (string[])["ByteFallback", "Fuse"])
        {
            json.WriteStartObject();
            json.WriteString("type", type);
            json.WriteEndObject();
        }

        if (definition.AddSpacePrefix ?? true)
        {
            json.WriteStartObject();
            json.WriteString("type", "Strip");
            json.WriteString("content", " ");
            json.WriteNumber("start", 1);
            json.WriteNumber("stop", 0);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteModel(Utf8JsonWriter json, TokenizerDefinition definition, Vocabulary vocabulary, bool isByteLevel)
    {
        json.WriteStartObject("model");
        json.WriteString("type", "BPE");
        json.WriteNull("dropout");
        int? unknown = isByteLevel ? definition.UnkId : definition.UnkId ?? 0;
        if (unknown is { } id)
        {
            json.WriteString("unk_token", Piece(vocabulary, id));
        }
        else
        {
            json.WriteNull("unk_token");
        }

        json.WriteNull("continuing_subword_prefix");
        json.WriteNull("end_of_word_suffix");
        json.WriteBoolean("fuse_unk", !isByteLevel);
        json.WriteBoolean("byte_fallback", !isByteLevel);
        json.WriteBoolean("ignore_merges", isByteLevel && KnownPatterns.IgnoresMerges(definition.PreTokenizer));
        json.WriteStartObject("vocab");
        HashSet<string> seen = new(StringComparer.Ordinal);
        for (int i = 0; i < vocabulary.Count; i++)
        {
            string piece = Piece(vocabulary, i);
            json.WriteNumber(seen.Add(piece) ? piece : $"[{i}]", i); // bytes that are no text, or a name that occurs twice
        }

        json.WriteEndObject();
        json.WriteStartArray("merges");
        foreach ((string left, string right) in isByteLevel ? Merges(definition) : MergesOfScores(definition, vocabulary))
        {
            json.WriteStartArray();
            json.WriteStringValue(left);
            json.WriteStringValue(right);
            json.WriteEndArray();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static IEnumerable<(string Left, string Right)> Merges(TokenizerDefinition definition)
    {
        PieceList merges = definition.Merges ?? new PieceList();
        for (int i = 0; i + 1 < merges.Count; i += 2)
        {
            yield return (Encoding.UTF8.GetString(merges[i]), Encoding.UTF8.GetString(merges[i + 1]));
        }
    }

    /// <summary>SentencePiece merges whichever two neighbours make the piece of the highest score: every way to make a piece, pieces by score.</summary>
    private static List<(string Left, string Right)> MergesOfScores(TokenizerDefinition definition, Vocabulary vocabulary)
    {
        List<(string Left, string Right)> merges = [];
        int[] order = [.. Enumerable.Range(0, vocabulary.Count).Where(id => vocabulary.Kinds[id] == TokenKind.Normal)];
        Array.Sort(Array.ConvertAll(order, id => (-definition.Scores![id], id)), order);
        foreach (int id in order)
        {
            byte[] piece = vocabulary[id].ToArray();
            for (int i = 1; i < piece.Length; i++)
            {
                bool isBoundary = (piece[i] & 0xC0) != 0x80;
                if (isBoundary && IsText(piece.AsSpan(0, i)) && IsText(piece.AsSpan(i)))
                {
                    merges.Add((Encoding.UTF8.GetString(piece, 0, i), Encoding.UTF8.GetString(piece, i, piece.Length - i)));
                }
            }
        }

        return merges;

        bool IsText(ReadOnlySpan<byte> part) => vocabulary.Find(part) is >= 0 and int id && vocabulary.Kinds[id] == TokenKind.Normal;
    }
}
