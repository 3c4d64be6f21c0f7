// JSON files that name tokens by number, with other numbers. Knows how such fields are called, not what they do.
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Kidogo.Text.Tokenizers.Trimming;

/// <summary>Renumbers tokens in config.json, generation_config.json and their kin.</summary>
public static class TokenIdFields
{
    private const int MaxDepth = 64;

    // Besides what ends in _token_id and _token_ids.
    private static readonly string[] s_names = ["suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "force_words_ids"];

    /// <summary>Whether a field of a model's configuration names tokens by number.</summary>
    public static bool IsTokenField(string name) =>
        name.EndsWith("_token_id", StringComparison.Ordinal) || name.EndsWith("_token_ids", StringComparison.Ordinal) || name.EndsWith("_token_index", StringComparison.Ordinal) || s_names.Contains(name);

    /// <summary>The ids that a JSON object's fields name, at any depth.</summary>
    /// <exception cref="JsonException">It is no JSON.</exception>
    public static IReadOnlyList<int> Named(ReadOnlyMemory<byte> file)
    {
        using JsonDocument document = JsonDocument.Parse(file, new JsonDocumentOptions { MaxDepth = MaxDepth });
        List<int> ids = [];
        Collect(document.RootElement, isIds: false, ids);
        return ids;
    }

    /// <summary>The file with new numbers, and another size of the vocabulary where it says one.</summary>
    /// <param name="file">A JSON object.</param>
    /// <param name="selection">What stays. Numbers of tokens that go are left out of lists, and their fields become null.</param>
    /// <exception cref="JsonException">It is no JSON.</exception>
    public static byte[] Apply(ReadOnlyMemory<byte> file, VocabularySelection selection)
    {
        using JsonDocument document = JsonDocument.Parse(file, new JsonDocumentOptions { MaxDepth = MaxDepth });
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            Write(json, document.RootElement, selection, IsTokenField);
        }

        return bytes.ToArray();
    }

    /// <summary>The <c>added_tokens_decoder</c> of a tokenizer_config.json has numbers as names; all else as <see cref="Apply"/>.</summary>
    /// <exception cref="JsonException">It is no JSON.</exception>
    public static byte[] ApplyToTokenizerConfig(ReadOnlyMemory<byte> file, VocabularySelection selection)
    {
        using JsonDocument document = JsonDocument.Parse(file, new JsonDocumentOptions { MaxDepth = MaxDepth });
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            foreach (JsonProperty member in document.RootElement.EnumerateObject())
            {
                json.WritePropertyName(member.Name);
                if (member.Name != "added_tokens_decoder" || member.Value.ValueKind != JsonValueKind.Object)
                {
                    Write(json, member.Value, selection, IsTokenField);
                    continue;
                }

                json.WriteStartObject();
                foreach (JsonProperty token in member.Value.EnumerateObject())
                {
                    if (int.TryParse(token.Name, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int id) && selection.NewId(id) >= 0)
                    {
                        json.WritePropertyName(selection.NewId(id).ToString(System.Globalization.CultureInfo.InvariantCulture));
                        token.Value.WriteTo(json);
                    }
                }

                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        return bytes.ToArray();
    }

    /// <summary>An object that maps texts to ids (added_tokens.json), with new ids.</summary>
    /// <exception cref="JsonException">It is no JSON.</exception>
    public static byte[] ApplyToMap(ReadOnlyMemory<byte> file, VocabularySelection selection)
    {
        using JsonDocument document = JsonDocument.Parse(file, new JsonDocumentOptions { MaxDepth = MaxDepth });
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            foreach (JsonProperty token in document.RootElement.EnumerateObject())
            {
                if (token.Value.ValueKind == JsonValueKind.Number && token.Value.TryGetInt32(out int id) && selection.NewId(id) >= 0)
                {
                    json.WriteNumber(token.Name, selection.NewId(id));
                }
            }

            json.WriteEndObject();
        }

        return bytes.ToArray();
    }

    internal static void Write(Utf8JsonWriter json, JsonElement value, VocabularySelection selection, Func<string, bool> isTokenField)
    {
        if (value.ValueKind == JsonValueKind.Array)
        {
            json.WriteStartArray();
            foreach (JsonElement item in value.EnumerateArray())
            {
                Write(json, item, selection, isTokenField);
            }

            json.WriteEndArray();
            return;
        }

        if (value.ValueKind != JsonValueKind.Object)
        {
            value.WriteTo(json);
            return;
        }

        json.WriteStartObject();
        foreach (JsonProperty member in value.EnumerateObject())
        {
            json.WritePropertyName(member.Name);
            if (isTokenField(member.Name))
            {
                WriteIds(json, member.Value, selection);
            }
            else if (member.Name == "vocab_size" && member.Value.ValueKind == JsonValueKind.Number)
            {
                json.WriteNumberValue(selection.Count);
            }
            else
            {
                Write(json, member.Value, selection, isTokenField);
            }
        }

        json.WriteEndObject();
    }

    /// <summary>A number, or numbers in lists to any depth.</summary>
    internal static void WriteIds(Utf8JsonWriter json, JsonElement value, VocabularySelection selection)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Number when value.TryGetInt64(out long id) && id >= 0:
                if (selection.NewId(id) is >= 0 and int number)
                {
                    json.WriteNumberValue(number);
                }
                else
                {
                    json.WriteNullValue();
                }

                break;
            case JsonValueKind.Array:
                json.WriteStartArray();
                foreach (JsonElement item in value.EnumerateArray().Where(item => item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out long id) || id < 0 || selection.NewId(id) >= 0))
                {
                    WriteIds(json, item, selection);
                }

                json.WriteEndArray();
                break;
            default:
                value.WriteTo(json);
                break;
        }
    }

    private static void Collect(JsonElement value, bool isIds, List<int> ids)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (JsonProperty member in value.EnumerateObject())
                {
                    Collect(member.Value, IsTokenField(member.Name), ids);
                }

                break;
            case JsonValueKind.Array:
                foreach (JsonElement item in value.EnumerateArray())
                {
                    Collect(item, isIds, ids);
                }

                break;
            case JsonValueKind.Number when isIds && value.TryGetInt32(out int id) && id >= 0:
                ids.Add(id);
                break;
            default:
                break;
        }
    }
}
