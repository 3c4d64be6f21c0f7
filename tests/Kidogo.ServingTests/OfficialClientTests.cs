// The official OpenAI package for .NET against the server: what programs that exist will do.
using System.ClientModel;
using System.ClientModel.Primitives;
using Kidogo.Serving;
using Kidogo.Inference.Scheduling;
using Kidogo.Tests.Inference;
using Kidogo.Tests.Models.Files;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Embeddings;
using OpenAI.Models;

namespace Kidogo.ServingTests;

public sealed class OfficialClientTests
{
    private static readonly ChatCompletionOptions s_greedy = new() { Temperature = 0, MaxOutputTokenCount = 12 };

    [Fact]
    public async Task Chat_Whole_HasTextFinishAndUsage()
    {
        await using TestServer server = await TestServer.StartAsync();
        using Alone alone = new(server.Path);
        ChatCompletion answer = await Client(server).CompleteChatAsync([new UserChatMessage("Habari?")], s_greedy);
        int[] prompt = alone.ChatIds("Habari?");
        Assert.Equal(alone.Answer(prompt, 12).Text, answer.Content[0].Text);
        Assert.Equal(ChatFinishReason.Length, answer.FinishReason);
        Assert.Equal(ChatMessageRole.Assistant, answer.Role);
        Assert.Equal((prompt.Length, 12), (answer.Usage.InputTokenCount, answer.Usage.OutputTokenCount));
        Assert.Equal("tiny", answer.Model);
        Assert.StartsWith("chatcmpl-", answer.Id, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Chat_Streamed_IsTheSameText()
    {
        await using TestServer server = await TestServer.StartAsync();
        ChatClient client = Client(server);
        ChatCompletion whole = await client.CompleteChatAsync([new SystemChatMessage("Fupi."), new UserChatMessage("Habari?")], s_greedy);
        string text = "";
        ChatFinishReason? finish = null;
        int tokens = 0;
        await foreach (StreamingChatCompletionUpdate update in client.CompleteChatStreamingAsync([new SystemChatMessage("Fupi."), new UserChatMessage("Habari?")], s_greedy))
        {
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            finish = update.FinishReason ?? finish;
            tokens = update.Usage?.OutputTokenCount ?? tokens;
        }

        Assert.Equal((whole.Content[0].Text, ChatFinishReason.Length, 12), (text, finish, tokens));
    }

    [Fact]
    public async Task Chat_AllOptionsThatAreHonoured_Pass()
    {
        await using TestServer server = await TestServer.StartAsync();
        ChatCompletionOptions options = new()
        {
            Temperature = 0.5f,
            TopP = 0.9f,
            FrequencyPenalty = 0.1f,
            PresencePenalty = 0.1f,
            MaxOutputTokenCount = 5,
            IncludeLogProbabilities = true,
            TopLogProbabilityCount = 2,
            EndUserId = "u",
            StopSequences = { "never" },
            LogitBiases = { [65] = 1 },
            ResponseFormat = ChatResponseFormat.CreateTextFormat(),
        };
#pragma warning disable OPENAI001 // the seed is experimental in the package
        options.Seed = 7;
#pragma warning restore OPENAI001
        ChatCompletion answer = await Client(server).CompleteChatAsync([new UserChatMessage("Habari?")], options);
        Assert.Equal(5, answer.ContentTokenLogProbabilities.Count);
        Assert.Equal(2, answer.ContentTokenLogProbabilities[0].TopLogProbabilities.Count);
    }

    [Fact]
    public async Task Models_AreListed()
    {
        await using TestServer server = await TestServer.StartAsync();
        OpenAIModelClient client = new(new ApiKeyCredential("any"), Options(server));
        OpenAIModelCollection models = await client.GetModelsAsync();
        Assert.Equal("tiny", Assert.Single(models).Id);
    }

    [Fact]
    public async Task Chat_JsonSchema_ComesAsJson()
    {
        await using TestServer server = await TestServer.StartAsync();
        ChatCompletionOptions options = new()
        {
            ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("town", BinaryData.FromString("""{"type":"object","properties":{"name":{"enum":["Thies"]}},"required":["name"],"additionalProperties":false}"""), jsonSchemaIsStrict: true),
        };
        ChatCompletion answer = await new ChatClient("tiny", new ApiKeyCredential("any"), Options(server)).CompleteChatAsync([new UserChatMessage("a")], options);
        using System.Text.Json.JsonDocument json = System.Text.Json.JsonDocument.Parse(answer.Content[0].Text);
        Assert.Equal("Thies", json.RootElement.GetProperty("name").GetString());
    }

    [Theory]
    [InlineData("tiny", "response_format", 400)]
    [InlineData("huge", "model_not_found", 404)]
    public async Task Errors_AreUnderstood(string model, string word, int status)
    {
        await using TestServer server = await TestServer.StartAsync();
        ChatCompletionOptions options = new() { ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("a", BinaryData.FromString("""{"not":{}}""")) };
        ClientResultException failure = await Assert.ThrowsAsync<ClientResultException>(() => new ChatClient(model, new ApiKeyCredential("any"), Options(server)).CompleteChatAsync([new UserChatMessage("a")], options));
        Assert.Equal(status, failure.Status);
        Assert.Contains(word, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Cancellation_InTheMiddle_FreesThePlace()
    {
        await using TestServer server = await TestServer.StartAsync(contextLength: TinyModel.EndlessContext);
        using CancellationTokenSource stop = new();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (StreamingChatCompletionUpdate update in Client(server).CompleteChatStreamingAsync([new UserChatMessage("Habari?")], cancellationToken: stop.Token))
            {
                await stop.CancelAsync();
            }
        });
        SchedulerStatus status = await server.IdleAsync();
        Assert.Equal((1, 0), (status.Cancelled, status.Finished));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Tools_Called_AreSeenByTheClient(bool streams)
    {
        // Writes one call in a few tokens, then ends.
        string[] pieces = ["<|end|>", "a", "<tool_call>", "{\"name\":\"get_weather\",", "\"arguments\":{\"town\":", "\"Dakar\"}}", "</tool_call>", "tools"];
        using ScriptedModel scripted = new(pieces, 1, 2, 3, 4, 5, 6, 0, 0);
        const string Template = "{% for message in messages %}{{ message.content }}{% endfor %}{# tools <tool_call> #}";
        using ServedModel model = new("scripted", scripted.Loaded, scripted.Context, Kidogo.Text.ChatTemplates.ChatTemplate.Parse(Template), new SchedulerOptions());
        await using TestServer server = await TestServer.StartAsync(model: model);
        ChatClient client = new("scripted", new ApiKeyCredential("any"), Options(server));
        ChatCompletionOptions options = new() { Temperature = 0, Tools = { ChatTool.CreateFunctionTool("get_weather", "Weather of a town", BinaryData.FromString("""{"type":"object","properties":{"town":{"type":"string"}}}""")) } };
        string name = "", arguments = "", id = "";
        ChatFinishReason? finish = null;
        if (streams)
        {
            await foreach (StreamingChatCompletionUpdate update in client.CompleteChatStreamingAsync([new UserChatMessage("a")], options))
            {
                foreach (StreamingChatToolCallUpdate call in update.ToolCallUpdates)
                {
                    name += call.FunctionName;
                    id += call.ToolCallId;
                    arguments += call.FunctionArgumentsUpdate;
                }

                finish = update.FinishReason ?? finish;
            }
        }
        else
        {
            ChatCompletion answer = await client.CompleteChatAsync([new UserChatMessage("a")], options);
            ChatToolCall call = Assert.Single(answer.ToolCalls);
            (name, arguments, id, finish) = (call.FunctionName, call.FunctionArguments.ToString(), call.Id, answer.FinishReason);
        }

        Assert.Equal(("get_weather", "{\"town\":\"Dakar\"}", ChatFinishReason.ToolCalls), (name, arguments, finish));
        Assert.StartsWith("call_", id, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tools_OfAModelOfItsOwnMind_StreamTheirArgumentsAndTakeResultsBack()
    {
        await using TestServer server = await TestServer.StartAsync(template: "{% if tools %}{{ tools | tojson }}{# <tool_call> #}{% endif %}" + TinyModel.Template, contextLength: 2048);
        ChatClient client = Client(server);
        const string Schema = """{"type":"object","properties":{"town":{"enum":["Dakar","Moshi"]},"days":{"type":"integer","minimum":1,"maximum":9}},"required":["town","days"],"additionalProperties":false}""";
        ChatTool weather = ChatTool.CreateFunctionTool("get_weather", "Weather of a town", BinaryData.FromString(Schema), functionSchemaIsStrict: true);
        ChatTool time = ChatTool.CreateFunctionTool("get_time", "The time", BinaryData.FromString("""{"type":"object","properties":{"utc":{"type":"boolean"}},"required":["utc"],"additionalProperties":false}"""), functionSchemaIsStrict: true);
        ChatCompletionOptions Options(ChatToolChoice choice) => new() { Temperature = 0, MaxOutputTokenCount = 300, Tools = { weather, time }, ToolChoice = choice, AllowParallelToolCalls = false };

        ChatCompletion named = await client.CompleteChatAsync([new UserChatMessage("a")], Options(ChatToolChoice.CreateFunctionChoice("get_weather")));
        ChatToolCall call = Assert.Single(named.ToolCalls);
        using System.Text.Json.JsonDocument arguments = System.Text.Json.JsonDocument.Parse(call.FunctionArguments);
        Assert.Contains(arguments.RootElement.GetProperty("town").GetString(), (string[])["Dakar", "Moshi"]);
        Assert.Empty(named.Content);
        ChatCompletion required = await client.CompleteChatAsync([new UserChatMessage("a")], Options(ChatToolChoice.CreateRequiredChoice()));
        Assert.Equal(ChatFinishReason.ToolCalls, required.FinishReason);
        Assert.Single(required.ToolCalls);
        ChatCompletionOptions none = Options(ChatToolChoice.CreateNoneChoice());
        none.MaxOutputTokenCount = 5;
        Assert.Empty((await client.CompleteChatAsync([new UserChatMessage("a")], none)).Value.ToolCalls);

        string streamed = "", id = "";
        int parts = 0;
        await foreach (StreamingChatCompletionUpdate update in client.CompleteChatStreamingAsync([new UserChatMessage("a")], Options(ChatToolChoice.CreateFunctionChoice("get_weather"))))
        {
            foreach (StreamingChatToolCallUpdate part in update.ToolCallUpdates)
            {
                streamed += part.FunctionArgumentsUpdate;
                id += part.ToolCallId;
                parts++;
            }
        }

        Assert.Equal(call.FunctionArguments.ToString(), streamed);
        Assert.StartsWith("call_", id, StringComparison.Ordinal);
        Assert.True(parts > 3, $"{parts} parts");
        ChatMessage[] history = [new UserChatMessage("a"), new AssistantChatMessage(named), new ToolChatMessage(call.Id, "Sunny.")];
        ChatCompletion after = await client.CompleteChatAsync(history, new ChatCompletionOptions { Temperature = 0, MaxOutputTokenCount = 4, Tools = { weather } });
        Assert.Equal(4, after.Usage.OutputTokenCount);
        ChatCompletion without = await client.CompleteChatAsync(history[..2], new ChatCompletionOptions { Temperature = 0, MaxOutputTokenCount = 4, Tools = { weather } });
        Assert.True(after.Usage.InputTokenCount > without.Usage.InputTokenCount); // the result was read
    }

    [Fact]
    public async Task JsonSchema_Streamed_IsTheSameJson()
    {
        await using TestServer server = await TestServer.StartAsync();
        ChatCompletionOptions options = new()
        {
            Temperature = 0,
            ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("town", BinaryData.FromString("""{"type":"object","properties":{"days":{"type":"integer","minimum":1,"maximum":99}},"required":["days"],"additionalProperties":false}"""), "A number of days", jsonSchemaIsStrict: true),
        };
        ChatCompletion whole = await Client(server).CompleteChatAsync([new UserChatMessage("a")], options);
        string text = "";
        await foreach (StreamingChatCompletionUpdate update in Client(server).CompleteChatStreamingAsync([new UserChatMessage("a")], options))
        {
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
        }

        Assert.Equal(whole.Content[0].Text, text);
        using System.Text.Json.JsonDocument json = System.Text.Json.JsonDocument.Parse(text);
        Assert.InRange(json.RootElement.GetProperty("days").GetInt32(), 1, 99);
    }

    [Fact]
    public async Task Embeddings_OneAndSeveral_AreTheSame()
    {
        using TestFolder folder = new();
        await using TestServer server = await TestServer.StartAsync(others: [TinyEncoder.Serve(TinyEncoder.Write(folder))]);
        EmbeddingClient client = new("tiny-encoder", new ApiKeyCredential("any"), Options(server));
        OpenAIEmbeddingCollection several = await client.GenerateEmbeddingsAsync(["habari", "maji safi"]);
        OpenAIEmbedding one = await client.GenerateEmbeddingAsync("maji safi");
        Assert.Equal(TinyEncoder.Dimensions, one.ToFloats().Length);
        Assert.Equal(several[1].ToFloats().ToArray(), one.ToFloats().ToArray());
        Assert.NotEqual(several[0].ToFloats().ToArray(), one.ToFloats().ToArray());
        OpenAIEmbedding cut = await client.GenerateEmbeddingAsync("maji safi", new EmbeddingGenerationOptions { Dimensions = TinyEncoder.Cut });
        Assert.Equal(TinyEncoder.Cut, cut.ToFloats().Length);
        ClientResultException failure = await Assert.ThrowsAsync<ClientResultException>(() => client.GenerateEmbeddingAsync(new string('a', 99))); // more than the encoder reads
        Assert.Equal(400, failure.Status);
        Assert.Contains("exceed_context_size_error", failure.GetRawResponse()!.Content.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Errors_OfKeysPlacesAndLengths_AreUnderstood()
    {
        using TestFolder folder = new();
        string keys = folder["keys.json"], key = Kidogo.Serving.Access.KeyFile.Create(keys, "amina", null, null);
        await using TestServer server = await TestServer.StartAsync(new SchedulerOptions { Parallel = 1, QueueLength = 0 }, options => options with { KeyFile = keys });
        ClientResultException unknown = await Assert.ThrowsAsync<ClientResultException>(() => Client(server).CompleteChatAsync([new UserChatMessage("a")]));
        Assert.Equal(401, unknown.Status);
        ChatClient known = new("tiny", new ApiKeyCredential(key), Options(server));
        ClientResultException tooLong = await Assert.ThrowsAsync<ClientResultException>(() => known.CompleteChatAsync([new UserChatMessage(new string('a', 600))]));
        Assert.Equal(400, tooLong.Status);
        Assert.Contains("exceed_context_size_error", tooLong.GetRawResponse()!.Content.ToString(), StringComparison.Ordinal);
        using GenerationGroup busy = server.Model.Scheduler.Submit(new GenerationRequest { Prompt = [40], Generation = new() { MaxTokens = 500 } });
        await busy.Steps.WaitToReadAsync();
        ClientResultException full = await Assert.ThrowsAsync<ClientResultException>(() => known.CompleteChatAsync([new UserChatMessage("a")]));
        Assert.Equal(429, full.Status);
        Assert.True(full.GetRawResponse()!.Headers.TryGetValue("Retry-After", out string? after) && int.Parse(after!, System.Globalization.CultureInfo.InvariantCulture) >= 1);
        busy.Cancel();
        await server.IdleAsync();
        Assert.Equal(3, (await known.CompleteChatAsync([new UserChatMessage("a")], new ChatCompletionOptions { MaxOutputTokenCount = 3 })).Value.Usage.OutputTokenCount);
    }

    [Fact]
    public async Task Cancellation_OfAnAnswerThatIsNotStreamed_FreesThePlace()
    {
        await using TestServer server = await TestServer.StartAsync(contextLength: TinyModel.EndlessContext);
        using CancellationTokenSource stop = new();
        Task<ClientResult<ChatCompletion>> answer = Client(server).CompleteChatAsync([new UserChatMessage("Habari?")], cancellationToken: stop.Token);
        while (server.Model.Scheduler.Status() is not { Places: [{ GeneratedTokens: > 0 }] })
        {
            Assert.False(answer.IsCompleted);
            await Task.Delay(5);
        }

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answer);
        Assert.Equal((1, 0), (await server.IdleAsync()) is var status ? (status.Cancelled, status.Finished) : default);
    }

    private static ChatClient Client(TestServer server) => new("tiny", new ApiKeyCredential("any"), Options(server));

    private static OpenAIClientOptions Options(TestServer server) => new()
    {
        Endpoint = new Uri(server.Address, "v1"), RetryPolicy = new ClientRetryPolicy(0),
        Transport = new HttpClientPipelineTransport(new HttpClient(new SocketsHttpHandler { MaxResponseDrainSize = 0 })), // else what was cancelled is read to its end, for 2 seconds
    };
}
