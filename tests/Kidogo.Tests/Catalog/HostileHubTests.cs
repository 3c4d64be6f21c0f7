// Downloads from a hub, or over a line, that lies, stalls, sends on, or sends without end.
using System.Net;
using Kidogo.Catalog.Hub;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Catalog;

public sealed class HostileHubTests
{
    private static readonly byte[] s_model = ScriptedHub.Content(100_000, 1);

    [Fact]
    public void OtherContent_IsThrownAway()
    {
        using StoreFolder store = Store();
        Script(store, (_, usual) => usual with { Body = new byte[usual.Body.Length] });
        Assert.Contains("hash", store.Refusal(), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(store.At("blobs")));
        store.AssertEmpty();
    }

    [Theory]
    [InlineData("longer")]
    [InlineData("shorter")]
    [InlineData("range")]
    [InlineData("etag")]
    public void Contradictions_AreRefused(string kind)
    {
        using StoreFolder store = Store();
        Script(store, (request, usual) => kind switch
        {
            "longer" => usual with { ClaimedLength = 1L << 30 },
            "shorter" => usual with { ClaimedLength = 10 },
            "range" => usual with { Status = 206, Headers = ["Content-Range: bytes 5-99999/100000"] },
            _ => usual with { Headers = [$"X-Linked-Etag: \"{new string('a', 64)}\""] },
        });
        Assert.Contains("announced", store.Refusal(), StringComparison.Ordinal);
        store.AssertEmpty();
    }

    [Fact]
    public void MoreThanAnnounced_IsCutOff()
    {
        using StoreFolder store = Store();
        Script(store, (_, usual) => usual with { Status = 206, Headers = ["Content-Range: bytes 0-99999/100000"], Times = 10_000 });
        Assert.Contains("announced", store.Refusal(), StringComparison.Ordinal);
        store.AssertEmpty();
    }

