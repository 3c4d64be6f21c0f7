// Answers that are more than text: reasoning, holes filled, calls that are forced, and calls and results fed back.
using System.Text.Json;
using Kidogo.Serving;
using Kidogo.Serving.Api;
using Kidogo.Inference.Scheduling;
using Kidogo.TestSupport;
using Kidogo.Tests.Inference;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.ServingTests;

public sealed class SpecialAnswerTests
{
    private const string Tool = """{"type":"function","function":{"name":"get_weather","parameters":{"type":"object"}}}""";

    public static TheoryData<string> TemplatesWithCalls =>
    [
        "Qwen-Qwen2.5-7B-Instruct", "Qwen-Qwen3-0.6B", "NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "meta-llama-Llama-3.1-8B-Instruct",
        "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "ibm-granite-granite-3.3-2B-Instruct", "LFM2-8B-A1B",
    ];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reasoning_ComesApart(bool streams)
    {
        using ScriptedModel scripted = new(["<|end|>", "a", "<think>", "hm", "</think>", "yes"], 1, 2, 3, 4, 5, 0);
        await using TestServer server = await ServeAsync(scripted, "{% for message in messages %}{{ message.content }}{% endfor %}{# <think></think> #}");
        string request = $$"""{"messages":[{"role":"user","content":"a"}],"temperature":0,"stream":{{(streams ? "true" : "false")}}}""";
        (string reasoning, string content) = ("", "");
        if (streams)
        {
            foreach (JsonElement chunk in TestServer.Events(await server.PostStreamAsync("/v1/chat/completions", request)))
            {
                JsonElement delta = chunk.GetProperty("choices")[0].GetProperty("delta");
                reasoning += delta.TryGetProperty("reasoning_content", out JsonElement thought) ? thought.GetString() : "";
                content += delta.TryGetProperty("content", out JsonElement text) ? text.GetString() : "";
            }
        }
        else
        {
            JsonElement answer = await server.PostJsonAsync("/v1/chat/completions", request);
            JsonElement message = answer.GetProperty("choices")[0].GetProperty("message");
            (reasoning, content) = (message.GetProperty("reasoning_content").GetString()!, message.GetProperty("content").GetString()!);
            Assert.True(answer.GetProperty("usage").GetProperty("completion_tokens_details").GetProperty("reasoning_tokens").GetInt32() > 0);
        }

        Assert.Equal(("hm", "yes"), (reasoning, content));
    }

