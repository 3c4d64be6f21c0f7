// POST /v1/responses: OpenAI's items and events in their order, fields that are honoured or refused by name, and the official client.
using System.ClientModel;
using System.Text.Json;
using Kidogo.Inference.Scheduling;
using Kidogo.Serving;
using Kidogo.Tests.Inference;
using Kidogo.Text.ChatTemplates;
using OpenAI.Responses;

#pragma warning disable OPENAI001 // responses are experimental in the package

namespace Kidogo.ServingTests;

public sealed class ResponsesTests
{
    private const string Weather = """{"type":"function","name":"get_weather","parameters":{"type":"object","properties":{"town":{"type":"string"}}}}""";
    private const string Messages = "{% for message in messages %}{{ message.content }}{% for call in message.tool_calls or [] %}{{ call.function.name }}{% endfor %}{% endfor %}";

    // What is wrong with a request, and the field that the refusal names.
    public static TheoryData<string, string> Refused => new()
    {
        { "\"input\":\"a\",\"previous_response_id\":\"resp_1\"", "previous_response_id" },
        { "\"input\":\"a\",\"conversation\":\"conv_1\"", "conversation" },
        { "\"input\":\"a\",\"store\":true", "store" },
        { "\"input\":\"a\",\"background\":true", "background" },
        { "\"input\":\"a\",\"prompt\":{\"id\":\"p\"}", "prompt" },
        { "\"input\":\"a\",\"truncation\":\"auto\"", "truncation" },
        { "\"input\":\"a\",\"context_management\":[{}]", "context_management" },
        { "\"input\":\"a\",\"max_tool_calls\":1", "max_tool_calls" },
        { "\"input\":\"a\",\"moderation\":{}", "moderation" },
        { "\"input\":\"a\",\"service_tier\":\"flex\"", "service_tier" },
        { "\"input\":\"a\",\"prompt_cache_retention\":\"24h\"", "prompt_cache_retention" },
        { "\"input\":\"a\",\"prompt_cache_options\":{\"mode\":\"explicit\"}", "prompt_cache_options.mode" },
        { "\"input\":\"a\",\"include\":[\"reasoning.encrypted_content\"]", "include" },
        { "\"input\":\"a\",\"include\":[5]", "include[0]" },
        { "\"input\":\"a\",\"reasoning\":{\"effort\":\"high\"}", "reasoning.effort" },
        { "\"input\":\"a\",\"reasoning\":{\"summary\":\"auto\"}", "reasoning.summary" },
        { "\"input\":\"a\",\"text\":{\"verbosity\":\"low\"}", "text.verbosity" },
        { "\"input\":\"a\",\"text\":{\"format\":{\"type\":\"xml\"}}", "text.format.type" },
        { "\"input\":\"a\",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\"}}", "text.format.schema" },
        { "\"input\":\"a\",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{\"not\":{}}}}", "text.format.schema" },
        { "\"input\":\"a\",\"metadata\":{\"a\":5}", "metadata" },
        { "\"input\":\"a\",\"max_output_tokens\":0", "max_output_tokens" },
        { "\"input\":\"a\",\"max_output_token\":5", "max_output_token" },
        { "\"input\":\"a\",\"top_logprobs\":21", "top_logprobs" },
        { "\"input\":\"a\",\"stream_options\":{}", "stream_options" },
        { "\"input\":\"a\",\"tools\":[{\"type\":\"web_search\"}]", "tools[0].type" },
        { "\"input\":\"a\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]", "tools[0].name" },
        { "\"input\":\"a\",\"tool_choice\":\"required\"", "tool_choice" },
        { "\"temperature\":0", "input" },
        { "\"input\":[]", "input" },
        { "\"input\":5", "input" },
        { "\"input\":[5]", "input[0]" },
        { "\"input\":[{\"type\":\"item_reference\",\"id\":\"x\"}]", "input[0].type" },
        { "\"input\":[{\"type\":\"computer_call\"}]", "input[0].type" },
        { "\"input\":[{\"role\":\"king\",\"content\":\"a\"}]", "input[0].role" },
        { "\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"file://../x\"}]}]", "input[0].content[0].type" },
        { "\"input\":[{\"role\":\"user\",\"content\":\"a\",\"colour\":1}]", "input[0].colour" },
        { "\"input\":[{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\"}]", "input[0].arguments" },
        { "\"input\":[{\"type\":\"function_call_output\",\"output\":\"x\"}]", "input[0].call_id" },
        { "\"input\":[{\"type\":\"reasoning\",\"encrypted_content\":\"x\"}]", "input[0].encrypted_content" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task Response_Field_IsRefusedByName(string fields, string param)
    {
        await using TestServer server = await TestServer.StartAsync();
        JsonElement error = (await server.PostJsonAsync("/v1/responses", $"{{{fields}}}", 400)).GetProperty("error");
        Assert.Equal((param, "invalid_request_error"), (error.GetProperty("param").GetString(), error.GetProperty("type").GetString()));
    }

    [Fact]
    public async Task Response_Whole_HasWhatChatSaysAndWhatWasAsked()
    {
        await using TestServer server = await TestServer.StartAsync();
        JsonElement chat = await server.PostJsonAsync("/v1/chat/completions", """{"messages":[{"role":"system","content":"Fupi."},{"role":"user","content":"Habari?"}],"temperature":0,"max_tokens":12}""");
        JsonElement answer = await server.PostJsonAsync("/v1/responses", """{"model":"tiny","instructions":"Fupi.","input":"Habari?","temperature":0,"max_output_tokens":12,"metadata":{"k":"v"},"store":false,"user":"u"}""");
        Assert.Equal(("response", "incomplete", "max_output_tokens"), (answer.GetProperty("object").GetString(), answer.GetProperty("status").GetString(), answer.GetProperty("incomplete_details").GetProperty("reason").GetString()));
        JsonElement message = Assert.Single(answer.GetProperty("output").EnumerateArray());
        Assert.Equal(("message", "assistant", "incomplete"), (message.GetProperty("type").GetString(), message.GetProperty("role").GetString(), message.GetProperty("status").GetString()));
        Assert.Equal(chat.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(), message.GetProperty("content")[0].GetProperty("text").GetString());
        Assert.Equal(("Fupi.", "v", "u", false), (answer.GetProperty("instructions").GetString(), answer.GetProperty("metadata").GetProperty("k").GetString(), answer.GetProperty("user").GetString(), answer.GetProperty("store").GetBoolean()));
        JsonElement usage = answer.GetProperty("usage");
        Assert.Equal((chat.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), 12), (usage.GetProperty("input_tokens").GetInt32(), usage.GetProperty("output_tokens").GetInt32()));
        JsonElement asItems = await server.PostJsonAsync("/v1/responses", """{"input":[{"role":"system","content":"Fupi."},{"type":"message","role":"user","content":[{"type":"input_text","text":"Hab"},{"type":"input_text","text":"ari?"}]}],"temperature":0,"max_output_tokens":12}""");
        Assert.Equal(message.GetProperty("content").GetRawText(), asItems.GetProperty("output")[0].GetProperty("content").GetRawText());
    }

    [Fact]
    public async Task Stream_OfReasoningTextAndCall_HasOpenAIsEvents()
    {
        // Thinks, speaks, calls, ends.
        string[] pieces = ["<|end|>", "a", "<think>", "hm", "</think>", "yes", "<tool_call>", "{\"name\":\"get_weather\",", "\"arguments\":{\"town\":", "\"Dakar\"}}", "</tool_call>", "tools"];
        using ScriptedModel scripted = new(pieces, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0);
        await using TestServer server = await ServeAsync(scripted, "{% for message in messages %}{{ message.content }}{% endfor %}{# <think></think> tools <tool_call> #}");
        string request = $"{{\"input\":\"a\",\"temperature\":0,\"tools\":[{Weather}],\"stream\":true}}";
        List<string> lines = await server.PostStreamAsync("/v1/responses", request);
        JsonElement[] events = [.. lines.Select(line => TestServer.Parse(line[(line.IndexOf("data: ", StringComparison.Ordinal) + 6)..]))];
        Assert.All(lines.Zip(events), pair => Assert.StartsWith($"event: {pair.Second.GetProperty("type").GetString()}\ndata: ", pair.First, StringComparison.Ordinal)); // and no [DONE]
        Assert.Equal(Enumerable.Range(0, events.Length), events.Select(each => each.GetProperty("sequence_number").GetInt32()));
        string[] types = [.. events.Select(each => each.GetProperty("type").GetString()!["response.".Length..])];
        Assert.Equal(
        [
            "created", "in_progress",
            "output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.done", "content_part.done", "output_item.done",
            "output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done", "output_item.done",
            "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
            "completed",
        ], Collapsed(types));
        JsonElement done = events[^1].GetProperty("response");
        Assert.Equal(["reasoning", "message", "function_call"], done.GetProperty("output").EnumerateArray().Select(item => item.GetProperty("type").GetString()));
        JsonElement call = done.GetProperty("output")[2];
        Assert.Equal(("get_weather", "{\"town\":\"Dakar\"}"), (call.GetProperty("name").GetString(), call.GetProperty("arguments").GetString()));
        Assert.Equal(("hm", "yes"), (done.GetProperty("output")[0].GetProperty("content")[0].GetProperty("text").GetString(), done.GetProperty("output")[1].GetProperty("content")[0].GetProperty("text").GetString()));
        Assert.Equal(call.GetProperty("arguments").GetString(), string.Concat(events.Where(each => each.GetProperty("type").GetString() == "response.function_call_arguments.delta").Select(each => each.GetProperty("delta").GetString())));

        // Every event of an item names it, and the whole answer is the same.
        foreach (JsonElement each in events.Where(each => each.TryGetProperty("item_id", out _)))
        {
            Assert.Equal(done.GetProperty("output")[each.GetProperty("output_index").GetInt32()].GetProperty("id").GetString(), each.GetProperty("item_id").GetString());
        }

        JsonElement whole = await server.PostJsonAsync("/v1/responses", request.Replace("true", "false", StringComparison.Ordinal));
        Assert.Equal("completed", whole.GetProperty("status").GetString());
        Assert.Equal(done.GetProperty("output").EnumerateArray().Select(Shape), whole.GetProperty("output").EnumerateArray().Select(Shape));
    }

    [Fact]
    public async Task Input_OfCallsAndResults_IsSeenByTheTemplate()
    {
        using ScriptedModel scripted = new(["<|end|>", "a", "b", "c", "d", "f", "t"], 0, 0, 0, 0, 0, 0, 0);
        await using TestServer server = await ServeAsync(scripted, Messages + "{# tools <tool_call> #}");
        const string Items = """
            [{"role":"user","content":"a"},{"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"t"}]},{"type":"message","role":"assistant","status":"completed","id":"m","content":[{"type":"output_text","text":"b","annotations":[]}]},
            {"type":"function_call","call_id":"c1","name":"f","arguments":"{}","status":"completed"},{"type":"function_call_output","call_id":"c1","output":"c"},{"role":"user","content":"d"}]
            """;
        JsonElement answer = await server.PostJsonAsync("/v1/responses", $"{{\"input\":{Items},\"temperature\":0}}");
        Assert.Equal(5, answer.GetProperty("usage").GetProperty("input_tokens").GetInt32()); // a, b with f, c, d
    }

    [Fact]
    public async Task Text_Format_IsObeyed()
    {
        await using TestServer server = await TestServer.StartAsync();
        const string Format = """{"type":"json_schema","name":"town","strict":true,"schema":{"type":"object","properties":{"town":{"enum":["Dakar","Moshi"]}},"required":["town"],"additionalProperties":false}}""";
        JsonElement answer = await server.PostJsonAsync("/v1/responses", $"{{\"input\":\"a\",\"text\":{{\"format\":{Format}}},\"top_logprobs\":2,\"include\":[\"message.output_text.logprobs\"]}}");
        JsonElement part = answer.GetProperty("output")[0].GetProperty("content")[0];
        Assert.Contains(TestServer.Parse(part.GetProperty("text").GetString()!).GetProperty("town").GetString(), (string[])["Dakar", "Moshi"]);
        Assert.Equal(2, part.GetProperty("logprobs")[0].GetProperty("top_logprobs").GetArrayLength());
        Assert.Equal("json_schema", answer.GetProperty("text").GetProperty("format").GetProperty("type").GetString());
    }

    [Fact]
    public async Task OfficialClient_ReadsResponsesAndStreams()
    {
        await using TestServer server = await TestServer.StartAsync();
        ResponsesClient client = new(new ApiKeyCredential("any"), new ResponsesClientOptions { Endpoint = new Uri(server.Address, "v1") });
        ResponseResult whole = await client.CreateResponseAsync(Options(streams: false));
        Assert.Equal((ResponseStatus.Incomplete, 12), (whole.Status, whole.Usage.OutputTokenCount));
        string text = "";
        ResponseResult? last = null;
        await foreach (StreamingResponseUpdate update in await client.CreateResponseStreamingAsync(Options(streams: true)))
        {
            text += update is StreamingResponseOutputTextDeltaUpdate delta ? delta.Delta : "";
            last = update is StreamingResponseIncompleteUpdate end ? end.Response : last;
        }

        Assert.Equal(whole.GetOutputText(), text);
        Assert.Equal(text, last!.GetOutputText());

        static CreateResponseOptions Options(bool streams) => new()
        {
            Model = "tiny", Instructions = "Fupi.", Temperature = 0, MaxOutputTokenCount = 12, StreamingEnabled = streams, StoredOutputEnabled = false, InputItems = { ResponseItem.CreateUserMessageItem("Habari?") },
        };
    }

    [Fact]
    public async Task OfficialClient_CallsTools_AndHandsResultsBack()
    {
        await using TestServer server = await TestServer.StartAsync(template: "{% if tools %}{{ tools | tojson }}{# <tool_call> #}{% endif %}" + TinyModel.Template, contextLength: 2048);
        ResponsesClient client = new(new ApiKeyCredential("any"), new ResponsesClientOptions { Endpoint = new Uri(server.Address, "v1") });
        FunctionTool tool = ResponseTool.CreateFunctionTool(
            "get_weather", BinaryData.FromString("""{"type":"object","properties":{"town":{"enum":["Dakar","Moshi"]}},"required":["town"],"additionalProperties":false}"""), strictModeEnabled: true, "Weather of a town");
        CreateResponseOptions Asked(params ResponseItem[] items)
        {
            CreateResponseOptions options = new() { Model = "tiny", Temperature = 0, MaxOutputTokenCount = 200, StoredOutputEnabled = false, Tools = { tool }, ParallelToolCallsEnabled = false };
            Array.ForEach(items, options.InputItems.Add);
            return options;
        }

        ResponseItem question = ResponseItem.CreateUserMessageItem("Habari?");
        CreateResponseOptions forced = Asked(question);
        forced.ToolChoice = ResponseToolChoice.CreateRequiredChoice();
        ResponseResult called = await client.CreateResponseAsync(forced);
        FunctionCallResponseItem call = Assert.Single(called.OutputItems.OfType<FunctionCallResponseItem>());
        Assert.Contains(call.FunctionArguments.ToObjectFromJson<Dictionary<string, string>>()!["town"], (string[])["Dakar", "Moshi"]);
        CreateResponseOptions next = Asked(question, call, ResponseItem.CreateFunctionCallOutputItem(call.CallId, "Sunny."));
        next.MaxOutputTokenCount = 5;
        Assert.Equal(5, (await client.CreateResponseAsync(next)).Value.Usage.OutputTokenCount);

        ClientResultException refused = await Assert.ThrowsAsync<ClientResultException>(() => client.CreateResponseAsync(new CreateResponseOptions { Model = "tiny", PreviousResponseId = "resp_1", InputItems = { question } }));
        Assert.Equal(400, refused.Status);
        Assert.Contains("previous_response_id", refused.Message, StringComparison.Ordinal);
    }

    /// <summary>Events, several alike after each other as one.</summary>
    private static IEnumerable<string> Collapsed(string[] types) => types.Where((type, i) => i == 0 || type != types[i - 1]);

    /// <summary>An item without the names that are drawn.</summary>
    private static string Shape(JsonElement item) =>
        $"{item.GetProperty("type")} {item.GetProperty("status")} {(item.TryGetProperty("arguments", out JsonElement arguments) ? arguments.GetString() : item.GetProperty("content").GetRawText())}";

    private static Task<TestServer> ServeAsync(ScriptedModel scripted, string template) =>
        TestServer.StartAsync(model: new ServedModel("scripted", scripted.Loaded, scripted.Context, ChatTemplate.Parse(template), new SchedulerOptions()));
}
