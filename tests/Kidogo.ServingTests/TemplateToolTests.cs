// Tools with the templates of public models: whatever a model with random weights would like to write, its calls are whole, obey their schemas, stream, and take their results back.
using System.Text;
using System.Text.Json;
using Kidogo.TestSupport;

namespace Kidogo.ServingTests;

public sealed class TemplateToolTests
{
    private const string Town = """{"type":"function","function":{"name":"get_weather","description":"Weather of a town","strict":true,"parameters":{"type":"object","properties":{"town":{"enum":["Dakar","Moshi"]},"days":{"type":"integer","minimum":1,"maximum":9},"exact":{"type":"boolean"}},"required":["town","days","exact"],"additionalProperties":false}}}""";
    private const string Time = """{"type":"function","function":{"name":"get_time","strict":true,"parameters":{"type":"object","properties":{"zone":{"type":"integer","minimum":-12,"maximum":14}},"required":["zone"],"additionalProperties":false}}}""";
    private const string Question = "{\"role\":\"user\",\"content\":\"Weather in Dakar?\"}";
    private const int Context = 8192; // a token a byte, and some templates say much

    public static TheoryData<string> WithTools =>
    [
        "Qwen-Qwen2.5-7B-Instruct", "Qwen-Qwen3-0.6B", "NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "Mistral-Small-3.2-24B-Instruct-2506", "mistralai-Mistral-Nemo-Instruct-2407",
        "meta-llama-Llama-3.1-8B-Instruct", "ibm-granite-granite-3.3-2B-Instruct", "LFM2-8B-A1B",
    ];

    public static TheoryData<string> WithoutTools => ["google-gemma-2-2b-it", "microsoft-Phi-3.5-mini-instruct", "HuggingFaceTB-SmolLM3-3B", "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B"];

    [SharedTheory]
    [MemberData(nameof(WithTools))]
    public async Task Tools_OfATemplate_AreCalledAsAsked(string name)
    {
        await using TestServer server = await ServeAsync(name);

        // Any tool, one call.
        JsonElement one = await AskAsync(server, "\"tool_choice\":\"required\",\"parallel_tool_calls\":false");
        Assert.Equal("tool_calls", one.GetProperty("finish_reason").GetString());
        CheckArguments(Assert.Single(Calls(one)));

        // The one that is named; OpenAI calls its end a stop.
        JsonElement named = await AskAsync(server, "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"get_time\"}},\"parallel_tool_calls\":false");
        (string Name, string Arguments) call = Assert.Single(Calls(named));
        Assert.Equal(("get_time", "stop"), (call.Name, named.GetProperty("finish_reason").GetString()));
        CheckArguments(call);

        // Several: the end, and the bracket after which it comes in some forms, are forbidden, so that it goes on calling until it is cut.
        JsonElement several = await AskAsync(server, $"\"tool_choice\":\"required\",\"max_tokens\":600,\"logit_bias\":{{\"{TinyModel.End}\":-100,\"{(int)']'}\":-100}}");
        (string Name, string Arguments)[] calls = Calls(several);
        Assert.True(calls.Length > 1, several.GetRawText());
        Assert.All(calls.SkipLast(1), CheckArguments);

        // None: the model is not told of them.
        JsonElement none = await server.PostJsonAsync("/v1/chat/completions", Request("\"tool_choice\":\"none\",\"max_tokens\":8"));
        JsonElement bare = await server.PostJsonAsync("/v1/chat/completions", $"{{\"messages\":[{Question}],\"temperature\":0,\"max_tokens\":8}}");
        Assert.Equal(bare.GetProperty("choices")[0].GetProperty("message").GetRawText(), none.GetProperty("choices")[0].GetProperty("message").GetRawText());
        Assert.Equal(bare.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), none.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());

        // As it likes: it is told of them, and says what it likes, or calls.
        JsonElement auto = await server.PostJsonAsync("/v1/chat/completions", Request("\"tool_choice\":\"auto\",\"max_tokens\":60"));
        Assert.True(auto.GetProperty("usage").GetProperty("prompt_tokens").GetInt32() > bare.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        Assert.All(Calls(auto.GetProperty("choices")[0]), CheckArguments);
    }

