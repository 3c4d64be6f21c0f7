// What deciding costs: milliseconds a request of the router alone, without and with an encoder, in processor time and by the clock.
using System.Diagnostics;
using System.Globalization;
using Kidogo.Inference;
using Kidogo.Routing;
using Kidogo.TestSupport;
using Microsoft.Extensions.AI;

namespace Kidogo.Benchmarks;

internal static class RouteSpeed
{
    private const int Rounds = 3;

    public static void Print(string? encoder)
    {
        string[] requests = [.. PersonalRequests.Without(250), .. PersonalRequests.With(250).Select(request => request.Text), string.Join(' ', PersonalRequests.Without(60))];
        RoutingOptions policy = new() { Upstreams = [new UpstreamOptions { Name = "big", Endpoint = new Uri("http://127.0.0.1:9/v1") }] };
        Print("rules", policy, null, requests);
        if (encoder is not null)
        {
            using KidogoEmbeddingGenerator embeddings = KidogoEmbeddingGenerator.Load(new KidogoOptions { EmbeddingModel = encoder });
            Print("rules and tasks", policy with { Tasks = [new TaskRule { Name = "proofs", ToUpstream = true, Examples = ["prove that there are infinitely many primes", "show that the square root of two is irrational"] }] }, embeddings, [.. PersonalRequests.Without(250)]);
        }
    }

    private static void Print(string what, RoutingOptions policy, KidogoEmbeddingGenerator? encoder, string[] requests)
    {
        using NobodyClient nobody = new();
        using HybridChatClient client = new(nobody, policy, encoder: encoder);
        List<double> times = [];
        TimeSpan before = default;
        for (int round = 0; round <= Rounds; round++)
        {
            if (round == 1)
            {
                times.Clear();
                before = Process.GetCurrentProcess().TotalProcessorTime; // the first round compiles
            }

            foreach (string request in requests)
            {
                long start = Stopwatch.GetTimestamp();
                client.ExplainAsync([new ChatMessage(ChatRole.User, request)]).GetAwaiter().GetResult();
                times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }
        }

        double processor = (Process.GetCurrentProcess().TotalProcessorTime - before).TotalMilliseconds / times.Count;
        times.Sort();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what,-16} {processor:0.000} ms of processor a request; by the clock median {times[times.Count / 2]:0.000}, 99 % within {times[(int)(times.Count * 0.99)]:0.000}, {requests.Average(request => request.Length):0} characters on average, {requests.Max(request => request.Length)} at most"));
    }

    private sealed class NobodyClient : IChatClient
    {
        public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public object? GetService(Type serviceType, object? serviceKey = null) => null;

        public void Dispose()
        {
        }
    }
}
