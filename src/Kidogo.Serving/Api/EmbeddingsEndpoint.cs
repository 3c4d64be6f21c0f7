// POST /v1/embeddings: texts to vectors, in OpenAI's shapes. Knows no encoder's insides.
using System.Runtime.InteropServices;
using System.Text.Json;
using Kidogo.Inference;
using Kidogo.Inference.Telemetry;

namespace Kidogo.Serving.Api;

/// <summary>Makes embeddings.</summary>
internal static class EmbeddingsEndpoint
{
    private const int MostTexts = 2048; // OpenAI's
    private const int CharactersOfToken = 256; // more than any text has on average
    private const int MostTokens = 300_000; // OpenAI's, of all texts together

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
        if (!isOne && input.GetArrayLength() > MostTexts)
        {
            throw ApiException.Field("input", $"`input` has {input.GetArrayLength()} texts; at most {MostTexts} are taken at once.", "invalid_value");
        }

        HostedEncoder encoder = served.Hosted;
        List<int[]> texts = [];
        long tokens = 0;
        foreach (JsonElement element in isOne ? [input] : input.EnumerateArray().ToArray())
        {
            string path = isOne ? "input" : $"input[{texts.Count}]";
            CheckLength(element, path, served);
            int whole = 0; // tokens of a text before it is cut
            int[] ids = element.ValueKind switch
            {
                JsonValueKind.String when element.ValueEquals("") => throw ApiException.Field(path, $"`{path}` is empty; give at least one character.", "invalid_value"),
                JsonValueKind.String => encoder.Encode(RequestFields.StringOf(element, path), out whole),
                JsonValueKind.Array => TokenIds.Read(element, path, encoder.Vocabulary),
                _ => throw RequestFields.WrongAt(path, element, isOne ? Expected : "a text, or an array of token ids"),
            };
            if (ids.Length == 0)
            {
                throw ApiException.Field(path, $"`{path}` has no tokens; give at least one.", "invalid_value");
            }

            whole = Math.Max(whole, ids.Length);
            if (whole > encoder.MaxTokens)
            {
                throw ApiException.TooLong(whole, encoder.MaxTokens, $"`{path}` has {whole} tokens, but `{served.Id}` reads {encoder.MaxTokens} of a text. Cut it into pieces.", path);
            }

            texts.Add(ids);
            tokens += ids.Length;
            if (tokens > MostTokens)
            {
                throw ApiException.Field("input", $"`input` has more than {MostTokens} tokens in all. Send it in several requests.", "invalid_value");
            }
        }

        return texts;
    }

    /// <summary>Refuses what is so long that nobody has to count its tokens.</summary>
    private static void CheckLength(JsonElement element, string path, ServedEncoder served)
    {
        HostedEncoder encoder = served.Hosted;
        if (element.ValueKind == JsonValueKind.Array && element.GetArrayLength() is var count && count > encoder.MaxTokens)
        {
            throw ApiException.TooLong(count, encoder.MaxTokens, $"`{path}` has {count} tokens, but `{served.Id}` reads {encoder.MaxTokens} of a text. Cut it into pieces.", path);
        }

        long most = (long)encoder.MaxTokens * CharactersOfToken;
        if (element.ValueKind == JsonValueKind.String && element.GetRawText().Length > most && RequestFields.StringOf(element, path).Length is var characters && characters > most)
        {
            throw ApiException.TooLong(
                characters / CharactersOfToken, encoder.MaxTokens, $"`{path}` has {characters} characters; at most {most} are looked at for the {encoder.MaxTokens} tokens that `{served.Id}` reads. Cut it into pieces.", path);
        }
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
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", tokens);
        json.WriteNumber("total_tokens", tokens);
        json.WriteEndObject();
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
