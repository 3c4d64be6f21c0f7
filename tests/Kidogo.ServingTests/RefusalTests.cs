// What is refused, and how: the right status in OpenAI's shape, naming the field, and nothing of the contents in any log.
using System.Net;
using System.Text;
using System.Text.Json;
using Kidogo.Inference.Scheduling;

namespace Kidogo.ServingTests;

public sealed class RefusalTests
{
    private const string Secret = "siri-kubwa-sana";
    private const string Start = "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"" + Secret + "\"}],";

    public static TheoryData<string, int, string?> ChatFields => new()
    {
        { "\"temperature\":3", 400, "temperature" },
        { "\"temperature\":\"hot\"", 400, "temperature" },
        { "\"temperature\":1e999", 400, "temperature" },
        { "\"top_p\":-0.1", 400, "top_p" },
        { "\"n\":1000000000", 400, "n" },
        { "\"n\":0", 400, "n" },
        { "\"n\":1.5", 400, "n" },
        { "\"max_tokens\":-1", 400, "max_tokens" },
        { "\"max_completion_tokens\":0", 400, "max_completion_tokens" },
        { "\"max_tokens\":5,\"max_completion_tokens\":6", 400, "max_tokens" },
        { "\"presence_penalty\":2.1", 400, "presence_penalty" },
        { "\"frequency_penalty\":[]", 400, "frequency_penalty" },
        { "\"seed\":1.5", 400, "seed" },
        { "\"stop\":[1]", 400, "stop" },
        { "\"stop\":\"\"", 400, "stop" },
        { "\"stop\":{}", 400, "stop" },
        { "\"logit_bias\":{\"999999\":1}", 400, "logit_bias" },
        { "\"logit_bias\":{\"65\":101}", 400, "logit_bias.65" },
        { "\"logit_bias\":[1]", 400, "logit_bias" },
        { "\"top_logprobs\":2", 400, "top_logprobs" },
        { "\"logprobs\":true,\"top_logprobs\":21", 400, "top_logprobs" },
        { "\"stream\":1", 400, "stream" },
        { "\"stream_options\":{\"include_usage\":true}", 400, "stream_options" },
        { "\"stream\":true,\"stream_options\":{\"include_useage\":true}", 400, "stream_options.include_useage" },
        { "\"temprature\":1", 400, "temprature" },
        { "\"audio\":{}", 400, "audio" },
        { "\"modalities\":[\"audio\"]", 400, "modalities" },
        { "\"prediction\":{}", 400, "prediction" },
        { "\"functions\":[]", 400, "functions" },
        { "\"function_call\":\"auto\"", 400, "function_call" },
        { "\"store\":true", 400, "store" },
        { "\"metadata\":{\"a\":\"b\"}", 400, "metadata" },
        { "\"service_tier\":\"flex\"", 400, "service_tier" },
        { "\"verbosity\":\"low\"", 400, "verbosity" },
        { "\"web_search_options\":{}", 400, "web_search_options" },
        { "\"reasoning_effort\":\"high\"", 400, "reasoning_effort" },
        { "\"reasoning_effort\":\"enormous\"", 400, "reasoning_effort" },
        { "\"response_format\":{\"type\":\"sound\"}", 400, "response_format.type" },
        { "\"response_format\":{\"type\":\"json_schema\"}", 400, "response_format.json_schema" },
        { "\"response_format\":{\"type\":\"json_object\",\"schem\":{}}", 400, "response_format.schem" },
        { "\"json_schema\":{\"type\":\"object\",\"minProperties\":1}", 400, "json_schema" },
        { "\"regex\":\"(?=a)b\"", 400, "regex" },
        { "\"regex\":\"((a{1,1000}){1,1000}){1,1000}\"", 400, "regex" },
        { "\"grammar\":\"root ::= root\"", 400, "grammar" },
        { "\"grammar\":\"root ::= \\\"a\\\"\",\"regex\":\"a\"", 400, "regex" },
        { "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]", 400, "tools" },
        { "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a b\"}}]", 400, "tools[0].function.name" },
        { "\"tools\":[{\"type\":\"custom\"}]", 400, "tools[0].type" },
        { "\"tool_choice\":\"required\"", 400, "tool_choice" },
        { "\"chat_template_kwargs\":{\"tokenize\":true}", 400, "chat_template_kwargs.tokenize" },
        { "\"store\":false,\"service_tier\":\"auto\",\"modalities\":[\"text\"],\"response_format\":{\"type\":\"text\"},\"user\":\"u\",\"metadata\":null,\"max_tokens\":1", 200, null },
    };

