// POST /v1/embeddings with the real all-MiniLM-L6-v2 beside a decoder: the vectors of sentence-transformers, in every form that OpenAI's clients ask for.
using System.ClientModel;
using System.Runtime.InteropServices;
using System.Text.Json;
using Kidogo.Models.Encoders;
using Kidogo.Serving;
using Kidogo.Tensors;
using Kidogo.TestSupport;
using OpenAI;
using OpenAI.Embeddings;

namespace Kidogo.ServingTests;

public sealed class EmbeddingsTests
{
    private const float Tolerance = 1e-4f; // the reference's own statement

    // What is wrong with a request, and the field that the refusal names.
    private static readonly (string Fields, int Status, string? Param)[] s_refused =
    [
        ("\"input\":[]", 400, "input"), ("\"input\":{}", 400, "input"), ("\"input\":\"\"", 400, "input"), ("\"input\":5", 400, "input"), ("\"user\":\"u\"", 400, "input"),
        ("\"input\":[\"a\",5]", 400, "input[1]"), ("\"input\":[1,\"a\"]", 400, "input[1]"), ("\"input\":[[]]", 400, "input[0]"), ("\"input\":[[30522]]", 400, "input[0][0]"), ("\"input\":[-1]", 400, "input[0]"),
        ("\"input\":[\"a\",\"\"]", 400, "input[1]"), ("\"input\":\"a\",\"dimensions\":128", 400, "dimensions"), ("\"input\":\"a\",\"dimensions\":0", 400, "dimensions"),
        ("\"input\":\"a\",\"encoding_format\":\"int8\"", 400, "encoding_format"), ("\"input\":\"a\",\"encodingformat\":\"float\"", 400, "encodingformat"), ("\"input\":\"\\ud800\"", 400, "input"),
        ("\"model\":\"tiny\",\"input\":\"a\"", 400, "model"), ("\"model\":\"mini\",\"input\":\"a\"", 404, "model"),
    ];

    [SharedFact]
    public async Task Embeddings_OfTheRealEncoder_AreTheReferencesInEveryForm()
    {
        await using Encoder encoder = await Encoder.StartAsync();
        TestServer server = encoder.Server;
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden", "real", "minilm.json")));
        JsonElement[] sentences = [.. golden.RootElement.GetProperty("sentences").EnumerateArray()];
        int[] whole = [.. Enumerable.Range(0, sentences.Length).Where(i => sentences[i].GetProperty("tokens_before_truncation").GetInt32() == sentences[i].GetProperty("ids").GetArrayLength())];
        string texts = JsonSerializer.Serialize(whole.Select(i => sentences[i].GetProperty("text").GetString()));
        JsonElement answer = await server.PostJsonAsync("/v1/embeddings", $"{{\"model\":\"minilm\",\"input\":{texts}}}");
        float[][] vectors = [.. answer.GetProperty("data").EnumerateArray().Select(Floats)];
        for (int i = 0; i < whole.Length; i++)
        {
            float[] expected = [.. golden.RootElement.GetProperty("embeddings")[whole[i]].GetProperty("values").EnumerateArray().Select(value => value.GetSingle())];
            Assert.All(expected.Zip(vectors[i]), pair => Assert.InRange(pair.First - pair.Second, -Tolerance, Tolerance));
            Assert.Equal(i, answer.GetProperty("data")[i].GetProperty("index").GetInt32());
        }

        int tokens = whole.Sum(i => sentences[i].GetProperty("ids").GetArrayLength());
        Assert.Equal((tokens, tokens), (answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), answer.GetProperty("usage").GetProperty("total_tokens").GetInt32()));

        // The same bits in base64, as ids, alone, and without a model's name: there is one encoder.
        JsonElement coded = await server.PostJsonAsync("/v1/embeddings", $"{{\"input\":{texts},\"encoding_format\":\"base64\",\"dimensions\":384}}");
        string ids = JsonSerializer.Serialize(whole.Select(i => sentences[i].GetProperty("ids")));
        JsonElement fromIds = await server.PostJsonAsync("/v1/embeddings", $"{{\"input\":{ids}}}");
        for (int i = 0; i < whole.Length; i++)
        {
            Assert.Equal(vectors[i], MemoryMarshal.Cast<byte, float>(coded.GetProperty("data")[i].GetProperty("embedding").GetBytesFromBase64()).ToArray());
            Assert.Equal(vectors[i], Floats(fromIds.GetProperty("data")[i]));
        }