    [SharedTheory]
    [MemberData(nameof(WithTools))]
    public async Task Arguments_OfATemplatesCall_Stream_AndResultsGoBack(string name)
    {
        await using TestServer server = await ServeAsync(name);
        const string How = "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"get_weather\"}},\"parallel_tool_calls\":false";
        JsonElement whole = await AskAsync(server, How);
        StringBuilder arguments = new();
        string? id = null, called = null;
        int parts = 0;
        foreach (JsonElement chunk in TestServer.Events(await server.PostStreamAsync("/v1/chat/completions", Request(How + ",\"stream\":true"))))
        {
            JsonElement delta = chunk.GetProperty("choices")[0].GetProperty("delta");
            if (!delta.TryGetProperty("tool_calls", out JsonElement calls))
            {
                continue;
            }

            JsonElement call = Assert.Single(calls.EnumerateArray()), function = call.GetProperty("function");
            Assert.Equal(0, call.GetProperty("index").GetInt32());
            Assert.Equal(id is null, call.TryGetProperty("id", out JsonElement given)); // with the first part alone
            Assert.Equal(id is null, function.TryGetProperty("name", out JsonElement first));
            id ??= given.GetString();
            called ??= first.GetString();
            string more = function.GetProperty("arguments").GetString()!;
            arguments.Append(more);
            parts += more.Length > 0 ? 1 : 0;
        }

        Assert.Equal(Assert.Single(Calls(whole)), (called!, arguments.ToString()));
        Assert.True(parts > 3, $"The arguments came in {parts} parts."); // while they were written

        // The call and its result, with the name that the call was given.
        string sent = JsonEncodedText.Encode(arguments.ToString()).ToString();
        string history = $"{Question},{{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{{\"id\":\"{id}\",\"type\":\"function\",\"function\":{{\"name\":\"{called}\",\"arguments\":\"{sent}\"}}}}]}}";
        JsonElement next = await server.PostJsonAsync("/v1/chat/completions", $"{{\"messages\":[{history},{{\"role\":\"tool\",\"tool_call_id\":\"{id}\",\"content\":\"Sunny, surely.\"}}],\"tools\":[{Town},{Time}],\"temperature\":0,\"max_tokens\":4}}");
        Assert.Equal("length", next.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        JsonElement rendered = await server.PostJsonAsync("/apply-template", $"{{\"messages\":[{history},{{\"role\":\"tool\",\"tool_call_id\":\"{id}\",\"content\":\"Sunny, surely.\"}}],\"tools\":[{Town},{Time}]}}");
        Assert.Contains("Sunny, surely.", rendered.GetProperty("prompt").GetString(), StringComparison.Ordinal);
    }

    [SharedTheory]
    [MemberData(nameof(WithoutTools))]
    public async Task Tools_WhereTheTemplateHasNoPlace_AreRefused(string name)
    {
        await using TestServer server = await ServeAsync(name);
        JsonElement error = (await server.PostJsonAsync("/v1/chat/completions", Request("\"max_tokens\":8"), 400)).GetProperty("error");
        Assert.Equal(("tools", "unsupported_parameter"), (error.GetProperty("param").GetString(), error.GetProperty("code").GetString()));
    }

    private static Task<TestServer> ServeAsync(string name) => TestServer.StartAsync(template: File.ReadAllText(SharedFolder.PathOf("golden", "templates", $"{name}.jinja")), contextLength: Context);

    private static string Request(string how) => $"{{\"messages\":[{Question}],\"tools\":[{Town},{Time}],\"temperature\":0,{(how.Contains("max_tokens", StringComparison.Ordinal) ? "" : "\"max_tokens\":300,")}{how}}}";

    private static async Task<JsonElement> AskAsync(TestServer server, string how) => (await server.PostJsonAsync("/v1/chat/completions", Request(how))).GetProperty("choices")[0];

    private static (string Name, string Arguments)[] Calls(JsonElement choice) => !choice.GetProperty("message").TryGetProperty("tool_calls", out JsonElement calls) ? []
        : [.. calls.EnumerateArray().Select(call => (call.GetProperty("function").GetProperty("name").GetString()!, call.GetProperty("function").GetProperty("arguments").GetString()!))];

    private static void CheckArguments((string Name, string Arguments) call)
    {
        JsonElement arguments = TestServer.Parse(call.Arguments);
        if (call.Name == "get_time")
        {
            Assert.InRange(arguments.GetProperty("zone").GetInt32(), -12, 14);
            return;
        }

        Assert.Equal("get_weather", call.Name);
        Assert.Equal(["town", "days", "exact"], arguments.EnumerateObject().Select(property => property.Name));
        Assert.Contains(arguments.GetProperty("town").GetString(), (string[])["Dakar", "Moshi"]);
        Assert.InRange(arguments.GetProperty("days").GetInt32(), 1, 9);
        Assert.True(arguments.GetProperty("exact").ValueKind is JsonValueKind.True or JsonValueKind.False);
    }
}
