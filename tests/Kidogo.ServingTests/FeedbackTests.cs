// Thumbs: kept only with consent and only where that was asked for, for a time, within limits, and given back.
using System.Text;
using System.Text.Json;
using Kidogo.Serving.Access;
using Kidogo.Serving.Feedback;
using Kidogo.Serving.Portal;
using Kidogo.Tests.Models.Files;

namespace Kidogo.ServingTests;

public sealed class FeedbackTests : IDisposable
{
    private const string Messages = """[{"role":"system","content":"Be kind."},{"role":"user","content":"How is the maize?"},{"role":"assistant","content":"It is dry."}]""";

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Feedback_NotAskedFor_IsNotThere()
    {
        await using TestServer server = await TestServer.StartAsync();
        await server.PostJsonAsync("/v1/feedback", Rating("a"), 404);
        Assert.Equal(404, (int)(await server.Client.DeleteAsync("/v1/feedback/a")).StatusCode);
        Assert.False(TestServer.Parse(await server.Client.GetStringAsync("/props")).GetProperty("feedback").GetBoolean());
    }

    [Theory]
    [InlineData("")]
    [InlineData("\"consent\":false,")]
    [InlineData("\"consent\":null,")]
    [InlineData("\"consent\":\"true\",")]
    [InlineData("\"consent\":1,")]
    public async Task Feedback_WithoutConsent_IsRefusedAndNothingIsWritten(string consent)
    {
        using FeedbackStore store = Open();
        await using TestServer server = await StartAsync(store);
        JsonElement error = (await server.PostJsonAsync("/v1/feedback", Rating("a").Replace("\"consent\":true,", consent, StringComparison.Ordinal), 400)).GetProperty("error");
        Assert.Equal("consent", error.GetProperty("param").GetString());
        Assert.Empty(store.Read());
        Assert.DoesNotContain("How is the maize?", Content(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Feedback_RatedRatedAgainAndTakenBack_IsKeptOnceAndThenNowhere()
    {
        using FeedbackStore store = Open();
        await using TestServer server = await StartAsync(store);
        Assert.True(TestServer.Parse(await server.Client.GetStringAsync("/props")).GetProperty("feedback").GetBoolean());
        long expires = (await server.PostJsonAsync("/v1/feedback", Rating("a"))).GetProperty("expires_at").GetInt64();
        Assert.InRange(expires, DateTimeOffset.UtcNow.AddDays(89).ToUnixTimeSeconds(), DateTimeOffset.UtcNow.AddDays(91).ToUnixTimeSeconds());
        await server.PostJsonAsync("/v1/feedback", Rating("b"));
        await server.PostJsonAsync("/v1/feedback", Rating("a", "down", "\"correction\":\"It is wet.\","));
        RatedAnswer rated = Assert.Single(store.Read(), each => each.Id == "a");
        Assert.Equal(("", "tiny", false, "It is wet."), (rated.Owner, rated.Model, rated.IsLiked, rated.Correction));
        Assert.Equal([("system", "Be kind."), ("user", "How is the maize?"), ("assistant", "It is dry.")], rated.Messages.Select(message => (message.Role, message.Content)));
        Assert.Equal(2, store.Read().Count);
        Assert.Contains("It is wet.", Content(), StringComparison.Ordinal); // else the last assertion shows nothing
        Assert.DoesNotContain(server.Lines, line => line.Contains("maize", StringComparison.Ordinal));

        Assert.Equal(200, (int)(await server.Client.DeleteAsync("/v1/feedback/a")).StatusCode);
        Assert.Equal(404, (int)(await server.Client.DeleteAsync("/v1/feedback/a")).StatusCode);
        Assert.Equal("b", Assert.Single(store.Read()).Id);
        Assert.DoesNotContain("It is wet.", Content(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Feedback_OfSeveralKeys_IsEachOnesOwn()
    {
        string keys = _folder["keys.json"];
        string first = KeyFile.Create(keys, "first", null, null), second = KeyFile.Create(keys, "second", null, null);
        using FeedbackStore store = Open(new FeedbackLimits { MostOfOwner = 2, MostRows = 3 });
        await using TestServer server = await TestServer.StartAsync(change: options => options with { Feedback = store, KeyFile = keys });
        await server.PostJsonAsync("/v1/feedback", Rating("a"), 401);
        server.Client.DefaultRequestHeaders.Add("X-Api-Key", first);
        await server.PostJsonAsync("/v1/feedback", Rating("a"));
        await server.PostJsonAsync("/v1/feedback", Rating("b"));
        await server.PostJsonAsync("/v1/feedback", Rating("c"), 507); // too many of one
        await server.PostJsonAsync("/v1/feedback", Rating("b", "down")); // changed, not added
        server.Client.DefaultRequestHeaders.Remove("X-Api-Key");
        server.Client.DefaultRequestHeaders.Add("X-Api-Key", second);
        Assert.Equal(404, (int)(await server.Client.DeleteAsync("/v1/feedback/a")).StatusCode); // another's
        await server.PostJsonAsync("/v1/feedback", Rating("a"));
        await server.PostJsonAsync("/v1/feedback", Rating("d"), 507); // too many of all
        Assert.Equal([("first", "a"), ("first", "b"), ("second", "a")], store.Read().Select(each => (each.Owner, each.Id)).Order());
    }

    [Theory]
    [InlineData("\"rating\":\"up\"", "\"rating\":\"sideways\"", "rating")]
    [InlineData("\"rating\":\"up\",", "", "rating")]
    [InlineData("\"id\":\"a\"", "\"id\":\"\"", "id")]
    [InlineData("\"id\":\"a\"", "\"id\":\"a b\"", "id")]
    [InlineData("\"model\":\"tiny\"", "\"model\":5", "model")]
    [InlineData("\"id\":\"a\"", "\"id\":\"a\",\"ip\":\"1.2.3.4\"", "ip")]
    [InlineData("\"id\":\"a\"", "\"id\":\"a\",\"correction\":\" \"", "correction")]
    [InlineData(Messages, "[]", "messages")]
    [InlineData(Messages, "[{\"role\":\"assistant\",\"content\":\"a\"}]", "messages")]
    [InlineData(Messages, "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}]", "messages")]
    [InlineData("\"role\":\"system\"", "\"role\":\"root\"", "messages[0].role")]
    [InlineData("\"content\":\"Be kind.\"", "\"content\":[1]", "messages[0].content")]
    public async Task Feedback_Malformed_IsRefusedByName(string part, string other, string param)
    {
        using FeedbackStore store = Open();
        await using TestServer server = await StartAsync(store);
        string rating = Rating("a");
        Assert.Contains(part, rating, StringComparison.Ordinal);
        Assert.Equal(param, (await server.PostJsonAsync("/v1/feedback", rating.Replace(part, other, StringComparison.Ordinal), 400)).GetProperty("error").GetProperty("param").GetString());
        Assert.Equal(400, (int)(await server.PostAsync("/v1/feedback", rating.Replace("Be kind.", new string('a', 300_000), StringComparison.Ordinal))).StatusCode);
        Assert.Empty(store.Read());
    }

    [Fact]
    public async Task Feedback_WhoseTimeIsOver_IsGoneFromTheDiskToo()
    {
        Clock clock = new();
        using (FeedbackStore store = FeedbackStore.Open(_folder["f.db"], new FeedbackLimits { Retention = TimeSpan.FromDays(30) }, clock))
        {
            await using TestServer server = await StartAsync(store);
            await server.PostJsonAsync("/v1/feedback", Rating("a"));
            clock.Now += TimeSpan.FromDays(29);
            Assert.Single(store.Read());
            clock.Now += TimeSpan.FromDays(2);
            await server.PostJsonAsync("/v1/feedback", Rating("b").Replace("dry", "wet", StringComparison.Ordinal)); // a write takes the old away
            Assert.DoesNotContain("It is dry.", Content(), StringComparison.Ordinal);
        }

        using (FeedbackStore reader = FeedbackStore.Open(_folder["f.db"], clock: clock))
        {
            Assert.Single(reader.Read()); // a reader changes no time
        }

        using FeedbackStore shorter = FeedbackStore.Open(_folder["f.db"], new FeedbackLimits { Retention = TimeSpan.FromDays(1) }, clock);
        Assert.Single(shorter.Read());
        clock.Now += TimeSpan.FromDays(1);
        Assert.Empty(shorter.Read());
    }

    [Fact]
    public async Task Feedback_WhoseTimeIsOver_IsGoneThoughNobodyAsks()
    {
        Clock clock = new();
        FeedbackStore store = FeedbackStore.Open(_folder["f.db"], new FeedbackLimits { Retention = TimeSpan.FromDays(30) }, clock);
        await using (TestServer server = await StartAsync(store))
        {
            await server.PostJsonAsync("/v1/feedback", Rating("a"));
            clock.Now += TimeSpan.FromDays(29);
            clock.Tick();
            Assert.Contains("It is dry.", Content(), StringComparison.Ordinal);
            clock.Now += TimeSpan.FromDays(2);
            clock.Tick();
            Assert.DoesNotContain("It is dry.", Content(), StringComparison.Ordinal);
        }

        store.Dispose();
        clock.Tick(); // one that was on its way
    }

    [Fact]
    public void Feedback_File_IsItsOwnersAloneAndNoOtherDatabase()
    {
        using (FeedbackStore store = Open())
        {
            if (!OperatingSystem.IsWindows())
            {
                foreach (string file in Directory.GetFiles(_folder.Path, "f.db*"))
                {
                    Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
                }
            }
        }

        using (PortalStore.Open(_folder["portal.db"]))
        {
        }

        Assert.Contains("--feedback", Assert.Throws<ServerSetupException>(() => FeedbackStore.Open(_folder["portal.db"])).Message, StringComparison.Ordinal);
        Assert.Contains("portal.yaml", Assert.Throws<ServerSetupException>(() => PortalStore.Open(_folder["f.db"])).Message, StringComparison.Ordinal);
        Assert.Contains("no database", Assert.Throws<ServerSetupException>(() => FeedbackStore.Open(_folder.Write("text.db", new string('x', 5000)))).Message, StringComparison.Ordinal);
    }

    private static Task<TestServer> StartAsync(FeedbackStore store) => TestServer.StartAsync(change: options => options with { Feedback = store });

    private static string Rating(string id, string rating = "up", string more = "") => $$"""{"id":"{{id}}","model":"tiny","rating":"{{rating}}","consent":true,{{more}}"messages":{{Messages}}}""";

    private FeedbackStore Open(FeedbackLimits? limits = null) => FeedbackStore.Open(_folder["f.db"], limits ?? new FeedbackLimits());

    /// <summary>All that the disk has of the database.</summary>
    private string Content() => string.Concat(Directory.GetFiles(_folder.Path, "f.db*").Select(path =>
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using MemoryStream bytes = new();
        stream.CopyTo(bytes);
        return Encoding.Latin1.GetString(bytes.ToArray());
    }));

    private sealed class Clock : TimeProvider
    {
        private readonly List<Action> _timers = [];

        public void Tick() => _timers.ForEach(timer => timer());

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            _timers.Add(() => callback(state));
            return new Stopped();
        }

        private sealed class Stopped : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => true;

            public void Dispose()
            {
            }

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }

        public DateTimeOffset Now { get; set; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
