// Several models in one server: loaded when asked for, let go of when memory is short, never while somebody uses them.
using System.Net;
using System.Text.Json;
using Kidogo.Inference.Scheduling;
using Kidogo.Serving;
using Kidogo.Serving.Access;
using Kidogo.Serving.Api;
using Kidogo.Tests.Models.Files;

namespace Kidogo.ServingTests;

public sealed class ShelfTests : IDisposable
{
    private const long Size = 100;

    private readonly TestFolder _folder = new();
    private readonly string _path;
    private readonly List<string> _loads = [];

    public ShelfTests() => _path = _folder.Write("tiny.gguf", TinyModel.File());

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Use_WhenMemoryIsShort_LetsGoOfTheLongestUnusedAlone()
    {
        using ModelShelf shelf = new([Entry("a"), Entry("b"), Entry("c")], () => long.MaxValue, 2 * Size);
        (await UseAsync(shelf, 0)).Dispose();
        (await UseAsync(shelf, 1)).Dispose();
        (await UseAsync(shelf, 0)).Dispose(); // b is the longest unused now
        using ModelUse c = await UseAsync(shelf, 2);
        Assert.Equal(["a", "c"], shelf.Loaded.Select(model => model.Id));
        using ModelUse b = await UseAsync(shelf, 1); // a goes: nobody uses it, while c is in use
        Assert.Equal(["b", "c"], shelf.Loaded.Select(model => model.Id));
        Assert.Equal(["a", "b", "c", "b"], _loads);
    }

    [Fact]
    public async Task Use_WhenAllAreInUse_IsRefusedAndWorksAfterwards()
    {
        using ModelShelf shelf = new([Entry("a"), Entry("b")], () => long.MaxValue, Size);
        ModelUse a = await UseAsync(shelf, 0);
        ModelUse again = await UseAsync(shelf, 0);
        ApiException refused = await Assert.ThrowsAsync<ApiException>(() => UseAsync(shelf, 1));
        Assert.Equal((503, "insufficient_memory"), (refused.Status, refused.Code));
        a.Dispose();
        a.Dispose(); // a second time counts for nothing
        await Assert.ThrowsAsync<ApiException>(() => UseAsync(shelf, 1));
        Assert.Same(again.Model, shelf.Loaded.Single());
        again.Dispose();
        using ModelUse b = await UseAsync(shelf, 1);
        Assert.Equal("b", shelf.Loaded.Single().Id);
    }

    [Fact]
    public async Task Use_AsTheSystemRunsOutOfMemory_MakesRoomToo()
    {
        long available = 10 * Size;
        using ModelShelf shelf = new([Entry("a"), Entry("b")], () => available);
        (await UseAsync(shelf, 0)).Dispose();
        available = Size - 1; // somebody else took it
        ApiException refused = await Assert.ThrowsAsync<ApiException>(() => UseAsync(shelf, 1));
        Assert.Empty(shelf.Loaded); // what could go went, and it was not enough
        Assert.Equal(503, refused.Status);
        available = Size;
        (await UseAsync(shelf, 1)).Dispose();
    }

    [Fact]
    public async Task Use_BySeveralAtOnce_LoadsOnce()
    {
        using ModelShelf shelf = new([Entry("a"), Entry("b")], () => long.MaxValue);
        ModelUse[] uses = await Task.WhenAll(Enumerable.Range(0, 12).Select(i => UseAsync(shelf, i % 2)));
        Assert.Equal(["a", "b"], _loads.Order());
        Assert.Equal(2, uses.Select(use => use.Model).Distinct().Count());
    }

    [Fact]
    public void Names_ThatAreNotOnesOwn_AreRefused()
    {
        Assert.Throws<ServerSetupException>(() => new ModelShelf([], () => 0));
        Assert.Throws<ServerSetupException>(() => new ModelShelf([Entry("a"), Entry("a")], () => 0));
        Assert.Throws<ServerSetupException>(() => new ModelShelf([Entry("a:b"), Entry("a") with { Adapters = ["b"] }], () => 0));
    }

