// Microsoft.Extensions.AI over a model in this process: what its contract says, option by option.
using System.ComponentModel;
using System.Text.Json;
using Kidogo.Inference;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Scheduling;
using Kidogo.Tests.Inference;
using Kidogo.Tests.Models.Files;
using Kidogo.Text.ChatTemplates;
using Microsoft.Extensions.AI;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;

namespace Kidogo.ServingTests;

public sealed class KidogoChatClientTests : IDisposable
{
    private const string Schema = """{"type":"object","properties":{"town":{"enum":["Dakar","Moshi"]},"dry":{"type":"boolean"}},"required":["town","dry"],"additionalProperties":false}""";
    private const string ToolTemplate = "{% for message in messages %}{{ message.content }}{% endfor %}{# tools <tool_call> #}";
    private static readonly string[] s_callPieces = ["<|end|>", "a", "<tool_call>", "{\"name\":\"get_weather\",", "\"arguments\":{\"town\":", "\"Dakar\"}}", "</tool_call>", "tools"];

    private readonly TestFolder _folder = new();
    private readonly string _path;
    private readonly KidogoChatClient _client;

    public KidogoChatClientTests()
    {
        _path = _folder.Write("tiny.gguf", TinyModel.File());
        _client = KidogoChatClient.Load(new KidogoOptions { Model = _path, Threads = 1 });
    }

    /// <summary>Options that ask for what is not there, or that are outside their range, and the name that the refusal has to say.</summary>
    public static TheoryData<string, ChatOptions> Refused => new()
    {
        { "ConversationId", new ChatOptions { ConversationId = "c" } },
        { "ModelId", new ChatOptions { ModelId = "huge" } },
        { "Temperature", new ChatOptions { Temperature = float.NaN } },
        { "Temperature", new ChatOptions { Temperature = -1 } },
        { "TopP", new ChatOptions { TopP = 1.5f } },
        { "TopK", new ChatOptions { TopK = -1 } },
        { "FrequencyPenalty", new ChatOptions { FrequencyPenalty = 3 } },
        { "PresencePenalty", new ChatOptions { PresencePenalty = float.PositiveInfinity } },
        { "MaxOutputTokens", new ChatOptions { MaxOutputTokens = 0 } },
        { "StopSequences", new ChatOptions { StopSequences = [""] } },
        { "ResponseFormat", new ChatOptions { ResponseFormat = ChatResponseFormat.ForJsonSchema(TestServer.Parse("""{"not":{}}""")) } },
        { "Tools", new ChatOptions { Tools = [AIFunctionFactory.Create(() => 1, "one")] } }, // the tiny model's template has no place for them
        { "Tools", new ChatOptions { Tools = [new HostedWebSearchTool()] } },
        { "ToolMode", new ChatOptions { ToolMode = ChatToolMode.RequireAny } },
        { "Reasoning.Effort", new ChatOptions { Reasoning = new ReasoningOptions { Effort = ReasoningEffort.High } } },
        { "Reasoning.Output", new ChatOptions { Reasoning = new ReasoningOptions { Output = ReasoningOutput.Summary } } },
        { "RawRepresentationFactory", new ChatOptions { RawRepresentationFactory = _ => "text" } },
        { "Did you mean \"min_p\"", new ChatOptions { AdditionalProperties = new() { ["minp"] = 0.1 } } },
        { "min_p", new ChatOptions { AdditionalProperties = new() { ["min_p"] = "much" } } },
        { "grammar", new ChatOptions { AdditionalProperties = new() { ["grammar"] = "root ::= (" } } },
        { "strict", new ChatOptions { AdditionalProperties = new() { ["strict"] = "yes" } } },
        { "exclude each other", new ChatOptions { ResponseFormat = ChatResponseFormat.Json, AdditionalProperties = new() { ["regex"] = "a" } } },
#pragma warning disable MEAI001 // experimental in the package
        { "AllowBackgroundResponses", new ChatOptions { AllowBackgroundResponses = true } },
        { "ContinuationToken", new ChatOptions { ContinuationToken = ResponseContinuationToken.FromBytes(new byte[] { 1 }) } },
#pragma warning restore MEAI001
    };

