// POST /v1/classify: labels with probabilities, through an encoder and through a decoder, as the classifier gives them alone.
using System.Text.Json;
using Kidogo.Inference.Classification;
using Kidogo.Models.Encoders;
using Kidogo.Serving;
using Kidogo.Tests.Models.Files;

namespace Kidogo.ServingTests;

public sealed class ClassifyTests : IDisposable
{
    private static readonly string[] s_labels = ["good", "bad", "neither"];

    // What is wrong with a request, and the field that the refusal names.
    private static readonly (string Fields, int Status, string Param)[] s_refused =
    [
        ("\"input\":[]", 400, "input"), ("\"input\":{}", 400, "input"), ("\"input\":\"\"", 400, "input"), ("\"input\":5", 400, "input"), ("\"model\":\"mood\"", 400, "input"),
        ("\"input\":[\"a\",5]", 400, "input[1]"), ("\"input\":[\"a\",\"\"]", 400, "input[1]"), ("\"input\":[[1]]", 400, "input[0]"), ("\"input\":\"\\ud800\"", 400, "input"), ("\"inputs\":\"a\",\"input\":\"a\"", 400, "inputs"),
        ("\"model\":\"tiny\",\"input\":\"a\"", 400, "model"), ("\"model\":\"moods\",\"input\":\"a\"", 404, "model"),
    ];

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Classify_OneOrSeveral_SaysWhatTheClassifierSaysAlone(bool isEncoder)
    {
        string path = Write(isEncoder);
        string[] texts = ["habari", "jambo rafiki", "the market sold fish."];
        using TextClassifier alone = TextClassifier.Open(path, 1);
        TextClass[] expected = alone.Classify(texts);
        Assert.True(expected.Select(each => string.Join(' ', each.Probabilities)).Distinct().Count() == texts.Length); // else nothing is tested
        await using TestServer server = await ServeAsync(path);
        JsonElement answer = await server.PostJsonAsync("/v1/classify", $"{{\"model\":\"mood\",\"input\":{JsonSerializer.Serialize(texts)}}}");
        Assert.Equal(("list", "mood"), (answer.GetProperty("object").GetString(), answer.GetProperty("model").GetString()));
        for (int i = 0; i < texts.Length; i++)
        {
            JsonElement one = answer.GetProperty("data")[i];
            Assert.Equal((i, expected[i].Label, expected[i].Probabilities.Max()), (one.GetProperty("index").GetInt32(), one.GetProperty("label").GetString(), one.GetProperty("probability").GetDouble()));
            Assert.Equal(s_labels, one.GetProperty("scores").EnumerateObject().Select(score => score.Name));
            Assert.Equal(expected[i].Probabilities, one.GetProperty("scores").EnumerateObject().Select(score => score.Value.GetDouble()));
            Assert.Equal(1, one.GetProperty("scores").EnumerateObject().Sum(score => score.Value.GetDouble()), 1e-9);
        }

        Assert.Equal(expected.Sum(each => each.Tokens), answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        JsonElement single = await server.PostJsonAsync("/v1/classify", $"{{\"input\":\"{texts[1]}\"}}"); // the only classifier is meant
        Assert.Equal(answer.GetProperty("data")[1].GetProperty("scores").GetRawText(), Assert.Single(single.GetProperty("data").EnumerateArray()).GetProperty("scores").GetRawText());
    }

    [Fact]
    public async Task Classify_ManyAtOnce_EachGetsItsOwn()
    {
        string path = Write(isEncoder: true);
        string[] texts = [.. Enumerable.Range(0, 100).Select(i => $"text {i}")]; // more than one turn's
        using TextClassifier alone = TextClassifier.Open(path, 1);
        string[] expected = [.. alone.Classify(texts).Select(each => each.Label)];
        await using TestServer server = await ServeAsync(path);
        JsonElement[] answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => server.PostJsonAsync("/v1/classify", $"{{\"input\":{JsonSerializer.Serialize(texts)}}}")));
        Assert.All(answers, answer => Assert.Equal(expected, answer.GetProperty("data").EnumerateArray().Select(each => each.GetProperty("label").GetString())));
    }

    [Fact]
    public async Task Classify_Malformed_IsRefusedByName()
    {
        await using TestServer server = await ServeAsync(Write(isEncoder: true));
        foreach ((string fields, int status, string param) in s_refused)
        {
            Assert.Equal(param, (await server.PostJsonAsync("/v1/classify", $"{{{fields}}}", status)).GetProperty("error").GetProperty("param").GetString());
        }

        JsonElement far = (await server.PostJsonAsync("/v1/classify", $"{{\"input\":[\"a\",\"{string.Concat(Enumerable.Repeat("maji ", 100))}\"]}}", 400)).GetProperty("error");
        Assert.Equal(("exceed_context_size_error", "input[1]", TinyEncoder.Context), (far.GetProperty("type").GetString(), far.GetProperty("param").GetString(), far.GetProperty("n_ctx").GetInt32()));
        await server.PostJsonAsync("/v1/classify", $"{{\"input\":\"{new string('a', 5_000_000)}\"}}", 400);
        await server.PostJsonAsync("/v1/classify", $"{{\"input\":{JsonSerializer.Serialize(Enumerable.Repeat("a", 2049))}}}", 400);
        foreach (string path in (string[])["/v1/chat/completions", "/v1/embeddings"])
        {
            JsonElement other = (await server.PostJsonAsync(path, """{"model":"mood","input":"a","messages":[]}""", 400)).GetProperty("error");
            Assert.Equal("model_not_supported", other.GetProperty("code").GetString());
        }

        JsonElement listed = TestServer.Parse(await server.Client.GetStringAsync("/v1/models/mood")).GetProperty("meta");
        Assert.Equal(("classifier", 3), (listed.GetProperty("type").GetString(), listed.GetProperty("labels").GetArrayLength()));
        Assert.Equal("tiny", (await server.PostJsonAsync("/v1/completions", """{"prompt":"a","max_tokens":1}""")).GetProperty("model").GetString()); // the one that writes
    }

    [Fact]
    public async Task Classify_WithoutAClassifier_SaysSo()
    {
        await using TestServer server = await TestServer.StartAsync();
        JsonElement error = (await server.PostJsonAsync("/v1/classify", """{"input":"a"}""", 400)).GetProperty("error");
        Assert.Equal("model_not_supported", error.GetProperty("code").GetString());
        Assert.Contains("No classifier", error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    private static Task<TestServer> ServeAsync(string path) => TestServer.StartAsync(others: [new ServedClassifier("mood", TextClassifier.Open(path, 1))]);

    /// <summary>A classifier with a random head over a tiny model.</summary>
    private string Write(bool isEncoder)
    {
        string model = isEncoder ? TinyEncoder.Write(_folder) : _folder.Write("base.gguf", TinyModel.File());
        int width = isEncoder ? TinyEncoder.Dimensions : 64;
        Random random = new(5);
        float[] weight = [.. Enumerable.Range(0, s_labels.Length * width).Select(_ => (float)(random.NextDouble() - 0.5))];
        new ClassifierContent(model, "", Pooling.Mean, s_labels, new ClassifierHead(weight, [0.1f, 0, -0.1f], 0.5)).Write(_folder["mood"]);
        return _folder["mood"];
    }
}