        JsonElement one = await server.PostJsonAsync("/v1/embeddings", $"{{\"input\":{sentences[whole[0]].GetProperty("ids").GetRawText()}}}");
        Assert.Equal(vectors[0], Floats(Assert.Single(one.GetProperty("data").EnumerateArray())));

        EmbeddingClient client = new("minilm", new ApiKeyCredential("any"), new OpenAIClientOptions { Endpoint = new Uri(server.Address, "v1") });
        OpenAIEmbeddingCollection collection = await client.GenerateEmbeddingsAsync([.. whole.Select(i => sentences[i].GetProperty("text").GetString()!)]);
        Assert.Equal(vectors[^1], collection[^1].ToFloats().ToArray());
        Assert.Equal(tokens, collection.Usage.InputTokenCount);
    }

    [SharedFact]
    public async Task Embeddings_Malformed_AreRefusedByName()
    {
        await using Encoder encoder = await Encoder.StartAsync();
        TestServer server = encoder.Server;
        foreach ((string fields, int status, string? param) in s_refused)
        {
            JsonElement error = (await server.PostJsonAsync("/v1/embeddings", $"{{{fields}}}", status)).GetProperty("error");
            Assert.Equal(param, error.GetProperty("param").GetString());
        }

        JsonElement far = (await server.PostJsonAsync("/v1/embeddings", $"{{\"input\":[\"a\",\"{string.Concat(Enumerable.Repeat("maji ", 600))}\"]}}", 400)).GetProperty("error");
        Assert.Equal(("exceed_context_size_error", "input[1]", 256), (far.GetProperty("type").GetString(), far.GetProperty("param").GetString(), far.GetProperty("n_ctx").GetInt32()));
        Assert.True(far.GetProperty("n_prompt_tokens").GetInt32() > 256);
        string many = JsonSerializer.Serialize(Enumerable.Repeat("a", 2049));
        await server.PostJsonAsync("/v1/embeddings", $"{{\"input\":{many}}}", 400);

        // An encoder writes nothing, but its tokens can be looked at.
        JsonElement chat = (await server.PostJsonAsync("/v1/chat/completions", """{"model":"minilm","messages":[{"role":"user","content":"a"}]}""", 400)).GetProperty("error");
        Assert.Equal("model_not_supported", chat.GetProperty("code").GetString());
        Assert.Equal(3, (await server.PostJsonAsync("/tokenize", """{"model":"minilm","content":"water","add_special":true}""")).GetProperty("tokens").GetArrayLength());
        Assert.Equal("tiny", (await server.PostJsonAsync("/v1/completions", """{"prompt":"a","max_tokens":1}""")).GetProperty("model").GetString()); // the one that writes
    }

    private static float[] Floats(JsonElement entry) => [.. entry.GetProperty("embedding").EnumerateArray().Select(value => value.GetSingle())];

    /// <summary>A server of the tiny model and the encoder.</summary>
    private sealed class Encoder : IAsyncDisposable
    {
        private readonly ServedEncoder _encoder;

        private Encoder(ServedEncoder encoder, TestServer server)
        {
            _encoder = encoder;
            Server = server;
        }

        public TestServer Server { get; }

        public static async Task<Encoder> StartAsync()
        {
            ComputeContext context = ComputeContext.Inference(1);
            ServedEncoder encoder = new("minilm", LoadedEncoder.Load(SharedFolder.PathOf("models", "all-MiniLM-L6-v2"), context), context);
            return new Encoder(encoder, await TestServer.StartAsync(others: [encoder]));
        }

        public async ValueTask DisposeAsync()
        {
            await Server.DisposeAsync();
            _encoder.Dispose();
        }
    }
}
