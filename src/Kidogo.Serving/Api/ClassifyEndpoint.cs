// POST /v1/classify: texts to labels with calibrated probabilities, in a shape like that of embeddings. Knows no classifier's insides.
using System.Text.Json;
using Kidogo.Inference.Classification;
using Kidogo.Inference.Telemetry;

namespace Kidogo.Serving.Api;

/// <summary>Says what texts are.</summary>
internal static class ClassifyEndpoint
{
    private const string Expected = "a text, or an array of texts";

    /// <summary>Answers.</summary>
    public static async Task AnswerAsync(ApiCall call)
    {
        using JsonDocument body = await call.ReadJsonAsync().ConfigureAwait(false);
        RequestFields fields = new(body.RootElement);
        string? asked = fields.Text("model");
        ServedClassifier served = await call.ClassifierAsync(asked).ConfigureAwait(false);
        JsonElement input = fields.Element("input") ?? throw fields.Missing("input", Expected);
        fields.RejectUnknown();
        string[] texts = Texts(fields, input, served, out long tokens);
        call.Client.CheckTokens(tokens);
        using ModelOperation operation = call.Telemetry.Begin("classify", served.Id, isRequest: true);
        TextClass[] classes;
        try
        {
            classes = await served.Hosted.ClassifyAsync(texts, call.Gone).ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            operation.Failed(ApiCall.KindOf(failure));
            throw;
        }

        operation.Read(tokens);
        call.Summary = $"{served.Id} texts={texts.Length} tokens={tokens}";
        await call.WriteAsync(json => Write(json, asked ?? served.Id, served.Hosted.Classifier.Labels, classes, tokens)).ConfigureAwait(false);
    }

    private static string[] Texts(RequestFields fields, JsonElement input, ServedClassifier served, out long tokens)
    {
        bool isOne = input.ValueKind == JsonValueKind.String;
        if (!isOne && (input.ValueKind != JsonValueKind.Array || input.GetArrayLength() == 0))
        {
            throw fields.Wrong("input", input, Expected);
        }

        InputTexts.CheckCount(input, isOne);
        TextClassifier classifier = served.Hosted.Classifier;
        List<string> texts = [];
        tokens = 0;
        foreach (JsonElement element in isOne ? [input] : input.EnumerateArray().ToArray())
        {
            string path = isOne ? "input" : $"input[{texts.Count}]";
            InputTexts.CheckLength(element, path, served.Id, classifier.MaxTokens);
            string text = element.ValueKind != JsonValueKind.String ? throw RequestFields.WrongAt(path, element, "a text")
                : RequestFields.StringOf(element, path) is { Length: > 0 } given ? given : throw InputTexts.Empty(path);
            int read = classifier.Text.Tokenizer.EncodeCut(text, classifier.MaxTokens, out int whole).Length;
            InputTexts.CheckTokens(whole, path, served.Id, classifier.MaxTokens);
            texts.Add(text);
            tokens = InputTexts.Sum(tokens, read);
        }

        return [.. texts];
    }

    private static void Write(Utf8JsonWriter json, string model, IReadOnlyList<string> labels, TextClass[] classes, long tokens)
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        for (int i = 0; i < classes.Length; i++)
        {
            json.WriteStartObject();
            json.WriteString("object", "classification");
            json.WriteNumber("index", i);
            json.WriteString("label", classes[i].Label);
            json.WriteNumber("probability", classes[i].Probabilities.Max());
            json.WriteStartObject("scores");
            for (int label = 0; label < labels.Count; label++)
            {
                json.WriteNumber(labels[label], classes[i].Probabilities[label]);
            }

            json.WriteEndObject();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteString("model", model);
        Usage.WriteRead(json, tokens);
        json.WriteEndObject();
    }
}
