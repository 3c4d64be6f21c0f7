// Clients that go away: whatever they asked for, and however they go, their place is free at once. The answers would go on for many minutes.
using System.Net;
using System.Net.Sockets;
using System.Text;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Scheduling;
using Kidogo.Serving;
using Kidogo.Tests.Models.Files;

namespace Kidogo.ServingTests;

public sealed class CancellationTests
{
    /// <summary>Far more than it takes, and far less than the answer would.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    public enum Leaving
    {
        Close,
        Reset,
        HalfClose,
    }

    [Theory]
    [InlineData("/v1/chat/completions", "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]")]
    [InlineData("/v1/completions", "\"prompt\":\"a\",\"max_tokens\":290000")]
    [InlineData("/v1/responses", "\"input\":\"a\"")]
    public async Task Client_ThatGoes_FreesItsPlaceWhileTheAnswerRuns(string path, string fields)
    {
        await using TestServer server = await TestServer.StartAsync(new SchedulerOptions { Parallel = 1 }, contextLength: TinyModel.EndlessContext);
        long cancelled = 0;
        foreach (bool streams in (bool[])[true, false])
        {
            foreach (Leaving leaving in Enum.GetValues<Leaving>())
            {
                using TcpClient client = await AskAsync(server, path, $"{{{fields},\"stream\":{(streams ? "true" : "false")}}}");
                await UntilAsync(server, status => status.Places is [{ GeneratedTokens: > 0 }]);
                if (streams)
                {
                    Assert.True(await client.GetStream().ReadAsync(new byte[64]) > 0);
                }

                Leave(client, leaving);
                SchedulerStatus status = await UntilAsync(server, now => now.Active == 0);
                Assert.Equal((++cancelled, 0), (status.Cancelled, status.Finished));
            }
        }
    }

    [Fact]
    public async Task Client_ThatGoes_FreesItsSeatInTheQueue()
    {
        await using TestServer server = await TestServer.StartAsync(new SchedulerOptions { Parallel = 1 }, contextLength: TinyModel.EndlessContext);
        using GenerationGroup busy = server.Model.Scheduler.Submit(new GenerationRequest { Prompt = [40] });
        await busy.Steps.WaitToReadAsync();
        foreach (bool streams in (bool[])[true, false])
        {
            foreach (Leaving leaving in Enum.GetValues<Leaving>())
            {
                using TcpClient client = await AskAsync(server, "/v1/chat/completions", $"{{\"messages\":[{{\"role\":\"user\",\"content\":\"a\"}}],\"stream\":{(streams ? "true" : "false")}}}");
                await UntilAsync(server, status => status.Waiting == 1);
                Leave(client, leaving);
                Assert.Equal(1, (await UntilAsync(server, status => status.Waiting == 0)).Active); // the one that was there
            }
        }

        Assert.Equal(6, server.Model.Scheduler.Status().Cancelled);
    }

    [Fact]
    public async Task Client_ThatGoes_FreesItsPlaceInTheMiddleOfItsPrompt()
    {
        await using TestServer server = await TestServer.StartAsync(new SchedulerOptions { Parallel = 1, PromptRows = 1 }, contextLength: TinyModel.EndlessContext);
        using TcpClient client = await AskAsync(server, "/v1/completions", $"{{\"prompt\":\"{new string('a', 200_000)}\",\"max_tokens\":5}}");
        await UntilAsync(server, status => status.Places is [{ PromptDone: > 0 }]);
        client.Dispose();
        SchedulerStatus status = await UntilAsync(server, now => now.Active == 0);
        Assert.Equal((1, 0, 0), (status.Cancelled, status.Finished, status.GeneratedTokens));
        Assert.True(status.PromptTokens < 200_000);
    }

    [Fact]
    public async Task Cancel_StopsWithinAStep()
    {
        using TestFolder folder = new();
        using ServedModel model = TinyModel.Serve(folder.Write("tiny.gguf", TinyModel.File(contextLength: TinyModel.EndlessContext)), new SchedulerOptions { Parallel = 1, UnreadSteps = int.MaxValue });
        for (int i = 0; i < 20; i++)
        {
            GenerationGroup group = model.Scheduler.Submit(new GenerationRequest { Prompt = [40 + i], Generation = new GenerationOptions { Sampling = SamplerOptions.Greedy } });
            await group.Steps.WaitToReadAsync();
            group.Cancel();
            int atOnce = group.Choices[0].GeneratedTokens; // the step that ran may add its token to this
            await foreach (GenerationStep step in group.Steps.ReadAllAsync())
            {
                Assert.Null(step.Finish);
            }

            Assert.InRange(group.Choices[0].GeneratedTokens, atOnce, atOnce + 1);
        }
    }

    private static async Task<TcpClient> AskAsync(TestServer server, string path, string body)
    {
        TcpClient client = new();
        await client.ConnectAsync(IPAddress.Loopback, server.Address.Port);
        string head = $"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n";
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(head + body));
        return client;
    }

    private static void Leave(TcpClient client, Leaving leaving)
    {
        switch (leaving)
        {
            case Leaving.HalfClose:
                client.Client.Shutdown(SocketShutdown.Send);
                break;
            case Leaving.Reset:
                client.Client.LingerState = new LingerOption(true, 0);
                client.Dispose();
                break;
            default:
                client.Dispose();
                break;
        }
    }

    private static async Task<SchedulerStatus> UntilAsync(TestServer server, Func<SchedulerStatus, bool> holds)
    {
        using CancellationTokenSource stop = new(s_patience);
        while (true)
        {
            SchedulerStatus status = server.Model.Scheduler.Status();
            if (holds(status))
            {
                return status;
            }

            Assert.False(stop.IsCancellationRequested, $"It did not happen in {s_patience.TotalSeconds:0} s: {status}");
            await Task.Delay(2);
        }
    }
}