    [Fact]
    public async Task Server_WithRoomForOne_AnswersForBoth_AndNeverCutsAnAnswer()
    {
        using ModelShelf shelf = new([Entry("a"), Entry("b")], () => long.MaxValue, Size);
        List<string> warnings = [];
        await using KidogoServer server = new(shelf, new ServerOptions { Port = 0, Warn = warnings.Add });
        await server.StartAsync();
        using HttpClient client = new() { BaseAddress = new Uri(server.Address) };
        JsonElement[] listed = [.. TestServer.Parse(await client.GetStringAsync("/v1/models")).GetProperty("data").EnumerateArray()];
        Assert.Equal(["a", "b"], listed.Select(model => model.GetProperty("id").GetString()));
        Assert.All(listed, model => Assert.False(model.GetProperty("meta").GetProperty("loaded").GetBoolean()));
        Assert.Empty(_loads); // listing loads nothing
        for (int i = 0; i < 4; i++)
        {
            using HttpResponseMessage done = await AskAsync(client, i % 2 == 0 ? "a" : "b", 3);
            Assert.Equal(HttpStatusCode.OK, done.StatusCode);
        }

        Assert.Equal(["a", "b", "a", "b"], _loads);
        Task<HttpResponseMessage> running = AskAsync(client, "b", 400);
        ServedModel model = (ServedModel)shelf.Loaded.Single();
        while (model.Scheduler.Status().Active == 0 && !running.IsCompleted)
        {
            await Task.Delay(1);
        }

        using HttpResponseMessage refused = await AskAsync(client, "a", 1);
        using HttpResponseMessage whole = await running;
        Assert.Equal(400, TestServer.Parse(await whole.Content.ReadAsStringAsync()).GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.True(refused.StatusCode is HttpStatusCode.ServiceUnavailable or HttpStatusCode.OK, $"{refused.StatusCode}"); // the long answer may have ended by then
        Assert.Empty(warnings);
    }

    [Fact]
    public async Task Server_WhoseModelDoesNotLoad_SaysSoAndGoesOn()
    {
        ModelEntry broken = Entry("broken") with { Load = () => throw new IOException("a secret path is gone") };
        using ModelShelf shelf = new([Entry("a"), broken], () => long.MaxValue);
        List<string> warnings = [];
        await using KidogoServer server = new(shelf, new ServerOptions { Port = 0, Warn = warnings.Add });
        await server.StartAsync();
        using HttpClient client = new() { BaseAddress = new Uri(server.Address) };
        using HttpResponseMessage refused = await AskAsync(client, "broken", 1);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.DoesNotContain("secret", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Contains("secret", Assert.Single(warnings), StringComparison.Ordinal);
        using HttpResponseMessage good = await AskAsync(client, "a", 1);
        Assert.Equal(HttpStatusCode.OK, good.StatusCode);
    }

    private static async Task<ModelUse> UseAsync(ModelShelf shelf, int index) => await shelf.UseAsync(shelf.Entries[index], CancellationToken.None);

    private static Task<HttpResponseMessage> AskAsync(HttpClient client, string model, int tokens) => client.PostAsync(
        "/v1/completions", new StringContent($"{{\"model\":\"{model}\",\"prompt\":\"x\",\"temperature\":0,\"max_tokens\":{tokens}}}", System.Text.Encoding.UTF8, "application/json"));

    private ModelEntry Entry(string id) => new(id, () =>
    {
        lock (_loads)
        {
            _loads.Add(id);
        }

        return TinyModel.Serve(_path, new SchedulerOptions(), id);
    })
    {
        Facts = new ModelFacts(258, TinyModel.ContextLength, TinyModel.ContextLength, 1), NeededBytes = Size,
    };
}
