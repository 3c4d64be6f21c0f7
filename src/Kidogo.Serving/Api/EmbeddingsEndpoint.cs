// POST /v1/embeddings: texts to vectors, in OpenAI's shapes. Knows no encoder's insides.
using System.Runtime.InteropServices;
using System.Text.Json;
using Kidogo.Inference;
using Kidogo.Inference.Telemetry;

namespace Kidogo.Serving.Api;

/// <summary>Makes embeddings.</summary>
internal static class EmbeddingsEndpoint
{
    /// <summary>Answers.</summary>
    public static async Task AnswerAsync(ApiCall call)
    {
        using JsonDocument body = await call.ReadJsonAsync().ConfigureAwait(false);
        RequestFields fields = new(body.RootElement);
        string? asked = fields.Text("model");
        ServedEncoder served = await call.EncoderAsync(asked).ConfigureAwait(false);
        HostedEncoder encoder = served.Hosted;
        JsonElement input = fields.Element("input") ?? throw fields.Missing("input", "a text, an array of texts, an array of token ids, or an array of arrays of token ids");
        int? width = Width(fields, served);
        bool isBase64 = IsBase64(fields);
        fields.Text("user");
        fields.RejectUnknown();
        List<int[]> texts = Texts(fields, input, served);
        long tokens = texts.Sum(text => (long)text.Length);
        call.Client.CheckTokens(tokens);
        using ModelOperation operation = call.Telemetry.Begin("embeddings", served.Id, isRequest: true);
        TextEmbedding[] vectors;
        try
        {
            vectors = await encoder.EmbedAsync(texts, width, call.Gone).ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            operation.Failed(ApiCall.KindOf(failure));
            throw;
        }

        operation.Embedded(tokens, width ?? encoder.Dimensions);
        call.Summary = $"{served.Id} texts={texts.Count} tokens={tokens}";
        await call.WriteAsync(json => Write(json, asked ?? served.Id, vectors, isBase64, tokens)).ConfigureAwait(false);
    }

    private static int? Width(RequestFields fields, ServedEncoder served)
    {
        HostedEncoder encoder = served.Hosted;
        if (fields.Int("dimensions", 1, int.MaxValue) is not { } width || width == encoder.Dimensions)
        {
            return null;
        }

        string can = encoder.Widths.Count == 0 ? "and was not trained for vectors that are cut: leave `dimensions` away" : $"or {string.Join(", ", encoder.Widths)}";
        return encoder.Widths.Contains(width) ? width : throw ApiException.Field("dimensions", $"`dimensions` is {width}; `{served.Id}` makes vectors of {encoder.Dimensions} numbers, {can}.", "unsupported_parameter");
    }

    private static bool IsBase64(RequestFields fields) => fields.Text("encoding_format") switch
    {
        null or "float" => false,
        "base64" => true,
        _ => throw ApiException.Field("encoding_format", "`encoding_format` has to be float or base64.", "invalid_value"),
    };

    /// <summary>The ids of all texts. Texts get the special tokens that the encoder wants; ids are taken as they are.</summary>
    private static List<int[]> Texts(RequestFields fields, JsonElement input, ServedEncoder served)
    {
        const string Expected = "a text, an array of texts, an array of token ids, or an array of arrays of token ids";
        if (input.ValueKind is not (JsonValueKind.String or JsonValueKind.Array) || (input.ValueKind == JsonValueKind.Array && input.GetArrayLength() == 0))
        {
            throw fields.Wrong("input", input, Expected);
        }

        bool isOne = input.ValueKind == JsonValueKind.String || input[0].ValueKind == JsonValueKind.Number;
        InputTexts.CheckCount(input, isOne);
        HostedEncoder encoder = served.Hosted;
        List<int[]> texts = [];
        long tokens = 0;
        foreach (JsonElement element in isOne ? [input] : input.EnumerateArray().ToArray())
        {
            string path = isOne ? "input" : $"input[{texts.Count}]";
            InputTexts.CheckLength(element, path, served.Id, encoder.MaxTokens);
            int whole = 0; // tokens of a text before it is cut
            int[] ids = element.ValueKind switch
            {
                JsonValueKind.String when element.ValueEquals("") => throw InputTexts.Empty(path),
                JsonValueKind.String => encoder.Encode(RequestFields.StringOf(element, path), out whole),
                JsonValueKind.Array => TokenIds.Read(element, path, encoder.Vocabulary),
                _ => throw RequestFields.WrongAt(path, element, isOne ? Expected : "a text, or an array of token ids"),
            };
            if (ids.Length == 0)
            {
                throw ApiException.Field(path, $"`{path}` has no tokens; give at least one.", "invalid_value");
            }

            InputTexts.CheckTokens(Math.Max(whole, ids.Length), path, served.Id, encoder.MaxTokens);
            texts.Add(ids);
            tokens = InputTexts.Sum(tokens, ids.Length);
        }

        return texts;
    }

    private static void Write(Utf8JsonWriter json, string model, TextEmbedding[] vectors, bool isBase64, long tokens)
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        for (int i = 0; i < vectors.Length; i++)
        {
            json.WriteStartObject();
            json.WriteString("object", "embedding");
            json.WriteNumber("index", i);
            WriteVector(json, vectors[i].Values, isBase64);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteString("model", model);
        Usage.WriteRead(json, tokens);
        json.WriteEndObject();
    }

    private static void WriteVector(Utf8JsonWriter json, float[] values, bool isBase64)
    {
        if (isBase64)
        {
            json.WriteBase64String("embedding", MemoryMarshal.AsBytes<float>(values)); // little-endian, as every machine that .NET runs on
            return;
        }

        json.WriteStartArray("embedding");
        foreach (float value in values)
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }
}