    public void Dispose()
    {
        _client.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task Answer_Greedy_IsThatOfTheModelAlone()
    {
        using Alone alone = new(_path);
        int[] prompt = alone.ChatIds("Habari?");
        ChatResponse answer = await _client.GetResponseAsync("Habari?", Greedy(20));
        Assert.Equal(alone.Answer(prompt, 20).Text, answer.Text);
        Assert.Equal(ChatRole.Assistant, Assert.Single(answer.Messages).Role);
        Assert.Equal((ChatFinishReason.Length, "tiny"), (answer.FinishReason, answer.ModelId));
        Assert.Equal((prompt.Length, 20, prompt.Length + 20), (answer.Usage!.InputTokenCount, answer.Usage.OutputTokenCount, answer.Usage.TotalTokenCount));
        Assert.StartsWith("chatcmpl-", answer.ResponseId, StringComparison.Ordinal);
        Assert.NotNull(answer.CreatedAt);
    }

    [Fact]
    public async Task Stream_AllTogether_IsTheWholeAnswer()
    {
        ChatResponse whole = await _client.GetResponseAsync("Habari?", Greedy(12));
        List<ChatResponseUpdate> updates = await _client.GetStreamingResponseAsync("Habari?", Greedy(12)).ToListAsync();
        Assert.True(updates.Count > 2, "It came at once.");
        Assert.Single(updates.Select(update => (update.MessageId, update.ResponseId, update.ModelId, update.Role)).Distinct());
        Assert.All(updates.SkipLast(1), update => Assert.Null(update.FinishReason));
        ChatResponse streamed = updates.ToChatResponse();
        Assert.Equal((whole.Text, whole.FinishReason, whole.Usage!.OutputTokenCount), (streamed.Text, streamed.FinishReason, streamed.Usage!.OutputTokenCount));
        Assert.Equal(whole.Usage.InputTokenCount - 1, streamed.Usage.CachedInputTokenCount); // the second call computes the last token alone
    }

    [Fact]
    public async Task Calls_ManyAtOnce_AnswerAsAlone()
    {
        string[] prompts = [.. Enumerable.Range(0, 16).Select(i => $"Habari {i}?")];
        string[] alone = new string[prompts.Length];
        for (int i = 0; i < prompts.Length; i++)
        {
            alone[i] = (await _client.GetResponseAsync(prompts[i], Seeded(i))).Text;
        }

        ChatResponse[] together = await Task.WhenAll(prompts.Select((prompt, i) => Task.Run(() => _client.GetResponseAsync(prompt, Seeded(i)))));
        Assert.Equal(alone, together.Select(answer => answer.Text));

        static ChatOptions Seeded(int i) => new() { MaxOutputTokens = 15, Seed = i, Temperature = 1.2f };
    }

    [Fact]
    public async Task Options_ThatAreHonoured_Pass()
    {
        using Alone alone = new(_path);
        ChatOptions options = new()
        {
            Instructions = "Fupi.", Temperature = 0.8f, TopP = 0.9f, TopK = 30, FrequencyPenalty = 0.5f, PresencePenalty = 0.25f, Seed = 11, MaxOutputTokens = 16, ModelId = "tiny",
            StopSequences = ["never this"], ResponseFormat = ChatResponseFormat.Text, ToolMode = ChatToolMode.Auto, AllowMultipleToolCalls = true, Tools = [],
            Reasoning = new ReasoningOptions { Effort = ReasoningEffort.None, Output = ReasoningOutput.Full },
            AdditionalProperties = new() { ["min_p"] = 0.01, ["typical_p"] = 0.95f, ["repetition_penalty"] = 1.1 },
        };
        SamplerOptions expected = new()
        {
            Temperature = 0.8, TopP = 0.9, TopK = 30, FrequencyPenalty = 0.5, PresencePenalty = 0.25, Seed = 11, MinP = 0.01, TypicalP = 0.95, RepetitionPenalty = 1.1, PenaltyLastN = -1, FrequencyCountsPrompt = false,
        };
        int[] prompt = [.. new ChatPrompter(alone.Text, alone.Text.ChatTemplate()!).Build([new Kidogo.Text.ChatTemplates.ChatMessage("system", "Fupi.").ToJson(), new Kidogo.Text.ChatTemplates.ChatMessage("user", "Habari?").ToJson()]).Ids];
        ChatResponse answer = await _client.GetResponseAsync("Habari?", options);
        Assert.Equal(alone.Answer(prompt, 16, expected).Text, answer.Text);
        ChatOptions raw = new() { MaxOutputTokens = 16, Instructions = "Fupi.", RawRepresentationFactory = _ => expected };
        Assert.Equal(answer.Text, (await _client.GetResponseAsync("Habari?", raw)).Text);
    }

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task Option_ThatCannotBeHonoured_IsRefusedByItsName(string name, ChatOptions options)
    {
        Exception refusal = await Assert.ThrowsAnyAsync<Exception>(() => _client.GetResponseAsync("Habari?", options));
        Assert.True(refusal is NotSupportedException or ArgumentException, refusal.ToString());
        Assert.Contains(name, refusal.Message, StringComparison.Ordinal);
        refusal = await Assert.ThrowsAnyAsync<Exception>(async () => await _client.GetStreamingResponseAsync("Habari?", options).ToListAsync());
        Assert.Contains(name, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Messages_ThatSayNothing_AreRefused()
    {
        await Assert.ThrowsAsync<ArgumentNullException>(() => _client.GetResponseAsync((IEnumerable<ChatMessage>)null!));
        Assert.Throws<ArgumentNullException>(() => _client.GetStreamingResponseAsync((IEnumerable<ChatMessage>)null!));
        await Assert.ThrowsAsync<ArgumentException>(() => _client.GetResponseAsync([]));
        await Assert.ThrowsAsync<ArgumentException>(() => _client.GetResponseAsync([new ChatMessage(ChatRole.User, [])]));
        await _client.GetResponseAsync([new ChatMessage(ChatRole.Assistant, []), new ChatMessage(ChatRole.User, "a")], Greedy(1)); // an answer that was empty, handed back
        NotSupportedException image = await Assert.ThrowsAsync<NotSupportedException>(() => _client.GetResponseAsync([new ChatMessage(ChatRole.User, [new DataContent(new byte[] { 1 }, "image/png")])]));
        Assert.Contains("DataContent", image.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ContextExceededException>(() => _client.GetResponseAsync(new string('a', TinyModel.ContextLength)));
    }

    [Fact]
    public async Task Instructions_BeforeASystemMessage_BecomeOneWithIt()
    {
        ChatMessage[] asked = [new(ChatRole.System, "Second."), new(ChatRole.User, "Habari?")];
        ChatMessage[] merged = [new(ChatRole.System, "First.\n\nSecond."), new(ChatRole.User, "Habari?")];
        ChatOptions options = Greedy(8);
        string expected = (await _client.GetResponseAsync(merged, options)).Text;
        options.Instructions = "First.";
        Assert.Equal(expected, (await _client.GetResponseAsync(asked, options)).Text);
    }

    [Fact]
    public async Task StopSequence_IsNoPartOfTheAnswer()
    {
        string whole = (await _client.GetResponseAsync("Habari?", Greedy(30))).Text;
        ChatOptions options = Greedy(30);
        options.StopSequences = [whole[10..12]];
        ChatResponse cut = await _client.GetResponseAsync("Habari?", options);
        Assert.Equal(whole[..whole.IndexOf(whole[10..12], StringComparison.Ordinal)], cut.Text);
        Assert.Equal(ChatFinishReason.Stop, cut.FinishReason);
    }

    [Theory]
    [InlineData(0f)]
    [InlineData(1.5f)]
    public async Task JsonSchema_IsObeyed(float temperature)
    {
        ChatOptions options = new() { Temperature = temperature, Seed = 4, MaxOutputTokens = 200, ResponseFormat = ChatResponseFormat.ForJsonSchema(TestServer.Parse(Schema), "town") };
        ChatResponse answer = await _client.GetResponseAsync("Habari?", options);
        JsonElement json = TestServer.Parse(answer.Text);
        Assert.Contains(json.GetProperty("town").GetString(), (string[])["Dakar", "Moshi"]);
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
        options.ResponseFormat = ChatResponseFormat.Json;
        options.MaxOutputTokens = 20;
        Assert.StartsWith("{", (await _client.GetResponseAsync("Habari?", options)).Text, StringComparison.Ordinal);
        options.ResponseFormat = null;
        options.AdditionalProperties = new() { ["regex"] = "[a-f]{4}!" };
        Assert.Matches("^[a-f]{4}!$", (await _client.GetResponseAsync("Habari?", options)).Text);
    }

    [Fact]
    public async Task Cancelled_BeforeAndWithin_FreesThePlace()
    {
        Scheduler scheduler = ((HostedModel)_client.GetService(typeof(HostedModel))!).Scheduler;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _client.GetResponseAsync("Habari?", Greedy(400), new CancellationToken(true)));
        using CancellationTokenSource stop = new();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (ChatResponseUpdate update in _client.GetStreamingResponseAsync("Habari?", new ChatOptions { AdditionalProperties = new() { ["regex"] = "[a-z]*" }, StopSequences = ["~~"] }, stop.Token))
            {
                await stop.CancelAsync();
            }
        });
        await foreach (ChatResponseUpdate update in _client.GetStreamingResponseAsync("Habari?", Greedy(400)))
        {
            break; // whoever stops reading has gone
        }

        for (int i = 0; i < 6_000 && scheduler.Status() is not { Active: 0, Waiting: 0 }; i++)
        {
            await Task.Delay(10);
        }

        Assert.Equal((0, 0), (scheduler.Status().Active, scheduler.Status().Waiting));
    }

    [Theory]
    [InlineData(true, "hm")]
    [InlineData(false, "")]
    public async Task Reasoning_ComesAsItsOwnContent(bool shows, string expected)
    {
        using ScriptedModel scripted = new(["<|end|>", "a", "<think>", "hm", "</think>", "yes"], 1, 2, 3, 4, 5, 0);
        using KidogoChatClient client = Scripted(scripted, "{% for message in messages %}{{ message.content }}{% endfor %}{# <think></think> #}");
        ChatOptions options = new() { Temperature = 0, Reasoning = new ReasoningOptions { Output = shows ? ReasoningOutput.Full : ReasoningOutput.None } };
        ChatResponse answer = await client.GetResponseAsync("a", options);
        Assert.Equal(("yes", expected), (answer.Text, string.Concat(answer.Messages[0].Contents.OfType<TextReasoningContent>())));
        Assert.True(answer.Usage!.ReasoningTokenCount > 0);
    }

    [Fact]
    public async Task Form_AfterReasoning_IsObeyed()
    {
        using ScriptedModel scripted = new(["<|end|>", "a", "<think>", "hm", "</think>", "yes", "no"], 1, 2, 3, 4, 5, 0, 0);
        using KidogoChatClient client = Scripted(scripted, "{% for message in messages %}{{ message.content }}{% endfor %}<think>{# </think> #}");
        ChatResponse answer = await client.GetResponseAsync("a", new ChatOptions { Temperature = 0, AdditionalProperties = new() { ["regex"] = "no" } });
        Assert.Equal("no", answer.Text);
        Assert.EndsWith("hm", string.Concat(answer.Messages[0].Contents.OfType<TextReasoningContent>()), StringComparison.Ordinal);
        Assert.Equal("yes", (await client.GetResponseAsync("a", new ChatOptions { Temperature = 0 })).Text);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Tools_AreAskedFor_AndTheirResultsFedBack(bool streams)
    {
        using ScriptedModel scripted = new(s_callPieces, 1, 2, 3, 4, 5, 6, 0, 0);
        using KidogoChatClient client = Scripted(scripted, ToolTemplate);
        ChatOptions options = new() { Temperature = 0, Tools = [AIFunctionFactory.Create(([Description("Which")] string town) => $"dry in {town}", "get_weather")] };
        List<ChatMessage> conversation = [new(ChatRole.User, "a")];
        ChatResponse answer = streams ? await client.GetStreamingResponseAsync(conversation, options).ToChatResponseAsync() : await client.GetResponseAsync(conversation, options);
        FunctionCallContent call = Assert.IsType<FunctionCallContent>(Assert.Single(answer.Messages[0].Contents));
        Assert.Equal(("get_weather", "Dakar", ChatFinishReason.ToolCalls), (call.Name, call.Arguments!["town"]!.ToString(), answer.FinishReason));
        Assert.Null(call.Exception);

        // The usual middleware would do this.
        object? result = await ((AIFunction)options.Tools[0]).InvokeAsync(new AIFunctionArguments(call.Arguments));
        conversation.AddRange(answer.Messages);
        conversation.Add(new ChatMessage(ChatRole.Tool, [new FunctionResultContent(call.CallId, result), new FunctionResultContent("other", new Dictionary<string, object?> { ["n"] = 1 })]));
        conversation.Add(new ChatMessage(ChatRole.User, "a"));
        ChatResponse next = await client.GetResponseAsync(conversation, new ChatOptions { Temperature = 0, MaxOutputTokens = 1 });
        Assert.Equal(ChatFinishReason.Length, next.FinishReason);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Tools_ThatAreStrict_GetArgumentsThatObey(bool isForAll)
    {
        using KidogoChatClient client = KidogoChatClient.Load(new KidogoOptions { Model = _folder.Write("tools.gguf", TinyModel.File(TinyModel.Template + "{# tools <tool_call> #}")), Threads = 1 });
        ChatOptions options = new() { Temperature = 1.5f, MaxOutputTokens = 300, ToolMode = ChatToolMode.RequireAny, AllowMultipleToolCalls = false, Tools = [new Tool(Schema, isForAll ? [] : new() { ["Strict"] = true })] };
        if (isForAll)
        {
            options.AdditionalProperties = new() { ["strictJsonSchema"] = true };
        }

        for (int seed = 0; seed < 6; seed++)
        {
            options.Seed = seed;
            ChatResponse answer = await client.GetResponseAsync("a", options);
            FunctionCallContent call = Assert.IsType<FunctionCallContent>(Assert.Single(answer.Messages[0].Contents));
            Assert.Null(call.Exception);
            Assert.Equal(("weather", 2), (call.Name, call.Arguments!.Count));
            Assert.Contains(call.Arguments["town"]!.ToString(), (string[])["Dakar", "Moshi"]);
            Assert.True(call.Arguments["dry"] is JsonElement { ValueKind: JsonValueKind.True or JsonValueKind.False });
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Tools_ThatHaveToBeCalled_AreCalledAfterTheReasoning(bool isNamed)
    {
        string[] pieces = ["<|end|>", "a", "hm", "</think>", "<tool_call>", "\n{\"name\": \"weather\", \"arguments\": ", "{}", "}\n</tool_call>"];
        using ScriptedModel scripted = new(pieces, 0, 2, 3, 1, 1, 1, 1, 0); // by itself it would say "a" after it has thought
        using KidogoChatClient client = Scripted(scripted, "{% for message in messages %}{{ message.content }}{% endfor %}<think>{# </think> tools <tool_call> #}");
        ChatOptions options = new() { Temperature = 0, ToolMode = isNamed ? ChatToolMode.RequireSpecific("weather") : ChatToolMode.RequireAny, Tools = [new Tool("""{"type":"object"}""", [])] };
        ChatResponse answer = await client.GetResponseAsync("a", options);
        Assert.Equal("hm", string.Concat(answer.Messages[0].Contents.OfType<TextReasoningContent>()));
        FunctionCallContent call = Assert.Single(answer.Messages[0].Contents.OfType<FunctionCallContent>());
        Assert.Equal(("weather", 0, ""), (call.Name, call.Arguments!.Count, answer.Text));
    }

    [Fact]
    public async Task Tools_ThatCannotBeStrict_AreRefused()
    {
        using ScriptedModel scripted = new(s_callPieces, 1, 2, 3, 4, 5, 6, 0, 0);
        using KidogoChatClient client = Scripted(scripted, ToolTemplate);
        ChatOptions options = new() { Tools = [new Tool("""{"type":"object","properties":{"a":{"not":{}}}}""", new() { ["strict"] = true })] };
        Assert.Contains("\"weather\"", (await Assert.ThrowsAsync<ArgumentException>(() => client.GetResponseAsync("a", options))).Message, StringComparison.Ordinal);
        using ScriptedModel python = new(s_callPieces, 1, 2, 3, 4, 5, 6, 0, 0);
        using KidogoChatClient other = Scripted(python, ToolTemplate.Replace("<tool_call>", "<|tool_list_start|>", StringComparison.Ordinal));
        options.Tools = [new Tool("""{"type":"object","properties":{"the town":{}}}""", new() { ["strict"] = true })]; // Python has no such names
        Assert.Contains("\"weather\"", (await Assert.ThrowsAsync<ArgumentException>(() => other.GetResponseAsync("a", options))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Conversation_WithCallsAndResults_IsWhatTemplatesRead()
    {
        ChatMessage[] messages =
        [
            new(new ChatRole("developer"), "Be brief."),
            new(ChatRole.User, [new TextContent("Weather"), new TextContent("?")]) { AuthorName = "Asha" },
            new(ChatRole.Assistant, [new TextReasoningContent("hm"), new FunctionCallContent("c1", "get_weather", new Dictionary<string, object?> { ["town"] = "Dakar", ["days"] = 2, ["exact"] = true, ["none"] = null })]),
            new(ChatRole.Tool, [new FunctionResultContent("c1", "dry"), new FunctionResultContent("c2", new[] { 1, 2 }), new FunctionResultContent("c3", null) { Exception = new InvalidOperationException("no") }]),
        ];
        string json = string.Join('\n', Kidogo.Inference.Chat.ConversationReader.Read(messages, "First.", knowsDeveloper: false).Select(message => message.GetRawText()));
        Assert.Equal(
            """
            {"role":"system","content":"First.\n\nBe brief."}
            {"role":"user","content":"Weather?","name":"Asha"}
            {"role":"assistant","content":"","reasoning_content":"hm","tool_calls":[{"id":"c1","type":"function","function":{"name":"get_weather","arguments":{"town":"Dakar","days":2,"exact":true,"none":null}}}]}
            {"role":"tool","tool_call_id":"c1","content":"dry"}
            {"role":"tool","tool_call_id":"c2","content":"[1,2]"}
            {"role":"tool","tool_call_id":"c3","content":"Error: no"}
            """.ReplaceLineEndings("\n"), json);
    }

    [Fact]
    public async Task ToolMode_NoneAndNamed_AreObeyed()
    {
        using ScriptedModel scripted = new(s_callPieces, 1, 2, 3, 4, 5, 6, 0, 0);
        using KidogoChatClient client = Scripted(scripted, ToolTemplate);
        ChatOptions options = new() { Temperature = 0, MaxOutputTokens = 6, ToolMode = ChatToolMode.None, Tools = [AIFunctionFactory.CreateDeclaration("get_weather", "Weather", TestServer.Parse("""{"type":"object"}"""))] };
        Assert.StartsWith("<tool_call>", (await client.GetResponseAsync("a", options)).Text, StringComparison.Ordinal); // only text now
        options.ToolMode = ChatToolMode.RequireSpecific("nobody");
        Assert.Contains("nobody", (await Assert.ThrowsAsync<ArgumentException>(() => client.GetResponseAsync("a", options))).Message, StringComparison.Ordinal);
        options.ToolMode = ChatToolMode.Auto;
        options.ResponseFormat = ChatResponseFormat.Json;
        Assert.Contains("ResponseFormat", (await Assert.ThrowsAsync<NotSupportedException>(() => client.GetResponseAsync("a", options))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Services_AreWhatTheContractSays()
    {
        ChatClientMetadata metadata = (ChatClientMetadata)_client.GetService(typeof(ChatClientMetadata))!;
        Assert.Equal(("kidogo", "tiny"), (metadata.ProviderName, metadata.DefaultModelId));
        Assert.Same(_client, _client.GetService(typeof(IChatClient)));
        Assert.Same(_client, _client.GetService(typeof(KidogoChatClient)));
        Assert.NotNull(_client.GetService(typeof(Kidogo.Text.Tokenizers.Tokenizer)));
        Assert.Null(_client.GetService(typeof(IChatClient), "key"));
        Assert.Null(_client.GetService(typeof(string)));
        Assert.Throws<ArgumentNullException>(() => _client.GetService(null!));
    }

    [Fact]
    public async Task Client_AfterItsEnd_AnswersNoMore()
    {
        KidogoChatClient client = KidogoChatClient.Load(_path);
        Task<ChatResponse> running = client.GetResponseAsync("Habari?", new ChatOptions { AdditionalProperties = new() { ["regex"] = "[a-z]*" } });
        client.Dispose();
        client.Dispose();
        await Assert.ThrowsAnyAsync<Exception>(() => client.GetResponseAsync("Habari?"));
        await Task.WhenAny(running, Task.Delay(TimeSpan.FromMinutes(1)));
        Assert.True(running.IsCompleted, "It hangs.");
    }

    [Fact]
    public async Task Model_WithoutATemplate_SaysWhatToDo()
    {
        using ScriptedModel scripted = new(["<|end|>", "a"], 1, 0);
        using KidogoChatClient client = new(new HostedModel(scripted.Loaded, scripted.Context, null, new SchedulerOptions()), "bare", ownsModel: true);
        Assert.Contains("ChatTemplate", (await Assert.ThrowsAsync<InvalidOperationException>(() => client.GetResponseAsync("a"))).Message, StringComparison.Ordinal);
    }

    private static KidogoChatClient Scripted(ScriptedModel scripted, string template) =>
        new(new HostedModel(scripted.Loaded, scripted.Context, ChatTemplate.Parse(template), new SchedulerOptions()), "scripted", ownsModel: true);

    private sealed class Tool(string schema, Dictionary<string, object?> properties) : AIFunctionDeclaration
    {
        public override string Name => "weather";

        public override JsonElement JsonSchema => TestServer.Parse(schema);

        public override IReadOnlyDictionary<string, object?> AdditionalProperties => properties;
    }

    private static ChatOptions Greedy(int maxTokens) => new() { Temperature = 0, MaxOutputTokens = maxTokens };
}
