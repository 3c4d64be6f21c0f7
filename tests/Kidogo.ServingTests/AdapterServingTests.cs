// Adapters over one base in memory: each request gets its own, whoever else is served, and nothing that another adapter computed.
using System.Text.Json;
using Kidogo.Inference;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Scheduling;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Serving;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Kidogo.Tests.Models.Files;

namespace Kidogo.ServingTests;

public sealed class AdapterServingTests
{
    [Fact]
    public async Task Requests_OfSeveralAdapters_SayWhatTheySayAlone()
    {
        using TestFolder folder = new();
        string path = folder.Write("tiny.gguf", TinyModel.File());
        using ServedModel model = Serve(path, ["a", "b"], isDefault: false);
        Adapter?[] adapters = [model.Adapters.Find("a"), model.Adapters.Find("b"), Adapter.None, null];
        int[] prompt = [.. Enumerable.Range(0, 60).Select(i => 33 + (i * 7 % 90))];
        string[] alone = [.. adapters.Select(adapter => Alone(path, prompt, adapter is null || adapter == Adapter.None ? null : adapter.Name))];
        Assert.Equal(3, alone.Distinct().Count()); // adapters change what is said; the last two are the base
        for (int round = 0; round < 3; round++)
        {
            string[] together = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => ReadAsync(model.Scheduler.Submit(Greedy(prompt, adapters[i % 4])))));
            for (int i = 0; i < together.Length; i++)
            {
                Assert.Equal(alone[i % 4], together[i]);
            }
        }
    }

    [Fact]
    public async Task Prefixes_OfAnotherAdapter_AreNotUsed()
    {
        using TestFolder folder = new();
        using ServedModel model = Serve(folder.Write("tiny.gguf", TinyModel.File()), ["a", "b"], isDefault: true);
        int[] prompt = [.. Enumerable.Range(33, 80)];
        Adapter?[] order = [model.Adapters.Find("a"), model.Adapters.Find("b"), Adapter.None, model.Adapters.Find("a"), null];
        List<int> cached = [];
        foreach (Adapter? adapter in order)
        {
            using GenerationGroup group = model.Scheduler.Submit(Greedy(prompt, adapter));
            await ReadAsync(group);
            cached.Add(group.Choices[0].CachedTokens);
            while (model.Scheduler.Status().Active > 0)
            {
                await Task.Delay(1);
            }
        }

        Assert.Equal([0, 0, 0, 79, 79], cached); // the last asks for the default, which is b
    }

    [Fact]
    public async Task Model_NamedWithAnAdapter_IsServedWithIt()
    {
        using TestFolder folder = new();
        string path = folder.Write("tiny.gguf", TinyModel.File());
        await using TestServer server = await TestServer.StartAsync(model: Serve(path, ["a", "b"], isDefault: false));
        int[] prompt = [.. "Habari".Select(c => (int)c)];
        (string Name, string? Adapter)[] names = [("tiny", null), ("tiny:a", "a"), ("tiny:b", "b"), ("tiny:none", null)];
        foreach ((string name, string? adapter) in names)
        {
            JsonElement answer = await server.PostJsonAsync("/v1/completions", $"{{\"model\":\"{name}\",\"prompt\":\"Habari\",\"temperature\":0,\"max_tokens\":20}}");
            Assert.Equal(name, answer.GetProperty("model").GetString());
            Assert.Equal(Alone(path, prompt, adapter), answer.GetProperty("choices")[0].GetProperty("text").GetString());
        }

        JsonElement error = (await server.PostJsonAsync("/v1/completions", """{"model":"tiny:c","prompt":"a"}""", 404)).GetProperty("error");
        Assert.Contains("`tiny:", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        JsonElement[] listed = [.. TestServer.Parse(await server.Client.GetStringAsync("/v1/models")).GetProperty("data").EnumerateArray()];
        Assert.Equal(["tiny", "tiny:a", "tiny:b"], listed.Select(each => each.GetProperty("id").GetString()));
        Assert.Equal("tiny", listed[1].GetProperty("parent").GetString());
        Assert.Throws<ArgumentException>(() => server.Model.Scheduler.Submit(Greedy(prompt, Random("stranger"))));
    }

    private static ServedModel Serve(string path, string[] adapters, bool isDefault)
    {
        ComputeContext context = ComputeContext.Inference(1);
        LoadedModel loaded = ModelLoader.Load(path, context);
        foreach (string name in adapters)
        {
            loaded.Model.Adapters.Attach(Random(name), context, isDefault);
        }

        return new ServedModel("tiny", loaded, context, null, new SchedulerOptions { Parallel = 4, PromptRows = 16 });
    }

    /// <summary>What the model with one adapter alone says to a prompt.</summary>
    private static string Alone(string path, int[] prompt, string? adapter)
    {
        using ComputeContext context = ComputeContext.Inference(1);
        using LoadedModel loaded = ModelLoader.Load(path, context);
        if (adapter is not null)
        {
            loaded.Model.Adapters.Attach(Random(adapter), context);
        }

        using TextGenerator generator = new(loaded.Model, ModelText.Of(loaded.Header).Tokenizer, context);
        using CachedSequence sequence = new(loaded.Model);
        AnswerOptions options = new() { Generation = new GenerationOptions { MaxTokens = 20, Sampling = SamplerOptions.Greedy } };
        return string.Concat(generator.Generate(sequence, prompt, options, out _).Select(piece => piece.Text));
    }

    /// <summary>Large changes of the queries and of the feed-forward, drawn by the name.</summary>
    private static Adapter Random(string name)
    {
        Random random = new(name[0]);
        Tensor Draw(int rows, int columns)
        {
            Tensor tensor = new(rows, columns);
            foreach (ref float value in tensor.Span)
            {
                value = (float)(random.NextDouble() - 0.5);
            }

            return tensor;
        }

        return new Adapter(name, [new SlotChange("blk.0.attn_q", new LowRankChange(Draw(4, 64), Draw(64, 4), 1)), new SlotChange("blk.1.ffn_down", new LowRankChange(Draw(4, 96), Draw(64, 4), 1))]);
    }

    private static GenerationRequest Greedy(int[] prompt, Adapter? adapter) =>
        new() { Prompt = prompt, Adapter = adapter, Generation = new GenerationOptions { MaxTokens = 20, Sampling = SamplerOptions.Greedy } };

    private static async Task<string> ReadAsync(GenerationGroup group)
    {
        string text = "";
        await foreach (GenerationStep step in group.Steps.ReadAllAsync())
        {
            text += string.Concat(step.Pieces.Select(piece => piece.Text));
        }

        return text;
    }
}
