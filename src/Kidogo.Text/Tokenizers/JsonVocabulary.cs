// The large parts of a tokenizer.json, read as a stream. Knows not what tokenizers do with them.
using System.Text.Json;

namespace Kidogo.Text.Tokenizers;

/// <summary>What stands in a tokenizer.json: pieces with their ids or scores, merges, and everything else as elements.</summary>
internal sealed class JsonVocabulary
{
    private const int MaxDepth = 32;

    /// <summary>The pieces in the order of the file.</summary>
    public PieceList Pieces { get; } = new(1024, 8192);

    /// <summary>Their ids, where the file has an object; else null, and the ids are the places.</summary>
    public List<int>? Ids { get; private set; }

    /// <summary>Their scores, where the file has pairs.</summary>
    public List<double>? Scores { get; private set; }

    /// <summary>Left and right halves in turn.</summary>
    public PieceList? Merges { get; private set; }

    /// <summary>The members of <c>model</c> but the large ones.</summary>
    public Dictionary<string, JsonElement> Model { get; } = [];

    /// <summary>The members of the file but <c>model</c>.</summary>
    public Dictionary<string, JsonElement> Rest { get; } = [];

    /// <exception cref="TokenizerFormatException">The file is not such JSON.</exception>
    public static JsonVocabulary Read(ReadOnlySpan<byte> json)
    {
        if (json.StartsWith("\uFEFF"u8))
        {
            json = json[3..];
        }

        JsonVocabulary result = new();
        Utf8JsonReader reader = new(json, new JsonReaderOptions { MaxDepth = MaxDepth });
        Expect(ref reader, JsonTokenType.StartObject, "the file", advance: true);
        while (NextMember(ref reader, out string name))
        {
            if (name == "model")
            {
                Expect(ref reader, JsonTokenType.StartObject, "'model'", advance: false);
                result.ReadModel(ref reader);
            }
            else
            {
                AddOnce(result.Rest, name, ref reader);
            }
        }

        if (reader.Read())
        {
            throw new TokenizerFormatException($"There is more JSON after the end of the file's object, at byte {reader.TokenStartIndex}.");
        }

        return result;
    }

    private static bool NextMember(ref Utf8JsonReader reader, out string name)
    {
        reader.Read();
        name = "";
        if (reader.TokenType == JsonTokenType.EndObject)
        {
            return false;
        }

        name = reader.GetString()!;
        reader.Read();
        return true;
    }

    private static void AddOnce(Dictionary<string, JsonElement> members, string name, ref Utf8JsonReader reader)
    {
        if (!members.TryAdd(name, JsonElement.ParseValue(ref reader)))
        {
            throw new TokenizerFormatException($"The member '{name}' occurs twice.");
        }
    }

    private static void Expect(ref Utf8JsonReader reader, JsonTokenType expected, string what, bool advance)
    {
        if ((advance && !reader.Read()) || reader.TokenType != expected)
        {
            throw new TokenizerFormatException($"At byte {reader.TokenStartIndex}, {what} is {reader.TokenType}; expected {expected}.");
        }
    }

    private void ReadModel(ref Utf8JsonReader reader)
    {
        while (NextMember(ref reader, out string name))
        {
            if (name == "vocab" && reader.TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray)
            {
                if (Pieces.Count > 0)
                {
                    throw new TokenizerFormatException("The member 'vocab' occurs twice.");
                }

                if (reader.TokenType == JsonTokenType.StartObject)
                {
                    ReadNumbered(ref reader);
                }
                else
                {
                    ReadScored(ref reader);
                }
            }
            else if (name == "merges" && reader.TokenType == JsonTokenType.StartArray)
            {
                if (Merges is not null)
                {
                    throw new TokenizerFormatException("The member 'merges' occurs twice.");
                }

                ReadMerges(ref reader);
            }
            else
            {
                AddOnce(Model, name, ref reader);
            }
        }
    }

    private void ReadNumbered(ref Utf8JsonReader reader)
    {
        Ids = [];
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            AddString(ref reader, Pieces);
            Expect(ref reader, JsonTokenType.Number, $"the id of piece {Ids.Count}", advance: true);
            if (!reader.TryGetInt32(out int id) || (uint)id >= Vocabulary.MaxPieces)
            {
                throw new TokenizerFormatException($"At byte {reader.TokenStartIndex}, a piece's id is not an integer from 0 to {Vocabulary.MaxPieces - 1}.");
            }

            Ids.Add(id);
            CheckCount(Ids.Count);
        }
    }

    private void ReadScored(ref Utf8JsonReader reader)
    {
        Scores = [];
        while (reader.Read() && reader.TokenType == JsonTokenType.StartArray)
        {
            Expect(ref reader, JsonTokenType.String, $"piece {Scores.Count}", advance: true);
            AddString(ref reader, Pieces);
            Expect(ref reader, JsonTokenType.Number, $"the score of piece {Scores.Count}", advance: true);
            Scores.Add(reader.TryGetDouble(out double score) && double.IsFinite(score)
                ? score
                : throw new TokenizerFormatException($"At byte {reader.TokenStartIndex}, a score is not a number in the range of float64."));
            Expect(ref reader, JsonTokenType.EndArray, $"what follows the score of piece {Scores.Count - 1}", advance: true);
            CheckCount(Scores.Count);
        }

        Expect(ref reader, JsonTokenType.EndArray, $"piece {Scores.Count}", advance: false);
    }

    private void ReadMerges(ref Utf8JsonReader reader)
    {
        Merges = new PieceList(2048, 16_384);
        PieceList one = new();
        while (reader.Read() && reader.TokenType is JsonTokenType.String or JsonTokenType.StartArray)
        {
            if (reader.TokenType == JsonTokenType.StartArray)
            {
                Expect(ref reader, JsonTokenType.String, $"merge {Merges.Count / 2}", advance: true);
                AddString(ref reader, Merges);
                Expect(ref reader, JsonTokenType.String, $"merge {Merges.Count / 2}", advance: true);
                AddString(ref reader, Merges);
                Expect(ref reader, JsonTokenType.EndArray, $"merge {(Merges.Count / 2) - 1} after its two pieces", advance: true);
            }
            else if (!reader.ValueIsEscaped)
            {
                Merges.AddMerge(reader.ValueSpan);
            }
            else
            {
                AddString(ref reader, one);
                Merges.AddMerge(one[one.Count - 1]);
            }

            CheckCount(Merges.Count / 2);
        }

        Expect(ref reader, JsonTokenType.EndArray, $"merge {Merges.Count / 2}", advance: false);
    }

    private static void CheckCount(int count)
    {
        if (count > Vocabulary.MaxPieces)
        {
            throw new TokenizerFormatException($"There are more than {Vocabulary.MaxPieces} entries; no vocabulary needs that.");
        }
    }

    private static void AddString(ref Utf8JsonReader reader, PieceList list)
    {
        if (!reader.ValueIsEscaped)
        {
            list.Add(reader.ValueSpan);
            return;
        }

        int length = reader.ValueSpan.Length;
        byte[]? large = length <= 512 ? null : new byte[length];
        Span<byte> room = large ?? stackalloc byte[512];
        list.Add(room[..reader.CopyString(room)]);
    }
}
