// What is promised of streams, places and shared prompts, over a socket: order, heartbeats, the queue's end, and what is computed once.
using System.Net;
using System.Text.Json;
using Kidogo.Inference.Scheduling;

namespace Kidogo.ServingTests;

public sealed class PromiseTests
{
    private const string Question = "\"messages\":[{\"role\":\"user\",\"content\":\"Habari?\"}]";

    [Fact]
    public async Task Heartbeat_InALongPrefill_ComesBeforeTheFirstChunk()
    {
        // A token of the prompt in each step, so that it takes long enough for any machine.
        await using TestServer server = await TestServer.StartAsync(
            new SchedulerOptions { Parallel = 1, PromptRows = 1 }, options => options with { Heartbeat = TimeSpan.FromMilliseconds(20) }, contextLength: TinyModel.EndlessContext);
        foreach ((string path, string body) in ((string, string)[])[("/v1/chat/completions", $"{{\"messages\":[{{\"role\":\"user\",\"content\":\"{new string('a', 1500)}\"}}],\"max_tokens\":2,\"stream\":true}}"), ("/v1/completions", $"{{\"prompt\":\"{new string('b', 1500)}\",\"max_tokens\":2,\"stream\":true}}")])
        {
            List<string> lines = await server.PostStreamAsync(path, body);
            int first = lines.FindIndex(line => line.StartsWith("data: ", StringComparison.Ordinal));
            Assert.True(first > 0, $"{path}: no comment before the first chunk.");
            Assert.All(lines[..first], line => Assert.StartsWith(": ", line, StringComparison.Ordinal));
            Assert.Equal("data: [DONE]", lines[^1]);
        }
    }

