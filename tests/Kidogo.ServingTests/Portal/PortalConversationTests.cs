// Conversations on the server: kept, found, changed by two windows, capped, and nobody else's.
using System.Text.Json;
using Kidogo.Serving.Portal;

namespace Kidogo.ServingTests.Portal;

public sealed class PortalConversationTests
{
    private const string Place = "/portal/api/conversations";

    [Fact]
    public async Task Conversation_IsKeptListedFoundAndRemoved()
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser amina = await portal.RegisterAsync("amina");
        object first = new { id = "one", title = "Maji", created = 5, updated = 1000, messages = new[] { new { id = "m", text = "Chemsha \"maji\" ya kisima." } } };
        await amina.SendAsync($"{Place}/one", first, method: "PUT");
        await amina.SendAsync($"{Place}/two", new { title = "'; DROP TABLE conversations; --", updated = 2000, messages = Array.Empty<object>() }, method: "PUT");
        JsonElement all = await ListAsync(amina);
        Assert.Equal(["two", "one"], Ids(all));
        Assert.Equal((5, 1000, "Maji"), (all.GetProperty("conversations")[1].GetProperty("created").GetInt64(), all.GetProperty("conversations")[1].GetProperty("updated").GetInt64(), all.GetProperty("conversations")[1].GetProperty("title").GetString()));
        Assert.Equal(JsonSerializer.Serialize(first), await amina.PageAsync($"{Place}/one"));
        Assert.Equal(["one"], Ids(await ListAsync(amina, "KISIMA")));
        Assert.Equal(["two"], Ids(await ListAsync(amina, "drop table")));
        Assert.Empty(Ids(await ListAsync(amina, "messages"))); // a field's name is no content
        await amina.SendAsync($"{Place}/one", method: "DELETE");
        Assert.Equal("not_found", await amina.RefusedAsync($"{Place}/one", null, 404, "DELETE"));
        await amina.PageAsync($"{Place}/one", 404);
        await amina.SendAsync(Place, method: "DELETE");
        Assert.Empty(Ids(await ListAsync(amina)));
    }

    [Fact]
    public async Task Conversation_OfAnother_IsNeitherSeenNorChanged()
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser amina = await portal.RegisterAsync("amina"), juma = await portal.RegisterAsync("juma"), stranger = portal.Visit();
        await amina.SendAsync($"{Place}/shared-name", new { title = "ya amina", messages = new[] { new { text = "siri" } } }, method: "PUT");
        await juma.PageAsync($"{Place}/shared-name", 404);
        Assert.Empty(Ids(await ListAsync(juma)));
        Assert.Empty(Ids(await ListAsync(juma, "siri")));
        Assert.Equal("not_found", await juma.RefusedAsync($"{Place}/shared-name", null, 404, "DELETE"));
        await juma.SendAsync($"{Place}/shared-name", new { title = "ya juma" }, method: "PUT");
        Assert.Contains("ya amina", await amina.PageAsync($"{Place}/shared-name"), StringComparison.Ordinal);
        await juma.SendAsync(Place, method: "DELETE");
        Assert.Single(Ids(await ListAsync(amina)));
        await stranger.PageAsync($"{Place}/shared-name", 401);
        await stranger.PageAsync(Place, 401);
        string key = (await amina.SendAsync("/portal/api/keys", new { name = "k" })).GetProperty("secret").GetString()!;
        stranger.Client.DefaultRequestHeaders.Authorization = new("Bearer", key);
        await stranger.PageAsync(Place, 401); // keys are for the models
    }

    [Fact]
    public async Task Conversation_ChangedInAnotherWindow_IsNotOverwritten()
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser amina = await portal.RegisterAsync("amina");
        Assert.Equal(1, (await SaveAsync("\"0\"")).GetProperty("revision").GetInt64());
        Assert.Equal("conversation_changed", (await SaveAsync("\"0\"", 412)).GetProperty("error").GetProperty("code").GetString());
        Assert.Equal(2, (await SaveAsync("\"1\"")).GetProperty("revision").GetInt64());
        using HttpResponseMessage loaded = await amina.Client.GetAsync($"{Place}/one");
        Assert.Equal("\"2\"", loaded.Headers.ETag!.Tag);
        await SaveAsync("\"two\"", 400);

        Task<JsonElement> SaveAsync(string revision, int status = 200) =>
            amina.SendAsync($"{Place}/one", new { title = "a" }, status, "PUT", request => request.Headers.TryAddWithoutValidation("If-Match", revision));
    }

    [Theory]
    [InlineData("a.b", "{}")]
    [InlineData("a%2fb", "{}")]
    [InlineData("one", "[]")]
    [InlineData("one", "null")]
    [InlineData("one", "{\"title\":")]
    [InlineData("one", "{\"title\":\"\\ud800\"}")]
    public async Task Conversation_Malformed_IsRefused(string id, string body)
    {
        await using PortalServer portal = await PortalServer.StartAsync();
        using Browser amina = await portal.RegisterAsync("amina");
        await amina.SendAsync($"{Place}/{id}", body, 400, "PUT");
        Assert.Empty(Ids(await ListAsync(amina)));
    }

    [Fact]
    public async Task Conversations_ToTheCap_AreListedInPagesAndNoMoreIsKept()
    {
        const int Cap = 100_000;
        await using PortalServer portal = await PortalServer.StartAsync(settings => settings with { Accounts = settings.Accounts with { Conversations = Cap } });
        using Browser amina = await portal.RegisterAsync("amina"), juma = await portal.RegisterAsync("juma");
        using (PortalStore store = PortalStore.Open(portal.Database))
        {
            store.Execute(
                """
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $cap)
                INSERT INTO conversations (user_id, id, title, created, updated, revision, bytes, data) SELECT $user, 'c' || i, 't', i, i / 3, 1, 2, CAST('{}' AS BLOB) FROM n
                """,
                ("$cap", Cap), ("$user", portal.Site.Accounts.Find("amina")!.Id));
        }

        Assert.Equal("too_many_conversations", await amina.RefusedAsync($"{Place}/another", "{}", 409, "PUT"));
        await amina.SendAsync($"{Place}/c1", new { title = "changed" }, method: "PUT");
        await juma.SendAsync($"{Place}/another", "{}", method: "PUT");
        JsonElement first = await ListAsync(amina), second = await ListAsync(amina, before: first.GetProperty("next").GetString()!);
        Assert.Equal((1000, 1000), (Ids(first).Length, Ids(second).Length));
        Assert.Equal(2000, Ids(first).Concat(Ids(second)).Distinct().Count());
    }

    [Fact]
    public async Task Conversations_TooLarge_AreRefused()
    {
        await using PortalServer portal = await PortalServer.StartAsync(settings => settings with { Accounts = settings.Accounts with { Megabytes = 1 } });
        using Browser amina = await portal.RegisterAsync("amina");
        string half = "{\"title\":\"" + new string('a', 600_000) + "\"}";
        await amina.SendAsync($"{Place}/one", half, method: "PUT");
        Assert.Equal("too_many_conversations", await amina.RefusedAsync($"{Place}/two", half, 409, "PUT"));
        await amina.SendAsync($"{Place}/one", half, method: "PUT"); // in its own place
        Assert.Equal(200, (await ListAsync(amina)).GetProperty("conversations")[0].GetProperty("title").GetString()!.Length);
        await amina.SendAsync($"{Place}/two", "{\"title\":\"" + new string('a', Conversations.LargestBytes) + "\"}", 413, "PUT", request => request.Headers.ExpectContinue = true); // told before it is sent
    }

    private static async Task<JsonElement> ListAsync(Browser browser, string query = "", string before = "") =>
        TestServer.Parse(await browser.PageAsync($"{Place}?query={Uri.EscapeDataString(query)}&before={Uri.EscapeDataString(before)}"));

    private static string[] Ids(JsonElement list) => [.. list.GetProperty("conversations").EnumerateArray().Select(each => each.GetProperty("id").GetString()!)];
}
