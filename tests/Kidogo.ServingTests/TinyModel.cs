// A small model with random weights and a vocabulary of bytes, as a file, and a server around it. For tests of what is built on a model.
using System.Net.Http.Headers;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Kidogo.Inference;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Serving;
using Kidogo.Inference.Scheduling;
using Kidogo.Tensors;
using Kidogo.Tests.Models.Files;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.ServingTests;

/// <summary>Makes the model: two layers, a token for each byte, two control tokens. Printable bytes alone are ever likely, and it never ends by itself.</summary>
internal static class TinyModel
{
    public const int ContextLength = 512;
    public const int End = 257;
    public const string Template =
        "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

    private const int Hidden = 64, KvRows = 32, Inner = 96, Vocabulary = 258;
    private const float Certainty = 3;

    /// <summary>A context so long that an answer which fills it takes many minutes: whoever cancels one cannot be too late.</summary>
    public const int EndlessContext = 300_000;

    public static byte[] File(string template = Template, int contextLength = ContextLength)
    {
        Random random = new(7);
        GgufBuilder file = new GgufBuilder()
            .Add("general.architecture", "llama")
            .Add("llama.block_count", 2u)
            .Add("llama.embedding_length", (uint)Hidden)
            .Add("llama.context_length", (uint)contextLength)
            .Add("llama.attention.head_count", 4u)
            .Add("llama.attention.head_count_kv", 2u)
            .Add("llama.feed_forward_length", (uint)Inner)
            .Add("llama.attention.layer_norm_rms_epsilon", 1e-5f)
            .Add("tokenizer.ggml.model", "gpt2")
            .Add("tokenizer.ggml.pre", "gpt-2")
            .Add("tokenizer.ggml.tokens", Pieces())
            .Add("tokenizer.ggml.token_type", [.. Enumerable.Range(0, Vocabulary).Select(i => i < 256 ? 1 : 3)])
            .AddArray("tokenizer.ggml.merges", 8, 0, [])
            .Add("tokenizer.ggml.eos_token_id", (uint)End)
            .Add("tokenizer.chat_template", template);
        float[] head = Draw(random, Vocabulary, Hidden, Certainty);
        for (int id = 0; id < Vocabulary; id++)
        {
            if (id is < 32 or > 126)
            {
                head.AsSpan(id * Hidden, Hidden).Clear();
            }
        }

        file = Add(file, "token_embd.weight", Vocabulary, Hidden, Draw(random, Vocabulary, Hidden, 1));
        file = Add(file, "output.weight", Vocabulary, Hidden, head);
        file = Add(file, "output_norm.weight", 1, Hidden, Ones());
        for (int layer = 0; layer < 2; layer++)
        {
            file = Add(file, $"blk.{layer}.attn_norm.weight", 1, Hidden, Ones());
            file = Add(file, $"blk.{layer}.ffn_norm.weight", 1, Hidden, Ones());
            foreach ((string name, int rows, int columns) in ((string, int, int)[])[("attn_q", Hidden, Hidden), ("attn_k", KvRows, Hidden), ("attn_v", KvRows, Hidden), ("attn_output", Hidden, Hidden), ("ffn_gate", Inner, Hidden), ("ffn_up", Inner, Hidden), ("ffn_down", Hidden, Inner)])
            {
                file = Add(file, $"blk.{layer}.{name}.weight", rows, columns, Draw(random, rows, columns, 2));
            }
        }

        return file.Build();
    }

    /// <summary>The model of a file, being served.</summary>
    public static ServedModel Serve(string path, SchedulerOptions options, string id = "tiny")
    {
        ComputeContext context = ComputeContext.Inference(1);
        LoadedModel loaded = ModelLoader.Load(path, context);
        return new ServedModel(id, loaded, context, ModelText.Of(loaded.Header).ChatTemplate(), options);
    }

    private static GgufBuilder Add(GgufBuilder file, string name, int rows, int columns, float[] values) =>
        file.AddTensor(name, (uint)TensorType.F32, rows == 1 ? [(ulong)columns] : [(ulong)columns, (ulong)rows], MemoryMarshal.AsBytes<float>(values).ToArray());

    private static float[] Draw(Random random, int rows, int columns, float deviation)
    {
        float[] values = new float[rows * columns];
        for (int i = 0; i < values.Length; i++)
        {
            double radius = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()));
            values[i] = (float)(deviation / Math.Sqrt(columns) * radius * Math.Cos(Math.Tau * random.NextDouble()));
        }

        return values;
    }

    private static float[] Ones() => [.. Enumerable.Repeat(1f, Hidden)];

    // GPT-2's spelling of bytes: printable ones as themselves, the others from U+0100 on. Here token i is byte i.
    private static string[] Pieces()
    {
        List<string> pieces = [];
        int other = 0;
        for (int i = 0; i < 256; i++)
        {
            bool printable = i is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            pieces.Add(((char)(printable ? i : 256 + other++)).ToString());
        }

        return [.. pieces, "<|im_start|>", "<|im_end|>"];
    }
}

