// Many clients at once, some of whom vanish, send nonsense or too much: no error but those intended, and nothing left behind.
using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Kidogo.Inference.Scheduling;

namespace Kidogo.ServingTests;

[CollectionDefinition(nameof(LoadTests), DisableParallelization = true)] // nothing else may allocate while memory is looked at
[Collection(nameof(LoadTests))]
public sealed class LoadTests
{
    private const int Clients = 16;
    private const int RequestsOfEach = 60;
    private const int Rounds = 3;
    private const int AllowedBytes = 2 << 20; // what a pool of buffers may come to keep

    [Fact]
    public async Task MixedLoad_LeavesNoPlaceTaken_AndAnswersAsAlone()
    {
        await using TestServer server = await TestServer.StartAsync(new SchedulerOptions { Parallel = 4, QueueLength = 6, IdleCacheBytes = 1 << 20 });
        using Alone alone = new(server.Path);
        string[] questions = ["Habari?", "Jambo, jina lako nani?", new string('x', 200)];
        string[] expected = [.. questions.Select(question => alone.Answer(alone.ChatIds(question), 20).Text)];
        ConcurrentDictionary<int, int> statuses = new();
        long[] memory = new long[Rounds];
        for (int round = 0; round < Rounds; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, Clients).Select(client => Task.Run(() => RunClientAsync((round * Clients) + client))));
            SchedulerStatus now = await server.IdleAsync();
            Assert.True(now.IdleCacheBytes <= server.Model.Scheduler.Options.IdleCacheBytes);
            memory[round] = GC.GetTotalMemory(forceFullCollection: true);
        }

        SchedulerStatus status = server.Model.Scheduler.Status();
        Assert.Equal([200, 400], statuses.Keys.Where(code => code != 429).Order()); // being full is allowed, no other failure
        Assert.True(status.Cancelled > 0, "Nobody vanished.");
        Assert.Equal(0, status.Failed);
        Assert.Empty(server.Warnings);
        Assert.All(memory.Skip(1), bytes => Assert.True(bytes < (memory[0] * 1.05) + AllowedBytes, $"Memory grows: {string.Join(", ", memory)} bytes."));

        async Task RunClientAsync(int client)
        {
            Random random = new(client);
            for (int i = 0; i < RequestsOfEach; i++)
            {
                int which = random.Next(questions.Length);
                string body = $$"""{"messages":[{"role":"user","content":"{{questions[which]}}"}],"temperature":0,"max_tokens":20""";
                switch (random.Next(10))
                {
                    case 0:
                        await VanishAsync(body.Replace(":20", ":400", StringComparison.Ordinal) + ",\"stream\":true}", random.Next(40));
                        break;
                    case 1:
                        await ExpectAsync(body + ",\"nonsense\":1}", 400);
                        break;
                    case 2:
                        await ExpectAsync($$"""{"messages":[{"role":"user","content":"{{new string('y', 700)}}"}]}""", 400);
                        break;
                    case < 6:
                        await StreamAsync(body + ",\"stream\":true}", expected[which]);
                        break;
                    default:
                        await WholeAsync(body + "}", expected[which]);
                        break;
                }
            }
        }

        async Task ExpectAsync(string body, int status)
        {
            using HttpResponseMessage response = await server.PostAsync("/v1/chat/completions", body);
            statuses.AddOrUpdate((int)response.StatusCode, 1, (_, count) => count + 1);
            Assert.Equal(status, (int)response.StatusCode);
        }

        async Task CountAsync(HttpResponseMessage response)
        {
            statuses.AddOrUpdate((int)response.StatusCode, 1, (_, count) => count + 1);
            if (response.StatusCode == System.Net.HttpStatusCode.TooManyRequests)
            {
                await Task.Delay(20); // less than is asked for, so that the server is full again and again
            }
        }

        async Task WholeAsync(string body, string text)
        {
            using HttpResponseMessage response = await server.PostAsync("/v1/chat/completions", body);
            await CountAsync(response);
            if (response.IsSuccessStatusCode)
            {
                JsonElement answer = TestServer.Parse(await response.Content.ReadAsStringAsync());
                Assert.Equal(text, answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
            }
        }

        async Task StreamAsync(string body, string text)
        {
            using HttpResponseMessage response = await server.PostAsync("/v1/chat/completions", body);
            await CountAsync(response);
            if (response.IsSuccessStatusCode)
            {
                string[] lines = (await response.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
                Assert.Equal("data: [DONE]", lines[^1]);
                Assert.Equal(text, string.Concat(TestServer.Events(lines).Select(each => each.GetProperty("choices")[0].GetProperty("delta"))
                    .Where(delta => delta.TryGetProperty("content", out _)).Select(delta => delta.GetProperty("content").GetString())));
            }
        }

        async Task VanishAsync(string body, int milliseconds)
        {
            using TcpClient client = new();
            await client.ConnectAsync("127.0.0.1", server.Address.Port);
            string head = $"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n";
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(head + body));
            await Task.Delay(milliseconds);
        }
    }

    [Fact]
    public async Task Client_ThatVanishes_FreesItsPlaceAndItsSeatInTheQueue()
    {
        await using TestServer server = await TestServer.StartAsync(new SchedulerOptions { Parallel = 1, QueueLength = 4 });
        const string Long = """{"messages":[{"role":"user","content":"a"}],"temperature":0,"max_tokens":480""";
        using CancellationTokenSource stop = new();
        Task[] requests =
        [
            server.PostAsync("/v1/chat/completions", Long + ",\"stream\":true}", stop.Token),
            server.PostAsync("/v1/chat/completions", Long + "}", stop.Token),
            server.PostAsync("/v1/chat/completions", Long + ",\"stream\":true}", stop.Token),
        ];
        for (int i = 0; i < 60_000 && server.Model.Scheduler.Status() is not { Active: 1, Waiting: 2 }; i++)
        {
            await Task.Delay(1);
        }

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(requests));
        SchedulerStatus status = await server.IdleAsync();
        Assert.True(status.Cancelled + status.Finished == 3 && status.Cancelled >= 2, status.ToString());
        Assert.True(status.GeneratedTokens < 3 * 480);
    }

    [Fact]
    public async Task Stop_LetsRunningAnswersEnd_AndRefusesNewOnes()
    {
        await using TestServer server = await TestServer.StartAsync(change: options => options with { DrainTime = TimeSpan.FromMinutes(2) });
        Task<List<string>> running = server.PostStreamAsync("/v1/completions", """{"prompt":"a","max_tokens":400,"temperature":0,"stream":true}""");
        while (server.Model.Scheduler.Status().Active == 0)
        {
            Assert.False(running.IsCompleted, "It was over before it was seen.");
            await Task.Yield();
        }

        Task stopping = server.Server.StopAsync();
        Assert.Equal("data: [DONE]", (await running)[^1]);
        await stopping;
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => server.Client.GetAsync("/health"));
    }
}
