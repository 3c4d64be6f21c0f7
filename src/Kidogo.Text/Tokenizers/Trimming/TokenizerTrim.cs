// A tokenizer's description without the tokens that go. Knows both forms of description; what goes is decided elsewhere.
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Kidogo.Text.Tokenizers.Trimming;

/// <summary>Writes descriptions of trimmed tokenizers.</summary>
public static class TokenizerTrim
{
    private const int MaxDepth = 64;

    /// <summary>What a model file says about its vocabulary, trimmed.</summary>
    /// <param name="whole">The description.</param>
    /// <param name="selection">What stays.</param>
    public static TokenizerDefinition Apply(TokenizerDefinition whole, VocabularySelection selection)
    {
        PieceList pieces = new(selection.Count, selection.Count * 8);
        Vocabulary before = new(whole.Pieces, new TokenKind[whole.Pieces.Count]);
        foreach (int id in selection.Kept)
        {
            pieces.Add(whole.Pieces[id]);
        }

        // A number that the file leaves to a default is said, for defaults are about whole vocabularies.
        Tokenizer tokenizer = Tokenizer.Create(whole);
        int? New(int? id) => id is { } old && selection.NewId(old) is >= 0 and int number ? number : null;
        int? Role(int? said, int? found) => New(said ?? found);
        return whole with
        {
            Pieces = pieces,
            Scores = whole.Scores is { } scores ? [.. selection.Kept.ToArray().Select(id => scores[id])] : null,
            Kinds = whole.Kinds is { } kinds ? [.. selection.Kept.ToArray().Select(id => kinds[id])] : null,
            Merges = whole.Merges is { } merges ? Apply(merges, before, selection, out _) : null,
            BosId = whole.ClsId is null ? Role(whole.BosId, tokenizer.BosId) : New(whole.BosId),
            EosId = Role(whole.EosId, tokenizer.EosId),
            UnkId = Role(whole.UnkId, tokenizer.UnkId),
            SepId = Role(whole.SepId, tokenizer.SepId),
            PadId = Role(whole.PadId, tokenizer.PadId),
            MaskId = Role(whole.MaskId, tokenizer.MaskId),
            EotId = New(whole.EotId),
            EomId = New(whole.EomId),
            Hole = whole.Hole.With(New),
            ClsId = New(whole.ClsId),
            TokensStrippingLeft = selection.NewIds(whole.TokensStrippingLeft),
            TokensStrippingRight = selection.NewIds(whole.TokensStrippingRight),
        };
    }

    /// <summary>A tokenizer.json, trimmed; all that is not about single tokens stays as it is.</summary>
    /// <param name="tokenizerJson">The file.</param>
    /// <param name="selection">What stays.</param>
    /// <exception cref="TokenizerFormatException">The file is malformed.</exception>
    public static byte[] Apply(ReadOnlyMemory<byte> tokenizerJson, VocabularySelection selection)
    {
        if (tokenizerJson.Span.StartsWith("\uFEFF"u8))
        {
            tokenizerJson = tokenizerJson[3..];
        }

        JsonVocabulary file = JsonVocabulary.Read(tokenizerJson.Span);
        using MemoryStream bytes = new();
        try
        {
            using JsonDocument document = JsonDocument.Parse(tokenizerJson, new JsonDocumentOptions { MaxDepth = MaxDepth });
            Vocabulary before = VocabularyOf(file, selection);
            using Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
            json.WriteStartObject();
            foreach (JsonProperty member in document.RootElement.EnumerateObject())
            {
                json.WritePropertyName(member.Name);
                switch (member.Name)
                {
                    case "added_tokens":
                        WriteAdded(json, member.Value, before, selection);
                        break;
                    case "post_processor":
                        WriteSurroundings(json, member.Value, selection);
                        break;
                    case "model" when member.Value.ValueKind == JsonValueKind.Object:
                        WriteModel(json, member.Value, file, before, selection);
                        break;
                    case "padding" when member.Value.ValueKind == JsonValueKind.Object:
                        TokenIdFields.Write(json, member.Value, selection, name => name == "pad_id");
                        break;
                    default:
                        member.Value.WriteTo(json);
                        break;
                }
            }

            json.WriteEndObject();
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException or FormatException)
        {
            throw new TokenizerFormatException($"The tokenizer's description is not valid JSON: {failure.Message}", failure);
        }

        return bytes.ToArray();
    }

    /// <summary>The merges whose halves and result stay; those that know a piece which the vocabulary never had stay too.</summary>
    private static PieceList Apply(PieceList merges, Vocabulary before, VocabularySelection selection, out bool[] stays, string continuingPrefix = "")
    {
        byte[] prefix = Encoding.UTF8.GetBytes(continuingPrefix);
        PieceList kept = new();
        stays = new bool[merges.Count / 2];
        bool Stays(ReadOnlySpan<byte> piece) => before.Find(piece) is var id && (id < 0 || selection.NewId(id) >= 0);
        for (int i = 0; i < stays.Length; i++)
        {
            ReadOnlySpan<byte> left = merges[2 * i], right = merges[(2 * i) + 1];
            bool loses = prefix.Length > 0 && right.StartsWith(prefix);
            stays[i] = Stays(left) && Stays(right) && (loses ? Stays([.. left, .. right[prefix.Length..]]) : Stays(merges.Joined(2 * i)));
            if (stays[i])
            {
                kept.Add(left);
                kept.Add(right);
            }
        }

        return kept;
    }