    public static TheoryData<string, string> Messages => new()
    {
        { "null", "messages" },
        { "\"hi\"", "messages" },
        { "[]", "messages" },
        { "[123]", "messages[0]" },
        { "[{}]", "messages[0].role" },
        { "[{\"role\":123,\"content\":\"a\"}]", "messages[0].role" },
        { "[{\"role\":\"king\",\"content\":\"a\"}]", "messages[0].role" },
        { "[{\"role\":\"user\"}]", "messages[0].content" },
        { "[{\"role\":\"user\",\"content\":123}]", "messages[0].content" },
        { "[{\"role\":\"user\",\"content\":[]}]", "messages[0].content" },
        { "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"file://../x\"}}]}]", "messages[0].content[0].type" },
        { "[{\"role\":\"user\",\"content\":\"a\",\"tool_calls\":[]}]", "messages[0].tool_calls" },
        { "[{\"role\":\"tool\",\"content\":\"a\"}]", "messages[0].tool_call_id" },
        { "[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\"}}]}]", "messages[0].tool_calls[0].function.arguments" },
        { "[{\"role\":\"user\",\"content\":\"\\ud800\"}]", "messages[0].content" },
    };

    public static TheoryData<string, string> CompletionFields => new()
    {
        { "\"prompt\":\"a\",\"best_of\":20", "best_of" },
        { "\"prompt\":\"a\",\"n\":3,\"best_of\":2", "best_of" },
        { "\"prompt\":\"a\",\"best_of\":2,\"stream\":true", "best_of" },
        { "\"prompt\":\"\"", "prompt" },
        { "\"prompt\":[]", "prompt" },
        { "\"prompt\":[[]]", "prompt[0]" },
        { "\"prompt\":[258]", "prompt[0]" },
        { "\"prompt\":[1,\"a\"]", "prompt[1]" },
        { "\"prompt\":{}", "prompt" },
        { "\"suffix\":\"b\",\"prompt\":\"a\"", "suffix" },
        { "\"logprobs\":true,\"prompt\":\"a\"", "logprobs" },
        { "\"max_token\":3,\"prompt\":\"a\"", "max_token" },
        { "\"temperature\":0", "prompt" },
    };

    [Theory]
    [MemberData(nameof(ChatFields))]
    public async Task Chat_Field_IsHonouredOrRefusedByName(string field, int status, string? param)
    {
        await using TestServer server = await TestServer.StartAsync();
        JsonElement answer = await server.PostJsonAsync("/v1/chat/completions", Start + field + "}", status);
        if (status != 200)
        {
            CheckError(answer, param);
        }

        Assert.DoesNotContain(server.Lines.Concat(server.Warnings), line => line.Contains(Secret, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Messages))]
    public async Task Chat_Messages_MalformedOnes_AreRefusedByName(string messages, string param)
    {
        await using TestServer server = await TestServer.StartAsync();
        CheckError(await server.PostJsonAsync("/v1/chat/completions", $"{{\"messages\":{messages}}}", 400), param);
    }

    [Theory]
    [MemberData(nameof(CompletionFields))]
    public async Task Completion_Field_IsRefusedByName(string fields, string param)
    {
        await using TestServer server = await TestServer.StartAsync();
        CheckError(await server.PostJsonAsync("/v1/completions", $"{{{fields}}}", 400), param);
    }

    [Fact]
    public async Task UnknownField_Near_IsNamedWithTheNearest()
    {
        await using TestServer server = await TestServer.StartAsync();
        JsonElement error = await server.PostJsonAsync("/v1/chat/completions", Start + "\"temprature\":1}", 400);
        Assert.Contains("`temperature`", error.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task UnknownModel_IsNotFound()
    {
        await using TestServer server = await TestServer.StartAsync();
        JsonElement error = (await server.PostJsonAsync("/v1/chat/completions", """{"model":"tinny","messages":[]}""", 404)).GetProperty("error");
        Assert.Equal("model_not_found", error.GetProperty("code").GetString());
        Assert.Contains("`tiny`", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await server.Client.GetAsync("/v1/models/..%2F..%2Fetc%2Fpasswd")).StatusCode);
    }

    [Fact]
    public async Task Prompt_TooLong_NamesBothNumbers()
    {
        await using TestServer server = await TestServer.StartAsync();
        JsonElement error = (await server.PostJsonAsync("/v1/completions", $$"""{"prompt":"{{new string('a', 600)}}"}""", 400)).GetProperty("error");
        Assert.Equal("exceed_context_size_error", error.GetProperty("type").GetString());
        Assert.Equal((600, TinyModel.ContextLength), (error.GetProperty("n_prompt_tokens").GetInt32(), error.GetProperty("n_ctx").GetInt32()));
    }

    [Theory]
    [InlineData("/v1/completions", "\"prompt\":\"*\"", "exceed_context_size_error")]
    [InlineData("/v1/completions", "\"prompt\":[\"a\",\"*\"]", "exceed_context_size_error")]
    [InlineData("/v1/chat/completions", "\"messages\":[{\"role\":\"user\",\"content\":\"*\"}]", "exceed_context_size_error")]
    [InlineData("/v1/responses", "\"instructions\":\"*\",\"input\":\"a\"", "exceed_context_size_error")]
    [InlineData("/tokenize", "\"content\":\"*\"", "invalid_request_error")]
    public async Task Text_OfMegabytes_IsRefusedBeforeItsTokensAreCounted(string path, string fields, string type)
    {
        await using TestServer server = await TestServer.StartAsync();
        string body = $"{{{fields.Replace("*", new string(' ', 9_000_000), StringComparison.Ordinal)}}}";
        JsonElement error = (await server.PostJsonAsync(path, body, 400)).GetProperty("error");
        Assert.Equal(type, error.GetProperty("type").GetString());
        if (type != "invalid_request_error")
        {
            Assert.Equal(TinyModel.ContextLength, error.GetProperty("n_ctx").GetInt32());
            Assert.InRange(error.GetProperty("n_prompt_tokens").GetInt32(), 500_000, 9_000_000); // as many at least
        }
    }

    [Fact]
    public async Task Ids_OfMegabytes_AreRefusedBeforeTheyAreRead()
    {
        await using TestServer server = await TestServer.StartAsync();
        JsonElement error = (await server.PostJsonAsync("/v1/completions", $"{{\"prompt\":[{string.Join(',', Enumerable.Repeat("99999", 1000))}]}}", 400)).GetProperty("error");
        Assert.Equal(1000, error.GetProperty("n_prompt_tokens").GetInt32());
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[1]")]
    [InlineData("")]
    [InlineData("{\"model\":\"a\",\"model\":\"b\"}")]
    [InlineData("{\"messages\":[{\"role\":\"user\",\"content\":\"siri-kubwa-sana\"}],}")]
    public async Task Body_ThatIsNoRequest_IsRefused(string body)
    {
        await using TestServer server = await TestServer.StartAsync();
        JsonElement error = await server.PostJsonAsync("/v1/chat/completions", body, 400);
        Assert.DoesNotContain(Secret, error.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Body_Deep_IsRefused()
    {
        await using TestServer server = await TestServer.StartAsync();
        await server.PostJsonAsync("/v1/chat/completions", "{\"messages\":" + new string('[', 100_000) + new string(']', 100_000) + "}", 400);
    }

    [Fact]
    public async Task Stops_VeryMany_AreRefusedAtOnce()
    {
        await using TestServer server = await TestServer.StartAsync();
        string many = string.Join(',', Enumerable.Repeat("\"x\"", 100_000));
        CheckError(await server.PostJsonAsync("/v1/chat/completions", Start + $"\"stop\":[{many}]}}", 400), "stop");
    }

    [Fact]
    public async Task Body_TooLarge_Is413()
    {
        await using TestServer server = await TestServer.StartAsync(change: options => options with { MaxBodyBytes = 1000 });
        JsonElement error = await server.PostJsonAsync("/v1/chat/completions", Start + $"\"user\":\"{new string('u', 2000)}\"}}", 413);
        Assert.Equal("body_too_large", error.GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task Body_ThatIsNotJson_Is415()
    {
        await using TestServer server = await TestServer.StartAsync();
        using HttpResponseMessage response = await server.Client.PostAsync("/v1/chat/completions", new StringContent("{}", Encoding.UTF8, "text/plain"));
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    [Theory]
    [InlineData("GET", "/v1/chat/completions", 405)]
    [InlineData("POST", "/health", 405)]
    [InlineData("GET", "/v1/nothing", 404)]
    [InlineData("GET", "/../../etc/passwd", 404)]
    [InlineData("DELETE", "/", 404)]
    public async Task Path_OrMethod_Unknown_IsRefused(string method, string path, int status)
    {
        await using TestServer server = await TestServer.StartAsync();
        using HttpResponseMessage response = await server.Client.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal("invalid_request_error", TestServer.Parse(await response.Content.ReadAsStringAsync()).GetProperty("error").GetProperty("type").GetString());
    }

    [Fact]
    public async Task Full_Is429WithRetryAfter()
    {
        await using TestServer server = await TestServer.StartAsync(new SchedulerOptions { Parallel = 1, QueueLength = 0 });
        using GenerationGroup busy = server.Model.Scheduler.Submit(new GenerationRequest { Prompt = [40], Generation = new() { MaxTokens = 500 } });
        await busy.Steps.WaitToReadAsync();
        using HttpResponseMessage response = await server.PostAsync("/v1/chat/completions", Start + "\"stream\":true}");
        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        Assert.InRange(response.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
        using HttpResponseMessage slots = await server.Client.GetAsync("/slots?fail_on_no_slot=1");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, slots.StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await server.Client.GetAsync("/health")).StatusCode);
    }

    [Theory]
    [InlineData("\r\nHost: evil.example\r\n", 403)]
    [InlineData("\r\nHost: localhost.evil.example\r\n", 403)]
    [InlineData("\r\nHost: 192.168.0.7\r\n", 403)]
    [InlineData("\r\nHost: localhost:1\r\n", 200)]
    [InlineData("\r\nHost: app.localhost\r\n", 200)]
    [InlineData("\r\nHost: [::1]:8080\r\n", 200)]
    [InlineData("\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\n", 200)]
    [InlineData("\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1:81\r\n", 403)]
    [InlineData("\r\nHost: 127.0.0.1\r\nOrigin: https://evil.example\r\n", 403)]
    [InlineData("\r\nHost: 127.0.0.1\r\nOrigin: null\r\n", 403)]
    [InlineData("\r\nHost: 127.0.0.1\r\nOrigin: https://good.example\r\n", 200)]
    [InlineData("\r\nHost: 127.0.0.1\r\nX: a\0b\r\n", 400)]
    [InlineData("\r\n", 400)]
    public async Task Host_AndOrigin_AreChecked(string headers, int status)
    {
        await using TestServer server = await TestServer.StartAsync(change: options => options with { AllowedOrigins = ["https://good.example"] });
        string answer = await HostileRequestTests.RawAsync(server, $"GET /v1/models HTTP/1.1{headers}Connection: close\r\n\r\n");
        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
        Assert.Equal(headers.Contains("good.example", StringComparison.Ordinal), answer.Contains("Access-Control-Allow-Origin: https://good.example", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task Preflight_OfAnAllowedPage_IsAnswered()
    {
        await using TestServer server = await TestServer.StartAsync(change: options => options with { AllowedOrigins = ["https://good.example"] });
        string answer = await HostileRequestTests.RawAsync(server, "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nOrigin: https://good.example\r\nConnection: close\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 204 ", answer, StringComparison.Ordinal);
        Assert.Contains("authorization, content-type", answer, StringComparison.Ordinal);
    }

    private static void CheckError(JsonElement answer, string? param)
    {
        JsonElement error = answer.GetProperty("error");
        Assert.Equal(param, error.GetProperty("param").GetString());
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
        Assert.True(error.GetProperty("message").GetString()!.Length > 10);
        Assert.True(error.TryGetProperty("code", out _));
        Assert.DoesNotContain(Secret, answer.GetRawText(), StringComparison.Ordinal);
    }
}
