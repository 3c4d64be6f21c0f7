// Models by dependency injection, the embedding generator, what is told to OpenTelemetry, and the sample of three lines.
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Kidogo.Inference;
using Kidogo.Inference.Telemetry;
using Kidogo.TestSupport;
using Kidogo.Tests.Models.Files;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Kidogo.ServingTests;

public sealed class DependencyInjectionTests : IDisposable
{
    private const float VectorTolerance = 1e-6f; // the same computation twice, beside other texts

    private readonly TestFolder _folder = new();
    private readonly string _path;

    public DependencyInjectionTests() => _path = _folder.Write("tiny.gguf", TinyModel.File());

    private static string Encoder => SharedFolder.PathOf("models", "all-MiniLM-L6-v2");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Models_WithAndWithoutNames_AreLoadedOnceEach()
    {
        await using ServiceProvider services = new ServiceCollection()
            .AddKidogo(options => options.Model = _path)
            .AddKidogo("second", options => (options.Model, options.ModelId, options.Threads) = (_path, "other", 1))
            .BuildServiceProvider();
        IChatClient first = services.GetRequiredService<IChatClient>(), second = services.GetRequiredKeyedService<IChatClient>("second");
        Assert.Same(first, services.GetRequiredService<IChatClient>());
        Assert.NotSame(first, second);
        ChatOptions greedy = new() { Temperature = 0, MaxOutputTokens = 5 };
        ChatResponse one = await first.GetResponseAsync("Habari?", greedy), two = await second.GetResponseAsync("Habari?", greedy);
        Assert.Equal(("tiny", "other", one.Text), (one.ModelId, two.ModelId, two.Text));
        Assert.Contains("EmbeddingModel", Assert.Throws<InvalidOperationException>(services.GetRequiredService<IEmbeddingGenerator<string, Embedding<float>>>).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Options_Wrong_StopTheHostBeforeItStarts()
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddKidogo("bad", options => (options.Model, options.Parallel, options.Threads) = (_folder["absent.gguf"], 0, -1)).AddKidogo("none");
        using IHost host = builder.Build();
        Exception refusal = await Assert.ThrowsAnyAsync<Exception>(() => host.StartAsync());
        string message = refusal is AggregateException all ? string.Join('\n', all.InnerExceptions.Select(each => each.Message)) : refusal.Message;
        foreach (string word in (string[])["\"bad\"", "absent.gguf", "Parallel is 0", "Threads is -1", "\"none\"", "Neither Model nor EmbeddingModel"])
        {
            Assert.Contains(word, message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Options_Right_LetTheHostStart()
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddKidogo();
        builder.Services.Configure<KidogoOptions>(options => options.Model = _path); // as from a settings file
        using IHost host = builder.Build();
        await host.StartAsync();
        Assert.NotNull(host.Services.GetRequiredService<IChatClient>());
        await host.StopAsync();
    }

    [Theory]
    [InlineData(nameof(KidogoOptions.ContextLength), 513)]
    [InlineData(nameof(KidogoOptions.Threads), 5000)]
    [InlineData(nameof(KidogoOptions.Parallel), 0)]
    public void Options_OutOfRange_AreNamedWithoutAHost(string name, int value)
    {
        KidogoOptions options = new() { Model = _path };
        typeof(KidogoOptions).GetProperty(name)!.SetValue(options, value);
        Assert.Contains(name, Assert.Throws<ArgumentException>(() => KidogoChatClient.Load(options)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Model_Absent_IsNamed()
    {
        Assert.Contains("absent.gguf", Assert.Throws<FileNotFoundException>(() => KidogoChatClient.Load(_folder["absent.gguf"])).Message, StringComparison.Ordinal);
        Assert.Contains("Model", Assert.Throws<ArgumentException>(() => KidogoChatClient.Load(new KidogoOptions())).Message, StringComparison.Ordinal);
    }

    [SharedFact]
    public async Task Embeddings_AreThoseOfTheEncoder()
    {
        await using ServiceProvider services = new ServiceCollection().AddKidogo(options => options.EmbeddingModel = Encoder).BuildServiceProvider();
        IEmbeddingGenerator<string, Embedding<float>> generator = services.GetRequiredService<IEmbeddingGenerator<string, Embedding<float>>>();
        string[] texts = ["Habari ya asubuhi", "Good morning", "A quantised model is smaller."];
        GeneratedEmbeddings<Embedding<float>> together = await generator.GenerateAsync(texts);
        Assert.Equal(3, together.Count);
        Assert.Equal("all-MiniLM-L6-v2", together[0].ModelId);
        Assert.True(together.Usage!.InputTokenCount > 10);
        GeneratedEmbeddings<Embedding<float>>[] apart = await Task.WhenAll(texts.Select(text => generator.GenerateAsync([text])));
        for (int i = 0; i < texts.Length; i++)
        {
            Assert.All(together[i].Vector.ToArray().Zip(apart[i][0].Vector.ToArray()), pair => Assert.Equal(pair.First, pair.Second, VectorTolerance));
        }

        EmbeddingGeneratorMetadata metadata = generator.GetRequiredService<EmbeddingGeneratorMetadata>();
        Assert.Equal(("kidogo", "all-MiniLM-L6-v2", 384), (metadata.ProviderName, metadata.DefaultModelId, metadata.DefaultModelDimensions));
        Assert.Empty(await generator.GenerateAsync([]));
    }

    [SharedFact]
    public async Task Embeddings_Options_AreHonouredOrRefusedByName()
    {
        using KidogoEmbeddingGenerator generator = KidogoEmbeddingGenerator.Load(new KidogoOptions { EmbeddingModel = Encoder });
        Assert.Single(await generator.GenerateAsync(["a"], new EmbeddingGenerationOptions { Dimensions = 384, ModelId = "all-MiniLM-L6-v2" }));
        await Refused<NotSupportedException>("Dimensions", new EmbeddingGenerationOptions { Dimensions = 100 });
        await Refused<ArgumentException>("ModelId", new EmbeddingGenerationOptions { ModelId = "other" });
        await Refused<NotSupportedException>("RawRepresentationFactory", new EmbeddingGenerationOptions { RawRepresentationFactory = _ => 1 });
        await Refused<NotSupportedException>("\"what\"", new EmbeddingGenerationOptions { AdditionalProperties = new() { ["what"] = 1 } });
        string longText = string.Concat(Enumerable.Repeat("word ", 400));
        ArgumentException tooLong = await Assert.ThrowsAsync<ArgumentException>(() => generator.GenerateAsync(["a", longText]));
        Assert.Contains("Text 1 has 402 tokens", tooLong.Message, StringComparison.Ordinal);
        Assert.Single(await generator.GenerateAsync([longText], new EmbeddingGenerationOptions { AdditionalProperties = new() { ["truncate"] = true } }));
        await Assert.ThrowsAsync<ArgumentNullException>(() => generator.GenerateAsync(null!));
        await Assert.ThrowsAsync<ArgumentException>(() => generator.GenerateAsync(["a", null!]));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => generator.GenerateAsync(["a"], null, new CancellationToken(true)));

        async Task Refused<T>(string name, EmbeddingGenerationOptions options)
            where T : Exception => Assert.Contains(name, (await Assert.ThrowsAsync<T>(() => generator.GenerateAsync(["a"], options))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Telemetry_HasNumbersAndSpansButNoContents()
    {
        const string Secret = "siri yangu";
        List<(string Name, string? Unit, double Value, string Tags)> measured = [];
        List<Activity> spans = [];
        using ActivityListener spanListener = new() { ShouldListenTo = source => source.Name == ModelTelemetry.SourceName, Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData };
        spanListener.ActivityStopped = span =>
        {
            lock (spans)
            {
                spans.Add(span);
            }
        };
        ActivitySource.AddActivityListener(spanListener);
        using MeterListener meters = new();
        meters.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == ModelTelemetry.SourceName)
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        meters.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Note(instrument, value, tags));
        meters.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Note(instrument, value, tags));
        meters.Start();

        using (KidogoChatClient client = KidogoChatClient.Load(new KidogoOptions { Model = _path, ModelId = "watched" }))
        {
            await client.GetStreamingResponseAsync(Secret, new ChatOptions { MaxOutputTokens = 6, Temperature = 0, Seed = 3, Instructions = Secret }).ToListAsync();
            await Assert.ThrowsAsync<NotSupportedException>(() => client.GetResponseAsync(Secret, new ChatOptions { ConversationId = Secret }));
        }

        lock (measured)
        {
            measured.RemoveAll(each => !each.Tags.Contains("gen_ai.request.model=watched", StringComparison.Ordinal)); // other tests run beside
            Assert.All(measured, each => Assert.DoesNotContain(Secret, each.Tags, StringComparison.Ordinal));
            foreach ((string name, string unit, int count) in ((string, string, int)[])[
                ("gen_ai.client.token.usage", "{token}", 2), ("gen_ai.client.operation.duration", "s", 2), ("gen_ai.client.operation.time_to_first_chunk", "s", 1),
                ("gen_ai.server.request.duration", "s", 2), ("gen_ai.server.time_to_first_token", "s", 1), ("gen_ai.server.time_per_output_token", "s", 1)])
            {
                Assert.Equal((name, count), (name, measured.Count(each => each.Name == name && each.Unit == unit && each.Value >= 0)));
            }

            Assert.Contains(measured, each => each.Name == "gen_ai.client.operation.time_per_output_chunk");
            Assert.Equal(6, Assert.Single(measured, each => each.Tags.Contains("gen_ai.token.type=output", StringComparison.Ordinal)).Value);
            Assert.Single(measured, each => each.Name == "gen_ai.client.operation.duration" && each.Tags.Contains("error.type=System.NotSupportedException", StringComparison.Ordinal));
        }

        Activity[] mine;
        lock (spans)
        {
            mine = [.. spans.Where(span => span.DisplayName == "chat watched").OrderBy(span => span.StartTimeUtc)];
        }

        Assert.Equal(2, mine.Length);
        Assert.All(mine.SelectMany(span => span.TagObjects), tag => Assert.DoesNotContain(Secret, tag.Value?.ToString() ?? "", StringComparison.Ordinal));
        Dictionary<string, object?> tags = mine[0].TagObjects.ToDictionary();
        Assert.Equal("chat", tags["gen_ai.operation.name"]);
        Assert.Equal("kidogo", tags["gen_ai.provider.name"]);
        Assert.Equal(6L, tags["gen_ai.usage.output_tokens"]);
        Assert.Equal(6, tags["gen_ai.request.max_tokens"]);
        Assert.Equal(["length"], (string[])tags["gen_ai.response.finish_reasons"]!);
        Assert.Equal((ActivityStatusCode.Error, null), (mine[1].Status, mine[1].StatusDescription));

        void Note(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            string text = string.Join(';', tags.ToArray().Select(tag => $"{tag.Key}={tag.Value}"));
            lock (measured)
            {
                measured.Add((instrument.Name, instrument.Unit, value, text));
            }
        }
    }

    [Fact]
    public async Task Sample_OfThreeLines_Answers()
    {
        string[] lines = await File.ReadAllLinesAsync(Path.Combine(SharedFolder.RepositoryRoot, "samples", "ThreeLines", "Program.cs"));
        Assert.Equal(3, lines.Count(line => line.Length > 0 && !line.StartsWith("using ", StringComparison.Ordinal) && !line.StartsWith("//", StringComparison.Ordinal)));
        ProcessStartInfo start = new("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        string own = Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory);
        Array.ForEach([Path.Combine(own, "..", "..", "ThreeLines", Path.GetFileName(own), "ThreeLines.dll"), _path, "Habari?"], start.ArgumentList.Add);
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync(new CancellationTokenSource(TimeSpan.FromMinutes(5)).Token);
        Assert.True(process.ExitCode == 0, await error);
        Assert.True((await output).Trim().Length > 100, await output); // the tiny model never ends by itself
    }
}