    [Fact]
    public async Task Stream_OfSeveralChoices_HasEachInOrder()
    {
        await using TestServer server = await TestServer.StartAsync();
        string request = $"{{{Question},\"n\":3,\"seed\":5,\"temperature\":1.2,\"max_tokens\":9";
        JsonElement whole = await server.PostJsonAsync("/v1/chat/completions", request + "}");
        List<string> lines = await server.PostStreamAsync("/v1/chat/completions", request + ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
        JsonElement[] chunks = [.. TestServer.Events(lines)];
        Assert.Equal(1, lines.Count(line => line == "data: [DONE]"));
        Assert.All(chunks[..^1], chunk => Assert.Equal(1, chunk.GetProperty("choices").GetArrayLength()));
        Assert.Equal(0, chunks[^1].GetProperty("choices").GetArrayLength());
        Assert.Equal(27, chunks[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        for (int index = 0; index < 3; index++)
        {
            JsonElement[] own = [.. chunks[..^1].Select(chunk => chunk.GetProperty("choices")[0]).Where(choice => choice.GetProperty("index").GetInt32() == index)];
            Assert.Equal("assistant", own[0].GetProperty("delta").GetProperty("role").GetString());
            Assert.Empty(own[^1].GetProperty("delta").EnumerateObject());
            Assert.Equal("length", own[^1].GetProperty("finish_reason").GetString());
            Assert.All(own[..^1], choice => Assert.Equal(JsonValueKind.Null, choice.GetProperty("finish_reason").ValueKind));
            Assert.Equal(whole.GetProperty("choices")[index].GetProperty("message").GetProperty("content").GetString(), string.Concat(own[1..^1].Select(choice => choice.GetProperty("delta").GetProperty("content").GetString())));
        }
    }

    [Fact]
    public async Task Timings_HaveLlamaCppsNames_AndFitTheUsage()
    {
        await using TestServer server = await TestServer.StartAsync();
        foreach ((string path, string fields) in ((string, string)[])[("/v1/chat/completions", Question), ("/v1/completions", "\"prompt\":\"Habari\"")])
        {
            JsonElement answer = await server.PostJsonAsync(path, $"{{{fields},\"max_tokens\":8}}");
            JsonElement timings = answer.GetProperty("timings");
            Assert.Equal(
                ["cache_n", "prompt_n", "prompt_ms", "prompt_per_token_ms", "prompt_per_second", "predicted_n", "predicted_ms", "predicted_per_token_ms", "predicted_per_second"],
                timings.EnumerateObject().Select(property => property.Name));
            Assert.Equal(answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), timings.GetProperty("cache_n").GetInt32() + timings.GetProperty("prompt_n").GetInt32());
            Assert.Equal(8, timings.GetProperty("predicted_n").GetInt32());
            Assert.Equal(timings.GetProperty("predicted_ms").GetDouble() / 8, timings.GetProperty("predicted_per_token_ms").GetDouble(), 1e-6);
        }
    }

    [Theory]
    [InlineData("\"n\":4", 4)]
    [InlineData("\"n\":1,\"best_of\":4", 4)]
    [InlineData("\"n\":2,\"best_of\":3", 3)]
    public async Task Choices_AndAttempts_ComputeTheirPromptOnce(string fields, int attempts)
    {
        await using TestServer server = await TestServer.StartAsync();
        string prompt = new('a', 200);
        JsonElement answer = await server.PostJsonAsync("/v1/completions", $"{{\"prompt\":\"{prompt}\",\"max_tokens\":3,{fields}}}");
        SchedulerStatus status = await server.IdleAsync();
        Assert.Equal(200 + (attempts - 1), status.PromptTokens); // each of the others its last token alone
        Assert.Equal((200, 3 * attempts), (answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32()));
    }

    [Fact]
    public async Task Queue_OfSixtyFourBeyondThePlaces_IsAllThatWaits()
    {
        SchedulerOptions usual = new();
        await using TestServer server = await TestServer.StartAsync(usual, contextLength: TinyModel.EndlessContext);
        Assert.Equal((4, 64), (usual.Parallel, usual.QueueLength));
        using CancellationTokenSource stop = new();
        Task<HttpResponseMessage>[] asked = [.. Enumerable.Range(0, 68).Select(_ => server.PostAsync("/v1/chat/completions", $"{{{Question}}}", stop.Token))];
        while (server.Model.Scheduler.Status() is not { Active: 4, Waiting: 64 })
        {
            Assert.DoesNotContain(asked, task => task.IsCompleted);
            await Task.Delay(5);
        }

        foreach (string path in (string[])["/v1/chat/completions", "/v1/completions", "/v1/responses"])
        {
            using HttpResponseMessage refused = await server.PostAsync(path, path == "/v1/responses" ? "{\"input\":\"a\"}" : path == "/v1/completions" ? "{\"prompt\":\"a\"}" : $"{{{Question},\"stream\":true}}", stop.Token);
            Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
            Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
            JsonElement error = TestServer.Parse(await refused.Content.ReadAsStringAsync()).GetProperty("error");
            Assert.Equal(("overloaded_error", "queue_full"), (error.GetProperty("type").GetString(), error.GetProperty("code").GetString()));
        }

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(asked));
        Assert.Equal((68, 0), (await server.IdleAsync()) is var status ? (status.Cancelled, status.Finished) : default);
    }

    [Fact]
    public async Task Prompt_ExactlyTooLong_IsRefusedWithBothNumbersEverywhere()
    {
        await using TestServer server = await TestServer.StartAsync();
        string full = new('a', TinyModel.ContextLength), more = full + "a";
        await server.PostJsonAsync("/v1/completions", $"{{\"prompt\":\"{full[1..]}\",\"max_tokens\":1}}"); // room for one token
        foreach ((string path, string body) in ((string, string)[])
        [
            ("/v1/completions", $"{{\"prompt\":\"{full}\"}}"), ("/v1/completions", $"{{\"prompt\":[\"a\",\"{more}\"],\"stream\":true}}"), ("/v1/chat/completions", $"{{\"messages\":[{{\"role\":\"user\",\"content\":\"{full}\"}}]}}"),
            ("/v1/chat/completions", $"{{\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"{full}\"}}]}}"), ("/v1/responses", $"{{\"input\":\"{full}\",\"stream\":true}}"),
        ])
        {
            JsonElement error = (await server.PostJsonAsync(path, body, 400)).GetProperty("error");
            Assert.Equal(("exceed_context_size_error", TinyModel.ContextLength), (error.GetProperty("type").GetString(), error.GetProperty("n_ctx").GetInt32()));
            Assert.True(error.GetProperty("n_prompt_tokens").GetInt32() >= TinyModel.ContextLength, error.GetRawText());
        }
    }
}
