// Keys: made, shown once, hashed, limited, revoked; and a server that does not open itself to strangers.
using System.Net;
using System.Net.Http.Headers;
using Kidogo.Serving;
using Kidogo.Serving.Access;
using Kidogo.Inference.Scheduling;
using Kidogo.Tests.Models.Files;

namespace Kidogo.ServingTests;

public sealed class AccessTests : IDisposable
{
    private readonly TestFolder _folder = new();

    private string File => _folder["keys/keys.json"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Key_Created_IsStoredAsItsHashAlone()
    {
        string key = KeyFile.Create(File, "amina", requestsPerMinute: 5);
        string other = KeyFile.Create(File, "juma");
        Assert.StartsWith(KeyFile.Prefix, key, StringComparison.Ordinal);
        Assert.NotEqual(key, other);
        string text = System.IO.File.ReadAllText(File);
        Assert.DoesNotContain(key[KeyFile.Prefix.Length..], text, StringComparison.Ordinal);
        Assert.Equal(["amina", "juma"], KeyFile.Read(File).Select(each => each.Name));
        Assert.Equal((KeyFile.HashOf(key), 5, null), (KeyFile.Read(File)[0].Hash, KeyFile.Read(File)[0].RequestsPerMinute, KeyFile.Read(File)[0].TokensPerMinute));
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, System.IO.File.GetUnixFileMode(File));
        }
    }

    [Fact]
    public void Key_NameTakenOrMalformed_IsRefused()
    {
        KeyFile.Create(File, "amina");
        Assert.Throws<KeyFileException>(() => KeyFile.Create(File, "amina"));
        Assert.Throws<KeyFileException>(() => KeyFile.Create(File, "a/b"));
        Assert.Throws<KeyFileException>(() => KeyFile.Create(File, ""));
        Assert.Throws<KeyFileException>(() => KeyFile.Create(File, "b", requestsPerMinute: 0));
        Assert.Contains("amina", Assert.Throws<KeyFileException>(() => KeyFile.Revoke(File, "amena")).Message, StringComparison.Ordinal);
        KeyFile.Revoke(File, "amina");
        Assert.Empty(KeyFile.Read(File));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("{\"keys\":[{\"name\":\"a\",\"sha256\":\"short\",\"created\":\"2026-01-01T00:00:00Z\"}]}")]
    [InlineData("{\"keys\":[1]}")]
    public void KeyFile_Malformed_IsRefused(string content)
    {
        _folder.Write("keys/keys.json", content);
        Assert.Throws<KeyFileException>(() => KeyFile.Read(File));
    }

    [Fact]
    public async Task Server_WithKeys_WantsOne()
    {
        string key = KeyFile.Create(File, "amina");
        await using TestServer server = await TestServer.StartAsync(change: options => options with { KeyFile = File });
        Assert.Equal(HttpStatusCode.OK, (await server.Client.GetAsync("/health")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await server.Client.GetAsync("/")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await server.Client.GetAsync("/v1/models")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await server.PostAsync("/v1/chat/completions", "not even json")).StatusCode);
        server.Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key + "x");
        using HttpResponseMessage wrong = await server.Client.GetAsync("/v1/models");
        string told = await wrong.Content.ReadAsStringAsync();
        Assert.Equal(HttpStatusCode.Unauthorized, wrong.StatusCode);
        Assert.Equal("authentication_error", TestServer.Parse(told).GetProperty("error").GetProperty("type").GetString());
        Assert.DoesNotContain(key, told, StringComparison.Ordinal);
        server.Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        Assert.Equal(HttpStatusCode.OK, (await server.Client.GetAsync("/v1/models")).StatusCode);
        server.Client.DefaultRequestHeaders.Authorization = null;
        server.Client.DefaultRequestHeaders.Add("X-Api-Key", key);
        Assert.Equal(HttpStatusCode.OK, (await server.Client.GetAsync("/v1/models")).StatusCode);
        Assert.DoesNotContain(server.Lines, line => line.Contains(key, StringComparison.Ordinal));
        KeyFile.Revoke(File, "amina");
        await Task.Delay(1200);
        Assert.Equal(HttpStatusCode.Unauthorized, (await server.Client.GetAsync("/v1/models")).StatusCode);
    }

    [Fact]
    public async Task Limit_OfRequests_Is429()
    {
        string key = KeyFile.Create(File, "amina", requestsPerMinute: 2);
        await using TestServer server = await TestServer.StartAsync(change: options => options with { KeyFile = File });
        server.Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        Assert.Equal(HttpStatusCode.OK, (await server.Client.GetAsync("/v1/models")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await server.Client.GetAsync("/v1/models")).StatusCode);
        using HttpResponseMessage third = await server.Client.GetAsync("/v1/models");
        Assert.Equal(HttpStatusCode.TooManyRequests, third.StatusCode);
        Assert.InRange(third.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
    }

    [Fact]
    public async Task Limit_OfTokens_CountsPromptsAndAnswers()
    {
        string key = KeyFile.Create(File, "amina", tokensPerMinute: 30);
        await using TestServer server = await TestServer.StartAsync(change: options => options with { KeyFile = File });
        server.Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        const string Request = """{"prompt":"0123456789","max_tokens":10}""";
        await server.PostJsonAsync("/v1/completions", Request);
        await server.PostJsonAsync("/v1/completions", Request);
        await server.PostJsonAsync("/v1/completions", Request, 429);
    }

    [Fact]
    public async Task Cache_OfAnotherKey_ShowsNothing()
    {
        string amina = KeyFile.Create(File, "amina"), juma = KeyFile.Create(File, "juma");
        await using TestServer server = await TestServer.StartAsync(change: options => options with { KeyFile = File });
        int[] cached = [await CachedAsync(amina), await CachedAsync(juma), await CachedAsync(amina)];
        Assert.Equal([0, 0], cached[..2]);
        Assert.True(cached[2] > 0);

        async Task<int> CachedAsync(string key)
        {
            server.Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
            int tokens = (await server.PostJsonAsync("/v1/completions", """{"prompt":"a long and secret prompt","max_tokens":2}"""))
                .GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32();
            await server.IdleAsync();
            return tokens;
        }
    }

    [Fact]
    public async Task Server_BeyondLoopback_RefusesToBeOpen()
    {
        string path = _folder.Write("tiny.gguf", TinyModel.File());
        using ServedModel model = TinyModel.Serve(path, new SchedulerOptions());
        ServerOptions open = new() { Address = IPAddress.Any, Port = 0, KeyFile = File };
        Assert.Contains("--no-auth", Assert.Throws<ServerSetupException>(() => new KidogoServer([model], open)).Message, StringComparison.Ordinal);
        await using (new KidogoServer([model], open with { AllowsAnyone = true }))
        {
        }

        KeyFile.Create(File, "amina");
        await using KidogoServer closed = new([model], open);
        Assert.True(closed.RequiresKey);
    }
}