    [Fact]
    public void ListWithoutEnd_IsCutOff()
    {
        using StoreFolder store = Store();
        store.Hub.Script = request => new HubReply(200, new byte[1 << 20]) { Times = 1024 };
        Assert.Contains("more than", store.Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void Stall_EndsByTheTimeOut_AndIsGoneOnWith()
    {
        using StoreFolder store = Store();
        int answers = 0;
        Script(store, (_, usual) => answers++ == 0 ? usual with { CutAfter = 40_000, Stalls = true } : usual);
        Assert.Equal(s_model, File.ReadAllBytes(store.Pull(settings: store.Settings with { DownloadTimeout = TimeSpan.FromMilliseconds(500) }).Model.Path));
    }

    [Theory]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(503)]
    public void BusyHub_IsAskedAgain(int status)
    {
        using StoreFolder store = Store();
        int asked = 0;
        store.Hub.Script = _ => asked++ % 2 == 0 ? new HubReply(status, []) { Headers = ["Retry-After: 0"] } : null;
        Assert.Equal(s_model.Length, store.Pull().ReceivedBytes);
    }

    [Theory]
    [InlineData(401, "HF_TOKEN")]
    [InlineData(403, "licence")]
    [InlineData(404, "spelling")]
    public void Refusal_SaysWhatToDo(int status, string expected)
    {
        using StoreFolder store = Store();
        store.Hub.Script = _ => new HubReply(status, []);
        Assert.Contains(expected, store.Refusal(), StringComparison.Ordinal);
        Assert.Single(store.Hub.Requests);
    }

    [Fact]
    public void LineThatBringsNothingNew_IsGivenUp()
    {
        using StoreFolder store = Store();
        Script(store, (_, usual) => usual with { Status = 200, Headers = [], Body = s_model, CutAfter = 50_000 }); // ranges are not heeded, so it never gets further
        Assert.Contains("goes on", store.Refusal(), StringComparison.Ordinal);
        store.AssertEmpty();
        Assert.InRange(store.Hub.Requests.Count, 4, 8);
    }

    [Fact]
    public void HostsThatNameOneFileDifferently_LoseNothingThatCame()
    {
        using StoreFolder store = Store();
        int answers = 0;
        Script(store, (request, usual) => request.Headers.ContainsKey("if-range") // never the name that this host gives
            ? new HubReply(200, s_model) { Headers = ["ETag: \"other\""], CutAfter = 1000 }
            : usual with { Headers = [.. usual.Headers.Where(header => !header.StartsWith("ETag", StringComparison.Ordinal)), $"ETag: \"{answers++}\""], CutAfter = 40_000 });
        Assert.InRange(store.Pull().ReceivedBytes, s_model.Length, s_model.Length + 2000);
    }

    [Fact]
    public void Token_GoesToTheHubAndToNoOtherHost()
    {
        using StoreFolder store = Store();
        using ScriptedHub other = new();
        other.Script = request => other.Content(request, "model.gguf", s_model);
        store.Hub.Script = request => request.Path.Contains("/resolve/", StringComparison.Ordinal)
            ? new HubReply(302, []) { Headers = [$"Location: {other.Endpoint}large/file"] } : null;
        store.Pull(settings: store.Settings with { Token = "hf_secret" });
        Assert.All(store.Hub.Requests, request => Assert.Equal("Bearer hf_secret", request.Headers["authorization"]));
        Assert.NotEmpty(other.Requests);
        Assert.All(other.Requests, request => Assert.False(request.Headers.ContainsKey("authorization")));
    }

    [Fact]
    public void SendingOnInACircle_Ends()
    {
        using StoreFolder store = Store();
        store.Hub.Script = _ => new HubReply(302, []) { Headers = ["Location: /again"] };
        Assert.Contains("circle", store.Refusal(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https://hub.org", "https://hub.org/a", "https://cdn.net/b", true)]
    [InlineData("https://hub.org", "https://hub.org/a", "http://hub.org/b", false)]
    [InlineData("https://hub.org", "https://hub.org/a", "http://cdn.net/b", false)]
    [InlineData("https://hub.org", "https://hub.org/a", "https://127.0.0.1/b", false)]
    [InlineData("https://hub.org", "https://hub.org/a", "https://localhost/b", false)]
    [InlineData("https://hub.org", "https://hub.org/a", "https://[::1]/b", false)]
    [InlineData("https://hub.org", "https://hub.org/a", "https://[::ffff:10.0.0.1]/b", false)]
    [InlineData("https://hub.org", "https://hub.org/a", "https://169.254.169.254/latest/meta-data", false)]
    [InlineData("https://hub.org", "https://hub.org/a", "https://192.168.1.1/b", false)]
    [InlineData("https://hub.org", "https://hub.org/a", "https://2130706433/b", false)]
    [InlineData("https://hub.org", "https://hub.org/a", "https://user:password@cdn.net/b", false)]
    [InlineData("https://hub.org", "https://hub.org/a", "file:///etc/passwd", false)]
    [InlineData("http://hub.org", "http://hub.org/a", "http://cdn.net/b", false)]
    [InlineData("http://hub.org", "http://hub.org/a", "http://127.0.0.1/b", false)]
    [InlineData("http://10.0.0.5:8080", "http://10.0.0.5:8080/a", "http://10.0.0.6/b", true)]
    [InlineData("http://127.0.0.1:1", "http://127.0.0.1:1/a", "http://127.0.0.1:2/b", true)]
    [InlineData("http://127.0.0.1:1", "http://127.0.0.1:1/a", "http://cdn.net/b", false)]
    public void Redirect_IsFollowedByRule(string endpoint, string from, string to, bool follows) =>
        Assert.Equal(follows, RedirectRule.Refusal(new Uri(endpoint), new Uri(from), new Uri(to)) is null);

    [Theory]
    [InlineData("https://hub.org", "https://hub.org/a", true)]
    [InlineData("https://hub.org", "https://HUB.org/a", true)]
    [InlineData("https://hub.org", "https://hub.org:444/a", false)]
    [InlineData("https://hub.org", "https://hub.org.evil.net/a", false)]
    [InlineData("http://hub.org", "http://hub.org/a", false)]
    [InlineData("http://127.0.0.1:1", "http://127.0.0.1:1/a", true)]
    public void Token_MayBeSeen(string endpoint, string to, bool may) => Assert.Equal(may, RedirectRule.MaySeeToken(new Uri(endpoint), new Uri(to)));

    [Theory]
    [InlineData("../../evil.gguf")]
    [InlineData("/etc/passwd.gguf")]
    [InlineData("a/../b.gguf")]
    [InlineData("a\\\\b.gguf")]
    [InlineData("a//b.gguf")]
    [InlineData("C:evil.gguf")]
    [InlineData("nul\\u0000.gguf")]
    [InlineData("\\ud800.gguf")]
    public void ListedPath_ThatLeavesTheCache_IsRefused(string path)
    {
        using StoreFolder store = Store();
        store.Hub.ChangeListing = listing => listing.Replace("model-Q4_K_M.gguf", path, StringComparison.Ordinal);
        store.Refusal();
        store.AssertEmpty();
        Assert.Single(store.Hub.Requests);
    }

    [Theory]
    [InlineData("this is no JSON")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"sha":"../../x","siblings":[]}""")]
    [InlineData("""{"sha":"abc","siblings":[{"rfilename":5}]}""")]
    [InlineData("""{"sha":"abc","siblings":{}}""")]
    [InlineData("""{"sha":"abc","siblings":[{"rfilename":"a-Q4_0.gguf","size":5,"lfs":{"sha256":"x","size":6}}]}""")]
    [InlineData("""{"sha":"abc","siblings":[{"rfilename":"pytorch_model.bin","size":5}]}""")]
    public void List_ThatIsNone_IsRefused(string json)
    {
        using StoreFolder store = Store();
        store.Hub.ChangeListing = _ => json;
        store.Refusal();
        store.AssertEmpty();
    }

    [Fact]
    public void SmallFile_AnnouncedAsHuge_IsRefused()
    {
        using StoreFolder store = Store();
        store.Hub.Files["model.safetensors"] = s_model;
        store.Hub.Files.Remove("model-Q4_K_M.gguf");
        store.Hub.Files["config.json"] = "{}"u8.ToArray();
        store.Hub.ChangeListing = listing => listing.Replace("\"size\":2,", "\"size\":1073741824,", StringComparison.Ordinal);
        Assert.Contains("1073741824", store.Refusal(), StringComparison.Ordinal);
        Assert.Single(store.Hub.Requests);
    }

    [Fact]
    public void MoreThanTheDiskHas_IsRefusedBeforehand()
    {
        using StoreFolder store = Store();
        store.Hub.ChangeListing = listing => listing.Replace("\"size\":100000,", "\"size\":900000000000000,", StringComparison.Ordinal);
        Assert.Contains("left", store.Refusal(), StringComparison.Ordinal);
        Assert.Single(store.Hub.Requests);
    }

    [Fact]
    public void CatalogueThatLiesAboutTheSize_IsFoundAtPull()
    {
        using StoreFolder store = Store();
        Assert.Contains("catalogue", store.Refusal(change: request => request with { ExpectedBytes = _ => [10_000] }), StringComparison.Ordinal);
        store.AssertEmpty();
        store.Pull(change: request => request with { ExpectedBytes = _ => [5, 95_000] });
        store.Pull(change: request => request with { ExpectedBytes = _ => [10_000], TakesAnySize = true });
    }

    [Fact]
    public void Endpoint_WithAPassword_IsRefusedWithoutShowingIt()
    {
        HubException refusal = Assert.Throws<HubException>(() => HubSettings.EndpointOf("https://me:secret@hub.org"));
        Assert.DoesNotContain("secret", refusal.Message, StringComparison.Ordinal);
        Assert.Throws<HubException>(() => HubSettings.EndpointOf("ftp://hub.org"));
        Assert.Equal("https://huggingface.co/", HubSettings.EndpointOf(" ").AbsoluteUri);
    }

    [Theory]
    [InlineData("8.8.8.8", false)]
    [InlineData("100.64.0.1", true)]
    [InlineData("172.31.255.255", true)]
    [InlineData("172.32.0.1", false)]
    [InlineData("fd00::1", true)]
    [InlineData("2606:4700::1", false)]
    public void Address_IsInsideOrNot(string address, bool isInside) => Assert.Equal(isInside, RedirectRule.IsInside(IPAddress.Parse(address)));

    [Fact]
    public void Rate_IsKept()
    {
        Clock clock = new();
        RateLimit limit = new(1000, clock);
        double waited = 0;
        for (int i = 0; i < 100; i++)
        {
            TimeSpan wait = limit.Count(100);
            waited += wait.TotalSeconds;
            clock.Now += wait;
        }

        Assert.InRange(waited, 9.5, 10); // 10,000 bytes at 1,000 a second, less what may come at once
        Assert.Equal(TimeSpan.Zero, new RateLimit(null, clock).Count(1 << 30));
    }

    private static StoreFolder Store() => new StoreFolder().With(("model-Q4_K_M.gguf", s_model));

    private static void Script(StoreFolder store, Func<HubRequest, HubReply, HubReply> change) =>
        store.Hub.Script = request => request.Path.Contains("/resolve/", StringComparison.Ordinal) ? change(request, store.Hub.Usual(request)) : null;

    private sealed class Clock : TimeProvider
    {
        public TimeSpan Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;
    }
}