    [Fact]
    public async Task Form_AfterReasoningThatThePromptOpens_HoldsForTheAnswer()
    {
        await using TestServer server = await TestServer.StartAsync(template: TinyModel.Template.Replace("assistant\n{% endif %}", "assistant\n<think>{% endif %}{# </think> #}", StringComparison.Ordinal));
        string request = """{"messages":[{"role":"user","content":"a"}],"temperature":0,"max_tokens":20,"regex":"[ab]{3}"}""";
        JsonElement thinking = (await server.PostJsonAsync("/v1/chat/completions", request)).GetProperty("choices")[0];
        Assert.Equal(("length", ""), (thinking.GetProperty("finish_reason").GetString(), thinking.GetProperty("message").GetProperty("content").GetString())); // this one thinks on
        Assert.Equal(20, thinking.GetProperty("message").GetProperty("reasoning_content").GetString()!.Length);

        // Where it stops thinking, the form holds: each token is followed by the next here.
        string[] pieces = ["<|end|>", "x", "</think>", "a", "c", "y"];
        using ScriptedModel scripted = new(pieces, 0, 2, 4, 3, 4, 1);
        await using TestServer formed = await ServeAsync(scripted, "{% for message in messages %}{{ message.content }}{% endfor %}<think>{# </think> #}");
        JsonElement message = (await formed.PostJsonAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"y"}],"temperature":0,"regex":"[ab]{3}"}""")).GetProperty("choices")[0].GetProperty("message");
        Assert.Equal(("x", "aaa"), (message.GetProperty("reasoning_content").GetString(), message.GetProperty("content").GetString()));
    }

    [Fact]
    public async Task Suffix_WhereTheModelCan_FillsTheHole()
    {
        using ScriptedModel scripted = new(["<|end|>", "a", "b", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "c"], 0, 0, 0, 0, 0, 6, 0);
        await using TestServer server = await ServeAsync(scripted, null);
        JsonElement answer = await server.PostJsonAsync("/v1/completions", """{"prompt":"a","suffix":"b","temperature":0}""");
        Assert.Equal("c", answer.GetProperty("choices")[0].GetProperty("text").GetString());
        Assert.Equal(5, answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32()); // prefix a suffix b middle
        Assert.Equal("stop", answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        await server.PostJsonAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"a"}]}""", 400); // no template
    }

    [Theory]
    [InlineData("\"required\"", "tool_calls")]
    [InlineData("{\"type\":\"function\",\"function\":{\"name\":\"get_weather\"}}", "get_weather")]
    [InlineData("\"none\"", null)]
    public async Task ToolChoice_IsObeyed(string choice, string? expected)
    {
        await using TestServer server = await TestServer.StartAsync(template: TinyModel.Template + "{# tools <tool_call> #}");
        string request = $$"""{"messages":[{"role":"user","content":"a"}],"temperature":0,"max_tokens":8,"tools":[{{Tool}}],"tool_choice":{{choice}}}""";
        JsonElement answer = (await server.PostJsonAsync("/v1/chat/completions", request)).GetProperty("choices")[0];
        JsonElement message = answer.GetProperty("message");
        if (expected == "get_weather")
        {
            Assert.Equal(expected, message.GetProperty("tool_calls")[0].GetProperty("function").GetProperty("name").GetString());
        }
        else if (expected is null)
        {
            Assert.False(message.TryGetProperty("tool_calls", out _));
            Assert.Equal(8, message.GetProperty("content").GetString()!.Length);
        }
        else
        {
            Assert.StartsWith("<tool_call>\n{\"name\": \"", message.GetProperty("content").GetString(), StringComparison.Ordinal); // begun, and cut by max_tokens before its name was whole
        }
    }

    [SharedTheory]
    [MemberData(nameof(TemplatesWithCalls))]
    public void Calls_AndResults_FedBack_AreRenderedAsTheTemplateMeans(string name)
    {
        using JsonDocument cases = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden", "templates", "cases.json")));
        using JsonDocument expected = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden", "templates", $"{name}.expected.json")));
        JsonElement common = cases.RootElement.GetProperty("common");
        JsonElement golden = cases.RootElement.GetProperty("cases").GetProperty("toolcall");

        // Clients send arguments as a text.
        const string Arguments = """{"town": "Dakar", "days": 2}""";
        string sent = golden.GetRawText().Replace(golden.GetProperty("messages")[1].GetProperty("tool_calls")[0].GetProperty("function").GetProperty("arguments").GetRawText(), $"\"{JsonEncodedText.Encode(Arguments)}\"", StringComparison.Ordinal);
        ChatTemplate template = ChatTemplate.Parse(File.ReadAllText(SharedFolder.PathOf("golden", "templates", $"{name}.jinja")));
        RenderedPrompt rendered = template.Render(new ChatTemplateInput
        {
            Messages = ChatMessages.Read(new RequestFields(TestServer.Parse(sent)), knowsDeveloper: false),
            Tools = golden.GetProperty("tools"),
            BosToken = common.GetProperty("bos_token").GetString(),
            EosToken = common.GetProperty("eos_token").GetString(),
            AddGenerationPrompt = true,
            Variables = new Dictionary<string, JsonElement> { ["date_string"] = common.GetProperty("date_string") },
            Now = new DateTimeOffset(2026, 11, 22, 0, 0, 0, TimeSpan.Zero),
        });
        Assert.Equal(expected.RootElement.GetProperty("toolcall").GetProperty("rendered").GetString(), rendered.Text);
    }

    [Fact]
    public async Task CallIds_WhereTheTemplateTakesNineLetters_BecomeSuch()
    {
        const string Template = "{# tools [TOOL_CALLS] #}{% for message in messages %}{% for call in message.tool_calls or [] %}{% if call.id | length != 9 %}{{ raise_exception('nine') }}{% endif %}<{{ call.id }}>{% endfor %}"
            + "{% if message.role == 'tool' %}{% if message.tool_call_id|length != 9 %}{{ raise_exception('nine') }}{% endif %}<{{ message.tool_call_id }}>{% endif %}{% endfor %}";
        await using TestServer server = await TestServer.StartAsync(template: Template);
        string[] ids = [await IdAsync("call_0123456789abcdef0123456789abcdef"), await IdAsync("call_1"), await IdAsync("abcDEF123"), await IdAsync("abc-EF123"), await IdAsync("call_1")];
        Assert.Equal((ids[1], "abcDEF123"), (ids[4], ids[2])); // the same becomes the same, and what fits stays
        Assert.Equal(4, ids.Distinct().Count());
        Assert.All(ids, id => Assert.Matches("^[A-Za-z0-9]{9}$", id));

        async Task<string> IdAsync(string id)
        {
            string history = $"{{\"role\":\"assistant\",\"tool_calls\":[{{\"id\":\"{id}\",\"type\":\"function\",\"function\":{{\"name\":\"f\",\"arguments\":\"{{}}\"}}}}]}},{{\"role\":\"tool\",\"tool_call_id\":\"{id}\",\"content\":\"x\"}}";
            string[] given = (await server.PostJsonAsync("/apply-template", $"{{\"messages\":[{history}]}}")).GetProperty("prompt").GetString()!.Split(['<', '>'], StringSplitOptions.RemoveEmptyEntries);
            Assert.Equal(2, given.Length);
            Assert.Equal(given[0], given[1]);
            return given[0];
        }
    }

    private static Task<TestServer> ServeAsync(ScriptedModel scripted, string? template) => TestServer.StartAsync(
        model: new ServedModel("scripted", scripted.Loaded, scripted.Context, template is null ? null : ChatTemplate.Parse(template), new SchedulerOptions()));
}
