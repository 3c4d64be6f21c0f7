// What strangers send: numbers, bodies, forms, templates, connections, paths and headers built to hurt. The right refusal in OpenAI's shape, at once, and nothing of the contents told to the log.
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Kidogo.Inference.Scheduling;
using Kidogo.Serving.Access;
using Kidogo.Tests.Models.Files;

namespace Kidogo.ServingTests;

public sealed class HostileRequestTests
{
    /// <summary>Far more than a refusal takes, and far less than what is asked for would.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private const string Secret = "siri-kubwa-sana";
    private const string Chat = "{\"messages\":[{\"role\":\"user\",\"content\":\"" + Secret + "\"}],";

    public static TheoryData<string, string, string?, string> Numbers => new()
    {
        { "/v1/chat/completions", Chat + "\"n\":1e9}", "n", "invalid_value" },
        { "/v1/chat/completions", Chat + "\"n\":99999999999999999999}", "n", "invalid_value" },
        { "/v1/chat/completions", Chat + "\"max_tokens\":-1}", "max_tokens", "invalid_value" },
        { "/v1/chat/completions", Chat + "\"max_tokens\":1e30}", "max_tokens", "invalid_value" },
        { "/v1/chat/completions", Chat + "\"temperature\":NaN}", null, "invalid_json" },
        { "/v1/chat/completions", Chat + "\"temperature\":Infinity}", null, "invalid_json" },
        { "/v1/chat/completions", Chat + "\"temperature\":\"NaN\"}", "temperature", "invalid_value" },
        { "/v1/chat/completions", Chat + "\"temperature\":-0.1}", "temperature", "invalid_value" },
        { "/v1/chat/completions", Chat + "\"top_logprobs\":1e9,\"logprobs\":true}", "top_logprobs", "invalid_value" },
        { "/v1/chat/completions", Chat + "\"seed\":1e99}", "seed", "invalid_value" },
        { "/v1/chat/completions", Chat + "\"logit_bias\":{\"-1\":5}}", "logit_bias", "invalid_value" },
        { "/v1/completions", "{\"prompt\":\"a\",\"n\":1e9}", "n", "invalid_value" },
        { "/v1/completions", "{\"prompt\":\"a\",\"best_of\":1000000000}", "best_of", "invalid_value" },
        { "/v1/completions", "{\"prompt\":\"a\",\"max_tokens\":-1}", "max_tokens", "invalid_value" },
        { "/v1/completions", "{\"prompt\":\"a\",\"temperature\":NaN}", null, "invalid_json" },
        { "/v1/completions", "{\"prompt\":[99999999999]}", "prompt[0]", "invalid_value" },
        { "/v1/responses", "{\"input\":\"a\",\"max_output_tokens\":-1}", "max_output_tokens", "invalid_value" },
        { "/v1/responses", "{\"input\":\"a\",\"temperature\":\"Infinity\"}", "temperature", "invalid_value" },
        { "/tokenize", "{\"content\":5}", "content", "invalid_value" },
        { "/detokenize", "{\"tokens\":[1e9]}", "tokens[0]", "invalid_value" },
        { "/detokenize", "{\"tokens\":[-1]}", "tokens[0]", "invalid_value" },
    };

