// Chat completions and completions over a socket: shapes, order, and the same words as without a server.
using System.Text;
using System.Text.Json;
using Kidogo.Inference.Scheduling;

namespace Kidogo.ServingTests;

public sealed class ChatTests
{
    private const string Hello = """{"model":"tiny","messages":[{"role":"user","content":"Habari?"}],"temperature":0,"max_tokens":12""";

    [Fact]
    public async Task Chat_Greedy_SaysWhatItSaysAlone()
    {
        await using TestServer server = await TestServer.StartAsync();
        using Alone alone = new(server.Path);
        JsonElement answer = await server.PostJsonAsync("/v1/chat/completions", Hello + "}");
        JsonElement choice = answer.GetProperty("choices")[0];
        int[] prompt = alone.ChatIds("Habari?");
        Assert.Equal(alone.Answer(prompt, 12).Text, choice.GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("assistant", choice.GetProperty("message").GetProperty("role").GetString());
        Assert.Equal("length", choice.GetProperty("finish_reason").GetString());
        Assert.Equal("chat.completion", answer.GetProperty("object").GetString());
        Assert.Equal((prompt.Length, 12, prompt.Length + 12), Counts(answer));
        JsonElement timings = answer.GetProperty("timings");
        Assert.Equal((prompt.Length, 12, 0), (timings.GetProperty("prompt_n").GetInt32(), timings.GetProperty("predicted_n").GetInt32(), timings.GetProperty("cache_n").GetInt32()));
    }

    [Fact]
    public async Task Chat_Again_IsCachedAndTheSame()
    {
        await using TestServer server = await TestServer.StartAsync();
        JsonElement first = await server.PostJsonAsync("/v1/chat/completions", Hello + "}");
        await server.IdleAsync();
        JsonElement second = await server.PostJsonAsync("/v1/chat/completions", Hello + "}");
        Assert.Equal(Content(first), Content(second));
        int prompt = Counts(first).Prompt;
        Assert.Equal(prompt - 1, second.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32());
        JsonElement third = await server.PostJsonAsync("/v1/chat/completions", Hello + ""","cache_prompt":false}""");
        Assert.Equal(0, third.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32());
        Assert.Equal(Content(first), Content(third));
    }

    [Fact]
    public async Task Stream_Chunks_ComeInOpenAIsOrder()
    {
        await using TestServer server = await TestServer.StartAsync();
        string whole = Content(await server.PostJsonAsync("/v1/chat/completions", Hello + "}"));
        List<string> lines = await server.PostStreamAsync("/v1/chat/completions", Hello + ""","stream":true,"stream_options":{"include_usage":true}}""");
        Assert.Equal("data: [DONE]", lines[^1]);
        List<JsonElement> events = TestServer.Events(lines);
        Assert.Equal(lines.Count - 1, events.Count);
        Assert.Single(events.Select(each => each.GetProperty("id").GetString()).Distinct());
        Assert.All(events, each => Assert.Equal("chat.completion.chunk", each.GetProperty("object").GetString()));
        JsonElement first = Delta(events[0]);
        Assert.Equal(("assistant", ""), (first.GetProperty("role").GetString(), first.GetProperty("content").GetString()));
        Assert.All(events.Skip(1).SkipLast(1), each => Assert.False(Delta(each).TryGetProperty("role", out _)));
        Assert.Equal(whole, string.Concat(events.Skip(1).SkipLast(2).Select(each => Delta(each).GetProperty("content").GetString())));
        Assert.All(events.SkipLast(2), each => Assert.Equal(JsonValueKind.Null, each.GetProperty("choices")[0].GetProperty("finish_reason").ValueKind));
        Assert.Empty(Delta(events[^2]).EnumerateObject());
        Assert.Equal("length", events[^2].GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.All(events.SkipLast(1), each => Assert.Equal(JsonValueKind.Null, each.GetProperty("usage").ValueKind));
        Assert.Equal(0, events[^1].GetProperty("choices").GetArrayLength());
        Assert.Equal(12, events[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task Stream_WithoutUsage_HasNone()
    {
        await using TestServer server = await TestServer.StartAsync();
        List<JsonElement> events = TestServer.Events(await server.PostStreamAsync("/v1/chat/completions", Hello + ""","stream":true}"""));
        Assert.All(events, each => Assert.False(each.TryGetProperty("usage", out _)));
        Assert.Equal("length", events[^1].GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.True(events[^1].TryGetProperty("timings", out _));
    }

    [Fact]
    public async Task Logprobs_Tokens_SpellTheAnswer()
    {
        await using TestServer server = await TestServer.StartAsync();
        JsonElement choice = (await server.PostJsonAsync("/v1/chat/completions", Hello + ""","logprobs":true,"top_logprobs":3}""")).GetProperty("choices")[0];
        JsonElement[] tokens = [.. choice.GetProperty("logprobs").GetProperty("content").EnumerateArray()];
        Assert.Equal(12, tokens.Length);
        Assert.Equal(choice.GetProperty("message").GetProperty("content").GetString(), string.Concat(tokens.Select(token => token.GetProperty("token").GetString())));
        foreach (JsonElement token in tokens)
        {
            JsonElement[] top = [.. token.GetProperty("top_logprobs").EnumerateArray()];
            Assert.Equal(3, top.Length);
            Assert.True(token.GetProperty("logprob").GetDouble() <= 0);
            Assert.Equal(top[0].GetProperty("token").GetString(), token.GetProperty("token").GetString()); // greedy
            Assert.True(top[0].GetProperty("logprob").GetDouble() >= top[1].GetProperty("logprob").GetDouble());
            Assert.Equal(Encoding.UTF8.GetBytes(token.GetProperty("token").GetString()!), token.GetProperty("bytes").EnumerateArray().Select(each => each.GetByte()));
        }
    }

    [Fact]
    public async Task Choices_WithASeed_DifferAndRepeat()
    {
        await using TestServer server = await TestServer.StartAsync();
        const string Request = """{"messages":[{"role":"user","content":"Habari?"}],"temperature":1.5,"max_tokens":16,"n":3,"seed":11}""";
        string[] first = Contents(await server.PostJsonAsync("/v1/chat/completions", Request));
        string[] second = Contents(await server.PostJsonAsync("/v1/chat/completions", Request));
        Assert.Equal(3, first.Distinct().Count());
        Assert.Equal(first, second);
        string[] alone = Contents(await server.PostJsonAsync("/v1/chat/completions", Request.Replace("\"n\":3,", "", StringComparison.Ordinal)));
        Assert.Equal(first[0], Assert.Single(alone));
    }

    [Fact]
    public async Task Stop_String_EndsTheAnswerBeforeIt()
    {
        await using TestServer server = await TestServer.StartAsync();
        string whole = Content(await server.PostJsonAsync("/v1/chat/completions", Hello + "}"));
        string stop = whole.Substring(5, 2);
        string escaped = JsonEncodedText.Encode(stop).ToString();
        JsonElement answer = await server.PostJsonAsync("/v1/chat/completions", Hello + $",\"stop\":[\"never said\",\"{escaped}\"]}}");
        Assert.Equal(whole[..whole.IndexOf(stop, StringComparison.Ordinal)], Content(answer));
        Assert.Equal("stop", answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task LogitBias_ForbidsAndForces()
    {
        await using TestServer server = await TestServer.StartAsync();
        string forced = Content(await server.PostJsonAsync("/v1/chat/completions", Hello + ""","logit_bias":{"65":100}}"""));
        Assert.Equal(new string('A', 12), forced);
        string whole = Content(await server.PostJsonAsync("/v1/chat/completions", Hello + "}"));
        string without = Content(await server.PostJsonAsync("/v1/chat/completions", Hello + $",\"logit_bias\":{{\"{(int)whole[0]}\":-100}}}}"));
        Assert.DoesNotContain(whole[0], without);
    }

    [Fact]
    public async Task Chat_EndToken_EndsWithStop()
    {
        await using TestServer server = await TestServer.StartAsync();
        JsonElement answer = await server.PostJsonAsync("/v1/chat/completions", Hello + $",\"logit_bias\":{{\"{TinyModel.End}\":100}}}}");
        Assert.Equal("", Content(answer));
        Assert.Equal("stop", answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(0, Counts(answer).Completion);
    }

    [Fact]
    public async Task Messages_InParts_AreJoined()
    {
        await using TestServer server = await TestServer.StartAsync();
        JsonElement rendered = await server.PostJsonAsync(
            "/apply-template", """{"messages":[{"role":"developer","content":"Be kind."},{"role":"user","content":[{"type":"text","text":"Ha"},{"type":"text","text":"bari?"}]}]}""");
        Assert.Equal("<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHabari?<|im_end|>\n<|im_start|>assistant\n", rendered.GetProperty("prompt").GetString());
    }

    [Fact]
    public async Task ControlTokens_InUserText_StayText()
    {
        await using TestServer server = await TestServer.StartAsync();
        JsonElement answer = await server.PostJsonAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"<|im_end|>"}],"max_tokens":1}""");
        Assert.Equal(10 + (await CountAsync("")), Counts(answer).Prompt); // ten bytes, not one token

        async Task<int> CountAsync(string content) =>
            Counts(await server.PostJsonAsync("/v1/chat/completions", $$"""{"messages":[{"role":"user","content":"{{content}}"}],"max_tokens":1}""")).Prompt;
    }

    [Fact]
    public async Task Completion_OfTextAndOfItsTokens_AreTheSame()
    {
        await using TestServer server = await TestServer.StartAsync();
        using Alone alone = new(server.Path);
        JsonElement text = await server.PostJsonAsync("/v1/completions", """{"prompt":"Habari","temperature":0}""");
        JsonElement tokens = await server.PostJsonAsync("/v1/completions", """{"prompt":[72,97,98,97,114,105],"temperature":0}""");
        string expected = alone.Answer([72, 97, 98, 97, 114, 105], 16).Text; // OpenAI's usual number
        Assert.Equal(expected, text.GetProperty("choices")[0].GetProperty("text").GetString());
        Assert.Equal(expected, tokens.GetProperty("choices")[0].GetProperty("text").GetString());
        JsonElement both = await server.PostJsonAsync("/v1/completions", """{"prompt":["Habari","Jambo"],"temperature":0,"n":2,"max_tokens":4}""");
        Assert.Equal([0, 1, 2, 3], both.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("index").GetInt32()));
        Assert.Equal(11, Counts(both).Prompt);
    }

    [Fact]
    public async Task Completion_EchoWithLogprobs_ScoresThePrompt()
    {
        await using TestServer server = await TestServer.StartAsync();
        JsonElement choice = (await server.PostJsonAsync("/v1/completions", """{"prompt":"Habari","max_tokens":0,"echo":true,"logprobs":2}""")).GetProperty("choices")[0];
        Assert.Equal("Habari", choice.GetProperty("text").GetString());
        JsonElement scored = choice.GetProperty("logprobs");
        Assert.Equal(["H", "a", "b", "a", "r", "i"], scored.GetProperty("tokens").EnumerateArray().Select(token => token.GetString()));
        Assert.Equal([0, 1, 2, 3, 4, 5], scored.GetProperty("text_offset").EnumerateArray().Select(offset => offset.GetInt32()));
        JsonElement[] likelihoods = [.. scored.GetProperty("token_logprobs").EnumerateArray()];
        Assert.Equal(JsonValueKind.Null, likelihoods[0].ValueKind);
        Assert.All(likelihoods.Skip(1), value => Assert.True(value.GetDouble() < 0));

        // The same tokens as an answer have the same likelihoods.
        string forced = string.Concat("""{"prompt":"Habar","max_tokens":1,"logprobs":0,"temperature":0,"logit_bias":{"105":100}}""");
        JsonElement generated = (await server.PostJsonAsync("/v1/completions", forced)).GetProperty("choices")[0].GetProperty("logprobs");
        Assert.Equal(likelihoods[5].GetDouble(), generated.GetProperty("token_logprobs")[0].GetDouble());
    }

    [Fact]
    public async Task Completion_BestOf_ShowsTheLikeliest()
    {
        await using TestServer server = await TestServer.StartAsync();
        const string Request = """{"prompt":"Habari","temperature":1.5,"seed":3,"max_tokens":6,"logprobs":0""";
        JsonElement all = await server.PostJsonAsync("/v1/completions", Request + ""","n":4}""");
        JsonElement best = await server.PostJsonAsync("/v1/completions", Request + ""","best_of":4}""");
        string expected = all.GetProperty("choices").EnumerateArray()
            .MaxBy(choice => choice.GetProperty("logprobs").GetProperty("token_logprobs").EnumerateArray().Average(value => value.GetDouble())).GetProperty("text").GetString()!;
        Assert.Equal(expected, Assert.Single(best.GetProperty("choices").EnumerateArray()).GetProperty("text").GetString());
    }

    [Fact]
    public async Task Completion_Stream_EchoesFirst()
    {
        await using TestServer server = await TestServer.StartAsync();
        string whole = (await server.PostJsonAsync("/v1/completions", """{"prompt":"Habari","temperature":0}""")).GetProperty("choices")[0].GetProperty("text").GetString()!;
        List<string> lines = await server.PostStreamAsync("/v1/completions", """{"prompt":"Habari","temperature":0,"echo":true,"stream":true}""");
        List<JsonElement> events = TestServer.Events(lines);
        Assert.Equal("data: [DONE]", lines[^1]);
        Assert.Equal("Habari" + whole, string.Concat(events.Select(each => each.GetProperty("choices")[0].GetProperty("text").GetString())));
        Assert.Equal("length", events[^1].GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task Heartbeat_WhileWaiting_IsAComment()
    {
        await using TestServer server = await TestServer.StartAsync(new SchedulerOptions { Parallel = 1 }, options => options with { Heartbeat = TimeSpan.FromMilliseconds(30) });
        using GenerationGroup busy = server.Model.Scheduler.Submit(new GenerationRequest { Prompt = [40], Generation = new() { MaxTokens = 500 } });
        await busy.Steps.WaitToReadAsync();
        Task<List<string>> waiting = server.PostStreamAsync("/v1/chat/completions", Hello + ""","stream":true}""");
        await Task.Delay(300);
        busy.Cancel();
        List<string> lines = await waiting;
        Assert.StartsWith(": ", lines[0], StringComparison.Ordinal);
        Assert.Equal("data: [DONE]", lines[^1]);
    }

    [Fact]
    public async Task InfoEndpoints_Answer()
    {
        await using TestServer server = await TestServer.StartAsync();
        Assert.Equal("ok", (await GetAsync("/health")).GetProperty("status").GetString());
        Assert.Equal("tiny", (await GetAsync("/v1/models")).GetProperty("data")[0].GetProperty("id").GetString());
        Assert.Equal("tiny", (await GetAsync("/v1/models/tiny")).GetProperty("id").GetString());
        Assert.Equal(TinyModel.ContextLength, (await GetAsync("/props")).GetProperty("default_generation_settings").GetProperty("n_ctx").GetInt32());
        Assert.Equal(4, (await GetAsync("/slots")).GetArrayLength());
        Assert.Contains("kidogo_sequences_active{model=\"tiny\"} 0\n", await server.Client.GetStringAsync("/metrics"), StringComparison.Ordinal);
        Assert.Equal("[72,105]", (await server.PostJsonAsync("/tokenize", """{"content":"Hi"}""")).GetProperty("tokens").GetRawText());
        Assert.Equal("[257]", (await server.PostJsonAsync("/tokenize", """{"content":"<|im_end|>","parse_special":true}""")).GetProperty("tokens").GetRawText());
        Assert.Equal("[195]", (await server.PostJsonAsync("/tokenize", """{"content":"é","with_pieces":true}""")).GetProperty("tokens")[0].GetProperty("piece").GetRawText());
        Assert.Equal("Hé", (await server.PostJsonAsync("/detokenize", """{"tokens":[72,195,169]}""")).GetProperty("content").GetString());

        async Task<JsonElement> GetAsync(string path) => TestServer.Parse(await server.Client.GetStringAsync(path));
    }

    private static JsonElement Delta(JsonElement chunk) => chunk.GetProperty("choices")[0].GetProperty("delta");

    private static string Content(JsonElement answer) => Assert.Single(Contents(answer));

    private static string[] Contents(JsonElement answer) => [.. answer.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("message").GetProperty("content").GetString()!)];

    private static (int Prompt, int Completion, int Total) Counts(JsonElement answer)
    {
        JsonElement usage = answer.GetProperty("usage");
        return (usage.GetProperty("prompt_tokens").GetInt32(), usage.GetProperty("completion_tokens").GetInt32(), usage.GetProperty("total_tokens").GetInt32());
    }
}
