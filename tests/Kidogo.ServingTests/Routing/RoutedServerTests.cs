// The router behind the server, over sockets: names, headers, fields, streams, and a large model that fails.
using System.Text;
using System.Text.Json;
using Kidogo.Routing;

namespace Kidogo.ServingTests.Routing;

public sealed class RoutedServerTests
{
    private const string Public = "Explain photosynthesis in simple words.";

    [Fact]
    public async Task Models_WithAPolicy_HaveTheNames()
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        await using TestServer server = await StartAsync(Routes.Policy(scripted));
        using HttpResponseMessage response = await server.Client.GetAsync("/v1/models");
        JsonElement models = TestServer.Parse(await response.Content.ReadAsStringAsync()).GetProperty("data");
        Assert.Equal(["tiny", "auto", "local", "big"], models.EnumerateArray().Select(model => model.GetProperty("id").GetString()));
    }

    [Fact]
    public async Task NoPolicy_Auto_IsUnknownAndNothingIsSaid()
    {
        await using TestServer server = await TestServer.StartAsync();
        await server.PostJsonAsync("/v1/chat/completions", Body("auto", Public), 404);
        using HttpResponseMessage response = await server.PostAsync("/v1/chat/completions", Body("tiny", Public));
        Assert.False(response.Headers.Contains("x-kidogo-served-by"));
        Assert.False(TestServer.Parse(await response.Content.ReadAsStringAsync()).TryGetProperty("kidogo", out _));
    }

    [Theory]
    [InlineData("auto", Public, "big", "preference")]
    [InlineData("big", Public, "big", "asked")]
    [InlineData("local", Public, "local", "asked")]
    [InlineData("tiny", Public, "local", "asked")]
    [InlineData("auto", "My name is Fatou Diop", "local", "privacy")]
    [InlineData("big", "My name is Fatou Diop", "local", "privacy")]
    public async Task Chat_EveryReply_SaysWhereAndWhy(string model, string text, string place, string reason)
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        await using TestServer server = await StartAsync(Routes.Policy(scripted));
        using HttpResponseMessage whole = await server.PostAsync("/v1/chat/completions", Body(model, text));
        string json = await whole.Content.ReadAsStringAsync();
        Assert.True(whole.IsSuccessStatusCode, json);
        Assert.Equal(place, whole.Headers.GetValues("x-kidogo-served-by").Single());
        Assert.StartsWith($"{reason}: ", whole.Headers.GetValues("x-kidogo-route-reason").Single(), StringComparison.Ordinal);
        JsonElement said = TestServer.Parse(json).GetProperty("kidogo");
        Assert.Equal((place, reason), (said.GetProperty("served_by").GetString(), said.GetProperty("reason").GetString()));
        Assert.NotEqual("", said.GetProperty("detail").GetString());
        Assert.Equal(place == "big" ? "big" : "tiny", TestServer.Parse(json).GetProperty("model").GetString());
        foreach (string usage in (string[])["", ",\"stream_options\":{\"include_usage\":true}"])
        {
            using HttpResponseMessage streamed = await server.PostAsync("/v1/chat/completions", Body(model, text, $",\"stream\":true{usage}"));
            Assert.Equal(place, streamed.Headers.GetValues("x-kidogo-served-by").Single());
            string[] lines = [.. (await streamed.Content.ReadAsStringAsync()).Split('\n').Where(line => line.StartsWith("data:", StringComparison.Ordinal))];
            Assert.Equal("data: [DONE]", lines[^1]);
            Assert.Equal(place, TestServer.Parse(lines[^2][5..]).GetProperty("kidogo").GetProperty("served_by").GetString());
            Assert.All(lines[..^2], line => Assert.False(TestServer.Parse(line[5..]).TryGetProperty("kidogo", out _)));
        }
    }

    [Fact]
    public async Task Chat_ByRouter_SaysWhatTheModelSaysAlone()
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        await using TestServer server = await StartAsync(Routes.Policy(scripted));
        JsonElement routed = await server.PostJsonAsync("/v1/chat/completions", Body("auto", "My name is Fatou Diop"));
        JsonElement alone = await server.PostJsonAsync("/v1/chat/completions", Body("tiny", "My name is Fatou Diop"));
        Assert.Equal(Content(alone), Content(routed));
        Assert.Equal("length", routed.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(alone.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), routed.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
    }

    [Fact]
    public async Task Chat_Upstream_GetsTheFields()
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        await using TestServer server = await StartAsync(Routes.Policy(scripted));
        await server.PostJsonAsync("/v1/chat/completions", """
            {"model":"big","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"Count."},{"type":"file","file":{"file_data":"data:text/plain;base64,b25lIHR3bw=="}}]}],
            "temperature":0.5,"max_tokens":9,"stop":["x"],"seed":3,"tools":[{"type":"function","function":{"name":"look_up","parameters":{"type":"object","properties":{}}}}],"tool_choice":"required"}
            """);
        JsonElement sent = TestServer.Parse(Assert.Single(scripted.Bodies));
        Assert.Equal(["Be brief.", "Count.one two"], sent.GetProperty("messages").EnumerateArray().Select(message => message.GetProperty("content").GetString()));
        Assert.Equal((0.5, 9, "x", 3, "required"), (sent.GetProperty("temperature").GetDouble(), sent.GetProperty("max_tokens").GetInt32(), sent.GetProperty("stop")[0].GetString(), sent.GetProperty("seed").GetInt32(), sent.GetProperty("tool_choice").GetString()));
        Assert.Equal("look_up", sent.GetProperty("tools")[0].GetProperty("function").GetProperty("name").GetString());
    }

    [Theory]
    [InlineData("\"n\":2", "n")]
    [InlineData("\"logprobs\":true", "logprobs")]
    [InlineData("\"temprature\":1", "temprature")]
    [InlineData("\"top_p\":3", "top_p")]
    [InlineData("\"logit_bias\":{\"1\":1}", "logit_bias")]
    public async Task Chat_FieldThatCannotBeRouted_IsRefusedByName(string field, string name)
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        await using TestServer server = await StartAsync(Routes.Policy(scripted));
        JsonElement error = (await server.PostJsonAsync("/v1/chat/completions", Body("auto", Public, $",{field}"), 400)).GetProperty("error");
        Assert.Equal(name, error.GetProperty("param").GetString());
        Assert.Equal(0, scripted.Requests);
    }

    [Fact]
    public async Task Chat_ImageUnderBlock_IsAnHonestError()
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        await using TestServer server = await StartAsync(Routes.Policy(scripted));
        foreach (string address in (string[])["data:image/png;base64,AAAA", "https://example.org/x.png"])
        {
            JsonElement error = (await server.PostJsonAsync("/v1/chat/completions", $$$"""{"model":"auto","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"{{{address}}}"}}]}]}""", 400)).GetProperty("error");
            Assert.Equal("not_routable", error.GetProperty("code").GetString());
        }

        Assert.Equal(0, scripted.Requests);
    }

    [Fact]
    public async Task Stream_Cut_EndsWithAnErrorAndNoMark()
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        await using TestServer server = await StartAsync(Routes.Policy(scripted));
        scripted.Script = _ => Fate.CutsStream;
        List<string> lines = await server.PostStreamAsync("/v1/chat/completions", Body("auto", Public, ",\"stream\":true"));
        Assert.DoesNotContain("data: [DONE]", lines);
        JsonElement error = TestServer.Parse(lines[^1][5..]).GetProperty("error");
        Assert.Equal("upstream_cut", error.GetProperty("code").GetString());
        string said = string.Concat(lines.SkipLast(1).Select(line => TestServer.Parse(line[5..]).GetProperty("choices")[0].GetProperty("delta")).Select(delta => delta.TryGetProperty("content", out JsonElement text) ? text.GetString() : ""));
        Assert.Equal("You said: ", said);
    }

    [Fact]
    public async Task Completions_Auto_AreAnsweredHere()
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        await using TestServer server = await StartAsync(Routes.Policy(scripted));
        JsonElement answer = await server.PostJsonAsync("/v1/completions", """{"model":"auto","prompt":"Habari","max_tokens":3}""");
        Assert.Equal("local", answer.GetProperty("kidogo").GetProperty("served_by").GetString());
        Assert.Equal(0, scripted.Requests);
    }

    [Fact]
    public async Task Load_WithFailures_LosesNothingAndAnswersOnce()
    {
        const int Requests = 1000, Failures = 100, AtOnce = 16;
        Fate[] fates = [Fate.Dies, Fate.SaysTooMany, Fate.SaysBroken, Fate.Stalls, Fate.CutsStream];
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        scripted.Script = number => number % (Requests / Failures) == 3 ? fates[number / (Requests / Failures) % fates.Length] : Fate.Answers;
        RoutingOptions policy = Routes.Policy(scripted, change: upstream => upstream with { FirstTokenTime = TimeSpan.FromSeconds(6), SilenceTime = TimeSpan.FromSeconds(6), BreakerFailures = 100, MaxConcurrent = 64 });
        await using TestServer server = await StartAsync(policy, queue: Requests);
        using SemaphoreSlim places = new(AtOnce);
        int here = 0, there = 0, cut = 0;
        await Task.WhenAll(Enumerable.Range(0, Requests).Select(async index =>
        {
            await places.WaitAsync();
            try
            {
                bool streams = index % 2 == 0;
                string word = $"word{index}";
                using HttpResponseMessage response = await server.PostAsync("/v1/chat/completions", Body("auto", word, streams ? ",\"stream\":true" : "", tokens: 2));
                string body = await response.Content.ReadAsStringAsync();
                Assert.True(response.IsSuccessStatusCode, body);
                string place = response.Headers.GetValues("x-kidogo-served-by").Single();
                string text = streams ? Streamed(body) : Content(TestServer.Parse(body));
                if (body.Contains("\"error\"", StringComparison.Ordinal))
                {
                    // Only a stream that had begun elsewhere may end so, and with nothing of another answer in it.
                    Assert.True(streams && place == "big", body);
                    Assert.Equal("You said: ", text);
                    Assert.DoesNotContain("[DONE]", body, StringComparison.Ordinal);
                    Interlocked.Increment(ref cut);
                }
                else if (place == "big")
                {
                    Assert.Equal($"You said: {word}", text);
                    Interlocked.Increment(ref there);
                }
                else
                {
                    Assert.Equal(2, text.Length); // two tokens of a byte each
                    Interlocked.Increment(ref here);
                }
            }
            finally
            {
                places.Release();
            }
        }));
        Assert.Equal(Requests, here + there + cut);
        Assert.Equal(Requests, scripted.Requests);
        Assert.InRange(cut, 0, Failures / fates.Length);
        Assert.Equal(Failures, here + cut);
    }

    private static Task<TestServer> StartAsync(RoutingOptions policy, int queue = 64) =>
        TestServer.StartAsync(new Kidogo.Inference.Scheduling.SchedulerOptions { QueueLength = queue }, options => options with { Routing = policy });

    private static string Body(string model, string text, string more = "", int tokens = 6) =>
        $$"""{"model":"{{model}}","messages":[{"role":"user","content":{{JsonSerializer.Serialize(text)}}}],"temperature":0,"max_tokens":{{tokens}}{{more}}}""";

    private static string Content(JsonElement answer) => answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;

    private static string Streamed(string body)
    {
        StringBuilder text = new();
        foreach (string line in body.Split('\n').Where(line => line.StartsWith("data: {", StringComparison.Ordinal)))
        {
            if (TestServer.Parse(line[5..]).TryGetProperty("choices", out JsonElement choices) && choices.GetArrayLength() > 0 && choices[0].GetProperty("delta").TryGetProperty("content", out JsonElement content))
            {
                text.Append(content.GetString());
            }
        }

        return text.ToString();
    }
}