    private static void WriteAdded(Utf8JsonWriter json, JsonElement tokens, Vocabulary before, VocabularySelection selection)
    {
        if (tokens.ValueKind != JsonValueKind.Array)
        {
            tokens.WriteTo(json);
            return;
        }

        json.WriteStartArray();
        foreach (JsonElement token in tokens.EnumerateArray())
        {
            int found = before.Find(token.Text("content") ?? ""); // a token that is a piece has the piece's id, whatever it says
            int id = selection.NewId(found >= 0 ? found : token.Required("id").AsInt("id", 0, int.MaxValue));
            if (id < 0)
            {
                continue;
            }

            json.WriteStartObject();
            foreach (JsonProperty member in token.EnumerateObject())
            {
                if (member.Name == "id")
                {
                    json.WriteNumber("id", id);
                }
                else
                {
                    member.WriteTo(json);
                }
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>Post-processors name tokens with their ids: a template in lists called <c>ids</c>, BERT's and RoBERTa's as <c>["[SEP]", 102]</c>.</summary>
    private static void WriteSurroundings(Utf8JsonWriter json, JsonElement value, VocabularySelection selection)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                json.WriteStartObject();
                foreach (JsonProperty member in value.EnumerateObject())
                {
                    json.WritePropertyName(member.Name);
                    if (member.Name == "ids" && member.Value.ValueKind == JsonValueKind.Array)
                    {
                        TokenIdFields.WriteIds(json, member.Value, selection);
                    }
                    else if (member.Name is "sep" or "cls" && member.Value.ValueKind == JsonValueKind.Array && member.Value.GetArrayLength() == 2 && member.Value[1].ValueKind == JsonValueKind.Number)
                    {
                        json.WriteStartArray();
                        member.Value[0].WriteTo(json);
                        json.WriteNumberValue(selection.NewId(member.Value[1].GetInt32()));
                        json.WriteEndArray();
                    }
                    else
                    {
                        WriteSurroundings(json, member.Value, selection);
                    }
                }

                json.WriteEndObject();
                break;
            case JsonValueKind.Array:
                json.WriteStartArray();
                foreach (JsonElement item in value.EnumerateArray())
                {
                    WriteSurroundings(json, item, selection);
                }

                json.WriteEndArray();
                break;
            default:
                value.WriteTo(json);
                break;
        }
    }

    private static void WriteModel(Utf8JsonWriter json, JsonElement model, JsonVocabulary file, Vocabulary before, VocabularySelection selection)
    {
        json.WriteStartObject();
        foreach (JsonProperty member in model.EnumerateObject())
        {
            json.WritePropertyName(member.Name);
            switch (member.Name)
            {
                case "vocab" when file.Ids is not null && member.Value.ValueKind == JsonValueKind.Object:
                    WriteVocabulary(json, member.Value, selection);
                    break;
                case "vocab" when member.Value.ValueKind == JsonValueKind.Array:
                    WriteItems(json, member.Value, id => selection.NewId(id) >= 0);
                    break;
                case "merges" when file.Merges is { } merges && member.Value.ValueKind == JsonValueKind.Array:
                    Apply(merges, before, selection, out bool[] stays, TokenizerJson.Text(file, "continuing_subword_prefix") ?? "");
                    WriteItems(json, member.Value, i => stays[i]);
                    break;
                case "unk_id" when member.Value.ValueKind == JsonValueKind.Number:
                    json.WriteNumberValue(selection.NewId(member.Value.GetInt32()));
                    break;
                default:
                    member.Value.WriteTo(json);
                    break;
            }
        }

        json.WriteEndObject();
    }

    private static void WriteVocabulary(Utf8JsonWriter json, JsonElement vocabulary, VocabularySelection selection)
    {
        json.WriteStartObject();
        foreach (JsonProperty piece in vocabulary.EnumerateObject())
        {
            int id = selection.NewId(piece.Value.GetInt32());
            if (id >= 0)
            {
                json.WriteNumber(piece.Name, id);
            }
        }

        json.WriteEndObject();
    }

    private static void WriteItems(Utf8JsonWriter json, JsonElement items, Func<int, bool> stays)
    {
        json.WriteStartArray();
        int index = 0;
        foreach (JsonElement item in items.EnumerateArray())
        {
            if (stays(index++))
            {
                item.WriteTo(json);
            }
        }

        json.WriteEndArray();
    }

    /// <summary>The pieces at their ids, for looking them up.</summary>
    private static Vocabulary VocabularyOf(JsonVocabulary file, VocabularySelection selection)
    {
        int[] pieceOf = new int[selection.CountBefore];
        for (int i = 0; i < file.Pieces.Count; i++)
        {
            int id = file.Ids is null ? i : file.Ids[i];
            if ((uint)id < (uint)pieceOf.Length)
            {
                pieceOf[id] = i + 1;
            }
        }

        PieceList pieces = new(pieceOf.Length, pieceOf.Length * 8);
        foreach (int piece in pieceOf)
        {
            pieces.Add(piece == 0 ? [] : file.Pieces[piece - 1]);
        }

        return new Vocabulary(pieces, new TokenKind[pieceOf.Length]);
    }
}