/// <summary>A server on a free port with a client.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private readonly TestFolder _folder = new();

    private TestServer(ServedModel? model, SchedulerOptions? scheduling, Func<ServerOptions, ServerOptions>? change, string template, int contextLength, IReadOnlyList<Served> others)
    {
        Path = _folder.Write("tiny.gguf", TinyModel.File(template, contextLength));
        Model = model ?? TinyModel.Serve(Path, scheduling ?? new SchedulerOptions());
        ServerOptions options = new() { Port = 0, Warn = Warnings.Add, Log = line => { lock (Lines) { Lines.Add(line); } } };
        Server = new KidogoServer([Model, .. others], change?.Invoke(options) ?? options);
    }

    public string Path { get; }

    public ServedModel Model { get; }

    public KidogoServer Server { get; }

    public HttpClient Client { get; private set; } = null!;

    public List<string> Warnings { get; } = [];

    public List<string> Lines { get; } = [];

    public Uri Address => new(Server.Address);

    public static async Task<TestServer> StartAsync(
        SchedulerOptions? scheduling = null, Func<ServerOptions, ServerOptions>? change = null, ServedModel? model = null, string template = TinyModel.Template,
        int contextLength = TinyModel.ContextLength, IReadOnlyList<Served>? others = null)
    {
        TestServer server = new(model, scheduling, change, template, contextLength, others ?? []);
        await server.Server.StartAsync();
        server.Client = new HttpClient { BaseAddress = server.Address, Timeout = TimeSpan.FromSeconds(120) };
        return server;
    }

    public Task<HttpResponseMessage> PostAsync(string path, string json, CancellationToken cancellation = default) =>
        Client.PostAsync(path, new StringContent(json, Encoding.UTF8, new MediaTypeHeaderValue("application/json")), cancellation);

    /// <summary>Posts, expects a status, and returns the answer.</summary>
    public async Task<JsonElement> PostJsonAsync(string path, string json, int status = 200)
    {
        using HttpResponseMessage response = await PostAsync(path, json);
        string body = await response.Content.ReadAsStringAsync();
        Assert.True((int)response.StatusCode == status, $"{(int)response.StatusCode} instead of {status}: {body}");
        return Parse(body);
    }

    /// <summary>Posts and returns the lines of the stream, without empty ones.</summary>
    public async Task<List<string>> PostStreamAsync(string path, string json)
    {
        using HttpResponseMessage response = await PostAsync(path, json);
        string body = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, body);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        Assert.EndsWith("\n\n", body, StringComparison.Ordinal);
        return [.. body.Split("\n\n", StringSplitOptions.RemoveEmptyEntries)];
    }

    public static JsonElement Parse(string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        return document.RootElement.Clone();
    }

    /// <summary>The data of a stream's events, without the end mark and comments.</summary>
    public static List<JsonElement> Events(IEnumerable<string> lines) =>
        [.. lines.Where(line => line.StartsWith("data: {", StringComparison.Ordinal)).Select(line => Parse(line["data: ".Length..]))];

    /// <summary>Waits until nobody has a place or waits for one.</summary>
    public async Task<SchedulerStatus> IdleAsync()
    {
        for (int i = 0; i < 12_000; i++) // two minutes: the machine may be busy
        {
            if (Model.Scheduler.Status() is { Active: 0, Waiting: 0 } status)
            {
                return status;
            }

            await Task.Delay(10);
        }

        throw new TimeoutException($"Places are still taken: {Model.Scheduler.Status()}");
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Server.StopAsync();
        await Server.DisposeAsync();
        Model.Dispose();
        _folder.Dispose();
    }
}

/// <summary>What one conversation alone would be answered: the way of <c>kidogo run</c>.</summary>
internal sealed class Alone : IDisposable
{
    private readonly ComputeContext _context = ComputeContext.Inference(1);
    private readonly LoadedModel _loaded;

    public Alone(string path)
    {
        _loaded = ModelLoader.Load(path, _context);
        Text = ModelText.Of(_loaded.Header);
    }

    public ModelText Text { get; }

    public int[] ChatIds(string user) => [.. new ChatPrompter(Text, Text.ChatTemplate()!).Build([new ChatMessage("user", user).ToJson()]).Ids];

    /// <summary>The greedy answer to a prompt.</summary>
    public (int[] Ids, string Text) Answer(IReadOnlyList<int> prompt, int maxTokens, SamplerOptions? sampling = null)
    {
        using TextGenerator generator = new(_loaded.Model, Text.Tokenizer, _context);
        using CachedSequence sequence = new(_loaded.Model);
        AnswerOptions options = new() { Generation = new GenerationOptions { MaxTokens = maxTokens, Sampling = sampling ?? SamplerOptions.Greedy } };
        string text = string.Concat(generator.Generate(sequence, prompt, options, out Answer answer).Select(piece => piece.Text));
        return ([.. answer.Ids], text);
    }

    public void Dispose()
    {
        _loaded.Dispose();
        _context.Dispose();
    }
}