    // Forms that say little and mean much: each is refused, or held to, before long.
    public static TheoryData<string, string> Forms => new()
    {
        { "a schema of arrays of arrays", Form("json_schema", Nested(12, inner => $"{{\"type\":\"array\",\"minItems\":1000,\"maxItems\":1000,\"items\":{inner}}}", "{\"type\":\"string\"}")) },
        { "a schema that doubles", Form("json_schema", Nested(14, inner => $"{{\"anyOf\":[{inner},{{\"type\":\"array\",\"items\":{{\"type\":\"integer\"}}}}]}}", "{\"type\":\"integer\"}")) },
        { "a schema whose parts double", Form("json_schema", $"{{\"$ref\":\"#/$defs/d0\",\"$defs\":{{{string.Join(',', Enumerable.Range(0, 50).Select(i => $"\"d{i}\":{{\"type\":\"array\",\"prefixItems\":[{{\"$ref\":\"#/$defs/d{i + 1}\"}},{{\"$ref\":\"#/$defs/d{i + 1}\"}}]}}"))},\"d50\":{{\"type\":\"null\"}}}}}}") },
        { "a schema of itself", Form("json_schema", "{\"$ref\":\"#\"}") },
        { "a schema of itself in turn", Form("json_schema", "{\"anyOf\":[{\"$ref\":\"#/$defs/a\"}],\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"$ref\":\"#/$defs/a\"}}}") },
        { "a schema that never ends", Form("json_schema", "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"],\"additionalProperties\":false}") },
        { "a schema of many words", Form("json_schema", $"{{\"enum\":[{string.Join(',', Enumerable.Range(0, 100_000).Select(i => $"\"word{i}\""))}]}}") },
        { "a schema of many members", Form("json_schema", $"{{\"type\":\"object\",\"properties\":{{{string.Join(',', Enumerable.Range(0, 20_000).Select(i => $"\"member{i}\":{{}}"))}}}}}") },
        { "a schema of long strings", Form("json_schema", "{\"type\":\"string\",\"minLength\":2000000000,\"maxLength\":2000000000}") },
        { "a schema with a pattern that explodes", Form("json_schema", "{\"type\":\"string\",\"pattern\":\"^((((a{1,99}){1,99}){1,99}){1,99}){1,99}$\"}") },
        { "a pattern of powers", Form("regex", "\"((((a|b){1,500}c){1,500}d){1,500}e){1,500}\"") },
        { "a pattern that backtracks", Form("regex", "\"(a*)*(a*)*(a*)*(a*)*(a*)*(a*)*b\"") },
        { "a pattern of many ways", Form("regex", $"\"{string.Concat(Enumerable.Repeat("(a|a?)", 3000))}\"") },
        { "a pattern of brackets", Form("regex", $"\"{new string('(', 100_000)}{new string(')', 100_000)}\"") },
        { "a pattern of megabytes", Form("regex", $"\"{new string('a', 2_000_000)}\"") },
        { "a grammar of powers", Form("grammar", "\"root ::= a{1000}\\na ::= b{1000}\\nb ::= c{1000}\\nc ::= \\\"x\\\"{1000}\"") },
        { "a grammar that begins with itself", Form("grammar", "\"root ::= root \\\"a\\\" | \\\"b\\\"\"") },
        { "a grammar without an end", Form("grammar", "\"root ::= \\\"a\\\" root\"") },
        { "a grammar of ambiguities", Form("grammar", "\"root ::= a a a a a a a a \\na ::= \\\"x\\\"* \\\"x\\\"* \\\"x\\\"* \\\"x\\\"*\"") },
    };

    public static TheoryData<string, string> Templates => new()
    {
        { "a long loop", "{% for i in range(1000000000) %}x{% endfor %}" },
        { "loops in loops", "{% for i in range(10000) %}{% for j in range(10000) %}{% for k in range(10000) %}{% endfor %}{% endfor %}{% endfor %}" },
        { "a text that doubles", "{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}" },
        { "a text that is repeated", "{{ 'x' * 1000000000 }}" },
        { "a macro of itself", "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}" },
        { "a list that grows as it is read", "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}{{ ns.l | length }}" },
        { "a refusal", "{{ raise_exception('no') }}" },
    };

    public static TheoryData<string, int> Targets => new()
    {
        { "/../../../../etc/passwd", 404 },
        { "/..%2f..%2f..%2fetc%2fpasswd", 404 },
        { "/%2e%2e/%2e%2e/etc/passwd", 404 },
        { "/v1/models/..%2f..%2fetc%2fpasswd", 404 },
        { "/v1/models/%00", 400 },
        { "/v1/models/%ff%fe", 404 },
        { "/v1//models", 404 },
        { "//v1/models", 404 },
        { "/V1/Models", 404 },
        { "/v1/models/", 404 },
        { "/v1/models/tiny/../../../x", 404 },
        { "/chat.js/../../secret", 404 },
        { "/v1/models;x=1", 404 },
        { "/index.html%00.png", 400 },
        { "/props?model=%0d%0aSet-Cookie:%20a=b", 404 },
        { "/v1/models/x%0d%0aSet-Cookie:%20a=b", 404 },
        { "http://evil.example/v1/models", 400 }, // and the host says another
        { "*", 405 },
        { "v1/models", 400 },
    };

    [Theory]
    [MemberData(nameof(Numbers))]
    public async Task Number_Absurd_IsRefusedByName(string path, string body, string? param, string code)
    {
        await using TestServer server = await TestServer.StartAsync();
        JsonElement error = (await server.PostJsonAsync(path, body, 400)).GetProperty("error");
        Assert.Equal(("invalid_request_error", param, code), (error.GetProperty("type").GetString(), error.GetProperty("param").GetString(), error.GetProperty("code").GetString()));
        CheckNothingTold(server);
    }

    [Theory]
    [MemberData(nameof(Forms))]
    public async Task Form_BuiltToExplode_IsRefusedOrHeldTo(string what, string fields)
    {
        await using TestServer server = await TestServer.StartAsync();
        using CancellationTokenSource patience = new(s_patience);
        using HttpResponseMessage response = await server.PostAsync("/v1/chat/completions", $"{Chat}\"max_tokens\":3,\"temperature\":0,{fields}}}", patience.Token);
        string answer = await response.Content.ReadAsStringAsync();
        Assert.True((int)response.StatusCode is 200 or 400, $"{what}: {answer}");
        if (response.StatusCode == HttpStatusCode.BadRequest)
        {
            JsonElement error = TestServer.Parse(answer).GetProperty("error");
            Assert.Equal(("invalid_request_error", fields.Split('"')[1]), (error.GetProperty("type").GetString(), error.GetProperty("param").GetString()));
            Assert.True(answer.Length < 2000, $"{what}: the refusal has {answer.Length} characters.");
        }

        CheckNothingTold(server);
        await server.PostJsonAsync("/v1/chat/completions", Chat + "\"max_tokens\":1}"); // it lives
    }

    [Theory]
    [MemberData(nameof(Templates))]
    public async Task Template_BuiltToLoop_IsStopped(string what, string template)
    {
        await using TestServer server = await TestServer.StartAsync(template: template);
        using CancellationTokenSource patience = new(s_patience);
        using HttpResponseMessage response = await server.PostAsync("/v1/chat/completions", Chat + "\"max_tokens\":1}", patience.Token);
        string answer = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.BadRequest, $"{what}: {answer}");
        Assert.Equal("chat_template_error", TestServer.Parse(answer).GetProperty("error").GetProperty("code").GetString());
        CheckNothingTold(server);
    }

    [Theory]
    [MemberData(nameof(Targets))]
    public async Task Path_WithTricks_LeadsNowhere(string target, int status)
    {
        await using TestServer server = await TestServer.StartAsync();
        string answer = await RawAsync(server, $"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("\nSet-Cookie", answer, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("root:", answer, StringComparison.Ordinal);
        if (status == 404)
        {
            Assert.Equal("invalid_request_error", TestServer.Parse(answer[(answer.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..]).GetProperty("error").GetProperty("type").GetString());
        }
    }

    [Theory]
    [InlineData("X-A: b\r\nContent-Length: 5\r\nContent-Length: 6\r\n")]
    [InlineData("Content-Length: -5\r\n")]
    [InlineData("Content-Length: 99999999999999999999\r\n")]
    [InlineData("Transfer-Encoding: xchunked\r\n")]
    [InlineData("X A: b\r\n")]
    [InlineData(": b\r\n")]
    [InlineData("X-A: b\r\n folded: c\r\n")]
    [InlineData("Host: localhost\r\n")] // twice
    public async Task Header_Malformed_IsRefused(string headers)
    {
        await using TestServer server = await TestServer.StartAsync();
        string answer = await RawAsync(server, $"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\r\n");
        Assert.Matches("^HTTP/1.1 4[0-9][0-9] ", answer);
    }

    [Fact]
    public async Task Headers_VeryManyOrLong_AreRefused()
    {
        await using TestServer server = await TestServer.StartAsync();
        Assert.StartsWith("HTTP/1.1 431 ", await RawAsync(server, $"GET /health HTTP/1.1\r\nHost: localhost\r\n{string.Concat(Enumerable.Range(0, 2000).Select(i => $"X-{i}: a\r\n"))}\r\n"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 431 ", await RawAsync(server, $"GET /health HTTP/1.1\r\nHost: localhost\r\nX: {new string('x', 100_000)}\r\n\r\n"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 414 ", await RawAsync(server, $"GET /{new string('x', 100_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Authorization: Bearer a\r\nX-Injected: yes")]
    [InlineData("Origin: http://localhost\r\nX-Injected: yes")]
    public async Task Header_Injected_IsNotGivenBack(string headers)
    {
        await using TestServer server = await TestServer.StartAsync();
        string answer = await RawAsync(server, $"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n{headers}\r\nConnection: close\r\n\r\n");
        Assert.DoesNotContain("X-Injected", answer, StringComparison.OrdinalIgnoreCase);
        string named = await RawAsync(server, Post("{\"model\":\"a\\r\\nX-Injected: yes\",\"prompt\":\"a\"}"));
        Assert.StartsWith("HTTP/1.1 404 ", named, StringComparison.Ordinal);
        Assert.DoesNotContain("\nX-Injected", named, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Body_OfAGigabyte_IsRefusedBeforeItIsSent()
    {
        await using TestServer server = await TestServer.StartAsync();
        string answer = await RawAsync(server, $"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {1 << 30}\r\n\r\n{{\"prompt\":\"");
        Assert.StartsWith("HTTP/1.1 413 ", answer, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"body_too_large\"", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Body_InChunksWithoutEnd_IsRefusedOnItsWay()
    {
        await using TestServer server = await TestServer.StartAsync();
        using TcpClient client = new();
        await client.ConnectAsync(IPAddress.Loopback, server.Address.Port);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"u8.ToArray());
        byte[] chunk = Encoding.ASCII.GetBytes($"{1 << 20:x}\r\n{new string(' ', 1 << 20)}\r\n");
        int sent = 0;
        try
        {
            for (; sent < 1024; sent++)
            {
                await stream.WriteAsync(chunk);
            }
        }
        catch (IOException)
        {
            // It hung up.
        }

        Assert.InRange(sent, 5, 100); // megabytes: ten are read, and some lie in buffers
        await server.PostJsonAsync("/v1/completions", """{"prompt":"a","max_tokens":1}""");
    }

    [Fact]
    public async Task Clients_ThatSendSlowly_HoldUpNobody_AndAreSentAway()
    {
        await using TestServer server = await TestServer.StartAsync(new SchedulerOptions { Parallel = 1, QueueLength = 1 });
        List<TcpClient> slow = [];
        for (int i = 0; i < 40; i++)
        {
            TcpClient client = new();
            slow.Add(client);
            await client.ConnectAsync(IPAddress.Loopback, server.Address.Port);
            string part = i % 2 == 0 ? "POST /v1/comple" : "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{\"prompt\":";
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(part));
        }

        await server.PostJsonAsync("/v1/completions", """{"prompt":"a","max_tokens":1}""");
        SchedulerStatus status = server.Model.Scheduler.Status();
        Assert.Equal((0, 0), (status.Active, status.Waiting)); // who has not asked yet has no place
        using CancellationTokenSource patience = new(s_patience);
        byte[] answer = new byte[4096];
        int read = await slow[1].GetStream().ReadAsync(answer, patience.Token);
        Assert.StartsWith("HTTP/1.1 408 ", Encoding.ASCII.GetString(answer, 0, read), StringComparison.Ordinal);
        slow.ForEach(client => client.Dispose());
    }

    [Fact]
    public async Task Client_ThatReadsNothing_IsSentAway()
    {
        await using TestServer server = await TestServer.StartAsync(new SchedulerOptions { Parallel = 1 }, options => options with { ReaderPatience = TimeSpan.FromSeconds(1) }, contextLength: TinyModel.EndlessContext);
        using TcpClient client = new() { ReceiveBufferSize = 4096 };
        await client.ConnectAsync(IPAddress.Loopback, server.Address.Port);
        string body = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"stream\":true,\"logprobs\":true,\"top_logprobs\":20}";
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(Post(body, "/v1/chat/completions")));
        using CancellationTokenSource patience = new(s_patience);
        while (server.Model.Scheduler.Status() is not { Cancelled: 1, Active: 0 })
        {
            Assert.False(patience.IsCancellationRequested, $"{server.Model.Scheduler.Status()}");
            await Task.Delay(20);
        }
    }

    [Fact]
    public async Task Keys_AndContents_AreToldToNoLog()
    {
        using TestFolder folder = new();
        string keys = folder["keys.json"], key = KeyFile.Create(keys, "amina", null, null);
        await using TestServer server = await TestServer.StartAsync(change: options => options with { KeyFile = keys });
        foreach (string given in (string[])[key, $"kidogo-{Secret}"])
        {
            foreach ((string path, string? body) in ((string, string?)[])
            [
                ("/v1/chat/completions", Chat + "\"max_tokens\":1}"), ("/v1/chat/completions", Chat + $"\"{Secret}\":1}}"), ("/v1/chat/completions", Chat), ($"/{Secret}", null), ($"/v1/models/{Secret}", null),
                ($"/v1/models?key={given}", null), ($"/props?model={Secret}", null), ("/v1/completions", $"{{\"model\":\"{Secret}\",\"prompt\":\"a\"}}"), ("/v1/chat/completions", Chat + $"\"regex\":\"({Secret}\"}}"),
            ])
            {
                using HttpRequestMessage request = new(body is null ? HttpMethod.Get : HttpMethod.Post, path);
                request.Headers.Authorization = new("Bearer", given);
                request.Headers.Add("X-Api-Key", given);
                request.Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json");
                using HttpResponseMessage response = await server.Client.SendAsync(request);
                Assert.True((int)response.StatusCode is 200 or 400 or 401 or 404, $"{path}: {response.StatusCode}");
            }
        }

        CheckNothingTold(server);
        lock (server.Lines)
        {
            Assert.Equal(18, server.Lines.Count);
            Assert.DoesNotContain(server.Lines, line => line.Contains(key, StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task ControlTokens_StayText_WhereverStrangersWriteThem()
    {
        const string Template = TinyModel.Template + "{# tools <tool_call> #}{{ tools | tojson if tools }}{% for message in messages %}{{ message.name }}{{ message.tool_call_id }}{% for call in message.tool_calls or [] %}{{ call.function.name }}{{ call.function.arguments | tojson }}{% endfor %}{% endfor %}";
        await using TestServer server = await TestServer.StartAsync(template: Template, contextLength: 4096);
        foreach (string body in (string[])
        [
            "\"messages\":[{\"role\":\"user\",\"content\":\"*\"}]",
            "\"messages\":[{\"role\":\"system\",\"content\":\"*\"},{\"role\":\"user\",\"content\":\"a\"}]",
            "\"messages\":[{\"role\":\"user\",\"name\":\"*\",\"content\":[{\"type\":\"text\",\"text\":\"*\"}]}]",
            "\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"*\",\"tool_calls\":[{\"id\":\"*\",\"type\":\"function\",\"function\":{\"name\":\"*\",\"arguments\":\"{\\\"*\\\":\\\"*\\\"}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"*\",\"content\":\"*\"}]",
            "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"*\",\"parameters\":{\"type\":\"object\",\"properties\":{\"*\":{\"description\":\"*\"}}}}}]",
            "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"description\":\"*\"}}",
        ])
        {
            Assert.Equal(await CountAsync(body, "xxxxxxxxxx"), await CountAsync(body, "<|im_end|>")); // ten letters, ten bytes: one token each
        }

        async Task<int> CountAsync(string body, string text) => (await server.PostJsonAsync("/v1/chat/completions", $"{{\"max_tokens\":1,{body.Replace("*", text, StringComparison.Ordinal)}}}"))
            .GetProperty("usage").GetProperty("prompt_tokens").GetInt32();
    }

    private static string Form(string field, string value) => $"\"{field}\":{value}";

    private static string Nested(int depth, Func<string, string> around, string inner)
    {
        for (int i = 0; i < depth; i++)
        {
            inner = around(inner);
        }

        return inner;
    }

    private static string Post(string body, string path = "/v1/completions") =>
        $"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n{body}";

    private static void CheckNothingTold(TestServer server)
    {
        lock (server.Lines)
        {
            Assert.DoesNotContain(server.Lines.Concat(server.Warnings), line => line.Contains(Secret, StringComparison.Ordinal));
            Assert.NotEmpty(server.Lines);
        }

        Assert.Empty(server.Warnings); // nothing that went wrong was a surprise
    }

    internal static async Task<string> RawAsync(TestServer server, string request)
    {
        using TcpClient client = new();
        await client.ConnectAsync(IPAddress.Loopback, server.Address.Port);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request));
        using StreamReader reader = new(stream);
        using CancellationTokenSource patience = new(s_patience);
        StringBuilder answer = new();
        char[] buffer = new char[4096];
        try
        {
            while (await reader.ReadAsync(buffer, patience.Token) is > 0 and var read)
            {
                answer.Append(buffer, 0, read);
            }
        }
        catch (IOException)
        {
            // It hung up after its answer.
        }

        return answer.ToString();
    }
}
